"""Schemes that are not in the paper, one file each; see `pdrr.beyond`."""
