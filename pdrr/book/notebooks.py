"""Running a notebook with other parameters: checked before, moved into place only on success."""

from __future__ import annotations

import ast
import base64
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import nbformat
import papermill
from bs4 import BeautifulSoup, Tag
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from tabulate import tabulate

from pdrr import experiments
from pdrr.core.files import atomic, listed
from pdrr.core.rules import RULES
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.scene import scene
from pdrr.experiments.trial import refuse_wrong


def find(folder: Path, stem: str) -> Path:
    """The notebook of a stem; ValueError listing what there is."""
    path = folder / f"{stem}.ipynb"
    if not path.exists():
        known = ", ".join(p.stem for p in listed(folder, "*.ipynb")) or "none"
        raise ValueError(f"no notebook {stem!r} in {folder}/, which has: {known}")
    return path


def parse(
    notebook: Path, always: Mapping[str, str], given: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Parameters of a notebook from the words of a command line.

    Parameters
    ----------
    notebook : Path
    always : mapping
        Values set for every notebook; those it has no parameter for are left out.
    given : sequence of (name, text)
        What the user asked for.

    Returns
    -------
    dict
        The notebook's defaults with `always` and `given` put in, of the defaults' types.

    Raises
    ------
    ValueError
        For a name that is not a parameter of the notebook, or a text that is not of its type.
    """
    known = papermill.inspect_notebook(str(notebook))
    values = {name: ast.literal_eval(entry["default"]) for name, entry in known.items()}
    values.update({name: value for name, value in always.items() if name in values})
    for name, text in given:
        if name not in values:
            raise ValueError(
                f"{notebook.stem} has no parameter {name!r}, it has: {', '.join(values)}"
            )
        values[name] = _convert(notebook.stem, name, text, type(values[name]))
    return values


def prepare(notebook: Path, values: Mapping[str, Any]) -> None:
    """Do what takes long before a notebook's kernel starts, with a progress bar.

    Values with which the notebook would end in an error are refused before.

    The notebook's metadata say what, under ``pdrr``:

    - ``train``: rules whose round `number` (or 1) is trained;
    - ``evaluate``: rules under whose attack all schemes (or ``schemes``) detect, at the profile's
      rounds, with each ``knowledge``.

    A parameter of the notebook (c, beta, number, knowledge, rule) goes before. All of it ends up
    in the cache, where the notebook's own calls find it.
    """
    needs = nbformat.read(notebook, as_version=4).metadata.get("pdrr", {})
    refuse_wrong(values, [*needs.get("train", ()), *needs.get("evaluate", ())])
    if not needs:
        return
    which = {"profile": values["profile"], "source": values["data"], "seed": values["seed"]}
    given = {name: values[name] for name in ("c", "beta", "number") if name in values}
    for rule in needs.get("train", ()):
        scene(values.get("rule", rule), attack=NOBODY, **which, **given)
    for rule in needs.get("evaluate", ()):
        own = {"c", RULES[rule].setting} & set(given)
        experiments.rounds(
            rule,
            numbers=[values["number"]] if "number" in values else None,
            knowledge=[values["knowledge"]] if "knowledge" in values else needs["knowledge"],
            **which,
            **{name: values[name] for name in own},
            **({"schemes": needs["schemes"]} if "schemes" in needs else {}),
        )


def command(notebook: Path, values: Mapping[str, Any]) -> str:
    """The make command that runs a notebook with these values.

    A data file has its name only: a page must not tell where it lay on this machine.
    """
    words = [f"make {notebook.stem}"]
    if "profile" in values:
        words.append(f"PROFILE={values['profile']} DATA={Path(values['data']).name}")
    known = papermill.inspect_notebook(str(notebook))
    own = " ".join(
        f"-p {name} {shlex.quote(str(value))}"
        for name, value in values.items()
        if name not in ("profile", "data") and value != ast.literal_eval(known[name]["default"])
    )
    return " ".join([*words, f'ARGS="{own}"'] if own else words)


def execute(notebook: Path, values: Mapping[str, Any], target: Path, *, page: bool = False) -> Path:
    """Run a notebook into ``target.ipynb``; a failure leaves the former result where it was.

    ValueError for a cell that fails, and on a `page` also for one that writes to standard error.
    """
    os.environ["PDRR_COMMAND"] = command(notebook, values)  # for the page's provenance
    target = target.with_name(f"{target.name}.ipynb")
    with atomic(target) as temporary, own_kernel():
        try:
            executed = papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters=dict(values),
                kernel_name="python3",
                progress_bar=sys.stderr.isatty(),
                request_save_on_cell_execute=False,
            )
        except PapermillExecutionError as error:
            message = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue)
            raise ValueError(
                f"{notebook.stem}, cell {error.cell_index}: {error.ename}: {message}"
            ) from error
        except DeadKernelError as error:
            raise ValueError(f"{notebook.stem}: {error}") from error
        except KeyboardInterrupt:
            logging.getLogger("asyncio").disabled = True  # nobody waits for the cell's end any more
            raise
        if page:
            _refuse_stderr(notebook.stem, executed)
    return target


@contextmanager
def own_kernel() -> Iterator[None]:
    """Let kernels be this environment's Python, without what a user set for IPython, Matplotlib.

    A kernelspec called python3 in JUPYTER_PATH or in somebody's home would come first. Where there
    is no home, Matplotlib would say so on every page.
    """
    with TemporaryDirectory() as empty:
        own = {"JUPYTER_PREFER_ENV_PATH": "1", "IPYTHONDIR": empty, "MPLCONFIGDIR": empty}
        theirs = ("JUPYTER_PATH", "MATPLOTLIBRC")
        before = {name: os.environ.get(name) for name in (*theirs, *own)}
        for name in theirs:
            os.environ.pop(name, None)
        os.environ.update(own)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def note(executed: Path, seconds: float) -> None:
    """Write into an executed notebook what it took, with all that was computed before it ran."""
    content = nbformat.read(executed, as_version=4)
    content.metadata.setdefault("pdrr", {})["seconds"] = round(seconds, 1)
    with atomic(executed) as temporary:
        nbformat.write(content, temporary)


def report(executed: Path) -> None:
    """Print the tables of an executed notebook; write its figures and an HTML page."""
    content = nbformat.read(executed, as_version=4)
    written, pictures = [executed], 0
    outputs = [out for cell in content.cells for out in cell.get("outputs", [])]
    for out in outputs:
        shown = out.get("data", {})
        for table in BeautifulSoup(shown.get("text/html", ""), "html.parser").find_all("table"):
            click.echo("\n" + _as_text(table))
        if "image/png" in shown:
            pictures += 1
            files = {
                "png": base64.b64decode(shown["image/png"]),
                "svg": shown.get("image/svg+xml", "").encode(),
                "csv": shown.get("text/csv", "").encode(),
            }
            for ending in (ending for ending, content in files.items() if content):
                written.append(executed.with_name(f"{executed.stem}-{pictures}.{ending}"))
                with atomic(written[-1]) as temporary:
                    temporary.write_bytes(files[ending])
    html, _ = HTMLExporter(
        exclude_input_prompt=True, exclude_output_prompt=True
    ).from_notebook_node(content)
    page = executed.with_suffix(".html")
    with atomic(page) as temporary:
        temporary.write_text(html, "utf-8")
    click.echo("\n" + "\n".join(f"wrote {path}" for path in [*written, page]))


def _refuse_stderr(stem: str, executed: NotebookNode) -> None:
    """ValueError that names the first cell with text from standard error."""
    for index, cell in enumerate(executed.cells):
        for out in cell.get("outputs", []):
            if out.get("name") == "stderr" and out.text.strip():
                line = out.text.strip().splitlines()[0]
                raise ValueError(f"{stem}, cell {index}: wrote to standard error: {line}")


def _as_text(table: Tag) -> str:
    """An HTML table for a terminal: several header lines become one."""
    head: list[list[str]] = []
    rows: list[list[str]] = []
    for row in table.find_all("tr"):
        cells = [
            cell.get_text(" ", strip=True)
            for cell in row.find_all(["th", "td"])
            for _ in range(int(str(cell.get("colspan", "1"))))
        ]
        (rows if row.find("td") else head).append(cells)
    titles = [" ".join(filter(None, parts)) for parts in zip(*head, strict=True)]
    caption = table.caption.get_text(" ", strip=True) if table.caption else ""
    return "\n".join(filter(None, [tabulate(rows, titles, disable_numparse=True), caption]))


def _convert(stem: str, name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{stem}: {name} needs true or false, got {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(
            f"{stem}: {name} needs a value of type {kind.__name__}, got {text!r}"
        ) from error
