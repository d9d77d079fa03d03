"""How loops become machine code, where it is kept, and how memory is asked for values ahead."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

# what unpickling a cut or overwritten file may raise
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)

# sums of float64 terms may be added in any order, which vector instructions need
ANY_ORDER = {"reassoc", "contract", "nsz"}


def _sources() -> str:
    """What tells these kernels from those of another version."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


SOURCES = _sources()


class Sealed(IndexDataCacheFile):
    """Numba's files, each with its hash behind it: a turned bit in code would end the process."""

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)
        return content + hashlib.sha256(content).digest()  # unpickling stops before

    def _load_index(self) -> Any:
        with suppress(FileNotFoundError), open(self._index_path, "rb") as file:
            pickle.load(file)  # Numba's version
            _check_seal(file.read())
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check_seal(Path(self._data_path(name)).read_bytes())
        return super()._load_data(name)


def _check_seal(content: bytes) -> None:
    size = hashlib.sha256().digest_size
    if hashlib.sha256(content[:-size]).digest() != content[-size:]:
        raise EOFError("damaged")


class Kept(FunctionCache):
    """The machine code of a function on disk; what is damaged there is compiled again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = Sealed(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # a function is compiled into its callers, those in other files too
        return *super()._index_key(sig, codegen), SOURCES

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except DAMAGED:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature; without room for it, it is compiled again next time."""
        with suppress(*DAMAGED):
            super().save_overload(sig, data)


def kernel(any_order: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function at its first call, without the interpreter's lock; keep it on disk."""

    def compiled(function: Callable[..., Any]) -> Any:
        order = ANY_ORDER if any_order else False
        loop: Any = njit(nogil=True, error_model="numpy", fastmath=order)(function)
        loop._cache = Kept(function)
        return loop

    return compiled


@intrinsic
def prefetch(_: Any, flat: Any, at: Any) -> Any:  # noqa: ARG001  # their types are looked at
    """Ask memory for the line of the cache with flat[at]; nobody waits, no address is wrong."""

    def ask(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, values[0])
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        own = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        function = cgutils.get_or_insert_function(builder.module, own, "llvm.prefetch.p0i8")
        line = builder.bitcast(builder.gep(array.data, [values[1]]), byte)
        read, second_cache, data = (ir.Constant(whole, value) for value in (0, 2, 1))
        builder.call(function, [line, read, second_cache, data])
        return context.get_dummy_value()

    return types.void(flat, types.intp), ask


def _borrowed(_: Any, array: Any) -> Any:
    """The same array, for whose parts nobody counts references; its owner must outlive it.

    A loop that cuts rows out of an array counts each of them up and down, which takes longer than
    a short row does. What a compiled function is called with lives as long as the call.
    """

    def uncounted(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        same = context.make_array(signature.args[0])(context, builder, values[0])
        same.meminfo = cgutils.get_null_value(same.meminfo.type)
        same.parent = cgutils.get_null_value(same.parent.type)
        return same._getvalue()

    return array(array), uncounted


borrowed: Any = intrinsic(_borrowed)
