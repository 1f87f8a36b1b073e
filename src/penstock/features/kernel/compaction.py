"""A table moved together: the keys that are left, in arrays of the size that they need."""

from penstock.features.kernel.extremes import summarise
from penstock.features.kernel.hash_tables import place_distinct, place_key
from penstock.features.kernel.rings import take_ring
from penstock.features.kernel.words import (
    ARENA_START,
    FIRST,
    FREE_SLOT,
    HAND,
    KEY,
    LARGEST,
    LOG2,
    NO_RING,
    RING,
    RING_TOP,
    SALT,
    SLOT,
    SLOTS,
    TABLE_USED,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def compact(P, old, new, order, moved):
    """Fill the empty state `new`, whose arrays have room, with the keys of `old` in the slots of `order`.

    order: every slot that holds a key, those with the largest rings first. moved: room for the new slot of each old one.
    """
    largest = new.meta[LARGEST]
    for word in range(new.meta.shape[0]):
        new.meta[word] = old.meta[word]
    new.meta[HAND] = 0
    new.meta[FREE_SLOT] = -1
    new.meta[RING_TOP] = ARENA_START
    new.meta[LARGEST] = largest
    for at in range(order.shape[0]):
        row = new.rows[at]
        for word in range(row.shape[0]):
            row[word] = old.rows[order[at], word]
        row[SLOT] = at
        moved[order[at]] = at
        place_key(new.table, new.meta[SALT], row[KEY], at)
        if row[RING] != NO_RING:
            ring = row[RING]
            row[RING] = take_ring(new, row[LOG2])
            for entry in range(1 << row[LOG2]):
                for word in range(new.ring.shape[1]):
                    new.ring[row[RING] + entry, word] = old.ring[ring + entry, word]
            if P.extremes.shape[0] > 0:
                summarise(P, new, row, row[FIRST])
    new.meta[SLOTS] = new.meta[TABLE_USED] = order.shape[0]
    fields = P.distincts.shape[0]
    for at in range(old.distinct.shape[0]):
        owner = old.distinct[at, 0]
        if owner > 0:
            owner = moved[(owner - 1) // fields] * fields + (owner - 1) % fields + 1
        if owner != 0:  # below 0: an event that was kept out, whatever the slots
            place_distinct(new.distinct, new.meta[SALT], owner, old.distinct[at, 1], old.distinct[at, 2])
