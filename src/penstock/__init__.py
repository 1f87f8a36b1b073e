"""Penstock decides about every transaction while it happens: approve, review or block."""

__version__ = "0.1.0"

from penstock.compilation import choose_cache as _choose_cache

_choose_cache()  # before anything imports numba
