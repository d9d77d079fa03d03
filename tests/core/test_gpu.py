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

from helpers import cuda_on_cpu
from pdrr import AGGREGATORS, ATTACKS, PDRR, Round, attacks, defenses
from pdrr.core import checks, directions, dispatch, distances, order
from pdrr.core.kernels import cuda
from pdrr.core.kernels.network import batcher

PLAIN = {
    function.__name__: function.__wrapped__
    for function in (
        checks.finite_rows,
        order.middle_mean,
        directions.middle_direction,
        distances.gram,
        distances.pair_distances,
        defenses.count,
        defenses.sign_sums,
    )
}
RULES = {"krum": {"c": 3}, "trimmed_mean": {"beta": 3}, "median": {}}
SETTINGS = {"mean": {}, "bulyan": {"c": 2}, **RULES}
FILES = [Path(cuda.__file__).parent / name for name in ("cupy.py", "cuda.py")]
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# where the kernels run


@pytest.fixture(scope="session")
def processor(tmp_path_factory):
    """The kernels and their host side, with NumPy's arrays in the place of CuPy's."""
    if cuda_on_cpu.COMPILER is None or sys.platform != "linux":
        pytest.skip("no C++ compiler for Linux")
    fake = cuda_on_cpu.fake_cupy(tmp_path_factory.mktemp("kernels"))
    spec = importlib.util.find_spec("pdrr.core.kernels.cupy")
    kernels = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", fake)
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


@pytest.mark.parametrize("itemsize", [4, 8])
def test_blocks_fit_into_shared_memory_for_every_number_of_models(itemsize):
    largest = cuda.IN_REGISTERS // itemsize
    for k in range(1, largest + 1):
        program = cuda.ordered("count", k, (k - 1) // 2, itemsize)
        warps = program.threads // 32
        tile = (program.threads + 1) * k * itemsize
        assert program.threads % 32 == 0 < program.threads
        assert tile + 8 * k + 8 * warps * (k + 1) <= cuda.SHARED
        assert program.columns % program.threads == 0
        assert program.shared == 0
    for k in (largest + 1, 300):
        program = cuda.ordered("count", k, 0, itemsize)
        assert "NETWORK" not in program.code.split("// ")[0]
        assert program.shared == 32 * k * itemsize
        # a data-centre GPU lends at least 96 KB to a block
        assert cuda.shared_memory(k, itemsize) <= 96 * 1024


def test_blocks_of_inner_products_cover_every_coordinate_and_square():
    for k, d in itertools.product((1, 8, 9, 50, 64, 100, 300), (1, 64, 65, 6_603_710, 2**33)):
        program = cuda.gram(k, 4, 4)
        constants = dict(re.findall(r"^#define (\w+) (\d+)$", program.code, re.M))
        squares, team = int(constants["SQUARES"]), int(constants["TEAM"])
        across, upwards, chunk = cuda.gram_grid(k, d)
        assert (across - 1) * chunk < d <= across * chunk
        assert (upwards - 1) * team < squares <= upwards * team
        assert across * squares * cuda.SIDE**2 * 8 <= cuda.PARTIAL_SUMS
        assert chunk % program.columns == 0
        groups = -(-k // cuda.SIDE)
        assert program.columns * (groups * cuda.SIDE + 2) * 8 + 8 * k <= cuda.SHARED


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
@pytest.mark.parametrize("k", [1, 10, 50, 64, 128, 300])
def test_the_text_compiles_for_gpus_and_values_stay_in_registers(nvrtc, k, itemsize, architecture):
    if architecture not in architectures(nvrtc):
        pytest.skip("this NVRTC does not know the architecture any more")
    programs = [
        cuda.ordered(kernel, k, beta, itemsize)
        for kernel in cuda.ORDERED
        for beta in {k // 5, (k - 1) // 2}
    ]
    programs += [cuda.gram(k, itemsize, itemsize)]
    programs += [cuda.one_pass(kernel, itemsize) for kernel in cuda.PASSES]
    for program in programs:
        result, log = compile_for(nvrtc, architecture, program.code)
        assert result == 0, log
        assert f"'{program.kernel}'" in log
        spilled = re.findall(r"(\d+) bytes spill", log)
        assert spilled
        assert set(spilled) == {"0"}, log
        for registers, shared in re.findall(r"Used (\d+) registers.*?(?:(\d+) bytes smem|$)", log):
            assert int(registers) * program.threads <= 65_536
            assert int(shared or 0) + program.shared <= 96 * 1024
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
    assert dispatch.kernels_for(gpu.cupy.asarray(np.zeros((300, 2)))) is gpu.kernels
    assert dispatch.kernels_for(gpu.cupy.asarray(np.zeros((10_000, 2)))) is None
    monkeypatch.setenv("PDRR_KERNELS", "off")
    assert dispatch.kernels_for(x) is None


# the same results as the plain definitions


@both_dtypes
@pytest.mark.parametrize("k", [1, 2, 3, 10, 33, 50, 64, 65, 129, 300])
def test_every_number_of_models_works(gpu, k, dtype):
    d = cuda.CHUNK + 37 if k <= 64 else 99
    seen = observed(k, d, dtype)
    there, rows = on_gpu(gpu, seen), np.arange(k)
    for beta in {(k - 1) // 5, (k - 1) // 2}:
        found, expected = (f(s, rows, beta, False) for f, s in pair(gpu, "count", there, seen))
        same(found[0], expected[0])
        np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-12, atol=1e-12)
    same(gpu.kernels.middle_mean(there.clients, beta), expected[0])
    same(*(f(s, beta) for f, s in pair(gpu, "middle_direction", there, seen)))


def pair(gpu, name, there, seen):
    """A kernel and its plain definition, each with what it works on."""
    return (getattr(gpu.kernels, name), there), (PLAIN[name], seen)


@both_dtypes
@pytest.mark.parametrize("zero_change", [False, True])
@pytest.mark.parametrize(("k", "n"), [(7, 7), (12, 7), (150, 140)])
def test_counts_of_some_models_are_the_same_and_add_up(gpu, k, n, zero_change, dtype):
    seen = observed(k, 3 * cuda.CHUNK + 5 if k < 20 else 70, dtype)
    rows = np.sort(np.random.default_rng(k).permutation(k)[:n])
    for beta in {0, 1, (n - 1) // 2}:
        found, expected = (
            f(s, rows, beta, zero_change) for f, s in pair(gpu, "count", on_gpu(gpu, seen), seen)
        )
        same(found[0], expected[0])
        np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-12, atol=1e-12)
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
            gpu.kernels.count(on_gpu(gpu, seen), np.arange(k), beta, zero_change),
            PLAIN["count"](seen, np.arange(k), beta, zero_change),
            strict=True,
        ):
            np.testing.assert_allclose(host(found), expected, rtol=1e-12)


@both_dtypes
def test_a_single_coordinate_works(gpu, dtype):
    # NumPy adds a single column in pairs, many columns one row after the other
    seen = observed(33, 1, dtype)
    found, expected = (
        f(s, np.arange(33), 3, True) for f, s in pair(gpu, "count", on_gpu(gpu, seen), seen)
    )
    np.testing.assert_allclose(host(found[0]), expected[0], rtol=1e-6)
    same(np.array(found[1:]), np.array(expected[1:]))


def test_permuting_the_models_permutes_the_counts_bit_for_bit(gpu):
    seen, order = observed(7, 500), np.array([3, 6, 0, 1, 5, 2, 4])
    _, trimmed, remained = gpu.kernels.count(on_gpu(gpu, seen), np.arange(7), 1, False)
    other = on_gpu(gpu, Round(seen.clients[order], seen.previous))
    _, moved, stayed = gpu.kernels.count(other, np.arange(7), 1, False)
    same(moved, trimmed[order])
    same(stayed, remained[order])


@both_dtypes
@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 5), (33, 33), (64, 60), (100, 90), (300, 300)])
def test_inner_products_and_distances_are_the_same(gpu, k, n, dtype):
    d = 5000 if n < 50 else 203
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
    assert gpu.kernels._total(part).tolist() == [3 * (2**31 - 1)] * 2


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
        gpu.kernels.count(view, rows, 1, False), PLAIN["count"](copy, rows, 1, False), strict=True
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
        gpu.kernels.count(there, np.arange(2), 0, False),
        PLAIN["count"](seen, np.arange(2), 0, False),
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
    model, trimmed, remained = gpu.kernels.count(Round(clients, previous), rows, 24, False)
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
