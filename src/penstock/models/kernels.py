"""The arithmetic of serving, compiled: every model kind ends in one of these loops.

Float sums run in a fixed order and no fast-math is used, so a row's result does not depend on its neighbours. Indices
of trees are unsigned: numba otherwise tests each one for Python's counting from the end, which halves the speed.
Speeds in the docstrings were measured on one core with 200 trees of depth 6 over 20 features.
"""

import numpy as np

from penstock.jit import njit

_U = np.uint64
_ONE = np.uint64(1)
_LANES = np.uint64(8)
"""Traversals in flight at once: eight rows of one tree, or eight trees for one row. One alone waits for memory."""

_TILE = np.uint64(16)
"""Trees taken through all rows before the next ones, so that they stay in the nearest cache."""

_SURE = 20.0
"""The largest calibrated log-odds either way: a probability of 2e-9 from certainty."""

# ---------------------------------------------------------------- inputs


@njit
def pick(x, columns, out):
    """Columns of x (n, width) into out (n, k); a text has no column in x and is left for `encode_columns`."""
    width = x.shape[1]
    for i in range(x.shape[0]):
        for f in range(columns.shape[0]):
            out[i, f] = x[i, columns[f]] if columns[f] < width else np.nan


@njit(cache=False)
def _encoded(code, keys, numbers, start, stop, unseen):
    if code == 0:
        return np.nan
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < code:
            low = middle + 1
        else:
            high = middle
    return numbers[low] if low < stop and keys[low] == code else unseen


@njit
def encode(codes, keys, numbers, unseen, out):
    """The numbers that stand for texts: keys are sorted codes; 0, the code of null, is NaN."""
    for i in range(codes.shape[0]):
        out[i] = _encoded(codes[i], keys, numbers, 0, keys.shape[0], unseen)


@njit
def encode_columns(codes, columns, coded, starts, keys, numbers, unseen, out):
    """`encode` for each of the inputs `coded`, from the columns of codes (n, text width) that `columns` names.

    The tables of all inputs lie end to end in keys and numbers; starts (inputs + 1,) bounds each.
    """
    for t in range(coded.shape[0]):
        f = coded[t]
        for i in range(codes.shape[0]):
            out[i, f] = _encoded(codes[i, columns[f]], keys, numbers, starts[t], starts[t + 1], unseen[t])


# ---------------------------------------------------------------- linear models


@njit(cache=False)
def _term(value, table, f):
    if np.isnan(value):
        return table[5, f]
    value = min(max(value, table[1, f]), table[2, f])
    if table[0, f] > 0.0:
        value = np.copysign(np.log1p(abs(value)), value)
    return table[3, f] * value + table[4, f]


@njit
def linear(x, table, intercept, out):
    """Log-odds of each row of x (n, k) by the table of `Preprocessing.table`, into out (n,)."""
    for i in range(x.shape[0]):
        total = intercept
        for f in range(x.shape[1]):
            total += _term(x[i, f], table, f)
        out[i] = total


@njit
def linear_terms(x, table, out):
    """The terms that `linear` adds up, into out (n, k)."""
    for i in range(x.shape[0]):
        for f in range(x.shape[1]):
            out[i, f] = _term(x[i, f], table, f)


# ---------------------------------------------------------------- calibration and the ensemble's sum


@njit(cache=False)
def _calibrated(raw, knots, levels, slopes, count, m):
    """Log-odds at a raw output: linear between the knots; a separate slope applies below the first and above the last."""
    if raw <= knots[m, 0]:
        return levels[m, 0] + slopes[m, 0] * (raw - knots[m, 0])
    last = count - 1
    if raw >= knots[m, last]:
        return levels[m, last] + slopes[m, 1] * (raw - knots[m, last])
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if knots[m, middle] <= raw:
            low = middle
        else:
            high = middle
    share = (raw - knots[m, low]) / (knots[m, high] - knots[m, low])
    return levels[m, low] + share * (levels[m, high] - levels[m, low])


@njit
def calibrate(raw, knots, levels, slopes, counts, weights, members, ensemble):
    """Raw outputs (m, n) to calibrated probabilities members (m, n) and their weighted sum ensemble (n,)."""
    ensemble[:] = 0.0
    for m in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            level = _calibrated(raw[m, i], knots, levels, slopes, counts[m], m)
            probability = 1.0 / (1.0 + np.exp(-min(max(level, -_SURE), _SURE)))
            members[m, i] = probability
            ensemble[i] += weights[m] * probability


@njit
def calibrate_rows(raw, knots, levels, slopes, counts, weights, out):
    """As `calibrate`, row by row: the weighted sum, then each member's probability, into out (n, 1 + m)."""
    for i in range(out.shape[0]):
        out[i, 0] = 0.0
        for m in range(raw.shape[0]):
            level = _calibrated(raw[m, i], knots, levels, slopes, counts[m], m)
            probability = 1.0 / (1.0 + np.exp(-min(max(level, -_SURE), _SURE)))
            out[i, 1 + m] = probability
            out[i, 0] += weights[m] * probability


# ---------------------------------------------------------------- trees: scores


@njit
def both_ways(x, like):
    """Rows in the trees' precision, every feature twice: where it is missing, as -inf at 2f and as +inf at 2f + 1.

    A split that sends missing values left reads the first, one that sends them right the second, so a missing value
    costs the traversal nothing.
    """
    n, k = x.shape
    out = np.empty((n, 2 * k), like.dtype)
    for i in range(n):
        for f in range(k):
            out[i, 2 * f] = x[i, f]
            out[i, 2 * f + 1] = x[i, f]
            if np.isnan(x[i, f]):
                out[i, 2 * f] = -np.inf
                out[i, 2 * f + 1] = np.inf
    return out


@njit(cache=False)
def _step(rows, row, column, threshold, tree, node):
    at = tree + node
    return node + node + _U(not (rows[row + _U(column[at])] < threshold[at]))


@njit(cache=False, inline="always")  # called once; left to LLVM, many rows take a quarter longer
def _eight_rows(rows, row, width, column, threshold, leaf, tree, leaves, depth, total, at):
    r0 = row
    r1 = r0 + width
    r2 = r1 + width
    r3 = r2 + width
    r4 = r3 + width
    r5 = r4 + width
    r6 = r5 + width
    r7 = r6 + width
    a = b = c = d = e = f = g = h = _ONE
    for _ in range(depth):
        a = _step(rows, r0, column, threshold, tree, a)
        b = _step(rows, r1, column, threshold, tree, b)
        c = _step(rows, r2, column, threshold, tree, c)
        d = _step(rows, r3, column, threshold, tree, d)
        e = _step(rows, r4, column, threshold, tree, e)
        f = _step(rows, r5, column, threshold, tree, f)
        g = _step(rows, r6, column, threshold, tree, g)
        h = _step(rows, r7, column, threshold, tree, h)
    first = tree - leaves
    total[at] += leaf[first + a]
    total[at + _U(1)] += leaf[first + b]
    total[at + _U(2)] += leaf[first + c]
    total[at + _U(3)] += leaf[first + d]
    total[at + _U(4)] += leaf[first + e]
    total[at + _U(5)] += leaf[first + f]
    total[at + _U(6)] += leaf[first + g]
    total[at + _U(7)] += leaf[first + h]


@njit(cache=False)
def _eight_trees(rows, row, column, threshold, leaf, tree, leaves, depth, total):
    t0 = tree
    t1 = t0 + leaves
    t2 = t1 + leaves
    t3 = t2 + leaves
    t4 = t3 + leaves
    t5 = t4 + leaves
    t6 = t5 + leaves
    t7 = t6 + leaves
    a = b = c = d = e = f = g = h = _ONE
    for _ in range(depth):
        a = _step(rows, row, column, threshold, t0, a)
        b = _step(rows, row, column, threshold, t1, b)
        c = _step(rows, row, column, threshold, t2, c)
        d = _step(rows, row, column, threshold, t3, d)
        e = _step(rows, row, column, threshold, t4, e)
        f = _step(rows, row, column, threshold, t5, f)
        g = _step(rows, row, column, threshold, t6, g)
        h = _step(rows, row, column, threshold, t7, h)
    total += leaf[t0 - leaves + a]
    total += leaf[t1 - leaves + b]
    total += leaf[t2 - leaves + c]
    total += leaf[t3 - leaves + d]
    total += leaf[t4 - leaves + e]
    total += leaf[t5 - leaves + f]
    total += leaf[t6 - leaves + g]
    total += leaf[t7 - leaves + h]
    return total


@njit
def padded_scores(x, column, threshold, leaf, base, out):
    """The sums of leaves for rows x (n, k), starting at `base`, in the precision of `leaf`: out (n,), float64.

    Trees are padded to full ones of one depth, nodes in heap order from 1: column and threshold are (trees, 2^depth)
    with place 0 unused, leaf is (trees, 2^depth). A step is x < threshold ? left : right. One row takes 1.7 us, each
    of many 0.84 us.
    """
    n, k = x.shape
    trees, full = leaf.shape
    depth = 0
    while (1 << depth) < full:
        depth += 1
    rows = both_ways(x, threshold).ravel()
    columns, thresholds, values = column.ravel(), threshold.ravel(), leaf.ravel()
    width, leaves, count = _U(2 * k), _U(full), _U(trees)
    total = np.empty(n, leaf.dtype)
    total[:] = base
    whole = _U(n - n % 8)
    first = _U(0)
    while first < count and whole > 0:
        last = min(first + _TILE, count)
        for at in range(_U(0), whole, _LANES):
            for t in range(first, last):
                _eight_rows(rows, at * width, width, columns, thresholds, values, t * leaves, leaves, depth, total, at)
        first = last
    for at in range(whole, _U(n)):
        total[at] = _row(rows, at * width, columns, thresholds, values, leaves, count, depth, total[at])
    for i in range(n):  # a loop, since `out[:] = total` compiles numba's text handling for its error message
        out[i] = total[i]


@njit(cache=False)
def _row(rows, row, column, threshold, leaf, leaves, count, depth, total):
    tree = _U(0)
    whole = (count - count % _LANES) * leaves
    while tree < whole:
        total = _eight_trees(rows, row, column, threshold, leaf, tree, leaves, depth, total)
        tree += _LANES * leaves
    while tree < count * leaves:
        node = _ONE
        for _ in range(depth):
            node = _step(rows, row, column, threshold, tree, node)
        total += leaf[tree - leaves + node]
        tree += leaves
    return total
