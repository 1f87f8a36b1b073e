"""The numba side of `claims`: which ids were seen, in blocks of slots that split as they fill.

Extendible hashing: a directory maps the top bits of a mixed code to a block of 4,096 slots; a block that is full is
split in two, so that no insert ever waits for more than one block. A slot is two words: the 64-bit code, and the
sequence number (40 bits) and the time of arrival (24 bits, in units of the table, modulo 2^24).
"""

import numpy as np

from penstock.jit import njit

BLOCK = 4096
FULL = 3600
EMPTY = 0
TIME_BITS = 24
_TIME_MASK = (1 << TIME_BITS) - 1
AHEAD = 16
_NEVER = -(2**63)
_VOID = -1
"""The value of a slot whose claim was taken back."""


@njit(cache=False, inline="always")
def _mixed(code, salt):
    h = np.uint64(code) * salt
    return h ^ (h >> np.uint64(29))


@njit(cache=False, inline="always")
def _block_of(h, shift, directory):
    return directory[np.int64(h >> np.uint64(shift))] if shift < 64 else directory[0]


@njit(cache=False, inline="always")
def _live(value, now, keep):
    return value != _VOID and ((now - value) & _TIME_MASK) <= keep


@njit(cache=False, inline="always")
def _slot_of(slots, block, h, code):
    """The slot of a code in its block, or the empty one where it belongs. A block is never quite full."""
    at = np.int64(h & np.uint64(BLOCK - 1))
    base = block * BLOCK
    while slots[base + at, 0] != EMPTY and slots[base + at, 0] != code:
        at = (at + 1) & (BLOCK - 1)
    return base + at


@njit(cache=False, inline="always")
def _home(h, shift, directory):
    """Where the search for a mixed code begins."""
    return _block_of(h, shift, directory) * BLOCK + np.int64(h & np.uint64(BLOCK - 1))


@njit
def claim_rows(
    slots, used, directory, shift, salt, codes, arrived_us, newest_us, last_us, unit, keep, start, seq, writing, out
):
    """Look up rows from `start` on, and claim the new ones with consecutive sequence numbers from `seq`.

    newest_us: the latest arrival before these; a clock that steps back counts as standing still. last_us: the latest
    arrival that times modulo 2^24 can still tell apart. unit: microseconds of a unit, as a power of two; below 0 where
    nothing is ever forgotten. Returns (row, seq, latest arrival) where it stopped: at the end, at a row that arrived
    after `last_us`, or at one whose block must be split first.
    """
    touched = np.int64(0)
    touched = np.int64(0)
    for row in range(start, codes.shape[0]):
        if (row - start) % AHEAD == 0 and row + 1 < codes.shape[0]:  # ask for all their slots before any is needed
            for k in range(row, min(row + AHEAD, codes.shape[0])):
                touched ^= slots[_home(_mixed(codes[k], salt), shift, directory), 0]
        arrival = max(arrived_us[row], newest_us)
        if arrival > last_us:
            return row, seq, newest_us
        newest_us = arrival
        code = codes[row]
        out[row] = -1
        if code == 0:
            seq += 1
            continue
        h = _mixed(code, salt)
        block = _block_of(h, shift, directory)
        at = _slot_of(slots, block, h, code)
        now = np.int64(0) if unit < 0 else (arrival >> unit) & _TIME_MASK
        if slots[at, 0] == code and _live(slots[at, 1], now, keep):
            out[row] = slots[at, 1] >> TIME_BITS
            continue
        if writing:
            if slots[at, 0] == EMPTY:
                if used[block] >= FULL:
                    return row, seq, newest_us
                used[block] += 1
                slots[at, 0] = code
            slots[at, 1] = (seq << TIME_BITS) | now
        seq += 1
    if touched == _NEVER:  # so that no compiler thinks the loads can go
        out[0] = -1
    return codes.shape[0], seq, newest_us


@njit
def restore_rows(slots, used, directory, shift, salt, codes, times, seqs, start):
    """Put known claims back, the latest of equal codes (an earlier one had expired); returns the row where it stopped."""
    for row in range(start, codes.shape[0]):
        code = codes[row]
        if code == 0:
            continue
        h = _mixed(code, salt)
        block = _block_of(h, shift, directory)
        at = _slot_of(slots, block, h, code)
        if slots[at, 0] == EMPTY:
            if used[block] >= FULL:
                return row
            used[block] += 1
            slots[at, 0] = code
            slots[at, 1] = (seqs[row] << TIME_BITS) | times[row]
        elif slots[at, 1] == _VOID or (slots[at, 1] >> TIME_BITS) < seqs[row]:
            slots[at, 1] = (seqs[row] << TIME_BITS) | times[row]
    return codes.shape[0]


@njit
def void_rows(slots, directory, shift, salt, codes, first, stop):
    """Take back claims with sequence numbers in [first, stop)."""
    for row in range(codes.shape[0]):
        if codes[row] != 0:
            h = _mixed(codes[row], salt)
            at = _slot_of(slots, _block_of(h, shift, directory), h, codes[row])
            seq = slots[at, 1] >> TIME_BITS
            if slots[at, 0] == codes[row] and slots[at, 1] != _VOID and first <= seq < stop:
                slots[at, 1] = _VOID


@njit
def block_of_code(directory, shift, salt, code):
    """The block a code belongs to."""
    return _block_of(_mixed(code, salt), shift, directory)


@njit
def deal(slots, used, scratch, source, target, bit, salt, now, keep):
    """Rewrite block `source` without what has expired; where `bit` of the mixed code is set, into `target`.

    With `target == source` it only sweeps. Returns the number of slots that were freed.
    """
    n = 0
    base = source * BLOCK
    for k in range(BLOCK):
        if slots[base + k, 0] != EMPTY:
            if _live(slots[base + k, 1], now, keep):
                scratch[n, 0] = slots[base + k, 0]
                scratch[n, 1] = slots[base + k, 1]
                n += 1
            slots[base + k, 0] = EMPTY
    freed = used[source] - n
    used[source] = 0
    for k in range(n):
        h = _mixed(scratch[k, 0], salt)
        block = target if (h >> np.uint64(bit)) & np.uint64(1) == 1 else source
        at = _slot_of(slots, block, h, scratch[k, 0])
        slots[at, 0] = scratch[k, 0]
        slots[at, 1] = scratch[k, 1]
        used[block] += 1
    return freed
