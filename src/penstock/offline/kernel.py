"""From rows to columns: a replay's features are computed row by row and handed out column by column."""

from penstock.jit import njit


@njit
def spread(x, places, out, start):
    """Write columns of rows x (n, width) into rows of `out`, from `start` on; place -1 is no column."""
    for i in range(x.shape[0]):
        for k in range(places.shape[0]):
            if places[k] >= 0:
                out[k, start + i] = x[i, places[k]]
