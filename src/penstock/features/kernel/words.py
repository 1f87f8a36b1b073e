"""The layout of the arrays of plans and states: names of their columns and words."""

from collections import namedtuple

import numpy as np

STATE_FORMAT = 5
"""Raise it when the arrays change their meaning: snapshots of other formats are rebuilt from the log."""
MISSING = np.int64(-(2**63))
"""No value: in a channel, an item, a distinct code or a time."""
NO_EVENT = 63
"""The event type of a query: no feature counts it, so that a key's features are read unchanged."""
LARGEST_SUM = np.int64(1) << 62
FANOUT_LOG2 = 4
SMALLEST_RING_LOG2 = 2
SCANNED_RING_LOG2 = 4
"""Up to this size a ring is scanned for a distinct value; the table of distinct values holds those of larger rings, and of all
time.
"""
VALUES_AT_ONCE = 1 << (SCANNED_RING_LOG2 + 1)
"""An upper bound of the distinct values of one field that enter their table when a ring becomes too large to scan."""
NO_RING, NOTHING, ARENA_START = 0, 4, 8
"""Places of the arena that belong to no key: a ring for rows that have none, an entry of zeros, the first free place."""
BLOCK = 32
"""Events whose spans are turned into features together."""
KEYS_AHEAD, ROWS_AHEAD, ENTRIES_AHEAD, AHEAD_SLOTS = 24, 16, 8, 32
"""How many events ahead a key's place, its row and its ring entries are asked for; how many slots are kept on the way."""
LINE = 8
"""Words of a cache line."""
ROW_AHEAD = 512
"""How many words of a row are asked for ahead at most: a sketch is longer than an event touches."""
SWEEP = 4
"""Events per slot that is checked for an idle key: a full round takes four times as many events as there are keys."""
ALL_KEYS, KNOWN_KEYS, NO_KEYS, REFUSED = 0, 1, 2, 4
"""Admission of an event: to all of its keys, only to keys with a row, or to none; REFUSED is added where a key was refused."""
RETIRE_EVERY = 8
"""Events of a key between two removals of entries that no window reaches; a power of two."""

# Words of a row; cursors follow, then counters, the totals before the oldest entry, and the items (`Sizes`).
KEY, SLOT, RING, LOG2, FIRST, END, NEWEST, TOUCHED, READ_AT, BASE, CURSORS = range(11)
"""Key code; the row's own slot; offset of the ring (NO_RING: none); log2 of its capacity; absolute positions
of the oldest entry and of the place after the newest;
newest time of an event of the key, taken in or not; stream clock or event time, the later, at the last write; time the
cursors stand at; newest time among entries that left the ring (MISSING: none)."""

# Words of `State.meta`. AT_HAND: up to how many words of rows and rings a core's own cache holds. KEY_SHIFT, VALUE_SHIFT:
# how far a mixed code is shifted to its place in a directory. KEY_TOP, VALUE_TOP: where the next block of a hash table begins.
# PAUSED: whether no key is swept, because a snapshot is being taken.
SLOTS, FREE_SLOT, RING_TOP, LARGEST, TABLE_USED, DISTINCT_USED, SALT = range(7)
LATE, TOO_LATE, OVERFLOWED, FORGOTTEN, HAND, AT_HAND, KEY_SHIFT, KEY_TOP, VALUE_SHIFT, VALUE_TOP, PAUSED, META = range(7, 19)

# Lines of `State.scratch`.
VALUES, EXACT_VALUES, ITEM_VALUES, DISTINCT_VALUES, LABEL_VALUES, AHEAD, SCRATCH = range(7)

# What `handles.advance` passes to the plan's own function; addresses and lengths of the batch's arrays.
CALL_HANDLE, CALL_N, CALL_KEYS, CALL_KINDS, CALL_TIMES, CALL_CLOCKS, CALL_KEEP, CALL_ADMISSION, CALL_SEQUENCE = range(9)
CALL_X, CALL_WIDTH, CALL_CODES, CALL_TEXTS, CALL_READ, CALL_WRITE, CALL_WORDS = range(9, 16)

# The rare ways: see `rare.rare`.
RARE_EVENT, RARE_KEY, RARE_PLACE, RARE_GUARD = range(4)

# Aggregates.
COUNT, SUM, MEAN, STD, LABELS, LABEL_RATE, MIN, MAX, DISTINCT, QUANTILE, MODE, SHARE_OF_TOP, ENTROPY = range(13)
APPROX_QUANTILE, SESSION_COUNT, SESSION_SUM, SESSION_DURATION, LAST, SINCE_LAST, FIRST_VALUE, SINCE_FIRST = range(13, 21)
"""Their order says how they are made: up to STD from spans alone, from QUANTILE to ENTROPY by a scan, from LAST on from what
the row remembers."""

# Columns of the plan's tables, all int64.
F_OP, F_OUT, F_ROLE, F_LOW, F_HIGH, F_SOURCE, F_COUNTER, F_CURRENT, F_WINDOW, F_TEXT, F_SPAN, F_MOST, F_RANK, F_WIDTH = range(
    14
)
"""F_COUNTER: the counter, extreme or session that is read; of what scans the word of the row that holds what it keeps for the
next time (a quantile its last answer, from which the search begins; a frequency the turn in which it counted); of an
approximate quantile the word at which its sketch begins. F_MOST: how many values are scanned; F_RANK: which quantile, in units
of RANKS."""
G_ROLE, G_LOW, G_HIGH, G_SOURCE, G_CURRENT, G_COUNT, G_SUM, G_SQUARES, G_WIDTH = range(9)
"""A span: one channel within one window, which any number of features read. G_COUNT, G_SUM, G_SQUARES: the channel's
columns in a ring entry (-1: none; positions are counts)."""
SPAN_COUNT, SPAN_SUM, SPAN_HIGH, SPAN_LOW, SPAN_WORDS = range(5)
C_SOURCE, C_WHERE, C_KINDS, C_ROLES, C_COUNT, C_SUM, C_SQUARES, C_VALUE, C_ABSOLUTE, C_EVER, C_TEXT, C_WIDTH = range(12)
I_SOURCE, I_TEXT, I_WHERE, I_KINDS, I_ROLES, I_RING, I_ROW, I_WIDTH = range(8)
D_SOURCE, D_TEXT, D_WHERE, D_KINDS, D_ROLES, D_RING, D_EVER, D_WIDTH = range(8)
L_WHERE, L_KINDS, L_ROLES, L_RING, L_WIDTH = range(5)
K_LABEL, K_LOW, K_HIGH, K_SOURCE, K_SKETCH, K_WIDTH = range(6)
"""What watches a window: labels, different values, or a sketch of a channel. K_SKETCH: the word of the row at which the sketch
begins; -1 for the others, which are one number."""
Z_CHANNEL, Z_GAP, Z_RING, Z_WIDTH = range(4)
"""A session: the events of a channel, none of which comes more than Z_GAP microseconds after the one before."""
SESSION_LAST, SESSION_START, SESSION_BEFORE, SESSION_BEFORE_SUM, SESSION_WORDS = range(5)
"""Words of a session in a ring entry: the time of the latest event that counts, as `time ^ MISSING`, so that 0 is none; the
time of the session's first event; and the channel's count and sum before that."""
RANKS = 1_000_000
"""Units of F_RANK in 1.0."""
SKETCH_MIDDLE, SKETCH_GROUP = 2048, 64
SKETCH_WORDS = 2 * SKETCH_MIDDLE // SKETCH_GROUP + SKETCH_MIDDLE
"""Words of a sketch in a row: sums of SKETCH_GROUP buckets each, then its buckets, two in a word. SKETCH_MIDDLE: that of 0."""
T_WORD, T_COUNT, T_TURN, T_LOG, T_WIDTH = range(5)
T_TIMES = T_LOG
"""Columns of the tables of `State.tally`: a value, how often it was counted, in which turn; and by the line's number n: in the
first table n * log2(n) in 2^-LOG_BITS, in the others how many values were counted n times."""
T_FREE, T_HIGHEST, _, T_SPREAD, T_START, T_END, T_USED = range(7)
"""Words after the lines of a table, its T_TURN among them: how many lines may still be taken, how often the most frequent value
was counted, the sum of n * log2(n), which positions were counted, and how many turns of others it outlasts. Of the first table:
a salt, and the newest turn."""
LOG_BITS = 32
LAST_VALUE, LAST_TIME, OLD_VALUE, OLD_TIME, FIRST_WORD, FIRST_TIME, ITEM_WIDTH = range(7)
"""Words of an item in the row: the last value and its time, the same among entries that left the ring, the first."""

Sizes = namedtuple(
    "Sizes",
    "skew lateness retention horizon keeps_rows counters totals total_words items row_width ring_width sequence "
    "stepping mourns summed known_kinds labels_kind recalls",
)
"""Times in microseconds; places of the row's sections; widths; the ring column of the sequence number (-1: none);
whether cursors must step entry by entry because counters watch them; whether an entry that leaves has more than totals;
how many features, the first, are made from spans alone; bit k: whether events of type k are taken in; the type of labels that
became known; whether labels count after their events have left the ring, so that those kept out must be remembered."""

Plan = namedtuple("Plan", "sizes keys offsets features spans channels scales extremes items distincts labels counters sessions")
"""What is computed for one entity. keys: the fields that keys are made of, in order of roles (role, text?, column).
offsets: cursor c stands before the first entry with time > t - offsets[c]; offsets[0] is -skew.
scales: units per 1.0 by channel. extremes: (channel, minimum?) by row of `State.blocks`."""

State = namedtuple(
    "State", "meta free table rows ring blocks levels distinct scratch blank spans key_directory value_directory tally"
)
"""meta, free list heads by ring size, key table (code, slot), rows, rings, block summaries (extreme, flattened
levels), start of each level, last positions of distinct values (slot and field, code, position; not those of rings that
are scanned) and events kept out as too late (-1 - role, sequence, 0), what the kernel reads from one event (a line each for
channels rounded and unrounded, items, distinct fields and labels), the row of an unknown key, the content of every span for
each event of a block, where the blocks of the two hash tables begin (see `hash_tables`), and the lines in which the values of a
window are counted (see `aggregates.frequencies`)."""
