"""Downloads against a server on this machine: resumed, checked, converted once, or not there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import tarfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from helpers import data_files
from helpers.data_files import toy
from pdrr.cli.main import main
from pdrr.data import fetching, load
from pdrr.data.fetching import converted, fetch

COMMIT = "d" * 40
SHARD = "data/train-{:05d}-of-00002.parquet"


class Server(ThreadingHTTPServer):
    """Serves bytes by path, whole or in part, as the hub and as any web server does."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.told = {}  # the SHA-256 that the hub's metadata tell, where it is not the file's
        self.breaks_after = None  # bytes of a body after which the connection is closed
        self.breaks = 0  # how often it still does
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_arguments):
        """Say nothing: clients that go away are what is tried here."""

    def checksum(self, name):
        return self.told.get(name, hashlib.sha256(self.files[name]).hexdigest())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def _answer(self, code, body=b"", **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.breaks and len(body) > self.server.breaks_after:
            self.server.breaks -= 1
            self.wfile.write(body[: self.server.breaks_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        if path.startswith("/api/datasets/flwrlabs/femnist"):
            self._answer(200, json.dumps(self._about()).encode(), Content_Type="application/json")
            return
        name = path.removeprefix(f"/datasets/flwrlabs/femnist/resolve/{COMMIT}/").lstrip("/")
        if name not in self.server.files:
            self._answer(404)
            return
        body = self.server.files[name]
        etag = f'"{self.server.checksum(name)}"'
        headers = {"ETag": etag, "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            self._answer(200, body, **headers)
        elif int(wanted[1]) >= len(body):
            self._answer(416, **headers)
        else:
            first, last = int(wanted[1]), int(wanted[2] or len(body) - 1)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(body)}"
            self._answer(206, body[first : last + 1], **headers)

    def _about(self):
        siblings = [{"rfilename": "README.md", "size": 3, "blobId": "0" * 40}]
        for name, body in self.server.files.items():
            lfs = {"sha256": self.server.checksum(name), "size": len(body), "pointerSize": 130}
            siblings.append({"rfilename": name, "size": len(body), "blobId": "1" * 40, "lfs": lfs})
        return {"_id": "1", "id": "flwrlabs/femnist", "sha": COMMIT, "siblings": siblings}


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=partial(made.serve_forever, poll_interval=0.02))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def undivided():
    """What the hub has: by label, since pictures of one writer come in any order."""
    return toy(6, 20)


@pytest.fixture
def hub(server, tmp_path, monkeypatch, undivided):
    made = data_files.parquet(tmp_path / "made", undivided, divided=False)
    for i in range(2):
        server.files[SHARD.format(i)] = (made / SHARD.format(i)).read_bytes()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
                        server.url + "/{repo_id}/resolve/{revision}/{filename}")  # fmt: skip
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    return server


@pytest.fixture
def tff(server, tmp_path, monkeypatch):
    """The archive of TensorFlow Federated, of another checksum."""
    folder = data_files.hdf5(tmp_path / "halves", toy(6, 20))
    path = tmp_path / "fed_emnist.tar.bz2"
    with tarfile.open(path, "w:bz2") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)
    server.files[path.name] = path.read_bytes()
    tell(server, monkeypatch, hashlib.sha256(path.read_bytes()).hexdigest())
    return server


def tell(server, monkeypatch, checksum):
    monkeypatch.setattr(fetching, "ARCHIVE", f"{server.url}/fed_emnist.tar.bz2")
    monkeypatch.setattr(fetching, "ARCHIVE_SHA256", checksum)


def left(folder):
    """All files in a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def bytes_brought(server):
    return [ask for ask in server.asked if ask[0] == "GET" and not ask[1].startswith("/api")]


def test_the_hub_s_files_become_one_archive_that_is_found_the_next_time(hub, tmp_path, undivided):
    path = fetch("huggingface", tmp_path / "to")
    assert path.name == "femnist-huggingface.npz"
    found = load(path, writers=None)
    source = load(tmp_path / "made", writers=None)
    assert found.sha256 == source.sha256
    assert set(found.writer_ids) == set(undivided.writer_ids)
    assert left(tmp_path / "to") == [path.name, *(f"huggingface/{SHARD.format(i)}" for i in (0, 1))]
    asked, changed = len(hub.asked), path.stat().st_mtime_ns
    assert fetch("huggingface", tmp_path / "to") == path
    assert (len(hub.asked), path.stat().st_mtime_ns) == (asked, changed)
    other = fetch("huggingface", tmp_path / "to", writers=2, limit=3, seed=4)
    assert other.name == "femnist-huggingface-2-writers-at-most-3-seed-4.npz"
    assert len(hub.asked) == asked  # the files are still there
    few = load(other, writers=2)
    assert np.bincount(2 * few.writer + few.test).tolist() == [3, 2, 3, 2]


def test_tff_s_archive_becomes_one_archive(tff, tmp_path):
    path = fetch("tff", tmp_path / "to")
    assert load(path, writers=None).sha256 == toy(6, 20).sha256
    assert left(tmp_path / "to") == [path.name, "tff/fed_emnist.tar.bz2"]
    assert fetch("tff", tmp_path / "to") == path
    assert len(bytes_brought(tff)) == 1


def test_a_broken_transfer_goes_on_where_it_was(tff, tmp_path, monkeypatch):
    monkeypatch.setattr("pdrr.data.downloads.PIECE", 64)
    tff.breaks_after, tff.breaks = len(tff.files["fed_emnist.tar.bz2"]) // 3, 2
    asked = [None]
    for _ in range(2):
        with pytest.raises(OSError, match="no download from tff .*by hand: put .* into .*tff"):
            fetch("tff", tmp_path / "to")
        assert left(tmp_path / "to") == ["tff/.fed_emnist.tar.bz2.part"]
        have = (tmp_path / "to" / "tff" / ".fed_emnist.tar.bz2.part").stat().st_size
        assert have > (len(asked) - 0.1) * tff.breaks_after
        asked.append(f"bytes={have}-")
    path = fetch("tff", tmp_path / "to")
    assert load(path, writers=None).sha256 == toy(6, 20).sha256
    assert [ask[2] for ask in bytes_brought(tff)] == asked


def test_a_broken_transfer_from_the_hub_goes_on(hub, tmp_path, monkeypatch):
    hub.breaks_after, hub.breaks = 3000, 2
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 512)
    path = fetch("huggingface", tmp_path / "to")  # the library itself tries again
    assert load(path, writers=None).sha256 == load(tmp_path / "made", writers=None).sha256
    assert any(ask[2] for ask in bytes_brought(hub)), "nothing was resumed"


def test_a_rest_of_another_file_is_brought_once_more(tff, tmp_path):
    part = tmp_path / "to" / "tff" / ".fed_emnist.tar.bz2.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (len(tff.files["fed_emnist.tar.bz2"]) + 1))
    assert load(fetch("tff", tmp_path / "to"), writers=None).sha256 == toy(6, 20).sha256
    shutil.rmtree(tmp_path / "to")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100)  # its end would fit
    with pytest.raises(ValueError, match="hash .* does not match"):
        fetch("tff", tmp_path / "to")
    assert not left(tmp_path / "to")
    assert load(fetch("tff", tmp_path / "to"), writers=None).sha256 == toy(6, 20).sha256


def test_a_wrong_checksum_is_refused_and_nothing_stays(tff, tmp_path, monkeypatch):
    tell(tff, monkeypatch, "0" * 64)
    with pytest.raises(
        ValueError, match=r"fed_emnist\.tar\.bz2: .*hash .* does not match"
    ) as caught:
        fetch("tff", tmp_path / "to")
    assert "\n" not in str(caught.value)
    assert not left(tmp_path / "to")


def test_a_checksum_that_is_not_the_hub_s_is_refused_and_nothing_stays(hub, tmp_path):
    hub.told[SHARD.format(1)] = "0" * 64
    with pytest.raises(ValueError, match=r"train-00001.*needs SHA-256 0{64}.*is removed") as caught:
        fetch("huggingface", tmp_path / "to")
    assert "\n" not in str(caught.value)
    assert not left(tmp_path / "to")


@pytest.mark.parametrize("origin", ["huggingface", "tff"])
def test_files_put_there_by_hand_need_no_network(hub, tff, tmp_path, origin):
    to = tmp_path / "to"
    if origin == "tff":
        (to / "tff").mkdir(parents=True)
        shutil.copy(tmp_path / "fed_emnist.tar.bz2", to / "tff")
    else:
        shutil.copytree(tmp_path / "made" / "data", to / "huggingface")
    path = fetch(origin, to)
    assert load(path, writers=None).sha256
    assert not hub.asked
    assert not tff.asked


@pytest.mark.parametrize("origin", ["huggingface", "tff"])
def test_without_a_network_one_line_says_what_to_do_by_hand(hub, tff, tmp_path, capsys, origin):
    tff.files.clear()
    hub.shutdown()
    hub.server_close()
    with pytest.raises(SystemExit) as end:
        main(["data", "fetch", "femnist", "--from", origin, "--to", str(tmp_path / "to")])
    shown = capsys.readouterr()
    assert (end.value.code, shown.out) == (2, "")
    where = re.escape(str(tmp_path / "to" / origin))
    assert re.fullmatch(
        rf"pdrr: no download from {origin} \(.*\); by hand: put .* into {where} and run this "
        r"again\n",
        shown.err,
    ), shown.err
    assert not left(tmp_path / "to")


@pytest.mark.parametrize("origin", ["huggingface", "tff"])
@pytest.mark.parametrize("when", ["download", "conversion"])
def test_ctrl_c_leaves_nothing_half(hub, tff, tmp_path, monkeypatch, capsys, origin, when):
    assert hub is tff
    place = {
        "conversion": "pdrr.data.npz.np.savez_compressed",
        "huggingface": "pdrr.data.downloads.sha256",
        "tff": "requests.models.Response.iter_content",
    }[origin if when == "download" else when]

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        with pytest.raises(SystemExit) as end:
            main(["data", "fetch", "femnist", "--from", origin, "--to", str(tmp_path / "to")])
    assert end.value.code == 130
    assert capsys.readouterr().err.strip() == "pdrr: interrupted"
    assert not [name for name in left(tmp_path / "to") if name.endswith(".npz")]
    if when == "download":
        assert not [n for n in left(tmp_path / "to") if "/." not in n and not n.startswith(".")]
    assert load(fetch(origin, tmp_path / "to"), writers=None)


@pytest.mark.usefixtures("tff")
def test_the_command_prints_the_path_that_other_commands_take(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PDRR_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as end:
        main(["data", "fetch", "femnist", "--from", "tff", "--writers", "2"])
    shown = capsys.readouterr()
    assert (end.value.code, shown.err) == (0, "")
    assert shown.out == f"{tmp_path}/cache/data/femnist-tff-2-writers.npz\n"
    assert len(load(shown.out.strip(), writers=None)) == 2


# archives that are not what they should be


def put(folder, *members, kind="w:bz2"):
    """An archive of TensorFlow Federated, put there by hand, of these members and contents."""
    (folder / "tff").mkdir(parents=True)
    with tarfile.open(folder / "tff" / "fed_emnist.tar.bz2", kind) as archive:
        for name, source in members:
            if isinstance(source, tarfile.TarInfo):
                archive.addfile(source)
            else:
                info = archive.gettarinfo(source)
                info.name = name  # as it is: `add` would take a leading slash away
                with source.open("rb") as content:
                    archive.addfile(info, content)
    return folder


def linked(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


TRAIN, TEST = "fed_emnist_train.h5", "fed_emnist_test.h5"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ((), f"needs {TRAIN} and {TEST}, lacks {TRAIN}"),
        (((TRAIN, TRAIN), (f"../{TEST}", TEST)), f"lacks {TEST}"),
        (((TRAIN, TRAIN), (f"/{TEST}", TEST)), f"lacks {TEST}"),
        (((TRAIN, TRAIN), (TEST, linked(TEST, "/etc/passwd"))), "no file that can be unpacked"),
        (((TRAIN, TRAIN), (TEST, linked(TEST, TRAIN, tarfile.LNKTYPE))), "no file that can be"),
        (((TRAIN, TRAIN), (TEST, linked(TEST, "", tarfile.FIFOTYPE))), "no file that can be"),
    ],
)
def test_archives_are_unpacked_nowhere_else(tmp_path, members, message):
    halves = data_files.hdf5(tmp_path / "halves", toy())
    sources = [(n, halves / s if isinstance(s, str) else s) for n, s in members]
    folder = put(tmp_path / "to", *sources)
    before = left(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        fetch("tff", folder)
    assert "fed_emnist.tar.bz2: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == before


@pytest.mark.parametrize("damage", ["truncated", "text", "no bzip2", "flipped"])
def test_damaged_archives_are_refused_by_name(tmp_path, damage):
    halves = data_files.hdf5(tmp_path / "halves", toy())
    kind = "w" if damage == "no bzip2" else "w:bz2"
    folder = put(tmp_path / "to", (TRAIN, halves / TRAIN), (TEST, halves / TEST), kind=kind)
    archive = folder / "tff" / "fed_emnist.tar.bz2"
    whole = bytearray(archive.read_bytes())
    if damage == "truncated":
        archive.write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        archive.write_text("<html>404</html>", "utf-8")
    elif damage == "flipped":
        whole[len(whole) // 2] ^= 0xFF
        archive.write_bytes(whole)
    before = left(tmp_path)
    with pytest.raises(ValueError, match=r"fed_emnist\.tar\.bz2: ") as caught:
        fetch("tff", folder)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == before


# conversion


def test_any_format_is_converted_to_one_archive(tmp_path):
    data = toy(4, 20)
    for kind, write in data_files.FORMATS.items():
        target = tmp_path / f"{kind}.npz"
        converted(write(tmp_path / kind, data), target)
        assert load(target, writers=None).sha256 == data.sha256
    converted(tmp_path / "leaf", target, writers=2, limit=5)
    assert np.bincount(load(target, writers=2).writer).tolist() == [9, 9]  # 5 to train, 4 to test


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("convert", "glyphs", "out.txt"), r"out\.txt: needs a name that ends in \.npz"),
        (("convert", "glyphs", "out.npz", "--writers", "0"), "writers needs to be >= 1, got 0"),
        (("convert", "glyphs", "out.npz", "--limit", "-2"), "limit needs to be >= 1, got -2"),
        (("convert", "gone/data", "out.npz"), "gone/data: no such file or folder"),
        (("fetch", "mnist"), "fetch needs 'femnist', .* got 'mnist'"),
        (("fetch", "femnist", "--from", "ftp"), "needs one of huggingface, tff, got 'ftp'"),
        (("fetch", "femnist", "--writers", "0"), "writers needs to be >= 1, got 0"),
        (("inspect", "gone.npz"), "gone.npz: no such file"),
        (("inspect", "glyphs", "--sheet", "sheet.txt"), r"sheet\.txt: .*ends in \.png"),
    ],
)
def test_bad_input_ends_in_one_line_and_nothing_written(
    tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDRR_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as end:
        main(["data", *words])
    shown = capsys.readouterr()
    assert (end.value.code, shown.out) == (2, "")
    assert re.fullmatch(rf"pdrr: .*{message}.*\n", shown.err), shown.err
    assert not left(tmp_path)
