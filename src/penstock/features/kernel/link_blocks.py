"""Nodes, their entries and the events of an entry: rooms in one pool, in sizes of powers of two."""

from penstock.features.kernel.handles import mixed
from penstock.features.kernel.hash_tables import find_slot, place_key, remove_key
from penstock.features.kernel.link_words import (
    BLOCK,
    CODE,
    COUNT,
    E_BACK,
    E_RING,
    E_RING_LOG2,
    E_SLOT,
    FREE_SLOTS,
    FREE_WORDS,
    KEY_ENTRY,
    KEY_SIDE,
    KIND,
    LATEST,
    LOG2,
    OWNER,
    PERSON,
    SMALLEST_LOG2,
    VALUE_ENTRY,
)
from penstock.features.kernel.words import FORGOTTEN, FREE_SLOT, LARGEST, MISSING, PAUSED, RING_TOP, SLOTS
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def node_code(code, link, side):
    """The code of the node that a key, or a value, has in a link; 0 where it is null."""
    return mixed(code, 2 * link + side)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def entry_width(node):
    """Words of an entry of a node."""
    if node[KIND] == PERSON:
        return 1
    return KEY_ENTRY if node[KIND] & 1 == KEY_SIDE else VALUE_ENTRY


@njit(_nrt=False, error_model="numpy", forceinline=True)
def link_of(node):
    """The link that a node belongs to."""
    return (node[KIND] - 1) >> 1


# ---------------------------------------------------------------- the pool


@njit(_nrt=False, error_model="numpy")
def take_block(S, log2):
    """The offset of a block of 2^log2 words; there is room for it."""
    block = S.free[log2]
    if block:
        S.free[log2] = S.pool[block]
        S.meta[FREE_WORDS] -= 1 << log2
        return block
    block = S.meta[RING_TOP]
    S.meta[RING_TOP] += 1 << log2
    S.meta[LARGEST] = max(S.meta[LARGEST], log2)
    return block


@njit(_nrt=False, error_model="numpy")
def give_block(S, block, log2):
    """Return a block; 0 is none."""
    if block:
        S.pool[block] = S.free[log2]
        S.free[log2] = block
        S.meta[FREE_WORDS] += 1 << log2


@njit(_nrt=False, error_model="numpy")
def enlarged_block(S, block, log2, words):
    """The offset of a block twice as long, or of a first one, to which these words have been moved."""
    if not block:
        return take_block(S, SMALLEST_LOG2)
    fresh = take_block(S, log2 + 1)
    for word in range(words):
        S.pool[fresh + word] = S.pool[block + word]
    give_block(S, block, log2)
    return fresh


# ---------------------------------------------------------------- nodes


@njit(_nrt=False, error_model="numpy")
def make_node(S, code, kind):
    """The slot of a node that was not there; there is room for it."""
    slot = S.meta[FREE_SLOT]
    if slot >= 0:
        S.meta[FREE_SLOT] = S.nodes[slot, BLOCK]
        S.meta[FREE_SLOTS] -= 1
    else:
        slot = S.meta[SLOTS]
        S.meta[SLOTS] += 1
    node = S.nodes[slot]
    node[:] = 0
    node[CODE], node[KIND], node[LATEST] = code, kind, MISSING
    place_key(S, code, slot)
    return slot


@njit(_nrt=False, error_model="numpy")
def find_or_make(S, code, kind):
    """The slot of a node; there is room for it."""
    slot = find_slot(S, code)
    return slot if slot >= 0 else make_node(S, code, kind)


@njit(_nrt=False, error_model="numpy")
def drop_node(S, slot):
    """Take away a node that has no entries, and its person if nothing is left of it."""
    node = S.nodes[slot]
    if node[KIND] != PERSON and node[KIND] & 1 == KEY_SIDE:
        S.nodes[node[OWNER], OWNER] -= 1
        drop_person(S, node[OWNER])
    give_block(S, node[BLOCK], node[LOG2])
    remove_key(S, node[CODE])
    node[CODE] = 0
    node[BLOCK] = S.meta[FREE_SLOT]
    S.meta[FREE_SLOT] = slot
    S.meta[FREE_SLOTS] += 1
    S.meta[FORGOTTEN] += 1


@njit(_nrt=False, error_model="numpy")
def drop_person(S, slot):
    """Take away a person without links and frauds, unless a copy is being taken."""
    node = S.nodes[slot]
    if node[OWNER] or node[COUNT] or S.meta[PAUSED]:
        return
    give_block(S, node[BLOCK], node[LOG2])
    remove_key(S, node[CODE])
    node[CODE] = 0
    node[BLOCK] = S.meta[FREE_SLOT]
    S.meta[FREE_SLOT] = slot
    S.meta[FREE_SLOTS] += 1


# ---------------------------------------------------------------- entries


@njit(_nrt=False, error_model="numpy", forceinline=True)
def entry_at(node, place):
    """Where the words of an entry begin in the pool."""
    return node[BLOCK] + place * entry_width(node)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def place_of(S, node, code):
    """The place of the entry with this code, or -1."""
    width = entry_width(node)
    for place in range(node[COUNT]):
        if S.pool[node[BLOCK] + place * width] == code:
            return place
    return -1


@njit(_nrt=False, error_model="numpy")
def append_entry(S, node):
    """The place of a new entry of zeros; there is room for it."""
    width, place = entry_width(node), node[COUNT]
    if not node[BLOCK] or (place + 1) * width > 1 << node[LOG2]:
        fresh = enlarged_block(S, node[BLOCK], node[LOG2], place * width)
        node[LOG2] = node[LOG2] + 1 if node[BLOCK] else SMALLEST_LOG2
        node[BLOCK] = fresh
    node[COUNT] += 1
    at = node[BLOCK] + place * width
    for word in range(width):
        S.pool[at + word] = 0
    return place


@njit(_nrt=False, error_model="numpy")
def remove_entry(S, slot, place):
    """Take an entry off a node, and the tie of its counterpart; the last entry takes its place."""
    node = S.nodes[slot]
    untie(S, node, place)
    at, last = entry_at(node, place), node[COUNT] - 1
    if node[KIND] & 1 != KEY_SIDE:
        give_block(S, S.pool[at + E_RING], S.pool[at + E_RING_LOG2])
    node[COUNT] = last
    if place == last:
        return
    moved = entry_at(node, last)
    for word in range(entry_width(node)):
        S.pool[at + word] = S.pool[moved + word]
    tie(S, node, place)


@njit(_nrt=False, error_model="numpy")
def tie(S, node, place):
    """Let the counterpart of an entry know where it stands now."""
    at = entry_at(node, place)
    if S.pool[at + E_BACK] >= 0:
        other = S.nodes[S.pool[at + E_SLOT]]
        S.pool[entry_at(other, S.pool[at + E_BACK]) + E_BACK] = place


@njit(_nrt=False, error_model="numpy")
def untie(S, node, place):
    """Let the counterpart of an entry know that it is going."""
    at = entry_at(node, place)
    if S.pool[at + E_BACK] >= 0:
        other = S.nodes[S.pool[at + E_SLOT]]
        S.pool[entry_at(other, S.pool[at + E_BACK]) + E_BACK] = -1
