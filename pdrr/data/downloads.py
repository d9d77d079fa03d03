"""Downloads that are complete and checked, or not there: from the Hugging Face hub and the web."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, cast

PIECE = 1 << 16  # bytes written at a time; a transfer that breaks loses less than that
_TIMEOUT = (10, 60)  # seconds to connect, and without a byte


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def from_the_hub(repository: str, folder: Path) -> None:
    """Download the Parquet files of a data set of the Hugging Face hub.

    A transfer that broke goes on where it was. Each file is compared with the size and SHA-256 in
    the hub's own metadata: no other checksum of it is published. `folder` gets all files when
    they are complete and right; until then they lie beside it, in ``.huggingface-download``.

    Parameters
    ----------
    repository : str
        Such as "flwrlabs/femnist".
    folder : path
        Where the files go.

    Raises
    ------
    OSError
        If the hub cannot be reached, or breaks off.
    ValueError
        If a file is not what the hub's metadata say.
    ModuleNotFoundError
        If huggingface-hub is not installed.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    # of whichever HTTP library the hub's client uses
    web_faults = cast(type[Exception], HfHubHTTPError.__bases__[0])
    aside = folder.parent / ".huggingface-download"
    try:
        found = HfApi().dataset_info(repository, files_metadata=True, timeout=_TIMEOUT[1])
        files = [each for each in found.siblings or [] if each.rfilename.endswith(".parquet")]
        if not files:
            raise ValueError(f"{repository} has no .parquet files on the hub")
        for each in files:
            got = hf_hub_download(
                repository,
                each.rfilename,
                repo_type="dataset",
                revision=found.sha,
                local_dir=aside,
            )
            wanted = each.lfs.sha256 if each.lfs else None
            if wanted is not None and sha256(Path(got)) != wanted:
                shutil.rmtree(aside)
                raise ValueError(
                    f"{each.rfilename} of {repository}: needs SHA-256 {wanted}, as the hub says, "
                    "got another: what was downloaded is removed"
                )
    except web_faults as fault:
        raise ConnectionError(str(fault)) from fault
    shutil.rmtree(aside / ".cache", ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.replace(aside, folder)


def from_the_web(url: str, checksum: str, folder: Path) -> None:
    """Download one file of a known SHA-256; a transfer that broke goes on where it was.

    Parameters
    ----------
    url : str
        Of the file.
    checksum : str
        Its SHA-256, in hexadecimal digits.
    folder : path
        Gets the file when it is complete and right. What there is until then has a name that
        begins with a dot.

    Raises
    ------
    OSError
        If the server cannot be reached, or breaks off.
    ValueError
        If the file has another checksum; it is then removed.
    ModuleNotFoundError
        If pooch is not installed.
    """
    import pooch
    import requests

    name = url.rpartition("/")[2]
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{checksum}",
            fname=name,
            path=folder,
            downloader=lambda link, output, _: _resumed(link, folder / f".{name}.part", output),
        )
    except requests.RequestException as fault:
        raise ConnectionError(str(fault)) from fault
    except ValueError as fault:
        raise ValueError(f"{url}: {' '.join(str(fault).split())}") from fault


def _resumed(url: str, part: Path, output: Any) -> None:
    """Bring the rest of what lies in `part`, and make that `output`."""
    import requests
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    asked = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
    with requests.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # complete, or of another file: it is brought once more
            return _resumed(url, part, output)
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0  # the server begins from the start
        total = have + int(answer.headers.get("Content-Length", 0))
        with (
            part.open("r+b" if have else "wb") as file,
            tqdm(
                total=total or None, initial=have, unit="B", unit_scale=True, leave=False,
                desc=part.name.strip("."), disable=None,
            ) as bar,
        ):  # fmt: skip
            file.seek(have)
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                bar.update(len(piece))
        if total and part.stat().st_size < total:
            raise ConnectionError(f"{url}: broke off after {part.stat().st_size:,} of {total:,}")
    os.replace(part, output)
    return None
