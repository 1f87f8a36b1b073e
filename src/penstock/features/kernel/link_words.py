"""The words of link plans and link states: which number stands where in which array."""

from collections import namedtuple

from penstock.features.kernel.words import META

PERSON, KEY_SIDE, VALUE_SIDE = range(3)
"""Kinds of nodes; a node of link `l` has the kind 2 * l + KEY_SIDE or 2 * l + VALUE_SIDE. A *person* is a key in any link: it
holds the frauds that are known of it."""

# Words of a node: one cache line.
CODE, KIND, BLOCK, LOG2, COUNT, LATEST, OWNER, MARK, NODE = range(9)
"""Code (0: the slot is free, and BLOCK is the next free one); kind; offset of its entries in the pool (0: none); log2 of the
words there; number of entries; time of the latest event; of a person how many key nodes it has, of a key node the slot of its
person; the number of the last question that counted the person. The entries of a person are the times of its frauds, and its
LATEST is the time of the earliest (MISSING: none)."""

E_CODE, E_LAST, E_BACK, E_SLOT, KEY_ENTRY = range(5)
"""A value in the entries of a key node: code of its node; time of the latest event of both; place in the entries of the value
(-1: not there); slot of its node."""
E_PERSON, E_RING, E_RING_LOG2, E_RING_COUNT, VALUE_ENTRY = range(4, 9)
"""A key in the entries of a value node: the same words, then the slot of the person; where in the pool the events of both lie,
log2 of the words there, and how many there are."""
SMALLEST_LOG2 = 3
"""Blocks of the pool are a cache line at least."""
POOL_START = 8
"""Offset 0 stands for no block."""

# More words of `LinkState.meta`, after those of a table: it uses SLOTS, FREE_SLOT, RING_TOP (of the pool), LARGEST (log2 of
# the largest block), TABLE_USED, SALT, LATE, TOO_LATE, OVERFLOWED, FORGOTTEN, HAND, KEY_SHIFT, KEY_TOP and PAUSED.
QUESTION, FREE_SLOTS, FREE_WORDS, LINK_META = range(META, META + 4)
"""The number of the last question; how many slots, and words of the pool, are free below their tops."""

# Columns of the plan's tables.
K_VALUE, K_WHERE, K_KINDS, K_DEGREE, K_WINDOW, K_WIDTH, K_REACH, LINK = range(8)
"""A link: the column of `codes` that holds its values, its filter (-1: none), the event types that link, `max_degree`, the
longest window, the words of an event in a ring, and how far behind the clock an event must lie to matter no more once a later
one does."""
A_LINK, A_SOURCE, A_WORD, AMOUNT = range(4)
"""An amount: its link, its column of x and its word in a ring's events."""
Q_AT, Q_WINDOW, Q_CURRENT, Q_LINKS, Q_FIRST, Q_STOP, QUESTION_WIDTH = range(7)
"""A question: the column of `codes` with the key it is about, its window, whether the event itself counts, bit l for each link,
and which answers it has."""
A_OP, A_OUT, A_DELAY, A_AMOUNT, ANSWER = range(5)
"""An answer: what it is, its column of x, the delay of frauds, and the amount."""
OTHERS, FRAUDS, FRAUD_SHARE, TOTAL, HUBS = range(5)

LinkPlan = namedtuple("LinkPlan", "lateness skew fields links amounts scales questions answers")
"""fields: what `codes` is read from (see `handles.read_keys`): first the key that is linked, then others that are asked about,
then the value of each link."""
LinkState = namedtuple("LinkState", "meta free table key_directory nodes pool found")
"""free: heads of the lists of free blocks, by log2 of their words. table, key_directory: codes to slots; see `hash_tables`.
nodes: by slot. pool: entries and rings. found: of the last question how many others, then of each answer what was counted."""
