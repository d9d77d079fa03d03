"""Compiled twins of plain definitions: same names, same signatures, same results, less time.

`pdrr.core.dispatch.accelerated` finds them by name. A kernel module is imported when the first
suitable array arrives, never by `import pdrr`; without Numba the plain definitions do the work on
the host.
"""
