"""Compiled transposition of replayed features from rows to columns."""

from penstock.jit import njit


@njit
def spread(x, places, out, start):
    """Write columns of rows x (n, width) into rows of `out`, from `start` on; place -1 is no column."""
    for i in range(x.shape[0]):
        for k in range(places.shape[0]):
            if places[k] >= 0:
                out[k, start + i] = x[i, places[k]]
