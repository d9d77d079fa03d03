"""Files and folders that somebody names: refused before they are opened if nothing can be read."""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def plain_file(path: Path, most: int) -> Path:
    """Refuse what is no plain file of at most `most` bytes; opening a FIFO would hang.

    Parameters
    ----------
    path : path
        Of a file, or of a link to one.
    most : int
        Bytes that it may have.

    Returns
    -------
    path
        The same.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it is something else, a link that leads in a circle, or too large.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except OSError as fault:
        raise ValueError(f"{path}: needs a file that can be read ({fault.strerror})") from fault
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind:
        raise ValueError(f"{path}: needs a file, got {kind}")
    if found.st_size > most:
        raise ValueError(f"{path}: needs at most {most:,} bytes, got {found.st_size:,}")
    return path


def entries(folder: Path, *suffixes: str) -> list[Path]:
    """What lies in a folder, by name, but for names that begin with a dot.

    Parameters
    ----------
    folder : path
        Where to look. If there is no such folder, nothing lies in it.
    suffixes : str
        Only names that end so, in small or capital letters; all where none is given.

    Returns
    -------
    list of path
    """
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(p for p in found if not suffixes or p.suffix.lower() in suffixes)
