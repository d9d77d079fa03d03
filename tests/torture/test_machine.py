"""What machines do to a run: kill it, fill its disk, set its clock, share its cache.

Afterwards the next run gives what an undisturbed one gives, or says in a line why it cannot. The
trials of a whole book take an hour, and run where PDRR_TORTURE is set: `make torture`.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.small_book import TRIALS, Checkout
from pdrr.federation.store import Store

KILLS = int(os.environ.get("PDRR_KILLS", "20"))
long = pytest.mark.skipif(
    "PDRR_TORTURE" not in os.environ or sys.platform != "linux",
    reason="takes an hour: make torture",
)


# a disk that is full

SIZES = (4, 16, 64, 256, 1024)  # KiB


@contextlib.contextmanager
def disk(folder, kib):
    """A small disk of its own; skipped where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def writes(store, name):
    """Write something of a quarter of a megabyte."""
    x = np.arange(32_768, dtype=np.float64)
    if name == "array":
        store.save(store.root / "a/x.npy", x)
    elif name == "state":
        store.save_state(store.root / "a/x.npz", [{"round": 1}], x=x)
    else:
        store.save_json(store.root / "a/x.json", x.tolist())


@pytest.mark.parametrize("name", ["array", "state", "json"])
def test_a_full_disk_leaves_nothing_or_the_old_file_and_says_its_name(name, tmp_path):
    for kib in SIZES:
        TRIALS["full disk, one file"] += 1
        with disk(tmp_path / "disk", kib):
            store = Store(tmp_path / "disk/cache")
            if kib < 1024:
                with pytest.raises(OSError, match="disk/cache"):
                    writes(store, name)
            else:
                writes(store, name)
            files = [path for path in store.root.rglob("*") if path.is_file()]
            assert all(store.has(path) for path in files)
            assert bool(files) == (kib >= 1024)


# a writer that is killed

WRITER = """
import sys
import numpy as np
from pathlib import Path
from pdrr.federation.store import Store
store, n = Store(Path(sys.argv[1])), 0
print("ready", flush=True)
while True:
    for name in ("x.npy", "y.npy"):
        store.save(store.root / "a" / name, np.full(100_000, n))
    n += 1
"""


def test_a_writer_that_is_killed_leaves_whole_files_only(tmp_path):
    lots = random.Random(1)
    for _ in range(6):
        TRIALS["kill -9, one writer"] += 1
        run = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as writer:
            writer.stdout.readline()
            time.sleep(lots.uniform(0, 0.1))
            writer.kill()
        store = Store(tmp_path)
        for path in (tmp_path / "a").glob("[xy].npy"):
            assert store.has(path), "a half file was taken for a whole one"
            assert len(np.unique(store.load(path))) == 1
    assert not list(tmp_path.rglob("*.damaged"))


# a whole book


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run leaves that nothing disturbs, and its seconds."""
    place = Checkout(tmp_path_factory.mktemp("undisturbed") / "checkout")
    began = time.monotonic()
    code, said = place.run()
    assert code == 0, said
    return place.made(), time.monotonic() - began, place


def settled(place, seconds=60):
    """Wait until nothing of a trial is at work any more: no kernel without its run."""
    until = time.monotonic() + seconds
    while place.alive() and time.monotonic() < until:
        time.sleep(0.2)
    left = place.alive()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"{len(left)} processes live on"


@long
@pytest.mark.parametrize("trial", range(KILLS))
def test_after_kill_9_at_any_moment_the_next_run_gives_the_same_book(trial, undisturbed, tmp_path):
    expected, seconds, _ = undisturbed
    lots = random.Random(trial)
    place = Checkout(tmp_path / "checkout")
    with place.start() as making:
        time.sleep(lots.uniform(0, seconds))
        if trial % 2:  # all at once, as when a machine goes down; kernels have a group of their own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(making.pid, signal.SIGKILL)
            TRIALS["kill -9, all of make book"] += 1
        elif running := place.alive():  # one of them, as for want of memory
            with contextlib.suppress(ProcessLookupError):
                os.kill(lots.choice(running), signal.SIGKILL)
            TRIALS["kill -9, one process of make book"] += 1
        said = making.communicate(timeout=300)[0]
    settled(place)
    assert "Traceback" not in said, said
    code, said = place.run()
    assert code == 0, said
    assert place.made() == expected
    settled(place)


@long
def test_two_makes_in_one_checkout_and_two_checkouts_on_one_cache(undisturbed, tmp_path):
    expected, _, _ = undisturbed
    cache = tmp_path / "cache"
    here, there = Checkout(tmp_path / "here", cache), Checkout(tmp_path / "there", cache)
    running = [here.start(), here.start(), there.start()]
    said = [each.communicate(timeout=900)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], said
    assert here.made() == there.made() == expected
    TRIALS["two makes in one checkout"] += 1
    TRIALS["two checkouts on one cache"] += 1


def again(place, **more):
    """Make the pages of a finished book once more, from its cache."""
    shutil.rmtree(place.top / "build/pages")
    return place.run(**more)


DAMAGE = {
    "cut in half": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "a bit turned": lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
    "zeros": lambda content: bytes(len(content)),
    "longer": lambda content: content + b"x",
}


@long
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_entries_are_named_and_made_anew(kind, undisturbed, tmp_path):
    expected, _, done = undisturbed
    place = copied(done, tmp_path)
    files = [path for path in place.cache.rglob("*") if path.is_file() and path.name != "key.json"]
    for path in files:
        path.write_bytes(DAMAGE[kind](path.read_bytes()))
        TRIALS[f"entries {kind}"] += 1
    code, said = again(place)
    assert code == 0, said
    assert said.count("is damaged: set aside") >= 1
    assert place.made() == expected


def copied(done, tmp_path):
    """Another checkout with the cache and the pages of a finished one."""
    place = Checkout(tmp_path / "checkout")
    shutil.copytree(done.top / "build", place.top / "build", symlinks=True)
    return place


@long
def test_a_cache_that_cannot_be_written_serves_what_it_has(undisturbed, tmp_path):
    expected, _, done = undisturbed
    place = copied(done, tmp_path)
    bind = ["mount", "--bind", str(place.cache), str(place.cache)]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place.cache)], check=True)
        TRIALS["read-only cache"] += 1
        code, said = again(place)
        assert code == 0, said
        assert place.made() == expected
        run = ["run", "fig01", "--profile", "smoke", "-p", "seed", "7"]
        code, said = place.run(".venv/bin/python", "-m", "pdrr", *run)
        assert code == 2
        assert "Read-only file system" in said.splitlines()[-1]
        assert "Traceback" not in said
    finally:
        subprocess.run(["umount", "-l", str(place.cache)], check=False)


@long
@pytest.mark.parametrize("kib", [64, 512, 1024, 2048, 4096])
def test_a_disk_that_fills_up_ends_a_run_in_a_line_and_with_room_it_goes_on(
    kib, undisturbed, tmp_path
):
    expected, _, _ = undisturbed
    cache = tmp_path / "cache"
    with disk(cache, kib):
        TRIALS["full disk, a run"] += 1
        place = Checkout(tmp_path / "checkout", cache)
        code, said = place.run()
        if code:
            assert "Traceback" not in said
            assert "No space left on device" in said or "requested and" in said
            room = ["mount", "-o", "remount,size=1g", str(cache)]
            subprocess.run(room, check=True)
            code, said = place.run()
        assert code == 0, said
        assert place.made() == expected


@long
@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_without_a_home_the_book_is_the_same(home, undisturbed, tmp_path):
    expected, _, done = undisturbed
    place = copied(done, tmp_path)
    environment = place.environment
    place.environment = lambda **more: {
        name: value
        for name, value in (environment(**more) | ({"HOME": home} if home else {})).items()
        if name != "HOME" or home
    }
    TRIALS["no HOME"] += 1
    code, said = again(place)
    assert code == 0, said
    assert place.made() == expected


@long
def test_a_moved_checkout_makes_the_same_book(undisturbed, tmp_path):
    expected, _, done = undisturbed
    place = copied(done, tmp_path)
    moved = place.top.rename(tmp_path / "moved – with blanks")
    place.top, place.cache = moved, moved / "build/cache"
    (moved / ".venv/.ready").write_text(f"{moved.resolve()}\n", "utf-8")
    TRIALS["moved checkout"] += 1
    code, said = again(place)
    assert code == 0, said
    assert place.made() == expected


@long
def test_two_runs_from_nothing_give_the_same(undisturbed, tmp_path):
    expected, _, _ = undisturbed
    place = Checkout(Path(tmp_path) / "checkout")
    TRIALS["the same again"] += 1
    code, said = place.run()
    assert code == 0, said
    assert place.made() == expected
