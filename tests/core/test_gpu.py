"""The CUDA kernels: their text, compiled for GPUs, run on the processor and on a GPU.

What has no GPU can still compile the text for one (where NVRTC is installed), and run it on the
processor (where there is a C++ compiler): every comparison below runs both ways.
"""

import ctypes
import ctypes.util
import fnmatch
import importlib.util
import inspect
import itertools
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import cuda_on_cpu
from pdrr import AGGREGATORS, ATTACKS, PDRR, Round, attacks, defenses
from pdrr.baselines import jackknife
from pdrr.core import checks, directions, dispatch, distances, draws, order
from pdrr.core.kernels import cuda, products
from pdrr.core.kernels.network import batcher

PLAIN = {
    function.__name__: function.__wrapped__
    for function in (
        checks.finite_rows,
        order.checked_mean,
        order.checked_middle,
        order.closest_to_median,
        directions.middle_direction,
        directions.mean_direction,
        directions.extremes,
        directions.moments,
        directions.lengths,
        jackknife.kept_values,
        jackknife.mean_without,
        distances.gram,
        distances.pair_distances,
        defenses.checked_count,
        defenses.sign_sums,
        draws.uniform_rows,
    )
}
RULES = {"krum": {"c": 3}, "trimmed_mean": {"beta": 3}, "median": {}}
SETTINGS = {"mean": {}, "bulyan": {"c": 2}, **RULES}
FILES = [Path(cuda.__file__).parent / name for name in ("cupy.py", "cuda.py")]
PIECE = cuda.STEPS * 128  # coordinates of a block that counts for up to 64 models
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# where the kernels run


@pytest.fixture(scope="session")
def processor(tmp_path_factory):
    """The kernels and their host side, with NumPy's arrays in the place of CuPy's."""
    if cuda_on_cpu.COMPILER is None or sys.platform != "linux":
        pytest.skip("no C++ compiler for Linux")
    fake = cuda_on_cpu.fake_cupy(tmp_path_factory.mktemp("kernels"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", fake)
        for name in ("launch", "cupy"):
            spec = importlib.util.find_spec(f"pdrr.core.kernels.{name}")
            kernels = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, spec.name, kernels)
            spec.loader.exec_module(kernels)
    return SimpleNamespace(cupy=fake, kernels=kernels)


@pytest.fixture(params=["gpu", "processor"])
def gpu(request, monkeypatch):
    """`cupy`, real or not, and the kernels that `pdrr` takes for its arrays."""
    monkeypatch.delenv("PDRR_KERNELS", raising=False)
    if request.param == "processor":
        found = request.getfixturevalue("processor")
        monkeypatch.setitem(sys.modules, "cupy", found.cupy)
        monkeypatch.setitem(sys.modules, "pdrr.core.kernels.cupy", found.kernels)
        return found
    cupy = pytest.importorskip("cupy", reason="no CUDA device: CuPy is not installed")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        pytest.skip("no CUDA device")
    return SimpleNamespace(cupy=cupy, kernels=importlib.import_module("pdrr.core.kernels.cupy"))


def on_gpu(gpu, seen):
    return replace(
        seen, clients=gpu.cupy.asarray(seen.clients), previous=gpu.cupy.asarray(seen.previous)
    )


def observed(k, d, dtype=np.float32, seed=0):
    """A round whose coordinates are of all kinds: no ties, some, many, all equal."""
    rng = np.random.default_rng([seed, k])
    whole, gauss = rng.integers(-2, 3, (k, d)) * 0.1, rng.normal(size=(k, d))
    clients = np.where(rng.random(d) < 0.4, gauss, whole)
    clients = np.where(rng.random((k, d)) < 0.1 * (rng.random(d) < 0.3), gauss, clients)
    clients = np.where(rng.random(d) < 0.1, clients[:1], clients)
    previous = np.where(rng.random(d) < 0.3, np.median(clients, axis=0), whole[0])
    return Round(clients.astype(dtype), previous.astype(dtype))


def host(x):
    return x.get() if hasattr(x, "get") else np.asarray(x)


def same(found, expected):
    """Equal values, types and shapes; -0.0 equals 0.0."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(host(found), host(expected))


# the text


@pytest.mark.parametrize("k", range(1, 12))
def test_comparators_put_the_wanted_ranks_in_their_places(k):
    # 0-1 principle: what is right for all sequences of zeros and ones is right for all
    sequences = np.array(list(itertools.product((0, 1), repeat=k))).T
    for first in range((k + 1) // 2):
        for stop in {k, k - first}:
            x = sequences.copy()
            for i, j in cuda.comparators(k, first, stop):
                x[[i, j]] = np.minimum(x[i], x[j]), np.maximum(x[i], x[j])
            assert (x[first:stop] == np.sort(x, axis=0)[first:stop]).all()


@pytest.mark.parametrize("k", [2, 3, 4, 6, 7, 8])
def test_every_comparator_is_needed(k):
    sequences = np.array(list(itertools.product((0, 1), repeat=k))).T
    for first in range((k + 1) // 2):
        network = cuda.comparators(k, first, k - first)
        for left_out in range(len(network)):
            x = sequences.copy()
            for i, j in network[:left_out] + network[left_out + 1 :]:
                x[[i, j]] = np.minimum(x[i], x[j]), np.maximum(x[i], x[j])
            assert (x[first : k - first] != np.sort(x, axis=0)[first : k - first]).any()


def test_all_ranks_need_all_comparators_and_the_median_fewer():
    assert cuda.comparators(50, 0, 50) == batcher(50)
    assert len(cuda.comparators(50, 24, 26)) < len(cuda.comparators(50, 10, 40)) < len(batcher(50))


@pytest.mark.parametrize("kernel", cuda.ORDERED)
def test_the_text_sorts_as_its_comparators_say(kernel):
    for k, beta in ((1, 0), (7, 2), (50, 10), (50, 24)):
        code = cuda.ordered(kernel, k, beta, 4).code
        (line,) = re.findall(r"^#define NETWORK (.*)$", code, re.M)
        found = [(int(i), int(j)) for i, j in re.findall(r"SORT\((\d+), (\d+)\)", line)]
        outer = beta - 1 if kernel == "count" and beta else beta
        assert found == cuda.comparators(k, outer, k - outer)
        assert f"#define {kernel.upper()} 1" in code


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 8, 12, 40, 56])
def test_what_rises_and_falls_once_in_a_circle_is_merged(n):
    # 0-1 principle; ones side by side in a circle are all such sequences
    for ones, start in itertools.product(range(n + 1), range(n)):
        x = np.roll(np.arange(n) < ones, start).astype(int)
        for i, j in cuda.merger(n):
            assert i < j
            x[[i, j]] = min(x[i], x[j]), max(x[i], x[j])
        assert (np.diff(x) >= 0).all()


@pytest.mark.parametrize("itemsize", [4, 8])
def test_every_number_of_models_finds_room(itemsize):
    for k in range(1, cuda.MOST + 1):
        lanes, each, size = cuda.lanes(k, itemsize)
        assert lanes in (1, 2, 4, 8, 16, 32)
        assert k <= lanes * each
        assert each <= size <= cuda.EACH
        assert size == k if lanes == 1 else size % 8 == 0
    for k in (1, 50, 64, 65, 300, 1000, 1500, cuda.MOST):
        lanes, each, _ = cuda.lanes(k, itemsize)
        program = cuda.ordered("count", k, 0, itemsize)
        warps = program.threads // 32
        assert warps >= 1
        assert 8 * (k + warps * (lanes * each + 2)) <= cuda.SHARED
        assert program.columns == cuda.STEPS * program.threads // lanes


def test_blocks_of_inner_products_cover_every_coordinate_and_square():
    for k, d in itertools.product((1, 8, 9, 50, 64, 100, 300, 1000), (1, 65, 6_603_710, 2**33)):
        program = products.gram(k, 4, 4)
        constants = dict(re.findall(r"^#define (\w+) (\d+)$", program.code, re.M))
        squares, team = int(constants["SQUARES"]), int(constants["TEAM"])
        across, upwards, chunk = products.gram_grid(k, d)
        assert (across - 1) * chunk < d <= across * chunk
        assert (upwards - 1) * team < squares <= upwards * team
        assert across * squares * products.SIDE**2 * 8 <= products.PARTIAL_SUMS
        assert chunk % program.columns == 0
        groups = -(-k // products.SIDE)
        assert program.columns * (groups * products.SIDE + 2) * 8 + 8 * k <= cuda.SHARED


@pytest.mark.parametrize("k", [1, 8, 50, 64, 65, 200, 256, 300, 1000])
def test_tensor_cores_take_every_square_once(k):
    groups, program = -(-k // products.SIDE), products.tensor_gram(k, 4, 4)
    squares = [tuple(pair) for pair in products.squares(k).tolist() if pair[0] >= 0]
    assert len(squares) == len(set(squares))
    assert {(i, j) for i in range(groups) for j in range(i + 1)} <= set(squares)
    constants = dict(re.findall(r"^#define (\w+) (\d+)$", program.code, re.M))
    slots, width = int(constants["SLOTS"]), int(constants["WIDTH"])
    assert program.threads % width == 0
    assert slots * products.SIDE * (width + 5) * 8 <= cuda.SHARED
    across, upwards, chunk = products.tensor_grid(k, 6_603_710)
    assert chunk % width == 0 < across
    if groups > products.ALONE:  # the plan's tiles are those of `squares`, in its order
        found = []
        for line in products.plan(k):
            for row, column in line[slots:].reshape(-1, 2):
                found.append((line[row], line[column]) if row >= 0 else (-1, -1))
        tile = products.TILE**2
        assert len(found) == 8 * upwards
        assert found == [tuple(pair) for pair in products.squares(k)[::tile].tolist()]


def test_the_text_is_part_of_the_package():
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    for path in FILES[0].parent.glob("*.cu*"):
        own = path.relative_to(root / "pdrr").as_posix()
        assert any(fnmatch.fnmatch(own, pattern) for pattern in settings["package-data"]["pdrr"])


def test_cupy_is_not_loaded_before_one_of_its_arrays_arrives():
    code = "import sys, numpy, pdrr; pdrr.median(numpy.ones((3, 2))); print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# compiled for GPUs


@pytest.fixture(scope="session")
def nvrtc():
    """NVIDIA's run-time compiler, which needs no GPU."""
    places = [ctypes.util.find_library("nvrtc")]
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations if spec else ():
        places += sorted(Path(folder).glob("*/lib/libnvrtc.so.*[0-9]"))
    found = [str(place) for place in places if place]
    if not found:
        pytest.skip("NVRTC is not installed")
    return ctypes.CDLL(found[-1])


def architectures(nvrtc):
    number = ctypes.c_int()
    nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(number))
    known = (ctypes.c_int * number.value)()
    nvrtc.nvrtcGetSupportedArchs(known)
    return list(known)


def compile_for(nvrtc, architecture, code):
    """(return code, log) of a compilation to machine code."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    created = nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), None, 0, None, None)
    assert created == 0
    options = [f"-arch=sm_{architecture}", "-std=c++17", "--ptxas-options=-v"]
    given = (ctypes.c_char_p * len(options))(*map(str.encode, options))
    result = nvrtc.nvrtcCompileProgram(program, len(options), given)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return result, log.value.decode()


@pytest.mark.parametrize("architecture", [70, 80, 90])
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("k", [1, 50, 64, 200, 1000])
def test_the_text_compiles_for_gpus_and_values_stay_in_registers(nvrtc, k, itemsize, architecture):
    if architecture not in architectures(nvrtc):
        pytest.skip("this NVRTC does not know the architecture any more")
    programs = [cuda.ordered(kernel, k, k // 5, itemsize, 1 + k // 3) for kernel in cuda.ORDERED]
    by_products = products.tensor_gram if architecture >= 80 else products.gram
    programs += [by_products(k, itemsize, itemsize)]
    programs += [cuda.one_pass(kernel, itemsize) for kernel in cuda.PASSES[:1]]
    programs += [cuda.by_columns(kernel, itemsize) for kernel in cuda.COLUMNS[:1]]
    programs += [cuda.draws(kernel, itemsize) for kernel in cuda.DRAWS]
    for program in programs:
        result, log = compile_for(nvrtc, architecture, program.code)
        assert result == 0, log
        assert f"'{program.kernel}'" in log
        spilled = re.findall(r"(\d+) bytes spill", log)
        assert spilled
        assert max(map(int, spilled)) <= 16, log  # two registers, of one kernel at k = 200
        for registers, shared in re.findall(r"Used (\d+) registers.*?(?:(\d+) bytes smem|$)", log):
            assert int(registers) * program.threads <= 65_536
            assert int(shared or 0) <= cuda.SHARED


def test_a_compiler_that_refuses_is_named(processor, monkeypatch):
    broken = replace(cuda.one_pass("finite_rows", 4), code="not C++")
    monkeypatch.setattr(cuda, "one_pass", lambda *_: broken)
    with pytest.raises(RuntimeError, match=r"needs a CUDA compiler .*PDRR_KERNELS=off"):
        processor.kernels.finite_rows(processor.cupy.ones((3, 2), np.float32))


# the ways in


def test_each_kernel_has_the_name_and_parameters_of_its_plain_definition(processor):
    public = [
        name
        for name, value in vars(processor.kernels).items()
        if inspect.isfunction(value)
        and value.__module__ == "pdrr.core.kernels.cupy"
        and name[0] != "_"
    ]
    assert set(public) - {"fits"} == set(PLAIN)
    for name, plain in PLAIN.items():
        own, wanted = (inspect.signature(f) for f in (getattr(processor.kernels, name), plain))
        assert [(p.name, p.default, p.kind) for p in own.parameters.values()] == [
            (p.name, p.default, p.kind) for p in wanted.parameters.values()
        ]


def test_kernels_work_on_stacks_whose_rows_are_contiguous(gpu, monkeypatch):
    x = gpu.cupy.asarray(np.zeros((6, 8), np.float32))
    for stack in (x, x[::-1], x[1:4, 2:5], x[::2], gpu.cupy.asarray(np.zeros((6, 8)))):
        assert dispatch.kernels_for(stack) is gpu.kernels
    whole = gpu.cupy.asarray(np.zeros((6, 8), np.int64))
    for stack in (x.T, x[:, ::2], whole):
        assert dispatch.kernels_for(stack) is None
    assert dispatch.kernels_for(gpu.cupy.asarray(np.zeros((cuda.MOST, 2)))) is gpu.kernels
    assert dispatch.kernels_for(gpu.cupy.asarray(np.zeros((10_000, 2)))) is None
    monkeypatch.setenv("PDRR_KERNELS", "off")
    assert dispatch.kernels_for(x) is None


# the same results as the plain definitions


@both_dtypes
@pytest.mark.parametrize("k", [1, 2, 10, 50, 65, 300])
def test_every_number_of_models_works(gpu, k, dtype):
    seen = observed(k, PIECE + 37 if k <= 64 else 99, dtype)
    there, rows = on_gpu(gpu, seen), np.arange(k)
    beta = (k - 1) // (2 if k % 2 else 5)
    found, expected = (f(s, rows, beta, False) for f, s in pair(gpu, "checked_count", there, seen))
    same(found[0], expected[0])
    np.testing.assert_allclose(found[1:3], expected[1:3], rtol=1e-12, atol=1e-12)
    model, finite = gpu.kernels.checked_middle(there.clients, beta)
    same(model, expected[0])
    assert (finite, found[3]) == (True, True)
    same(*(f(s, beta) for f, s in pair(gpu, "middle_direction", there, seen)))


@both_dtypes
@pytest.mark.parametrize("k", [2, 11, 130])
def test_leave_one_out_and_bulyan_read_the_same_values(gpu, k, dtype):
    seen = observed(k, 200, dtype)
    there, rows = on_gpu(gpu, seen), np.arange(k)[k // 4 :]
    beta = (k - 2) // 4
    found, expected = (f(s, beta) for f, s in pair(gpu, "kept_values", there.clients, seen.clients))
    same(found[0], expected[0])
    np.testing.assert_allclose(host(found[1]), expected[1], rtol=1e-12, atol=1e-13)
    without = gpu.kernels.mean_without(there.clients, k - 1, beta, *found)
    expected = PLAIN["mean_without"](seen.clients, k - 1, beta, *map(host, found))
    same(without, expected)
    found, expected = (
        f(s, rows, len(rows) // 3 + 1)
        for f, s in pair(gpu, "closest_to_median", there.clients, seen.clients)
    )
    assert found.dtype == dtype
    np.testing.assert_allclose(host(found), expected, rtol=1e-6, atol=1e-15)


stacks = st.builds(
    lambda k, d, n, seed, whole: (observed(k, d, np.float32 if whole else np.float64, seed), n),
    st.integers(1, 9), st.integers(1, 80), st.integers(1, 9), st.integers(0, 99), st.booleans(),
)  # fmt: skip


@given(stacks)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_passes_without_sorting_are_the_same(gpu, drawn):
    seen, n = drawn
    there, rows = on_gpu(gpu, seen), np.arange(seen.k)[:n]
    found, expected = (f(s) for f, s in pair(gpu, "checked_mean", there.clients, seen.clients))
    assert found[1] is expected[1] is True
    near(found[0], expected[0])
    direction = gpu.kernels.mean_direction(there, rows)
    if seen.d > 1:  # NumPy adds a single column in pairs
        same(direction, PLAIN["mean_direction"](seen, rows))
    for own, value in zip(
        gpu.kernels.extremes(there.clients, rows),
        PLAIN["extremes"](seen.clients, rows),
        strict=True,
    ):
        same(own, value)
    for own, value in zip(
        gpu.kernels.moments(there.clients, rows), PLAIN["moments"](seen.clients, rows), strict=True
    ):
        near(own, value)
    for own, value in zip(
        gpu.kernels.lengths(there, rows, direction),
        PLAIN["lengths"](seen, rows, host(direction)),
        strict=True,
    ):
        near(own, value)


def near(found, expected):
    assert found.dtype == expected.dtype
    exact = 1e-6 if found.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(host(found), expected, rtol=exact, atol=1e-12)


@both_dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pass_says_that_a_value_is_not_finite(gpu, dtype, bad):
    for k, row, column in ((5, 4, 0), (5, 0, 299), (70, 69, 33)):
        seen = observed(k, 300, dtype)
        seen.clients[row, column] = bad
        there = on_gpu(gpu, seen)
        rows = np.arange(k)
        assert gpu.kernels.checked_mean(there.clients)[1] is False
        assert gpu.kernels.checked_middle(there.clients, 1)[1] is False
        assert gpu.kernels.checked_count(there, rows, 1, False)[3] is False
        *found, finite = gpu.kernels.checked_count(there, rows[rows != row], 1, False)
        expected = PLAIN["checked_count"](seen, rows[rows != row], 1, False)
        assert finite is True
        same(found[0], expected[0])
        np.testing.assert_allclose(found[1:], expected[1:3], rtol=1e-12)


def test_means_of_huge_values_do_not_overflow(gpu):
    clients = np.full((5, 3), 1.7e308)
    clients[:, 1] = -1.7e308, -1.6e308, -1.5e308, -1.4e308, -1.3e308
    clients[:2, 2] = -1.7e308
    there = gpu.cupy.asarray(clients)
    for found, expected in (
        (gpu.kernels.checked_mean(there), PLAIN["checked_mean"](clients)),
        (gpu.kernels.checked_middle(there, 1), PLAIN["checked_middle"](clients, 1)),
    ):
        np.testing.assert_allclose(host(found[0]), expected[0], rtol=1e-15)
        assert found[1] is True
    rows = np.arange(5)
    found = gpu.kernels.closest_to_median(there, rows, 3)
    expected = PLAIN["closest_to_median"](clients, rows, 3)
    np.testing.assert_allclose(host(found), expected, rtol=1e-15)


# draws


@both_dtypes
@pytest.mark.parametrize(("d", "n", "low"), [(1, 1, 0.0), (2100, 3, -0.25), (5, 4, 0.0)])
def test_draws_on_the_device_are_those_of_numpy(gpu, d, n, low, dtype):
    rng = np.random.default_rng(d)
    clients, ends, width = rng.normal(size=(n + 2, d)).astype(dtype), *rng.normal(size=(2, d))
    rows = rng.permutation(n + 2)[:n]
    own, other = (np.random.default_rng([3, d]) for _ in range(2))
    for generator in (own, other):  # from anywhere on, half a number kept back
        generator.integers(0, 7, 3, dtype=np.int32)
        generator.random(d + 11)
    there = gpu.cupy.asarray(clients.copy())
    more = gpu.cupy.asarray(ends), gpu.cupy.asarray(width)
    gpu.kernels.uniform_rows(there, rows, *more, low, own)
    PLAIN["uniform_rows"](clients, rows, ends, width, low, other)
    same(there, clients)
    assert own.bit_generator.state == other.bit_generator.state
    assert own.integers(0, 7, 3, dtype=np.int32).tolist() == [
        *other.integers(0, 7, 3, dtype=np.int32)
    ]


def test_other_generators_draw_on_the_host(gpu):
    clients, vector = np.zeros((2, 9)), np.ones(9)
    there, ones = gpu.cupy.asarray(clients.copy()), gpu.cupy.asarray(vector)
    own, other = (np.random.Generator(np.random.Philox(5)) for _ in range(2))
    gpu.kernels.uniform_rows(there, np.array([1]), ones, ones, 0.5, own)
    PLAIN["uniform_rows"](clients, np.array([1]), vector, vector, 0.5, other)
    same(there, clients)
    assert own.random() == other.random()


@given(st.integers(0, 2**40), st.integers(0, 2**32))
def test_numbers_are_left_out_as_if_they_had_been_drawn(n, seed):
    own, other = np.random.default_rng(seed), np.random.default_rng(seed)
    draws.skip(own, n)
    other.bit_generator.advance(n)
    assert own.random() == other.random()


def pair(gpu, name, there, seen):
    """A kernel and its plain definition, each with what it works on."""
    return (getattr(gpu.kernels, name), there), (PLAIN[name], seen)


@both_dtypes
@pytest.mark.parametrize("zero_change", [False, True])
@pytest.mark.parametrize(("k", "n"), [(7, 7), (12, 7), (150, 140)])
def test_counts_of_some_models_are_the_same_and_add_up(gpu, k, n, zero_change, dtype):
    seen = observed(k, PIECE + 5 if k < 20 else 70, dtype)
    rows = np.sort(np.random.default_rng(k).permutation(k)[:n])
    for beta in {0, 1, (n - 1) // 2}:
        found, expected = (
            f(s, rows, beta, zero_change)
            for f, s in pair(gpu, "checked_count", on_gpu(gpu, seen), seen)
        )
        same(found[0], expected[0])
        np.testing.assert_allclose(found[1:3], expected[1:3], rtol=1e-12, atol=1e-12)
        counted = seen.d if zero_change else np.count_nonzero(expected[0] != seen.previous)
        np.testing.assert_allclose(found[1] + found[2], counted, rtol=1e-12)


@pytest.mark.parametrize(("k", "dtype"), [(9, np.float32), (50, np.float32), (100, np.float64)])
def test_values_are_shared_across_either_edge_or_both(gpu, k, dtype):
    # a zeros, b ones and twos: around the lower edge all a, then all b
    beta, rng = k // 5, np.random.default_rng(0)
    numbers = [(a, b) for a in range(beta - 1, beta + 2) for b in range(k - a + 1)]
    columns = [rng.permutation(np.repeat((0, 1, 2), (a, b, k - a - b))) for a, b in numbers]
    seen = Round(np.array(columns, dtype).T.copy(), np.zeros(len(numbers), dtype))
    for zero_change in (False, True):
        for found, expected in zip(
            gpu.kernels.checked_count(on_gpu(gpu, seen), np.arange(k), beta, zero_change),
            PLAIN["checked_count"](seen, np.arange(k), beta, zero_change),
            strict=True,
        ):
            np.testing.assert_allclose(host(found), expected, rtol=1e-12)


@both_dtypes
def test_a_single_coordinate_works(gpu, dtype):
    # NumPy adds a single column in pairs, many columns one row after the other
    seen = observed(33, 1, dtype)
    found, expected = (
        f(s, np.arange(33), 3, True) for f, s in pair(gpu, "checked_count", on_gpu(gpu, seen), seen)
    )
    np.testing.assert_allclose(host(found[0]), expected[0], rtol=1e-6)
    same(np.array(found[1:3]), np.array(expected[1:3]))


def test_permuting_the_models_permutes_the_counts_bit_for_bit(gpu):
    seen, order = observed(7, 500), np.array([3, 6, 0, 1, 5, 2, 4])
    _, trimmed, remained, _ = gpu.kernels.checked_count(on_gpu(gpu, seen), np.arange(7), 1, False)
    other = on_gpu(gpu, Round(seen.clients[order], seen.previous))
    _, moved, stayed, _ = gpu.kernels.checked_count(other, np.arange(7), 1, False)
    same(moved, trimmed[order])
    same(stayed, remained[order])


@both_dtypes
@pytest.mark.parametrize("tensor", [True, False])
@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 5), (50, 50), (64, 60), (100, 90), (300, 300)])
def test_inner_products_and_distances_are_the_same(gpu, k, n, dtype, tensor, monkeypatch):
    if tensor and not gpu.kernels.tensor_cores(0):
        pytest.skip("no float64 tensor cores")
    monkeypatch.setattr(gpu.kernels, "tensor_cores", lambda _: tensor)
    d = 4200 if n < 50 else 203
    seen, rows = observed(k, d, dtype), np.arange(k)[k - n :]
    there = on_gpu(gpu, seen)
    own = seen.clients[rows].astype(np.longdouble)
    for previous, exact in ((None, own), (there.previous, own - seen.previous)):
        found, true = gpu.kernels.gram(there.clients, previous, rows), (exact @ exact.T)
        scale = np.sqrt(np.outer(np.diag(true), np.diag(true)))
        assert type(found) is np.ndarray
        assert (np.abs(found - true.astype(float)) <= 1e-13 * scale.astype(float)).all()
        assert (found == found.T).all()
    i, j = (part[:9] for part in np.triu_indices(n))
    found = gpu.kernels.pair_distances(there.clients, rows, i, j)
    expected = PLAIN["pair_distances"](seen.clients, rows, i, j)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_the_base_may_be_of_another_type(gpu):
    seen, base = observed(5, 100), np.random.default_rng(0).normal(size=100)
    found = gpu.kernels.gram(gpu.cupy.asarray(seen.clients), gpu.cupy.asarray(base), np.arange(5))
    expected = PLAIN["gram"](seen.clients, base, np.arange(5))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@both_dtypes
@pytest.mark.parametrize(("k", "d"), [(1, 3), (5, 2 * cuda.LONG + 77), (300, 40)])
def test_sums_of_signs_are_the_same(gpu, k, d, dtype):
    seen, rows = observed(k, d, dtype), np.arange(k)[::2]
    there = on_gpu(gpu, seen)
    found = gpu.kernels.sign_sums(there, rows, there.clients[0])
    for own, value in zip(found, PLAIN["sign_sums"](seen, rows, seen.clients[0]), strict=True):
        assert np.array_equal(own, value)


def test_sums_over_blocks_may_be_large(gpu):
    part = gpu.cupy.asarray(np.full((3, 2), 2**31 - 1, np.int32))
    assert gpu.kernels.total(part).tolist() == [3 * (2**31 - 1)] * 2


@both_dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(gpu, dtype, bad):
    d = cuda.LONG + 3
    clients = np.full((3, d), np.finfo(dtype).max, dtype)
    clients[0] *= -1
    for column in (0, 31, cuda.LONG - 1, cuda.LONG, d - 1):
        other = clients.copy()
        other[1, column] = bad
        found = gpu.kernels.finite_rows(gpu.cupy.asarray(other))
        same(found, np.array([True, False, True]))
        assert isinstance(found, gpu.cupy.ndarray)


@pytest.mark.parametrize("cut", [np.s_[::-1], np.s_[::-2, 5:], np.s_[1:9, 7:-9], np.s_[1::3, 100:]])
def test_views_give_what_their_copies_give(gpu, cut):
    wide, previous = observed(12, 400), observed(1, 400).clients[0]
    columns = cut[1] if isinstance(cut, tuple) else slice(None)
    view = Round(gpu.cupy.asarray(wide.clients)[cut], gpu.cupy.asarray(previous)[columns])
    copy = Round(host(view.clients).copy(), host(view.previous).copy())
    rows = np.arange(view.k)[1:]
    for found, expected in zip(
        gpu.kernels.checked_count(view, rows, 1, False),
        PLAIN["checked_count"](copy, rows, 1, False),
        strict=True,
    ):
        np.testing.assert_allclose(host(found), expected, rtol=1e-12)
    found = gpu.kernels.gram(view.clients, view.previous, rows)
    expected = PLAIN["gram"](copy.clients, copy.previous, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    same(gpu.kernels.finite_rows(view.clients), PLAIN["finite_rows"](copy.clients))


@pytest.mark.parametrize("gpu", ["processor"], indirect=True)
def test_rows_may_lie_far_apart(gpu, tmp_path):
    # a sparse file: only the ends of the rows take up room
    wide = np.memmap(tmp_path / "stack", np.float32, "w+", shape=(2, 2**31 + 8))
    view, seen = wide[:, -40:], observed(2, 40)
    view[:] = seen.clients
    there = on_gpu(gpu, Round(view, seen.previous))
    assert there.clients.strides[0] == wide.strides[0]
    for found, expected in zip(
        gpu.kernels.checked_count(there, np.arange(2), 0, False),
        PLAIN["checked_count"](seen, np.arange(2), 0, False),
        strict=True,
    ):
        assert np.array_equal(found, expected)


# the public functions


@pytest.mark.parametrize("rule", SETTINGS)
def test_aggregators_are_the_same(gpu, rule, monkeypatch):
    seen = observed(11, 700, seed=1)
    found = AGGREGATORS[rule](gpu.cupy.asarray(seen.clients), **SETTINGS[rule])
    monkeypatch.setenv("PDRR_KERNELS", "off")
    expected = AGGREGATORS[rule](seen.clients, **SETTINGS[rule])
    if rule in ("mean", "bulyan"):  # a GPU may add in another order
        np.testing.assert_allclose(host(found), expected, rtol=1e-6, atol=1e-9)
    else:
        same(found, expected)


@both_dtypes
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [(), (0, 8)])
def test_detections_are_the_same(gpu, rule, dtype, bad, monkeypatch):
    seen = observed(12, 700, dtype, seed=2)
    seen.clients[list(bad), 5] = np.nan
    detector = PDRR(rule, q=0.8, **RULES[rule])
    model, found = detector.aggregate(on_gpu(gpu, seen))
    monkeypatch.setenv("PDRR_KERNELS", "off")
    expected_model, expected = detector.aggregate(seen)
    same(model, expected_model)
    same(found.pre_aggregate, expected.pre_aggregate)
    np.testing.assert_allclose(host(found.statistic), expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(host(found.scores), expected.scores, rtol=1e-12, atol=1e-15)
    assert host(found.flagged).tolist() == expected.flagged.tolist()
    assert found.notes == expected.notes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("knowledge", attacks.KNOWLEDGE)
def test_attacks_are_the_same(gpu, rule, knowledge, monkeypatch):
    rng, byzantine = np.random.default_rng(3), np.arange(12) < 4
    honest = Round(*(rng.normal(size=shape).astype(np.float32) for shape in ((12, 700), 700)))
    honest.clients[:, ::3] = honest.previous[::3]
    settings = RULES[rule] if rule == "trimmed_mean" else {}

    def crafted(seen):
        rng = np.random.default_rng(0)
        return ATTACKS[rule](seen, byzantine, knowledge=knowledge, rng=rng, **settings)

    found = crafted(on_gpu(gpu, honest))
    monkeypatch.setenv("PDRR_KERNELS", "off")
    expected = crafted(honest)
    assert found.detail == pytest.approx(expected.detail, rel=1e-9)
    np.testing.assert_allclose(
        host(found.observed.clients), expected.observed.clients, rtol=1e-5, atol=1e-9
    )


def test_a_stack_of_more_than_two_thousand_million_values(gpu):
    if not hasattr(gpu.cupy.cuda, "runtime"):
        pytest.skip("needs a GPU")
    free, _ = gpu.cupy.cuda.runtime.memGetInfo()
    k, d = 50, 2**31 // 50 + 1000
    if free < 12 * 2**30:
        pytest.skip("needs 12 GB of memory on the GPU")
    clients = gpu.cupy.empty((k, d), np.float32)
    clients[:] = gpu.cupy.arange(k, dtype=np.float32)[:, None]
    clients[-1, -1] = -1  # the last value of all
    previous = gpu.cupy.zeros(d, np.float32)
    rows = np.arange(k)
    model, trimmed, remained, _ = gpu.kernels.checked_count(
        Round(clients, previous), rows, 24, False
    )
    assert float(model[0]) == 24.5
    assert float(model[-1]) == 23.5
    assert remained[24] == d
    assert remained[25] == d - 1
    assert remained[23] == 1
    assert trimmed[-1] == d
    products = gpu.kernels.gram(clients, None, rows)
    assert products[49, 48] == 49.0 * 48 * (d - 1) - 48
    s, moved, _, _, _ = gpu.kernels.sign_sums(Round(clients, previous), rows, model)
    assert (s[49], moved[49]) == (d - 2, d)
