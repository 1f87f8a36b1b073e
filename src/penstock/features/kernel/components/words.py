"""The words of the plans and states of rings: which number stands where in which array."""

from collections import namedtuple

from penstock.features.kernel.words import META

MOST_KEYS = 1000
"""Keys of a component at most: what would make a larger one is not united."""
NEVER = 1 << 62

CODE, PARENT, KEYS, TOTAL, FIRST, JOINS, HEAD, TAIL, NEXT, FRAUDS, EARLIEST, VALUES = range(12)
"""A node: its code (0: it is a known fraud, with its time as FIRST and the same key's one before as NEXT); the slot of its
parent (-1: it is a root). Of a root: how many keys and nodes there are, the time of the first sighting, the first and the last
key with known frauds, and, from VALUES on, how many values of each link. Of a value how many components it has joined. Of a key
with known frauds the next one of the component, its own latest fraud, and the time of its earliest (NEVER: none is left)."""

START, NOW, RING_META = range(META, META + 3)
"""More words of `RingState.meta`: when the epoch begins; the stream's clock at the row where room was missing."""

Q_AT, Q_CURRENT, Q_OP, Q_OUT, Q_DELAY, Q_LINK, QUESTION_WIDTH = range(7)
"""A question: the column of `codes` with the key, whether the event itself counts, what is asked, its column of x, the delay of
frauds, and the link whose values are counted."""
SIZE, KNOWN_FRAUDS, DISTINCT, AGE = range(4)
G_KEYS, G_FIRST, G_VALUES = range(3)
"""What was gathered: keys, first sighting, values of each link; behind these, the roots."""

RingPlan = namedtuple("RingPlan", "lateness window degree where kinds values fields questions")
"""where: the filter (-1: none); kinds: event types that link, as bits; values: the column of `codes` of each link; fields: see
`handles.read_keys`: the key that is linked, others that are asked about, the values."""
RingState = namedtuple("RingState", "meta table key_directory nodes gathered")
