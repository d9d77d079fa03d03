"""How a contract judges a function: on cases with known answers, naming the mistake it recognises.

A contract knows the right answer and what each classic mistake would answer. If a function is
wrong and answers every case as one mistake would, that mistake is named; otherwise the first wrong
case is shown with what was needed and what was got. Whatever a function returns, the contract says
so in an AssertionError; errors that the function itself raises are left as they are.
"""

from __future__ import annotations

import dis
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from pdrr.types import Round

Answer = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Case:
    """Arguments of one call, and words for them.

    Attributes
    ----------
    text : str
        What a student reads: "k = 4 models, beta = 1".
    args, kwargs
        Of the call.
    """

    text: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def judge(
    task: str,
    f: Answer,
    cases: Sequence[Case],
    needed: Answer,
    mistakes: Mapping[str, Answer],
    *,
    rtol: float = 1e-6,
    otherwise: str | None = None,
) -> None:
    """Call `f` on each case and compare with `needed`.

    Parameters
    ----------
    task : str
        What the function is, as in "your Krum".
    f : function
    cases : sequence of Case
    needed : function
        The oracle, with the parameters of `f`.
    mistakes : mapping of str to function
        Messages, and what each mistake would answer, with the parameters of `f`.
    rtol : float
        Relative tolerance; a thousandth of it is the absolute one.
    otherwise : str, optional
        The message for a wrong value that no listed mistake explains.

    Raises
    ------
    AssertionError
        If an answer is wrong, or `f` changes what it is given.
    """
    answers = [(case, call(task, f, case), expected(needed, case)) for case in cases]
    wrong = [(case, got, right) for case, got, right in answers if not same(got, right, rtol)]
    if not wrong:
        return
    for message, mistake in mistakes.items():
        if all(same(got, expected(mistake, case), rtol) for case, got, _ in answers):
            raise AssertionError(f"{message}.")
    case, got, right = wrong[0]
    faults = _faults(task, got, right)
    if not faults and otherwise is not None:
        raise AssertionError(f"{otherwise}.")
    raise AssertionError(f"{faults or f'{task} is wrong'}. {_shown(case, right, got)}")


def call(task: str, f: Answer, case: Case) -> np.ndarray:
    """The answer of `f` as a float64 array; AssertionError if it is none, or `f` changed a case."""
    given = [_copy(value) for value in case.args]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a mistake in the making; the answer will tell
        answer = f(*given, **case.kwargs)
    for before, after in zip(case.args, given, strict=True):
        if not all(map(np.array_equal, _arrays(before), _arrays(after))):
            raise AssertionError(
                f"{task} changes the arrays it is given: work on a copy"
                " (np.sort gives one; array.sort, += and out= do not)."
            )
    return numbers(task, answer)


def numbers(task: str, answer: Any) -> np.ndarray:
    """An answer as a float64 array; AssertionError if it cannot be one."""
    if answer is None:
        raise AssertionError(f"{task} returns None: is there a return?")
    try:
        read = np.asarray(answer)
        if read.dtype.kind not in "biuf":
            raise ValueError(f"it holds {read.dtype}")
    except (TypeError, ValueError) as fault:
        raise AssertionError(
            f"{task} returns {type(answer).__name__}, which is no array of numbers ({fault})."
        ) from None
    return read.astype(np.float64)


def expected(answer: Answer, case: Case) -> np.ndarray:
    """What an oracle, or a mistake, answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(answer(*case.args, **case.kwargs), dtype=np.float64)


def same(got: np.ndarray, right: np.ndarray, rtol: float) -> bool:
    """Equal shapes and nearly equal values; NaN equals NaN."""
    return got.shape == right.shape and bool(
        np.allclose(got, right, rtol=rtol, atol=rtol / 1000, equal_nan=True)
    )


def check_own_work(f: Answer, allowed: Sequence[str] = ()) -> None:
    """Refuse a function that only hands the work to this package.

    Parameters
    ----------
    f : function
    allowed : sequence of str
        Names of pdrr that the task may use.

    Raises
    ------
    AssertionError
        If `f` belongs to pdrr, or names something of it that is not allowed. It finds what a
        tired student does, not what a determined one can hide.

    Examples
    --------
    >>> from pdrr import median
    >>> from pdrr.contracts import check_own_work
    >>> def mine(clients):
    ...     return median(clients)
    >>> check_own_work(mine)
    Traceback (most recent call last):
        ...
    AssertionError: mine uses pdrr's median: write it yourself.
    """
    if not isinstance(f, FunctionType):
        raise AssertionError(f"a function made with def is needed, got {type(f).__name__}.")
    if f.__module__.split(".")[0] == "pdrr":
        raise AssertionError(f"{f.__name__} is pdrr's own: write yours.")
    for name in sorted(_names(f.__code__) - set(allowed)):
        value = f.__globals__.get(name)
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        if "pdrr" in (str(home).split(".")[0], name.split(".")[0]):
            raise AssertionError(f"{f.__name__} uses pdrr's {name}: write it yourself.")


def _names(code: CodeType) -> set[str]:
    """Global names and modules that a function uses, and the functions in it."""
    used = {"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"}
    own = {step.argval for step in dis.get_instructions(code) if step.opname in used}
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return own.union(*map(_names, inner))


def _faults(task: str, got: np.ndarray, right: np.ndarray) -> str:
    """What is wrong with an answer before its values are looked at; empty if nothing is."""
    if got.shape != right.shape:
        return f"{task} returns an array of shape {got.shape}, needed is {right.shape}"
    if not np.isfinite(got).all():
        return f"{task} returns NaN or infinity"
    return ""


def _shown(case: Case, right: np.ndarray, got: np.ndarray) -> str:
    given = [_short(array) for value in case.args for array in _arrays(value)]
    needed = [f"needed: {_short(right)}", f"got:    {_short(got)}"]
    return "\n".join([f"Case: {case.text}", *given, *needed])


def _short(array: np.ndarray) -> str:
    return np.array2string(np.asarray(array), precision=6, threshold=60, edgeitems=3)


def _arrays(value: Any) -> list[np.ndarray]:
    """The arrays in an argument."""
    if isinstance(value, Round):
        return [value.clients, value.previous]
    return [value] if isinstance(value, np.ndarray) else []


def _copy(value: Any) -> Any:
    if isinstance(value, Round):
        return Round(np.array(value.clients), np.array(value.previous), value.number)
    return value.copy() if isinstance(value, np.ndarray) else value
