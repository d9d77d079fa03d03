"""What the CUDA kernels need of CuPy, on the processor: arrays of NumPy, a C++ compiler.

`cuda_on_cpu.h` lets the threads of a block take turns, so that the very text that a GPU would run
runs here, started by the very lines that would start it there.
"""

import ctypes
import hashlib
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
COMPILER = shutil.which("g++") or shutil.which("clang++")


class Device(nullcontext):
    id = 0
    compute_capability = "90"


class Array(np.ndarray):
    """An array "on the device"."""

    device = Device()

    def get(self):
        return self.view(np.ndarray)


class CompileError(Exception):
    """As CuPy's CompileException: what the compiler said, and the text."""


def run_compiler(*arguments):
    # no contraction: a * b + c rounds twice, as in NumPy; threads jump between stacks
    flags = ["-std=c++17", "-O1", "-fPIC", "-w", "-ffp-contract=off", "-U_FORTIFY_SOURCE"]
    run = [COMPILER, *flags, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stderr)


def built(code, name, folder):
    """The kernel `name` of a source text as a C function of a shared library."""
    path = folder / hashlib.sha256(code.encode()).hexdigest()
    header = folder / HEADER.name
    if not header.exists():
        shutil.copy(HEADER, header)
        run_compiler("-x", "c++-header", header, "-o", f"{header}.gch")  # read once, not each time
    if not path.exists():
        text = path.with_suffix(".cpp")
        text.write_text(f'#include "{header.name}"\n{code}', "utf-8")
        run_compiler("-shared", text, "-o", path)
    library = ctypes.CDLL(str(path))
    return library.launch, ctypes.cast(getattr(library, name), ctypes.c_void_p)


def raw_kernel(folder):
    """A class like `cupy.RawKernel` that builds in a folder."""

    class RawKernel:
        def __init__(self, code, name, options=()):
            self.code, self.name = code, name
            assert options == ("-std=c++17",)

        def compile(self):
            self.launch, self.function = built(self.code, self.name, folder)

        def __call__(self, grid, block, args):
            assert len(grid) <= 2
            assert all(isinstance(x, Array | np.int64) for x in args)
            values = [x.ctypes.data if isinstance(x, Array) else int(x) for x in args]
            (threads,) = block
            across, upwards = (*grid, 1)[:2]
            # pointers and 64-bit integers travel alike
            self.launch(self.function, across, upwards, threads, (ctypes.c_longlong * 10)(*values))

    return RawKernel


def fake_cupy(folder):
    """A stand-in for the module `cupy`, as far as `pdrr.core.kernels.cupy` uses it."""

    def on_device(function):
        return lambda *args, **kwargs: function(*args, **kwargs).view(Array)

    names = ("asarray", "ascontiguousarray", "ones", "sum")
    # a kernel must write everything it is asked for: what it forgets is NaN or a large number
    empty = on_device(
        lambda shape, dtype=float: (
            np.frombuffer(b"\xff" * (int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype)
            .reshape(shape)
            .copy()
        )
    )
    compiler = SimpleNamespace(CompileException=CompileError)
    return SimpleNamespace(
        **{name: on_device(getattr(np, name)) for name in names},
        empty=empty,
        asnumpy=Array.get,
        ndarray=Array,
        RawKernel=raw_kernel(folder),
        cuda=SimpleNamespace(Device=lambda *_: Device(), compiler=compiler),
    )
