"""Rounds from files: the stack that a rule sees, in memory or not, and the new model."""

import os
import tempfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import yaml

import pdrr
from helpers import made_up_models
from pdrr import PDRR, beyond, files
from pdrr.files import rounds, stack, verdict
from pdrr.files import writing as written
from pdrr.files.rounds import natural

RULES = {"krum": {"c": 3}, "trimmed_mean": {"beta": 3}, "median": {}}
X = np.random.default_rng(3).normal(size=(7, 11))


@pytest.fixture(params=made_up_models.FORMATS)
def suffix(request):
    return request.param


def by_hand(folder, suffix):
    """The stack of a folder's models, float arrays only, in the order of the file's keys."""
    order = [key for key in made_up_models.previous_model(suffix) if key != "batches"]
    models = []
    for client in range(made_up_models.K):
        arrays = made_up_models.load(folder / f"client-{client}{suffix}")
        models.append(np.concatenate([arrays[key].ravel() for key in order]))
    return np.stack(models)


def flat(path, suffix):
    order = [key for key in made_up_models.previous_model(suffix) if key != "batches"]
    arrays = made_up_models.load(path)
    return np.concatenate([arrays[key].ravel() for key in order])


# reading


@pytest.mark.parametrize("limit", [0, 2**30], ids=["on disk", "in memory"])
def test_a_folder_becomes_the_stack_of_its_models(suffix, limit, tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "IN_MEMORY", limit)
    folder, previous = made_up_models.write_round(tmp_path, suffix)
    found = files.survey(folder, previous)
    with found.read() as observed:
        assert isinstance(observed.clients, np.memmap) == (limit == 0)
        assert observed.clients.dtype == np.float32
        wanted = np.sort(by_hand(folder, suffix), axis=1)
        np.testing.assert_array_equal(np.sort(observed.clients, axis=1), wanted)
        np.testing.assert_array_equal(np.sort(observed.previous), np.sort(flat(previous, suffix)))


def test_the_temporary_stack_has_no_name_and_goes_with_a_failing_block(
    suffix, tmp_path, monkeypatch
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(stack, "IN_MEMORY", 0)
    folder, previous = made_up_models.write_round(tmp_path, suffix)
    open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else None
    with pytest.raises(RuntimeError), files.survey(folder, previous).read() as observed:
        assert isinstance(observed.clients, np.memmap)
        assert list(scratch.iterdir()) == []
        del observed
        raise RuntimeError("a detector fails")
    assert list(scratch.iterdir()) == []
    if open_files is not None:
        assert len(os.listdir("/proc/self/fd")) == open_files


def test_a_full_disk_is_known_beforehand(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "IN_MEMORY", 0)
    monkeypatch.setattr(
        stack.shutil, "disk_usage", lambda _: stack.shutil._ntuple_diskusage(9, 9, 0)
    )
    folder, previous = made_up_models.write_round(tmp_path, suffix)
    with pytest.raises(ValueError, match=r"10 models need \d+ bytes in .*TMPDIR.*, got 0 bytes"):
        files.survey(folder, previous)


def stack_file(path, kind):
    """A stack of X in one file; the exact values in it, and whether it is used where it lies."""
    values = X.astype({"big": ">f8", "short": "f2", "float32": "f4"}.get(kind, "f8"))
    if kind == "fortran":
        values = np.asfortranarray(values)
    if kind == "brain":
        values = values.astype(ml_dtypes.bfloat16)
        place, length = values.ctypes.data, values.nbytes
        tensor = safetensors.TensorSpec(
            dtype="bfloat16", shape=list(X.shape), data_ptr=place, data_len=length
        )
        safetensors.serialize_file({"w": tensor}, path, None)
    elif path.suffix == ".npz":
        np.savez_compressed(path, w=values)
    else:
        made_up_models.save(path, {"w": values})
    return values.astype("f8")


@pytest.mark.parametrize(
    ("suffix", "kind", "mapped"),
    [
        (".npy", "float64", True),
        (".npy", "float32", True),
        (".npy", "fortran", True),
        (".npy", "big", False),
        (".npy", "short", False),
        (".npz", "float64", False),
        (".npz", "fortran", False),
        (".npz", "big", False),
        (".safetensors", "float32", True),
        (".safetensors", "short", False),
        (".safetensors", "brain", False),
    ],
)
def test_a_stack_in_one_file_is_used_where_it_lies_if_it_can_be(suffix, kind, mapped, tmp_path):
    wanted = stack_file(tmp_path / f"stack{suffix}", kind)
    found = files.survey(tmp_path / f"stack{suffix}", "median")
    with found.read() as observed:
        np.testing.assert_array_equal(observed.clients, wanted)
        assert isinstance(observed.clients, np.memmap) == mapped
        detection = PDRR("krum", c=2, q=0.5).detect(observed)
    median = pdrr.median(wanted.astype(found.layout.dtype))
    plain = PDRR("krum", c=2, q=0.5).detect(pdrr.Round(wanted.astype(median.dtype), median))
    np.testing.assert_allclose(detection.statistic, plain.statistic, rtol=1e-12)
    assert found.names == tuple("0123456")


@pytest.mark.parametrize(
    "values", [np.zeros(5), np.zeros((2, 2, 2)), np.zeros((3, 2), int), np.zeros((1, 4)),
               np.zeros((4, 0)), np.float64(3)]
)  # fmt: skip
def test_a_file_that_holds_no_stack_is_refused(values, suffix, tmp_path):
    path = tmp_path / f"stack{suffix}"
    made_up_models.save(path, {"w": values})
    with pytest.raises(ValueError, match=rf"stack\{suffix}: needs (one array|2 to)"):
        files.survey(path, "median")


def test_clients_stand_in_the_order_that_people_expect():
    names = ["c10", "c9", "c1", "b", "c01", "10", "9", "c1x2", "c1x10"]
    wanted = ["9", "10", "b", "c01", "c1", "c1x2", "c1x10", "c9", "c10"]
    assert sorted(names, key=natural) == wanted


def test_keys_may_stand_in_another_order(tmp_path):
    (tmp_path / "round").mkdir()
    a, b = np.arange(3.0), np.arange(3.0, 5.0)
    np.savez(tmp_path / "round" / "1.npz", a=a, b=b)
    np.savez(tmp_path / "round" / "2.npz", b=b, a=a)
    with files.survey(tmp_path / "round", "median").read() as observed:
        np.testing.assert_array_equal(observed.clients, [np.arange(5.0)] * 2)


def test_the_odd_one_out_is_named_wherever_it_stands(tmp_path):
    (tmp_path / "round").mkdir()
    for name, shape in (("a", 4), ("b", 3), ("c", 3)):
        np.savez(tmp_path / "round" / f"{name}.npz", w=np.zeros(shape))
    with pytest.raises(ValueError, match=r"a.npz: needs the array w as float64 \[3\], like b.npz"):
        files.survey(tmp_path / "round", "median")


# the previous model


def test_a_previous_model_may_be_of_another_format_and_type(tmp_path):
    folder, _ = made_up_models.write_round(tmp_path, ".npz", np.float16)
    sent = made_up_models.previous_model(".npz", np.float64)
    safetensors.numpy.save_file(
        {key: np.asarray(value) for key, value in sent.items()}, tmp_path / "sent.safetensors"
    )
    with files.survey(folder, tmp_path / "sent.safetensors").read() as observed:
        assert observed.previous.dtype == np.float32
        np.testing.assert_array_equal(
            observed.previous[:192], sent["dense/kernel"].ravel().astype("f4")
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_previous_model_is_finite_in_the_type_of_the_round(value, tmp_path):
    folder, _ = made_up_models.write_round(tmp_path, ".npy")
    np.save(tmp_path / "sent.npy", np.full(200, value))
    with (
        pytest.raises(ValueError, match=r"sent.npy: needs a finite model"),
        files.survey(folder, tmp_path / "sent.npy").read(),
    ):
        pass


def test_a_previous_model_among_the_clients_is_refused(suffix, tmp_path):
    folder, _ = made_up_models.write_round(tmp_path, suffix)
    with pytest.raises(ValueError, match="lies among the round's models"):
        files.survey(folder, folder / f"client-4{suffix}")


def test_the_median_in_its_place_is_that_of_the_finite_models(tmp_path):
    values = X.copy()
    values[2, 3] = np.nan
    np.save(tmp_path / "stack.npy", values)
    with files.survey(tmp_path / "stack.npy", "median").read() as observed:
        wanted = np.median(np.delete(values, 2, axis=0), axis=0)
        np.testing.assert_allclose(observed.previous, wanted, rtol=1e-15)


def test_where_nobody_is_finite_there_is_no_median(tmp_path):
    np.save(tmp_path / "stack.npy", np.full((4, 3), np.nan))
    with (
        pytest.raises(ValueError, match=r"stack.npy: no model is finite"),
        files.survey(tmp_path / "stack.npy", "median").read(),
    ):
        pass


# verdicts


@pytest.mark.parametrize(
    ("rule", "previous"),
    [("trimmed_mean", "given"), ("median", "given"), ("trimmed_mean", "median")],
)
def test_attackers_and_only_they_are_named(rule, previous, suffix, tmp_path):
    folder, sent = made_up_models.write_round(tmp_path, suffix)
    known = previous == "given"
    q = {"trimmed_mean": 0.9}.get(rule)
    judge = files.detector("paper", rule, q=q, previous_known=known, **RULES[rule])
    with files.survey(folder, sent if known else "median").read() as observed:
        found = judge.detect(observed)
    assert found.flagged.tolist() == [True] * 3 + [False] * 7


def test_the_default_thresholds_are_those_of_the_profiles():
    text = (rounds.Path(pdrr.__file__).parent / "profiles" / "paper.yaml").read_text("utf-8")
    assert yaml.safe_load(text)["defense"]["q"] == files.THRESHOLDS


def test_the_median_does_not_stand_in_for_what_the_median_is_held_against():
    median = pdrr.median(X)
    assert PDRR("median", q=0.7).detect(pdrr.Round(X, median)).statistic.sum() == 0  # blind
    with pytest.raises(ValueError, match="needs the model that you had sent"):
        files.detector("paper", "median", previous_known=False)
    files.detector("improved", "median", previous_known=False)


def test_the_improved_detector_is_co_trimming():
    judge = files.detector("improved", "krum", c=3)
    assert isinstance(judge, type(beyond.improved("krum", c=3)))
    with pytest.raises(TypeError, match="takes no q"):
        files.detector("improved", "median", q=0.5)


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        ("krum", {}, "krum needs c, got none"),
        ("trimmed_mean", {"c": 2}, "trimmed_mean takes no c, got 2"),
        ("median", {"beta": 1}, "median takes no beta, got 1"),
        ("trimmed_mean", {}, "trimmed_mean needs beta, got none"),
    ],
)
def test_settings_of_another_rule_are_refused(rule, settings, message):
    with pytest.raises(TypeError, match=message):
        files.detector("paper", rule, **settings)


def test_names_stand_in_place_of_rows():
    values = X.copy()
    values[[2, 5]] = np.nan
    found = PDRR("median", q=0.5).detect(pdrr.Round(values, np.zeros(11)))
    names = tuple(f"site-{row}" for row in range(7))
    seen = verdict.Verdict(names, found, {"statistic": "kept values", "q": 0.5})
    assert "not finite, so flagged: site-2, site-5" in seen.notes
    assert {"site-2", "site-5"} <= set(seen.flagged)
    assert seen.as_text().count("not finite") == 2


# the new model


@pytest.mark.parametrize("rule", RULES)
def test_the_written_model_is_the_rule_s_over_those_who_are_kept(rule, suffix, tmp_path):
    folder, sent = made_up_models.write_round(tmp_path, suffix)
    judge = files.detector("paper", rule, q=0.9, **RULES[rule])
    found = files.survey(folder, sent)
    with found.read() as observed:
        model, seen = judge.aggregate(observed)
        files.write(tmp_path / f"new{suffix}", found, model, np.flatnonzero(~seen.flagged).tolist())
    kept = np.flatnonzero(~seen.flagged)
    clients, before = by_hand(folder, suffix), flat(sent, suffix)
    wanted, _ = judge.aggregate(pdrr.Round(clients, before))
    np.testing.assert_array_equal(flat(tmp_path / f"new{suffix}", suffix), wanted)
    if suffix != ".npy":
        counters = [
            made_up_models.load(folder / f"client-{row}{suffix}")["batches"] for row in kept
        ]
        new = made_up_models.load(tmp_path / f"new{suffix}")["batches"]
        assert new == sorted(counters)[(len(counters) - 1) // 2]
        assert (new.dtype, new.shape) == (np.int64, ())


def test_a_minority_cannot_move_a_counter(tmp_path):
    folder, sent = made_up_models.write_round(tmp_path, ".npz")
    found = files.survey(folder, sent)
    assert found.counter(found.layout.counters[0], range(10)) == 107
    assert found.counter(found.layout.counters[0], []) == 100  # nobody is kept: the previous one


def test_the_same_round_gives_the_same_file(suffix, tmp_path, monkeypatch):
    folder, sent = made_up_models.write_round(tmp_path, suffix)
    contents = []
    for year in (2001, 2020):
        monkeypatch.setattr("time.time", lambda year=year: (year - 1970) * 31_556_952.0)
        found = files.survey(folder, sent)
        with found.read() as observed:
            files.write(tmp_path / f"new{suffix}", found, pdrr.median(observed.clients), range(10))
        contents.append((tmp_path / f"new{suffix}").read_bytes())
    assert contents[0] == contents[1]


def test_a_writer_that_fails_leaves_what_was_there(suffix, tmp_path, monkeypatch):
    folder, sent = made_up_models.write_round(tmp_path, suffix)
    (tmp_path / f"new{suffix}").write_text("before", "utf-8")
    found = files.survey(folder, sent)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written.FORMATS[suffix], "write", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / f"new{suffix}", found, np.zeros(200, np.float32), [5])
    assert (tmp_path / f"new{suffix}").read_text("utf-8") == "before"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("new.txt", "needs a name that ends in .npz"),
        ("new.npy", "needs a name that ends in .npz"),
        ("folder.npz", "got a folder"),
        ("round/new.npz", "would be a client of the next run"),
        ("round/../round/new.npz", "would be a client of the next run"),
        ("there.npz", "exists already"),
    ],
)
def test_targets_that_would_do_harm_are_refused(target, message, tmp_path):
    folder, sent = made_up_models.write_round(tmp_path, ".npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "there.npz").touch()
    found = files.survey(folder, sent)
    with pytest.raises(ValueError, match=message):
        files.check_target(tmp_path / target, found, force=False)
    if target == "there.npz":
        files.check_target(tmp_path / target, found, force=True)


def test_a_stack_is_not_written_over(tmp_path):
    np.save(tmp_path / "stack.npy", X)
    found = files.survey(tmp_path / "stack.npy", "median")
    with pytest.raises(ValueError, match="is the round itself"):
        files.check_target(tmp_path / "stack.npy", found, force=True)
