"""``python -m pdrr``."""

from pdrr.cli.main import main

main()
