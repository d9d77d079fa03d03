"""What the aggregators, PDRR and their peers cost: `python -m benchmarks --help`."""
