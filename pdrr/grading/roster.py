"""Who is in a class: the roster, as spreadsheets save it."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

from pdrr.grading import names

COLUMN = "student"
BETWEEN = ",;\t|"
LARGEST = 10 << 20  # bytes
KINDS = {b"PK\x03\x04": "an Excel workbook", b"\xd0\xcf": "an old Excel workbook", b"{\\rtf": "RTF"}


def of_path(path: Path) -> tuple[list[str], list[str]]:
    """`read` of a file."""
    if not path.is_file():
        raise ValueError(f"{names.local(path)} needs to be a file with a table, got none")
    return read(path.read_bytes(), names.local(path))


def read(content: bytes, where: str) -> tuple[list[str], list[str]]:
    """The column `student` of a roster, and remarks on those who are there more than once.

    Comma, semicolon or tab between columns; UTF-8, UTF-16 or, as Excel saves it, Windows-1252.

    Raises
    ------
    ValueError
        With `where`, the file's name, if it is no such table or has no such column.
    """
    if len(content) > LARGEST:
        raise ValueError(f"{where} needs at most {LARGEST:,} bytes, got {len(content):,}")
    table = _rows(_text(content, where), where)
    header = [_name(cell).casefold() for cell in table[0]] if table else []
    if header.count(COLUMN) != 1:
        found = ", ".join(map(_name, table[0])) if table else "an empty file"
        raise ValueError(f"{where} needs a column '{COLUMN}', got {found}")
    place = header.index(COLUMN)
    listed = []
    for row in table[1:]:
        cell = row[place].strip() if place < len(row) else ""
        if "\n" in cell:
            first = cell.split("\n")[0]
            raise ValueError(f"{where} needs a name on one line, got more from {first!r}")
        listed += [_name(cell)] if cell else []
    counts = Counter(listed)
    remarks = [f"{where}: {name} is there {n} times" for name, n in counts.items() if n > 1]
    return list(counts), remarks


def _name(cell: str) -> str:
    return names.printed(" ".join(cell.split()))


def _text(content: bytes, where: str) -> str:
    for start, kind in KINDS.items():
        if content.startswith(start):
            raise ValueError(f"{where} needs to be a table saved as CSV, got {kind}")
    encoding = json.detect_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        mac = b"\r" in content and b"\n" not in content  # as Excel writes CSV (Macintosh)
        try:
            text = content.decode("mac_roman" if mac else "cp1252")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{where} needs text in UTF-8, UTF-16 or Windows-1252, got other bytes"
            ) from error
    if "\0" in text:
        raise ValueError(f"{where} needs text, got a file with zero bytes")
    return unicodedata.normalize("NFC", text.lstrip("\ufeff"))


def _rows(text: str, where: str) -> list[list[str]]:
    """The rows that hold anything, the header first."""
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if lines and lines[0].strip('"').lower().startswith("sep="):  # Excel's word for its separator
        lines = lines[1:]
    if not lines:
        return []
    fitting = [sign for sign in BETWEEN if COLUMN in _header(lines[0], sign)]
    sign = fitting[0] if fitting else max(BETWEEN, key=lines[0].count)
    try:
        return list(csv.reader(io.StringIO("\n".join(lines)), delimiter=sign, strict=True))
    except csv.Error as error:
        raise ValueError(f"{where} needs to be a table, got {error}") from error


def _header(line: str, sign: str) -> list[str]:
    first = next(csv.reader([line], delimiter=sign), [])
    return [_name(cell).casefold() for cell in first]
