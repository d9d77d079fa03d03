"""Putting an assignment's own cells back: as they were made, where they belong."""

from __future__ import annotations

from copy import deepcopy

from nbformat import NotebookNode

from pdrr.grading import reading
from pdrr.grading.assignments import Assignment, mark


def restore(work: Assignment, notebook: NotebookNode) -> list[str]:
    """Put the assignment's own cells back as they were made; remarks on what was changed.

    Cells are known by grade_id. Of several with the same one the last that holds an answer counts;
    the others stay as cells of the student's own, unless nothing was typed into them. A locked
    cell that is missing, or stands above an answer that it checks, comes back after what precedes
    it, or at the end if the answer above it is missing too. An answer is never put back: it may be
    there, in a cell that lost its id.
    """
    made = {mark(cell, "grade_id"): cell for cell in work.complete.cells if mark(cell, "grade_id")}
    answers = {name for name, cell in made.items() if mark(cell, "solution")}
    for cell in notebook.cells:
        if mark(cell, "grade_id") not in made:
            cell.metadata.pop("nbgrader", None)
    remarks = _one_of_each(work, notebook)
    notebook.cells = [_restored(cell, made.get(mark(cell, "grade_id"))) for cell in notebook.cells]
    here = {mark(cell, "grade_id") for cell in notebook.cells}
    missing = [name for name in made if name not in here]
    moved = _displaced(work, notebook)
    if len(missing) == len(made):
        remarks.append(f"the notebook has no cell of {work.name}: is it another one?")
    else:
        lost = [name for name in missing if name in answers]
        back = [name for name in missing if name not in answers]
        remarks += [f"answers without a cell: {', '.join(lost)}"] if lost else []
        remarks += [f"missing, put back: {', '.join(back)}"] if back else []
    remarks += [f"moved back: {', '.join(moved)}"] if moved else []
    notebook.cells = [cell for cell in notebook.cells if mark(cell, "grade_id") not in moved]
    here -= set(moved)
    before: list[str] = []  # of the assignment's cells
    for name, cell in made.items():
        if name not in here and name not in answers:
            notebook.cells.insert(_place(notebook, before, answers, here), deepcopy(cell))
            here.add(name)
        before.append(name)
    notebook.metadata["kernelspec"] = work.source.metadata.get("kernelspec", {})
    return remarks


def answered(work: Assignment, content: bytes) -> int:
    """In how many of a submission's cells for answers something was typed; -1 for no notebook."""
    try:
        notebook, _ = reading.notebook(content)
    except ValueError:
        return -1
    blank = _blank(work)
    typed = {mark(c, "grade_id") for c in notebook.cells if not _is_blank(c, blank)}
    return len(typed & set(work.solutions))


def _blank(work: Assignment) -> dict[str, str]:
    return {mark(c, "grade_id"): c.source for c in work.student.cells if mark(c, "solution")}


def _is_blank(cell: NotebookNode, blank: dict[str, str]) -> bool:
    handed_out = blank.get(mark(cell, "grade_id"), "")
    return cell.source.split() in ([], handed_out.split())


def _one_of_each(work: Assignment, notebook: NotebookNode) -> list[str]:
    """Leave each grade_id to one cell; remarks on those that several had."""
    blank = _blank(work)
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(notebook.cells):
        if name := mark(cell, "grade_id"):
            places.setdefault(name, []).append(place)
    remarks, dropped = [], set()
    for name, several in places.items():
        typed = [i for i in several if not _is_blank(notebook.cells[i], blank)] or several
        chosen = typed[-1] if name in blank else several[-1]
        for other in set(several) - {chosen}:
            notebook.cells[other].metadata.pop("nbgrader")
            if name in blank and other not in typed:
                dropped.add(other)
        if len(several) > 1:
            which = "the last one" if chosen == several[-1] else "the last answer"
            remarks.append(f"cell {name} is there {len(several)} times: {which} counts")
    notebook.cells = [cell for i, cell in enumerate(notebook.cells) if i not in dropped]
    return remarks


def _restored(cell: NotebookNode, made: NotebookNode | None) -> NotebookNode:
    if made is None:
        return cell
    new = deepcopy(made)
    if mark(made, "solution"):
        new.source = cell.source
    if "id" in cell:
        new["id"] = cell["id"]
    return new


def _displaced(work: Assignment, notebook: NotebookNode) -> list[str]:
    """Locked cells that stand above an answer they check, or below one that may need them."""
    cells = {mark(c, "grade_id"): c for c in work.complete.cells if mark(c, "grade_id")}
    place = {mark(cell, "grade_id"): i for i, cell in enumerate(notebook.cells)}
    order = [name for name in cells if name in place]
    found = []
    for number, name in enumerate(order):
        if mark(cells[name], "solution"):
            continue
        above = [place[other] for other in order[:number] if mark(cells[other], "solution")]
        below = [place[other] for other in order[number:] if mark(cells[other], "solution")]
        last, first = max(above, default=-1), min(below, default=len(notebook.cells))
        too_late = last < first < place[name] and not mark(cells[name], "grade")
        if last > place[name] or too_late:
            found.append(name)
    return found


def _place(notebook: NotebookNode, before: list[str], answers: set[str], here: set[str]) -> int:
    """Where a cell belongs that comes after those `before`."""
    above = [name for name in before if name in answers]
    if above and above[-1] not in here:
        return len(notebook.cells)
    places = {mark(cell, "grade_id"): i for i, cell in enumerate(notebook.cells)}
    needed = [places[name] for name in above if name in here]
    last = [places[name] for name in before if name in here][-1:]
    return max([*needed, *last], default=-1) + 1
