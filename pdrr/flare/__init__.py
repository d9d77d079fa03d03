"""PDRR in an NVIDIA FLARE job: `PDRRAggregator` takes the aggregator's place in a FedAvg recipe."""

from pdrr.flare.aggregator import PDRRAggregator

__all__ = ["PDRRAggregator"]
