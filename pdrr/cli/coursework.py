"""Commands for teachers: the coursework built and graded."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import click

COURSEWORK = Path("notebooks/coursework")
DRAWN = Path("build/coursework")  # by `reference`


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default="build/assignments", show_default=True
)
@click.option("--book", is_flag=True, help="OUT is a book's folder: add pages and downloads to it.")
def assignments(out: Path, book: bool) -> None:
    """Build the students' versions of the coursework: OUT/NAME/NAME.ipynb."""
    from pdrr.grading import assignments as course

    course.require()
    works = course.read(COURSEWORK)
    if book:
        from pdrr.book import coursework as pages

        paths = {name: DRAWN / f"{name}.ipynb" for name in works}
        course.stage(works, out, {n: pages.shown(path) for n, path in paths.items()})
        return
    for path in course.release(works, out):
        click.echo(f"wrote {path}")


@click.command(hidden=True)
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path))
def reference(name: str, target: Path) -> None:
    """Run the reference answers of the assignment NAME, without its checks: for `make book`."""
    from pdrr.book import coursework as pages

    pages.execute(COURSEWORK / f"{name}.ipynb", target)


@click.command()
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default="build/grades", show_default=True)
@click.option(
    "--sources",
    type=click.Path(path_type=Path),
    default=COURSEWORK,
    show_default=True,
    help="Folder of the assignments' sources.",
)
@click.option("--cell-seconds", default=30.0, show_default=True, help="For each cell.")
@click.option("--total-seconds", default=300.0, show_default=True, help="For each submission.")
@click.option("--memory", default=4.0, show_default=True, help="GiB of address space.")
@click.option(
    "--roster",
    type=click.Path(path_type=Path),
    help="Table with a column student.  [roster.csv in SUBMISSIONS, if it is there]",
)
@click.option(
    "--gradebook",
    type=click.Path(path_type=Path),
    help="Gradebook of nbgrader's (SQLite) to fill as well.",
)
@click.option("-j", "--jobs", type=int, help="Submissions at the same time.  [number of cores]")
def grade(
    submissions: Path,
    out: Path,
    sources: Path,
    cell_seconds: float,
    total_seconds: float,
    memory: float,
    roster: Path | None,
    gradebook: Path | None,
    jobs: int | None,
) -> None:
    """Grade the notebooks SUBMISSIONS/STUDENT/ASSIGNMENT.ipynb.

    SUBMISSIONS is a folder, or a zip file as Moodle and Canvas export it. Writes marks.csv,
    totals.csv and a page of feedback for each student and assignment to OUT. A killed run goes on
    where it was; what has not changed is not graded again.
    """
    from pdrr.grading import assignments as course

    course.require()
    from pdrr.grading import classes, reports
    from pdrr.grading import gradebook as books
    from pdrr.grading.sandbox import Limits

    limits = Limits(cell=cell_seconds, total=total_seconds, memory=memory)
    works = course.read(sources)
    if gradebook:
        books.check(gradebook)
    report = classes.grade_class(
        submissions, works, out, limits, jobs or os.cpu_count() or 1, roster
    )
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name must not end what has been graded
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if gradebook:
            books.fill(gradebook, works, report)
    finally:
        click.echo(reports.as_text(report, out))


COMMANDS = (assignments, reference, grade)
