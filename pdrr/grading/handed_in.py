"""What lies in a folder or a zip file of submissions: read where it is, nothing is unpacked."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pdrr.grading import names

LARGEST = 100 << 20  # bytes of a file that are read
MEMBERS = 100_000  # of a zip file
TRIFLES = re.compile(  # what systems and tools leave beside people's files
    r"\._.*|\.DS_Store|__MACOSX|\.(?:Trash|Spotlight|fseventsd).*|Thumbs\.db|desktop\.ini|Icon\r"
    r"|~\$.*|\.~.*|@eaDir|\.git|\.venv|\.cache|\.local|\.ipython|\.virtual_documents|\.amlignore.*",
    re.I | re.S,
)
DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)


class UnreadableError(ValueError):
    """A file that cannot be read; the reason in words."""


@dataclass(frozen=True)
class File:
    """One file of a class.

    Attributes
    ----------
    parts : tuple of str
        The names from the top to it.
    time : int
        When it was last changed: later is larger, within one folder or zip file.
    size : int
        Bytes.
    opened : function
        Opens it, or raises UnreadableError.
    """

    parts: tuple[str, ...]
    time: int
    size: int
    opened: Callable[[], IO[bytes]] = field(compare=False)

    @property
    def where(self) -> str:
        """Its path for a line of text."""
        return "/".join(map(names.printed, self.parts))

    def read(self) -> bytes:
        """All of it; UnreadableError where that cannot be done, or is too much."""
        if self.size > LARGEST:
            raise UnreadableError(f"it has {self.size:,} bytes, over {LARGEST:,}")
        try:
            with self.opened() as file:
                content = file.read(LARGEST + 1)
        except DAMAGED as error:
            said = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise UnreadableError(str(said) or type(error).__name__) from error
        if len(content) > LARGEST:
            raise UnreadableError(f"it has over {LARGEST:,} bytes")
        return content


@dataclass
class Handed:
    """All files of a class, the folders at its top, and what could not be looked into."""

    files: list[File] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def look(path: Path) -> Handed:
    """What a folder, or a zip file as learning platforms export it, holds.

    ValueError if it is neither, or cannot be opened.
    """
    if path.is_dir():
        return of_folder(path)
    if not path.is_file():
        raise ValueError(
            f"grading needs a folder or a zip file of submissions, got {names.local(path)}"
        )
    try:
        files = members(path, ())
    except UnreadableError as error:
        raise ValueError(
            f"grading needs a folder or a zip file of submissions, got {names.local(path)}: {error}"
        ) from error
    return Handed(files, sorted({file.parts[0] for file in files if len(file.parts) > 1}))


def of_folder(folder: Path) -> Handed:
    """All files below a folder. Links are followed at its top only, and only if they lead out."""
    handed = Handed()
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        try:
            with os.scandir(folder.joinpath(*parts)) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not parts:
                raise
            where = "/".join(map(names.printed, parts))
            handed.remarks.append(f"{where}/: cannot be read: {error.strerror}")
            continue
        for entry in entries:
            if TRIFLES.fullmatch(entry.name):
                continue
            here = (*parts, entry.name)
            if _is_folder(entry, folder, top=not parts):
                waiting.append(here)
                if not parts:
                    handed.folders.append(entry.name)
            else:
                handed.files.append(_file(here, entry))
    handed.files.sort(key=lambda file: file.parts)
    return handed


def _is_folder(entry: os.DirEntry[str], folder: Path, *, top: bool) -> bool:
    if not entry.is_symlink():
        return entry.is_dir(follow_symlinks=False)
    try:
        if not (top and entry.is_dir()):
            return False
        target, own = Path(entry.path).resolve(), folder.resolve()
    except (OSError, RuntimeError):  # a loop
        return False
    return not (target.is_relative_to(own) or own.is_relative_to(target))


def _file(parts: tuple[str, ...], entry: os.DirEntry[str]) -> File:
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError as error:
        return File(parts, 0, 0, _refusing(error.strerror or "it is gone"))
    if stat.S_ISLNK(about.st_mode):
        return File(parts, about.st_mtime_ns, 0, _refusing("it is a link"))
    if not stat.S_ISREG(about.st_mode):
        return File(parts, about.st_mtime_ns, 0, _refusing("it is no file"))
    return File(parts, about.st_mtime_ns, about.st_size, lambda: open(entry.path, "rb"))


def _refusing(reason: str) -> Callable[[], IO[bytes]]:
    def refuse() -> IO[bytes]:
        raise UnreadableError(reason)

    return refuse


def members(file: Path | IO[bytes], above: tuple[str, ...], time: int | None = None) -> list[File]:
    """The files in a zip file, named as if it were the folder `above`.

    Each is read when it is asked for. UnreadableError if it is no zip file.
    """
    try:
        archive = zipfile.ZipFile(file)
    except UnicodeDecodeError as error:
        raise UnreadableError("a name in it says that it is UTF-8, and is not") from error
    except (*DAMAGED, ValueError) as error:
        raise UnreadableError("it is not a zip file that can be read") from error
    if len(archive.infolist()) > MEMBERS:
        raise UnreadableError(f"it holds over {MEMBERS:,} files")
    found = [_member(archive, entry, above, time) for entry in archive.infolist()]
    return [each for each in found if each]


def _member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, above: tuple[str, ...], time: int | None
) -> File | None:
    name = _decoded(entry)
    parts = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", "."))
    if not parts or name.endswith(("/", "\\")) or any(map(TRIFLES.fullmatch, parts)):
        return None
    if time is None:
        time = sum(part * 100 ** (5 - i) for i, part in enumerate(entry.date_time))
    reason = ""
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        reason = "its name leads out of the zip file"
    elif stat.S_ISLNK(entry.external_attr >> 16):
        reason = "it is a link"
    elif entry.flag_bits & 0x1:
        reason = "it is encrypted"
    elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reason = f"it is compressed by a method that is not read here ({entry.compress_type})"
    opened = _refusing(reason) if reason else lambda: archive.open(entry)
    return File((*above, *parts), time, entry.file_size, opened)


def _decoded(entry: zipfile.ZipInfo) -> str:
    """A member's name: UTF-8 also where the archive does not say so, as Finder writes it."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def inside(file: File) -> list[File]:
    """The files in a zip file that somebody handed in; UnreadableError if it is none."""
    return members(io.BytesIO(file.read()), file.parts, file.time)
