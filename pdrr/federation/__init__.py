"""Rounds of federated averaging, trained once and kept."""
