"""Rings: connected components of keys and the values that they were seen with, over two overlapping epochs of event time.

An epoch is a union-find that is only ever added to. Components are united by size, so the way to a root is short without being
compressed, and an event changes only what it names, the roots of that, and the last of a root's known frauds.
"""

import numpy as np

from penstock.features.kernel.components.words import (
    AGE,
    CODE,
    DISTINCT,
    EARLIEST,
    FIRST,
    FRAUDS,
    G_FIRST,
    G_KEYS,
    G_VALUES,
    HEAD,
    JOINS,
    KEYS,
    MOST_KEYS,
    NEVER,
    NEXT,
    NOW,
    PARENT,
    Q_AT,
    Q_CURRENT,
    Q_DELAY,
    Q_LINK,
    Q_OP,
    Q_OUT,
    SIZE,
    START,
    TAIL,
    TOTAL,
    VALUES,
)
from penstock.features.kernel.hash_tables import can_split, find_slot, place_key
from penstock.features.kernel.link_blocks import node_code
from penstock.features.kernel.link_words import VALUE_SIDE
from penstock.features.kernel.words import (
    KEY_SHIFT,
    KEY_TOP,
    KNOWN_KEYS,
    NO_EVENT,
    NO_KEYS,
    REFUSED,
    SLOTS,
    TABLE_USED,
    TOO_LATE,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def apply_rings(P, S, N, start, codes, kinds, times, arrived, clock, moves, keep, admission, x, read, write):
    """Read and write rings for events in arrival order, from row `start` on; S, N: the older epoch and the newer.

    For the arguments see `links.apply_links`. Returns the row at which the next epoch begins or an array is full, or n.
    """
    for i in range(kinds.shape[0]):
        counted = min(times[i], arrived[i])
        now = max(clock, counted)
        clock = now if moves else clock
        if i < start:
            continue
        begin = now // P.window * P.window
        if write and (N.meta[START] != begin or not has_room(P, S) or not has_room(P, N)):
            N.meta[NOW] = now
            return i
        kind = np.int64(kinds[i])
        links = (P.kinds >> kind) & 1 == 1 and (P.where < 0 or x[i, P.where] == 1.0)
        in_time = times[i] >= now - P.lateness and counted >= begin - P.window
        if read and kind in (0, NO_EVENT):
            own = links and in_time
            if S.meta[START] == begin - P.window:
                _ask(P, S, True, codes[i], own, counted, now, x[i])
            else:
                _ask(P, N, N.meta[START] == begin - P.window, codes[i], own, counted, now, x[i])
        if write and keep[i] and links and codes[i, 0] != 0:
            if not in_time:
                N.meta[TOO_LATE] += 1
            elif admission[i] & NO_KEYS or (admission[i] & KNOWN_KEYS and not _is_known(P, N, codes[i])):
                admission[i] |= REFUSED
            else:
                _join(P, S, codes[i], counted)
                _join(P, N, codes[i], counted)
    return kinds.shape[0]


@njit(_nrt=False, error_model="numpy")
def tell_ring(P, S, code, time, change):
    """A key's event became known to be fraud, or is no longer: False where the arrays must be enlarged first."""
    if not has_room(P, S):
        return False
    slot = find_slot(S, code)
    if time < S.meta[START] or (slot < 0 and change < 0):
        return True
    slot = _find_or_make(S, code, -1)
    node = S.nodes[slot]
    if change > 0:
        if node[FRAUDS] < 0:
            _list(S, S.nodes[root_of(S, slot)], slot, slot)
        fraud = _new(S)
        S.nodes[fraud, FIRST], S.nodes[fraud, NEXT] = time, node[FRAUDS]
        node[FRAUDS] = fraud
    fraud, taken = node[FRAUDS], change > 0
    node[EARLIEST] = NEVER
    while fraud >= 0:
        if not taken and S.nodes[fraud, FIRST] == time:
            S.nodes[fraud, FIRST], taken = NEVER, True
        node[EARLIEST] = min(node[EARLIEST], S.nodes[fraud, FIRST])
        fraud = S.nodes[fraud, NEXT]
    return True


# ---------------------------------------------------------------- questions


@njit(_nrt=False, error_model="numpy")
def _ask(P, S, begun, codes, own, counted, now, out):
    """Answer all questions from an epoch (begun: whether there is one), in which an event counts at a time."""
    for question in range(P.questions.shape[0]):
        Q = P.questions[question]
        key = codes[Q[Q_AT]]
        if key == 0:
            out[Q[Q_OUT]] = np.nan
            continue
        roots = _gather(P, S, begun, key, codes, own and Q[Q_CURRENT] == 1, counted, now)
        if Q[Q_OP] == SIZE:
            out[Q[Q_OUT]] = float(S.gathered[G_KEYS])
        elif Q[Q_OP] == DISTINCT:
            out[Q[Q_OUT]] = float(S.gathered[G_VALUES + Q[Q_LINK]])
        elif Q[Q_OP] == AGE:
            out[Q[Q_OUT]] = (now - S.gathered[G_FIRST]) / 1e6
        else:
            out[Q[Q_OUT]] = float(_known_frauds(P, S, roots, now - Q[Q_DELAY]))


@njit(_nrt=False, error_model="numpy")
def _gather(P, S, begun, key, codes, own, counted, now):
    """Add up the components that hold a key, once the event itself has linked it if it does; returns how many they are."""
    G, roots = S.gathered, np.int64(0)
    G[:] = 0
    G[G_FIRST] = now
    slot = find_slot(S, key) if begun else np.int64(-1)
    if slot >= 0:
        roots = _add(P, S, roots, root_of(S, slot))
    else:
        G[G_KEYS] = 1
    for link in range(P.values.shape[0]):
        code = node_code(codes[P.values[link]], link, VALUE_SIDE) if own else np.int64(0)
        if code == 0:
            continue
        slot = find_slot(S, code) if begun else np.int64(-1)
        if slot < 0:
            G[G_VALUES + link] += 1
            G[G_FIRST] = min(G[G_FIRST], counted)
            continue
        root, met = root_of(S, slot), False
        for place in range(roots):
            met = met or S.gathered[G_VALUES + P.values.shape[0] + place] == root
        if met or (S.nodes[slot, JOINS] <= P.degree and G[G_KEYS] + S.nodes[root, KEYS] <= MOST_KEYS):
            G[G_FIRST] = min(G[G_FIRST], counted)
            roots = roots if met else _add(P, S, roots, root)
    return roots


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _add(P, S, roots, root):
    """Add one more component to what was gathered."""
    G, links = S.gathered, P.values.shape[0]
    G[G_KEYS] += S.nodes[root, KEYS]
    G[G_FIRST] = min(G[G_FIRST], S.nodes[root, FIRST])
    for link in range(links):
        G[G_VALUES + link] += S.nodes[root, VALUES + link]
    G[G_VALUES + links + roots] = root
    return roots + 1


@njit(_nrt=False, error_model="numpy")
def _known_frauds(P, S, roots, until):
    """How many keys of the gathered components have a known fraud that is not after a time."""
    found = np.int64(0)
    for place in range(roots):
        key = S.nodes[S.gathered[G_VALUES + P.values.shape[0] + place], HEAD]
        while key >= 0:
            found += S.nodes[key, EARLIEST] <= until
            key = S.nodes[key, NEXT]
    return found


# ---------------------------------------------------------------- components


@njit(_nrt=False, error_model="numpy", forceinline=True)
def has_room(P, S):
    """Whether the arrays can take whatever one event or label may need; nothing has been changed yet."""
    nodes = P.values.shape[0] + 2
    return S.meta[SLOTS] + nodes <= S.nodes.shape[0] and can_split(
        S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, nodes, nodes
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def root_of(S, slot):
    """The root of a node's component."""
    while S.nodes[slot, PARENT] >= 0:
        slot = S.nodes[slot, PARENT]
    return slot


@njit(_nrt=False, error_model="numpy")
def _join(P, S, codes, counted):
    """Let an event link its key with its values in an epoch, unless it counts before the epoch begins."""
    if counted < S.meta[START]:
        return
    for link in range(P.values.shape[0]):
        code = node_code(codes[P.values[link]], link, VALUE_SIDE)
        if code == 0:
            continue
        key, value = _find_or_make(S, codes[0], -1), _find_or_make(S, code, link)
        one, other = root_of(S, key), root_of(S, value)
        if one != other:
            if S.nodes[value, JOINS] > P.degree or S.nodes[one, KEYS] + S.nodes[other, KEYS] > MOST_KEYS:
                continue
            S.nodes[value, JOINS] += 1
            one = _unite(P, S, one, other)
        S.nodes[one, FIRST] = min(S.nodes[one, FIRST], counted)


@njit(_nrt=False, error_model="numpy")
def _unite(P, S, one, other):
    """Hang the smaller of two components below the root of the larger, which is returned."""
    top, low = (one, other) if S.nodes[one, TOTAL] >= S.nodes[other, TOTAL] else (other, one)
    root, below = S.nodes[top], S.nodes[low]
    below[PARENT] = top
    root[KEYS] += below[KEYS]
    root[TOTAL] += below[TOTAL]
    root[FIRST] = min(root[FIRST], below[FIRST])
    for link in range(P.values.shape[0]):
        root[VALUES + link] += below[VALUES + link]
    if below[HEAD] >= 0:
        _list(S, root, below[HEAD], below[TAIL])
    return top


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _list(S, root, first, last):
    """Append keys with known frauds, the first of which leads to the last, to those of a root."""
    if root[HEAD] < 0:
        root[HEAD] = first
    else:
        S.nodes[root[TAIL], NEXT] = first
    root[TAIL] = last


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _new(S):
    """The slot of a new node without a code; there is room for it."""
    slot = S.meta[SLOTS]
    S.meta[SLOTS] += 1
    node = S.nodes[slot]
    node[:] = 0
    node[PARENT] = node[HEAD] = node[TAIL] = node[NEXT] = node[FRAUDS] = -1
    node[FIRST] = node[EARLIEST] = NEVER
    return slot


@njit(_nrt=False, error_model="numpy")
def _find_or_make(S, code, link):
    """The slot of a value of a link, or, without a link, of a key."""
    slot = find_slot(S, code)
    if slot < 0:
        slot = _new(S)
        S.nodes[slot, CODE], S.nodes[slot, TOTAL] = code, 1
        S.nodes[slot, KEYS if link < 0 else VALUES + link] = 1
        place_key(S, code, slot)
    return slot


@njit(_nrt=False, error_model="numpy")
def _is_known(P, S, codes):
    """Whether an event names nothing that is new to an epoch."""
    known = find_slot(S, codes[0]) >= 0
    for link in range(P.values.shape[0]):
        code = node_code(codes[P.values[link]], link, VALUE_SIDE)
        known = known and (code == 0 or find_slot(S, code) >= 0)
    return known


# ---------------------------------------------------------------- copies


@njit(_nrt=False, error_model="numpy")
def nodes_touched(P, S, codes, out):
    """The slots that events with these codes may change, of three for each key and value: itself, its root, the root's last
    key with known frauds; -1 where there is none.
    """
    at = 0
    for i in range(codes.shape[0]):
        for link in range(-1, P.values.shape[0]):
            code = codes[i, 0] if link < 0 else node_code(codes[i, P.values[link]], link, VALUE_SIDE)
            slot = find_slot(S, code) if code else np.int64(-1)
            root = root_of(S, slot) if slot >= 0 else np.int64(-1)
            out[at], out[at + 1], out[at + 2] = slot, root, S.nodes[root, TAIL] if root >= 0 else np.int64(-1)
            at += 3


@njit(_nrt=False, error_model="numpy")
def place_nodes(S, slot):
    """Find nodes by their codes again, from a slot on; returns the first for which there is no room."""
    while slot < S.meta[SLOTS]:
        if not can_split(S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, 1, 1):
            return slot
        if S.nodes[slot, CODE]:
            place_key(S, S.nodes[slot, CODE], slot)
        slot += 1
    return slot
