"""Array machinery shared by rules, attacks and detectors; not public."""
