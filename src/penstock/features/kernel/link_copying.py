"""Nodes as flat records, and back: what a snapshot holds and a digest is made of, wherever things lie in memory.

A record is code, kind, latest time, code of the person, number of entries, and the entries: of a person times; of a key
(code, last); of a value (code, last, code of the person, number of events, their words).
"""

from penstock.features.kernel.hash_tables import can_split, find_slot
from penstock.features.kernel.link_blocks import (
    append_entry,
    enlarged_block,
    entry_at,
    find_or_make,
    link_of,
    node_code,
    place_of,
)
from penstock.features.kernel.link_rings import out_of_reach
from penstock.features.kernel.link_words import (
    CODE,
    COUNT,
    E_BACK,
    E_CODE,
    E_LAST,
    E_PERSON,
    E_RING,
    E_RING_COUNT,
    E_RING_LOG2,
    E_SLOT,
    K_REACH,
    K_VALUE,
    K_WIDTH,
    KEY_SIDE,
    KIND,
    LATEST,
    OWNER,
    PERSON,
    SMALLEST_LOG2,
    VALUE_SIDE,
)
from penstock.features.kernel.link_writing import forgotten_until
from penstock.features.kernel.words import KEY_SHIFT, KEY_TOP, RING_TOP, SLOTS, TABLE_USED
from penstock.jit import njit

HEAD = 5
"""Words of a record before its entries."""
_KEY_HEAD, _VALUE_HEAD = 2, 4


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_held(P, node, clock):
    """Whether a node holds anything that matters."""
    if node[CODE] == 0:
        return False
    return node[COUNT] > 0 if node[KIND] == PERSON else node[LATEST] > forgotten_until(P, link_of(node), clock)


@njit(_nrt=False, error_model="numpy")
def most_words(P, S, slot):
    """The words that the record of a node takes at most."""
    node = S.nodes[slot]
    if node[KIND] == PERSON or node[KIND] & 1 == KEY_SIDE:
        return HEAD + _KEY_HEAD * node[COUNT]
    words, width = HEAD + _VALUE_HEAD * node[COUNT], P.links[link_of(node), K_WIDTH]
    for place in range(node[COUNT]):
        words += S.pool[entry_at(node, place) + E_RING_COUNT] * width
    return words


@njit(_nrt=False, error_model="numpy")
def copy_nodes(P, S, slots, at, stop, copied, clock, out, used):
    """Write the records of nodes, each once: those in `slots` from place `at` on, or, without slots, from slot `at` on.

    Returns the place to go on from where `out` is full; used[0]: the words in it.
    """
    while at < stop:
        slot = slots[at] if slots.shape[0] else at
        if 0 <= slot < copied.shape[0] and not copied[slot]:
            if _is_held(P, S.nodes[slot], clock):
                if used[0] + most_words(P, S, slot) > out.shape[0]:
                    return at
                used[0] = _record(P, S, S.nodes[slot], clock, out, used[0])
            copied[slot] = True
        at += 1
    return at


@njit(_nrt=False, error_model="numpy")
def _record(P, S, node, clock, out, to):
    """Write the record of a node; returns where the next one begins."""
    head, to = to, to + HEAD
    out[head], out[head + 1], out[head + 2], out[head + 3], out[head + 4] = node[CODE], node[KIND], node[LATEST], 0, 0
    if node[KIND] == PERSON:
        for place in range(node[COUNT]):
            out[to + place] = S.pool[entry_at(node, place)]
        out[head + 4] = node[COUNT]
        return to + node[COUNT]
    is_key = node[KIND] & 1 == KEY_SIDE
    if is_key:
        out[head + 3] = S.nodes[node[OWNER], CODE]
    for place in range(node[COUNT]):
        at = entry_at(node, place)
        if S.pool[at + E_LAST] <= forgotten_until(P, link_of(node), clock):
            continue
        out[head + 4] += 1
        out[to], out[to + 1] = S.pool[at + E_CODE], S.pool[at + E_LAST]
        to += _KEY_HEAD
        if not is_key:
            out[to] = S.nodes[S.pool[at + E_PERSON], CODE]
            to = _events(P, S, link_of(node), at, clock, out, to + 1)
    return to


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _events(P, S, link, at, clock, out, to):
    """Write the events that a question can still tell apart; totals are counted from the first that is out of reach."""
    width, until = P.links[link, K_WIDTH], clock - P.links[link, K_REACH]
    gone = out_of_reach(S, at, width, until)
    first, count = S.pool[at + E_RING] + gone * width, S.pool[at + E_RING_COUNT] - gone
    out[to] = count
    to += 1
    for event in range(count):
        out[to] = S.pool[first + event * width]
        for word in range(1, width):
            before = S.pool[first + word] if S.pool[first] <= until else 0
            out[to + word] = S.pool[first + event * width + word] - before
        to += width
    return to


@njit(_nrt=False, error_model="numpy")
def codes_touched(links, codes, out):
    """The node codes that events with these codes may change: of persons, keys and values, one row for each event."""
    for i in range(codes.shape[0]):
        out[i, 0] = codes[i, 0]
        for link in range(links.shape[0]):
            out[i, 1 + 2 * link] = node_code(codes[i, 0], link, KEY_SIDE)
            out[i, 2 + 2 * link] = node_code(codes[i, links[link, K_VALUE]], link, VALUE_SIDE)


@njit(_nrt=False, error_model="numpy")
def slots_of_nodes(S, codes, out):
    """The slot of each node, -1 where it is not there."""
    for i in range(codes.shape[0]):
        out[i] = find_slot(S, codes[i]) if codes[i] else -1


# ---------------------------------------------------------------- back


@njit(_nrt=False, error_model="numpy")
def bring_nodes(P, S, records, at):
    """Take in records from a place on; returns the place of the first for which there is no room."""
    while at < records.shape[0]:
        end = _end_of(P, records, at)
        nodes = 2
        if not (
            S.meta[SLOTS] + nodes <= S.nodes.shape[0]
            and S.meta[RING_TOP] + room_for(end - at) <= S.pool.shape[0]
            and can_split(S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, nodes, nodes)
        ):
            return at
        _bring(P, S, records, at)
        at = end
    return at


@njit(_nrt=False, error_model="numpy", forceinline=True)
def room_for(words):
    """Words of the pool that a record of so many takes at most, with the blocks that it outgrows."""
    return 8 * (words + (1 << SMALLEST_LOG2))


@njit(_nrt=False, error_model="numpy")
def _end_of(P, records, at):
    """Where the record that begins here ends."""
    kind, count, to = records[at + 1], records[at + 4], at + HEAD
    if kind == PERSON:
        return to + count
    if kind & 1 == KEY_SIDE:
        return to + _KEY_HEAD * count
    for _ in range(count):
        to += _VALUE_HEAD + records[to + 3] * P.links[(kind - 1) >> 1, K_WIDTH]
    return to


@njit(_nrt=False, error_model="numpy")
def _bring(P, S, records, at):
    code, kind, latest, person_code, count = records[at], records[at + 1], records[at + 2], records[at + 3], records[at + 4]
    slot = find_or_make(S, code, kind)
    node, at = S.nodes[slot], at + HEAD
    node[LATEST] = latest
    if kind == PERSON:
        for time in records[at : at + count]:
            S.pool[entry_at(node, append_entry(S, node))] = time
        return
    is_key = kind & 1 == KEY_SIDE
    if is_key:
        node[OWNER] = find_or_make(S, person_code, PERSON)
        S.nodes[node[OWNER], OWNER] += 1
    for _ in range(count):
        to = entry_at(node, append_entry(S, node))
        S.pool[to + E_CODE], S.pool[to + E_LAST], S.pool[to + E_BACK] = records[at], records[at + 1], -1
        at += _KEY_HEAD
        if not is_key:
            S.pool[to + E_PERSON] = records[at]  # its code: see `tie_nodes`
            at = _bring_events(S, to, P.links[(kind - 1) >> 1, K_WIDTH], records, at + 1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _bring_events(S, to, width, records, at):
    words = records[at] * width
    S.pool[to + E_RING_COUNT] = records[at]
    while not S.pool[to + E_RING] or 1 << S.pool[to + E_RING_LOG2] < words:
        ring = S.pool[to + E_RING]
        S.pool[to + E_RING] = enlarged_block(S, ring, S.pool[to + E_RING_LOG2], 0)
        S.pool[to + E_RING_LOG2] = S.pool[to + E_RING_LOG2] + 1 if ring else SMALLEST_LOG2
    for word in range(words):
        S.pool[S.pool[to + E_RING] + word] = records[at + 1 + word]
    return at + 1 + words


@njit(_nrt=False, error_model="numpy")
def tie_nodes(S):
    """Let the entries of values know their persons, and entries of either side their counterparts."""
    for slot in range(S.meta[SLOTS]):
        node = S.nodes[slot]
        if node[CODE] == 0 or node[KIND] == PERSON or node[KIND] & 1 == KEY_SIDE:
            continue
        for place in range(node[COUNT]):
            at = entry_at(node, place)
            S.pool[at + E_PERSON] = find_slot(S, S.pool[at + E_PERSON])
            key_slot = find_slot(S, S.pool[at + E_CODE])
            back = place_of(S, S.nodes[key_slot], node[CODE]) if key_slot >= 0 else -1
            S.pool[at + E_BACK], S.pool[at + E_SLOT] = back, key_slot
            if back >= 0:
                to = entry_at(S.nodes[key_slot], back)
                S.pool[to + E_BACK], S.pool[to + E_SLOT] = place, slot
    for slot in range(S.meta[SLOTS]):
        node = S.nodes[slot]
        if node[CODE] == 0 or node[KIND] == PERSON or node[KIND] & 1 != KEY_SIDE:
            continue
        for place in range(node[COUNT]):
            at = entry_at(node, place)
            if S.pool[at + E_BACK] < 0:  # the value has so many others that it does not hold this key
                S.pool[at + E_SLOT] = find_slot(S, S.pool[at + E_CODE])
