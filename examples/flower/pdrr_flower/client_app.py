"""The ClientApp: an honest client trains; a malicious one sends what it has crafted."""

import tempfile
from pathlib import Path

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from pdrr_flower import task

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the model that came, on this client's images."""
    settings, number = context.run_config, int(message.content["config"]["server-round"])
    partition = int(context.node_config["partition-id"])
    partitions = int(context.node_config["num-partitions"])
    sent = {name: array.numpy() for name, array in message.content["arrays"].items()}
    x, y = task.load_data(partition, partitions)
    epochs, rate = int(settings["local-epochs"]), float(settings["learning-rate"])
    malicious = partition < int(settings["num-malicious"]) and settings["attack"] != "none"
    if malicious:
        model = task.crafted(
            sent, number, partition, partitions, int(settings["num-malicious"]),
            str(settings["attack"]), round(float(settings["share"]) * partitions), epochs, rate,
            folder=Path(tempfile.gettempdir()) / f"pdrr-attack-{context.run_id}",
        )  # fmt: skip
    else:
        model = task.train(sent, x, y, epochs, rate, seed=partition + 100 * number)
    loss, _ = task.evaluate(model, x, y)
    content = RecordDict(
        {
            "arrays": ArrayRecord({name: Array(array) for name, array in model.items()}),
            "metrics": MetricRecord({"num-examples": len(y), "train-loss": loss}),
            "about": ConfigRecord({"partition-id": partition, "malicious": malicious}),
        }
    )
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Try the global model on this client's images."""
    model = {name: array.numpy() for name, array in message.content["arrays"].items()}
    partition = int(context.node_config["partition-id"])
    x, y = task.load_data(partition, int(context.node_config["num-partitions"]))
    loss, accuracy = task.evaluate(model, x, y)
    told = {"num-examples": len(y), "eval-loss": loss, "eval-accuracy": accuracy}
    return Message(content=RecordDict({"metrics": MetricRecord(told)}), reply_to=message)
