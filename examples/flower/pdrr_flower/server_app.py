"""The ServerApp: one line decides who aggregates."""

from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Strategy

from pdrr import beyond
from pdrr.flower import PDRR, PDRRFilter
from pdrr_flower import task

app = ServerApp()
Q = {"krum": 0.5, "trimmed_mean": 0.9, "median": 0.6}


def make_strategy(context: Context) -> Strategy:
    """The strategy that the run configuration names."""
    settings = context.run_config
    rule, share = str(settings["rule"]), float(settings["share"])
    nodes = int(settings["min-nodes"])
    usual = {
        "fraction_evaluate": float(settings["fraction-evaluate"]),
        "min_train_nodes": nodes,
        "min_evaluate_nodes": nodes,
        "min_available_nodes": nodes,
    }
    own = {"krum": {"c": share}, "trimmed_mean": {"beta": share}, "median": {}}[rule]
    told = {"truth_key": "malicious", "verdicts_path": str(settings["verdicts"]) or None}
    q = float(settings["q"]) or Q[rule]
    if settings["strategy"] == "pdrr":
        return PDRR(rule, q=q, **own, **told, **usual)
    if settings["strategy"] == "filter":
        return PDRRFilter(FedAvg(**usual), rule, q=q, weight_cap=3, **own, **told)
    if settings["strategy"] == "improved":
        return PDRR(rule, detector=beyond.improved("median"), **own, **told, **usual)
    if settings["strategy"] == "fedavg":
        return FedAvg(**usual)
    raise ValueError(
        f"strategy needs to be pdrr, filter, improved or fedavg, got {settings['strategy']!r}"
    )


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation."""
    settings = context.run_config
    x, y = task.load_test_data()

    def try_out(_: int, arrays: ArrayRecord) -> MetricRecord:
        loss, accuracy = task.evaluate({k: v.numpy() for k, v in arrays.items()}, x, y)
        return MetricRecord({"loss": loss, "accuracy": accuracy})

    make_strategy(context).start(
        grid,
        ArrayRecord({name: Array(array) for name, array in task.new_model().items()}),
        num_rounds=int(settings["num-server-rounds"]),
        timeout=float(settings["timeout"]),
        evaluate_fn=try_out,
    )
