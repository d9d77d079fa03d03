"""A made-up assignment of three answers, and what classes hand in."""

import ast
import re

import nbformat

from pdrr.grading import assignments, sandbox
from pdrr.grading.assignments import MARKERS

FULL = {"test-add": 2, "test-double": 3, "test-name": 1}
FAILING = (AssertionError, NameError, NotImplementedError, OSError, SyntaxError, TypeError)


def source():
    """The teacher's notebook: `add` (2 points), `double` (3, of which 1 for evens), `name` (1)."""
    new = nbformat.v4

    def cell(text, grade_id, points=None, solution=False):
        marks = {
            "grade": points is not None,
            "grade_id": grade_id,
            "locked": not solution,
            "schema_version": 3,
            "solution": solution,
            "task": False,
        }
        if points is not None:
            marks["points"] = points
        return new.new_code_cell(text, metadata={"nbgrader": marks})

    cells = [
        new.new_markdown_cell("# Sums\n\nTwo functions and a name, with $a + b$."),
        cell("import math\nBASE = 10", "setup"),
        cell(
            "def add(a, b):\n    ### BEGIN SOLUTION\n    return math.fsum([a, b])\n"
            "    ### END SOLUTION",
            "add",
            solution=True,
        ),
        cell(
            "assert add(1, 2) == 3, 'add(1, 2) is 3'\n### BEGIN HIDDEN TESTS\n"
            "assert add(1e100, 1) == 1e100, 'hidden: large numbers'\n### END HIDDEN TESTS",
            "test-add",
            points=2,
        ),
        cell(
            "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
            "double",
            solution=True,
        ),
        cell(
            "assert double(2) == 4, 'double(2) is 4'\n### BEGIN HIDDEN TESTS\n"
            "done = 3 if double(3) == 6 else 1\n"
            "if done < 3:\n    print('hidden: odd numbers are not doubled')\n"
            "done\n### END HIDDEN TESTS",
            "test-double",
            points=3,
        ),
        cell("### BEGIN SOLUTION\nname = 'Ada'\n### END SOLUTION", "name", solution=True),
        cell("raise OSError('pictures are not drawn when graded')", "plot-name"),
        cell("assert name and BASE == 10", "test-name", points=1),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def hidden_lines(source):
    """Lines of solutions and hidden tests, and the markers; without those too short to tell.

    Nor the first line of a call that is broken: it names a function, which a visible check may call
    as well, and what is hidden are the lines after it.
    """
    inside, found = False, set(MARKERS)
    for cell in source.cells:
        for line in cell.source.splitlines():
            if "BEGIN SOLUTION" in line or "BEGIN HIDDEN TESTS" in line:
                inside = True
            elif "END SOLUTION" in line or "END HIDDEN TESTS" in line:
                inside = False
            elif inside:
                found.add(line.strip())
    public = "\n".join(cell.source for cell in assignments.assignment("x", source).student.cells)
    shown = {line.strip() for line in public.splitlines()}
    telling = {line for line in found if len(line) > 10 and not re.fullmatch(r"[\w.]+\(", line)}
    return telling - shown


def run_here(cells, _limits):
    """Execute cells in this process, as `pdrr.grading.sandbox.run` does in one of their own."""
    space = {"__name__": "__main__"}
    for cell in cells:
        cell.outputs = []
        try:
            tree = ast.parse(cell.source)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), space)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
                if value is not None:
                    data = {"text/plain": repr(value)}
                    cell.outputs = [nbformat.v4.new_output("execute_result", data=data)]
        except FAILING as error:
            cell.outputs = [sandbox.failure(type(error).__name__, str(error))]
