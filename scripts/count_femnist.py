"""Count what the book says of the real data: ``python scripts/count_femnist.py femnist.npz``."""

import json
import sys

from pdrr import data
from pdrr.book import captions

if __name__ == "__main__":
    told = captions.count(data.load(sys.argv[1]))
    captions.COUNTED.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    print(captions.sentence(told))
