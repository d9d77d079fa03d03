"""``python -m pdrr``."""

from pdrr.cli import main

main()
