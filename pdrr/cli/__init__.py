"""Command line: ``python -m pdrr`` or ``pdrr``; the Makefile calls the same."""
