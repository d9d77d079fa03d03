"""Names of people and files, as systems, browsers and learning platforms spell them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)", re.S
)
CANVAS = re.compile(r"(?P<name>.+?)(?:_late)?_(?P<number>\d+)_\d+_(?P<rest>.+)", re.S | re.I)
NOTEBOOK = re.compile(r"\.ipynb(?:\.(?:ipynb|json|txt))*$", re.I)  # browsers add the last ones
CHECKPOINT = re.compile(r"-checkpoint$", re.I)
BEFORE = re.compile(r"^(?:copy of|copie de|copia d[ei]|cópia de|kopie von)[ _]+", re.I)
AFTER = re.compile(  # what browsers, Finder, Explorer, Jupyter and Canvas append to copies
    r"(?:[ _.-]*\(\d*\)|[ _.-]+v?\d+|[ _.-]*(?:copy|copie|copia|cópia|kopie|kopi)[ _-]?\d*"
    r"|-checkpoint)$",
    re.I,
)
WORD = re.compile(r"[^\W_]+")
STEERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LONGEST = 100  # bytes of the name of a folder that is written


@dataclass(frozen=True)
class Owner:
    """Whose a file is: a name, and the platform's number of the person, or ""."""

    name: str
    number: str = ""


def printed(text: str) -> str:
    """A name on one line, in composed Unicode, as it can be written into any file.

    Bytes that are no UTF-8 are taken for Windows-1252. Control characters, halves of characters
    and marks that turn the direction of writing are shown as escapes; and so that no two names
    look alike, a backslash is doubled.

    Examples
    --------
    >>> from pdrr.grading.names import printed
    >>> printed("Jo\\u0308rg") == printed("J\\udcf6rg") == "J\\u00f6rg"
    True
    >>> print(printed("a\\tb"))
    a\\tb
    """
    if re.search("[\udc80-\udcff]", text):
        with contextlib.suppress(UnicodeError):
            text = text.encode("utf-8", "surrogateescape").decode("cp1252")
    return "".join(map(_shown, unicodedata.normalize("NFC", text)))


def _shown(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    hidden = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in STEERING
    return letter.encode("unicode_escape").decode("ascii") if hidden else letter


def folder(student: str) -> str:
    """A name for a student's folder that every file system takes; other students get others."""
    plain = re.sub(r'[\\/:*?"<>|]', "-", student).rstrip(". ")
    plain = plain.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    if plain and plain == student:
        return plain
    return f"{plain}-{hashlib.sha256(student.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def owner(parts: tuple[str, ...]) -> Owner | None:
    """Whose a file or folder of a class is, by the names from the top to it; None if nobody's.

    Examples
    --------
    >>> from pdrr.grading.names import owner
    >>> owner(("Ada King_12_assignsubmission_file_", "lab.ipynb"))
    Owner(name='Ada King', number='12')
    >>> owner(("kingada_LATE_12_345_lab-1.ipynb",))
    Owner(name='kingada', number='12')
    """
    top = parts[0]
    of = MOODLE.fullmatch(top) or (CANVAS.fullmatch(top) if len(parts) == 1 else None)
    if of:
        return Owner(printed(of["name"]), of["number"])
    return Owner(printed(top)) if len(parts) > 1 else None


def is_notebook(name: str) -> bool:
    """Whether a file's name is a notebook's."""
    return bool(NOTEBOOK.search(name))


def is_checkpoint(parts: tuple[str, ...]) -> bool:
    """Whether a file is an older state that Jupyter has put aside."""
    return ".ipynb_checkpoints" in parts or bool(CHECKPOINT.search(_stem(parts[-1])))


def copy_number(name: str) -> int:
    """The last number of a copy's name, 0 for an original."""
    found = AFTER.search(_stem(name))
    digits = re.findall(r"\d+", found[0]) if found else []
    return int(digits[-1][:9]) if digits else 0


def assignment(name: str, assignments: Collection[str]) -> str | None:
    """The assignment that a file is called after; None if there is none, or more than one.

    Examples
    --------
    >>> from pdrr.grading.names import assignment
    >>> assignment("Copy of Poison-It (2).ipynb", ["poison_it", "lab"])
    'poison_it'
    >>> assignment("poison_it_ada.ipynb", ["poison_it", "lab"])
    'poison_it'
    """
    known: dict[str, list[str]] = {}
    for each in assignments:
        known.setdefault(_letters(each), []).append(each)
    stem = _stem(name)
    if stem in assignments:
        return stem
    while True:
        same = known.get(_letters(stem), ())
        if same:
            return same[0] if len(same) == 1 else None
        shorter = BEFORE.sub("", AFTER.sub("", stem))
        if shorter == stem:
            break
        stem = shorter
    inside = f" {' '.join(WORD.findall(_folded(_stem(name))))} "
    named = {f" {' '.join(WORD.findall(_folded(each)))} ": each for each in assignments}
    held = [words for words in named if words.strip() and words in inside]
    longest = [words for words in held if not any(words in w for w in held if w != words)]
    return named[longest[0]] if len(longest) == 1 else None


def _stem(name: str) -> str:
    """A file's name without its ending and what learning platforms put before it."""
    stem = NOTEBOOK.sub("", unicodedata.normalize("NFC", name))
    of = MOODLE.fullmatch(stem) or CANVAS.fullmatch(stem)
    return of["rest"] or stem if of else stem


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _letters(text: str) -> str:
    return "".join(WORD.findall(_folded(text)))


def local(path: os.PathLike[str]) -> str:
    """A path for a line of text."""
    return printed(os.fspath(path)).replace("\\\\", "\\")
