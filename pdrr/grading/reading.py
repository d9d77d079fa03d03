"""Reading submitted notebooks: what counts is each cell's type, its text and nbgrader's metadata.

All else that the schema of notebooks asks for may be missing, wrong or from another version:
students cannot see it, and the tools they use write it as they like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from nbformat import NotebookNode, from_dict

HALVES = re.compile("[\ud800-\udfff]")
GRADE_ID = re.compile(r'"grade_id"\s*:\s*"((?:[^"\\]|\\.)*)"')
Remark = Callable[[str], None]


def decoded(content: bytes) -> tuple[str, bool]:
    """A file's text by its byte order mark or its zeros, and whether it is Unicode at all."""
    try:
        return content.decode(json.detect_encoding(content), "surrogatepass"), True
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), False


def whole(text: str) -> str:
    """A text whose halves of characters are joined where they meet, and replaced where not.

    Examples
    --------
    >>> from pdrr.grading.reading import whole
    >>> whole("\\ud83d" + "\\ude00") == "\\U0001f600", whole("a\\ud83d") == "a\\ufffd"
    (True, True)
    """
    if not HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(text: str) -> str:
    """A text that every file and table takes: whole letters, one kind of line end, no controls."""
    text = re.sub(r"\r\n?", "\n", whole(text))
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", text)


def grade_ids(content: bytes) -> set[str]:
    """The ids of nbgrader that a file speaks of, whatever it is."""
    return set(GRADE_ID.findall(decoded(content)[0]))


def notebook(content: bytes) -> tuple[NotebookNode, list[str]]:
    """The notebook in a file, without outputs, and remarks on what could not be read as it is.

    ValueError, with the reason, if there is none in it.
    """
    if not content.strip(b"\0 \t\r\n"):
        raise ValueError("it is empty")
    text, unicode = decoded(content)
    remarks = [] if unicode else ["the file is not in Unicode: letters may be wrong"]
    try:
        reader = json.JSONDecoder(strict=False, parse_int=float)
        text = text.lstrip("\ufeff\0 \t\r\n")
        found, end = reader.raw_decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON, {error.msg} in line {error.lineno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if text[end:].strip("\0 \t\r\n"):
        remarks.append("something follows the notebook in the file: left out")
    raw = _raw_cells(found)
    good = [each for each in raw if isinstance(each, dict)]
    if raw and not good:
        raise ValueError("none of its cells is one")
    if len(good) < len(raw):
        remarks.append(f"{len(raw) - len(good)} of {len(raw)} cells are none: left out")
    cells = [_cell(each, number, remarks.append) for number, each in enumerate(good, start=1)]
    kernel: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return from_dict(kernel), remarks


def _raw_cells(found: object) -> list[Any]:
    """The cells as they stand, of version 4 or one with worksheets."""
    if not isinstance(found, dict):
        raise ValueError("JSON, but no notebook")
    if isinstance(found.get("cells"), list):
        return list(found["cells"])
    sheets = found.get("worksheets")
    if not isinstance(sheets, list):
        raise ValueError("it has no cells")
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in lists if isinstance(cells, list) for cell in cells]


def _cell(raw: dict[str, Any], number: int, remark: Remark) -> dict[str, Any]:
    kind = str(raw.get("cell_type")).lower()
    text = _text(raw.get("source", raw.get("input")))
    if text is None:
        remark(f"the text of cell {number} is none: left out")
        text = ""
    if HALVES.search(text):
        text = whole(text)
        if "\ufffd" in text:
            remark(f"halves of characters in cell {number} were replaced")
    if kind == "heading":
        kind, text = "markdown", f"# {text}"
    if kind not in ("code", "markdown", "raw"):
        kind = "code" if "outputs" in raw or "input" in raw else "raw"
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "source": text}
    cell["metadata"] = _marks(raw.get("metadata"))
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    if kind == "markdown":
        cell |= _pictures(raw.get("attachments"), cell["source"])
    return cell


def _text(source: object) -> str | None:
    """A cell's text, which may be in pieces; None if it is none."""
    if source is None:
        return ""
    if isinstance(source, list):
        pieces = [piece for piece in source if isinstance(piece, str)]
        return "".join(pieces) if len(pieces) == len(source) else None
    return source if isinstance(source, str) else None


def _marks(metadata: object) -> dict[str, Any]:
    """What nbgrader has written about a cell."""
    entries = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if not isinstance(entries, dict):
        return {}
    known = {key: entry for key, entry in entries.items() if isinstance(entry, str | float | bool)}
    return {"nbgrader": known}


def _pictures(attachments: object, source: str) -> dict[str, Any]:
    """The pictures attached to a cell, under names without spaces and such; its text names them."""
    found = attachments if isinstance(attachments, dict) else {}
    kept = {}
    for number, (name, kinds) in enumerate(sorted(found.items(), key=lambda each: -len(each[0]))):
        data = kinds if isinstance(kinds, dict) else {}
        for kind in ("image/png", "image/jpeg", "image/gif", "image/webp"):
            picture = _text(data.get(kind))
            if picture:
                kept[f"picture-{number}"] = {kind: picture}
                name = whole(name)
                for spelled in {name, quote(name), quote(name, safe="()!'*")}:
                    source = source.replace(f"attachment:{spelled}", f"attachment:picture-{number}")
                break
    source = re.sub(r"attachment:(?!picture-\d)", "missing:", source)
    return {"source": source, "attachments": kept}
