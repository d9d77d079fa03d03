"""The example app, run as its page says: simulated with Ray, and as processes on loopback.

A run that crashed still exits with code 0, and one whose clients all fail keeps its first model: so
what `flwr list` says, and the verdicts, are looked at too.
"""

import os
import re
import signal
import sys

import pytest

from helpers.flower_run import PATIENCE, Flower, free_port, lines, until

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

MALICIOUS = 3
SETTINGS = {  # the attack on Krum is won in every round with one epoch: see the app's page
    "krum": {"local_epochs": 1, "learning_rate": 0.1},
    "trimmed_mean": {},
    "median": {},
}


@pytest.fixture(scope="module")
def flower():
    with Flower() as home:
        yield home


def malicious(verdict):
    return {node for node, lies in verdict["truth"].items() if lies}


@pytest.mark.skipif(
    re.search(r"[^\w@%+=:,./-]", sys.executable) is not None,
    reason="Ray hands Python's path to a shell as it stands",
)
@pytest.mark.parametrize("rule", SETTINGS)
def test_a_simulation_finds_the_malicious_and_only_them(flower, rule):
    path = flower.home / f"{rule}.jsonl"
    status = flower.simulate(
        rule, supernodes=10, rule=rule, attack=rule, fraction_evaluate=0.0, verdicts=path,
        **SETTINGS[rule],
    )  # fmt: skip
    assert status == "finished:completed", flower.log(rule)[-3000:]
    verdicts = lines(path)
    assert [verdict["number"] for verdict in verdicts] == [1, 2, 3]
    for verdict in verdicts:
        assert (verdict["failed"], verdict["missing"], verdict["refused"]) == ({}, [], {})
        assert len(verdict["nodes"]) == 10
        assert len(malicious(verdict)) == MALICIOUS
        assert set(verdict["flagged"]) == malicious(verdict)
        assert (verdict["far"], verdict["mar"]) == (0, 0)
        assert {verdict["partitions"][node] for node in verdict["flagged"]} == {0, 1, 2}


def test_a_deployment_goes_on_when_one_node_dies_and_one_hangs():
    """A SuperLink and eight SuperNodes; two are malicious. After round 1 one dies, one stops."""
    with Flower() as flower:
        port, path = free_port(), flower.home / "verdicts.jsonl"
        folder = flower.home / "flwr"
        folder.mkdir()
        (folder / "config.toml").write_text(
            f'[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n', encoding="utf-8"
        )
        loopback = ("--insecure", "--host", "127.0.0.1", "--port")
        flower.start("superlink", "flower-superlink", *loopback, str(port))
        until(lambda: flower.runs("here") is not None, PATIENCE, lambda: flower.log("superlink"))
        nodes = [
            flower.start(
                f"node{part}", "flower-supernode", "--superlink", f"127.0.0.1:{port}", *loopback,
                str(free_port()), "--node-config", f"partition-id={part} num-partitions=8",
            )
            for part in range(8)
        ]  # fmt: skip
        process = flower.run(
            "run", ["here"], verdicts=path, rule="median", attack="median", num_malicious=2,
            min_nodes=8, fraction_evaluate=0.0, num_server_rounds=2, timeout=90,
        )  # fmt: skip
        until(lambda: lines(path), PATIENCE, lambda: flower.log("run")[-3000:])
        os.killpg(nodes[6].pid, signal.SIGKILL)
        os.killpg(nodes[7].pid, signal.SIGSTOP)
        assert flower.ended(process, "run") == 0, flower.log("run")[-3000:]
        assert flower.runs("here")[0]["status"] == "finished:completed", flower.log("run")[-3000:]
        first, second = lines(path)
        parts = {part: node for node, part in first["partitions"].items()}
        assert set(parts) == set(range(8))
        gone = {parts[6], parts[7]}
        assert set(first["flagged"]) == set(second["flagged"]) == {parts[0], parts[1]}
        assert not first["failed"]
        assert not first["missing"]
        assert {*second["failed"], *second["missing"]} == gone
        assert set(second["nodes"]) == set(parts.values()) - gone
