"""Draw the README's picture from the recorded runs: ``make picture``."""

from pathlib import Path

from pdrr.book import figures
from pdrr.experiments.records import recorded

RULES = {
    "Krum": ("fig04", {"noise": "ball"}),
    "trimmed mean": ("fig06", {"beta": 10}),
    "median": ("fig07", {}),
}

if __name__ == "__main__":
    parts = {
        rule: recorded(stem).where(seed=1, c=20, knowledge="partial", **own)
        for rule, (stem, own) in RULES.items()
    }
    target = Path("book/_static/readme.png")
    target.write_bytes(figures.overview(parts).png())
    print(f"wrote {target}")
