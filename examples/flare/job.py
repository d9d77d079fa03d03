"""Eight sites, three of them malicious, three rounds: `python job.py` runs them on this machine."""

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
from client import CLASSES, FEATURES
from nvflare.app_common.np.recipes import NumpyFedAvgRecipe
from nvflare.recipe import SimEnv

from pdrr.flare import PDRRAggregator

HERE = Path(__file__).parent


def main():
    """Make the job, run it in the simulator, and say where things are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--malicious", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="Sites at the same time.  [all]")
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    arguments = parser.parse_args()
    if shlex.split(sys.executable) != [sys.executable]:  # it starts its sites by a line of words
        told = "FLARE's simulator needs a Python without spaces in its path"
        parser.error(f"{told}, got {sys.executable}")
    arguments.workspace.mkdir(parents=True, exist_ok=True)
    verdicts = arguments.workspace.resolve() / "verdicts.jsonl"
    recipe = NumpyFedAvgRecipe(
        name="pdrr",
        model=np.zeros((CLASSES, FEATURES), np.float32).tolist(),
        min_clients=arguments.clients,
        num_rounds=arguments.rounds,
        train_script=str(HERE / "client.py"),
        train_args=f"--malicious {arguments.malicious}",
        aggregator=PDRRAggregator(
            "trimmed_mean", beta=arguments.malicious, q=0.9, verdicts_path=str(verdicts)
        ),
    )
    workspace = str(arguments.workspace.resolve())
    simulator = SimEnv(
        num_clients=arguments.clients, num_threads=arguments.threads, workspace_root=workspace
    )
    recipe.execute(simulator)
    print(verdicts.read_text("utf-8"), end="")


if __name__ == "__main__":
    main()
