"""An event links its key with the values that it was seen with; what no question can reach any more is taken away."""

from penstock.features.kernel.hash_tables import can_split, find_slot
from penstock.features.kernel.link_blocks import (
    append_entry,
    drop_node,
    drop_person,
    entry_at,
    entry_width,
    find_or_make,
    link_of,
    make_node,
    place_of,
    remove_entry,
    untie,
)
from penstock.features.kernel.link_rings import insert_event
from penstock.features.kernel.link_words import (
    BLOCK,
    CODE,
    COUNT,
    E_BACK,
    E_CODE,
    E_LAST,
    E_PERSON,
    E_RING_COUNT,
    E_SLOT,
    K_DEGREE,
    K_WINDOW,
    KEY_SIDE,
    KIND,
    LATEST,
    OWNER,
    PERSON,
    SMALLEST_LOG2,
    VALUE_SIDE,
)
from penstock.features.kernel.words import (
    HAND,
    KEY_SHIFT,
    KEY_TOP,
    LARGEST,
    MISSING,
    PAUSED,
    RING_TOP,
    SLOTS,
    TABLE_USED,
)
from penstock.jit import njit

_BLOCKS_AT_ONCE = 4
"""Blocks that an event enlarges at most in one link: the entries of key and value, a ring, and the frauds of a person."""


@njit(_nrt=False, error_model="numpy", forceinline=True)
def has_room(P, S):
    """Whether the arrays can take whatever one event may need; nothing has been changed yet."""
    nodes = 2 * P.links.shape[0] + 1
    words = _BLOCKS_AT_ONCE * P.links.shape[0] << max(S.meta[LARGEST] + 1, SMALLEST_LOG2)
    return (
        S.meta[SLOTS] + nodes <= S.nodes.shape[0]
        and S.meta[RING_TOP] + words <= S.pool.shape[0]
        and can_split(S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, nodes, nodes)
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def forgotten_until(P, link, clock):
    """What happened by this time is reached by no question about a link any more."""
    return clock - P.lateness - P.links[link, K_WINDOW]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def is_known(P, S, code, clock):
    """Whether there is a node that a question can still reach."""
    slot = find_slot(S, code)
    return slot >= 0 and S.nodes[slot, LATEST] > forgotten_until(P, link_of(S.nodes[slot]), clock)


@njit(_nrt=False, error_model="numpy")
def link_up(P, S, link, person_code, key_code, value_code, time, clock, x, i):
    """A key was seen with a value."""
    person = find_or_make(S, person_code, PERSON)
    key_slot, value_slot = find_slot(S, key_code), find_or_make(S, value_code, 2 * link + VALUE_SIDE)
    if key_slot < 0:
        key_slot = make_node(S, key_code, 2 * link + KEY_SIDE)
        S.nodes[key_slot, OWNER] = person
        S.nodes[person, OWNER] += 1
    key, value = S.nodes[key_slot], S.nodes[value_slot]
    key[LATEST], value[LATEST] = max(key[LATEST], time), max(value[LATEST], time)
    of_key = place_of(S, key, value_code)
    of_value = S.pool[entry_at(key, of_key) + E_BACK] if of_key >= 0 else -1
    if of_value < 0:
        of_value = place_of(S, value, key_code)
    last = time
    if of_key >= 0:
        last = max(last, S.pool[entry_at(key, of_key) + E_LAST])
    if of_value >= 0:
        last = max(last, S.pool[entry_at(value, of_value) + E_LAST])
    if of_key < 0:
        of_key = _enter(S, key_slot, value_code, last, P.links[link, K_DEGREE] + 1)
    if of_value < 0:
        of_value = _enter(S, value_slot, key_code, last, P.links[link, K_DEGREE] + 2)
    if of_key >= 0:
        _lay(S, entry_at(key, of_key), last, of_value, value_slot)
    if of_value >= 0:
        at = entry_at(value, of_value)
        if S.pool[at + E_LAST] <= forgotten_until(P, link, clock):  # as if it had been taken away already
            S.pool[at + E_RING_COUNT] = 0
        _lay(S, at, last, of_key, key_slot)
        S.pool[at + E_PERSON] = person
        insert_event(P, S, at, link, time, clock, x, i)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _lay(S, at, last, back, slot):
    S.pool[at + E_LAST], S.pool[at + E_BACK], S.pool[at + E_SLOT] = last, back, slot


@njit(_nrt=False, error_model="numpy")
def _enter(S, slot, code, last, most):
    """The place of a new entry; where a node has as many as it may, it takes that of the oldest, or is left out as such (-1).

    A node with more entries than `most` is a hub for every question that reaches the oldest, which is asked about no more.
    """
    node, width = S.nodes[slot], entry_width(S.nodes[slot])
    if node[COUNT] < most:
        place = append_entry(S, node)
        S.pool[entry_at(node, place) + E_CODE] = code
        return place
    oldest = 0
    for place in range(1, node[COUNT]):
        if _is_before(S, node[BLOCK] + place * width, node[BLOCK] + oldest * width):
            oldest = place
    at = node[BLOCK] + oldest * width
    if (last, code) < (S.pool[at + E_LAST], S.pool[at + E_CODE]):
        return -1
    untie(S, node, oldest)
    S.pool[at + E_CODE] = code
    if node[KIND] & 1 != KEY_SIDE:
        S.pool[at + E_RING_COUNT] = 0
    return oldest


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_before(S, one, other):
    """Whether an entry is older than another; of the same time, that with the smaller code."""
    if S.pool[one + E_LAST] != S.pool[other + E_LAST]:
        return S.pool[one + E_LAST] < S.pool[other + E_LAST]
    return S.pool[one + E_CODE] < S.pool[other + E_CODE]


# ---------------------------------------------------------------- frauds


@njit(_nrt=False, error_model="numpy")
def tell(S, code, time, change):
    """A key's event of this time is known to be fraud (+1), or is no longer (-1)."""
    slot = find_slot(S, code)
    if slot < 0:
        if change < 0:
            return
        slot = make_node(S, code, PERSON)
    node = S.nodes[slot]
    if change > 0:
        S.pool[entry_at(node, append_entry(S, node))] = time
    else:
        place = place_of(S, node, time)
        if place < 0:
            return
        node[COUNT] -= 1
        S.pool[node[BLOCK] + place] = S.pool[node[BLOCK] + node[COUNT]]
    node[LATEST] = MISSING
    for place in range(node[COUNT]):
        fraud = S.pool[node[BLOCK] + place]
        node[LATEST] = fraud if node[LATEST] == MISSING else min(node[LATEST], fraud)
    drop_person(S, slot)


# ---------------------------------------------------------------- what is out of reach


@njit(_nrt=False, error_model="numpy")
def sweep_links(P, S, clock, slots):
    """Look at the next few slots in turn, and take away what no question reaches any more."""
    if S.meta[PAUSED]:
        return
    for _ in range(min(slots, S.meta[SLOTS])):
        hand = S.meta[HAND] + 1 if S.meta[HAND] + 1 < S.meta[SLOTS] else 0
        S.meta[HAND] = hand
        node = S.nodes[hand]
        if node[CODE] == 0 or node[KIND] == PERSON:
            continue
        until = forgotten_until(P, link_of(node), clock)
        for place in range(node[COUNT] - 1, -1, -1):
            if S.pool[entry_at(node, place) + E_LAST] <= until:
                _remove_both(S, hand, place)
        if node[COUNT] == 0 and node[LATEST] <= until:
            drop_node(S, hand)


@njit(_nrt=False, error_model="numpy")
def _remove_both(S, slot, place):
    """Take away an entry and its counterpart."""
    at = entry_at(S.nodes[slot], place)
    back, other = S.pool[at + E_BACK], S.pool[at + E_SLOT]
    remove_entry(S, slot, place)
    if back >= 0:
        remove_entry(S, other, back)
