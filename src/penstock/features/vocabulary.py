"""Every kind of aggregate: what it takes, how far it looks, and the opcode of the kernel that computes it."""

from typing import Literal, NamedTuple

from penstock.features.kernel import link_words
from penstock.features.kernel import words as k
from penstock.features.kernel.components import words as component_words


class AggregateKind(NamedTuple):
    """A kind of aggregate.

    op: the kernel's opcode: of links one of `kernel.link_words`, of rings of `kernel.components.words`, else one of
    `kernel.words`. field: nothing, numbers or any values are aggregated. looks: over a window; back `within` a time, or for
    ever, at earlier events alone; over the current session; or over a window at the other keys that were seen with the same
    values, or at all that these connect. whole: it can look at all of history. gives_field: it has the type of its field.
    labels: it changes when a label becomes known.
    """

    op: int
    field: Literal["nothing", "numbers", "values"] = "nothing"
    looks: Literal["window", "within", "back", "session", "links", "ring"] = "window"
    whole: bool = True
    gives_field: bool = False
    labels: bool = False


KINDS = {
    "count": AggregateKind(k.COUNT),
    "sum": AggregateKind(k.SUM, "numbers"),
    "mean": AggregateKind(k.MEAN, "numbers"),
    "std": AggregateKind(k.STD, "numbers"),
    "min": AggregateKind(k.MIN, "numbers"),
    "max": AggregateKind(k.MAX, "numbers"),
    "median": AggregateKind(k.QUANTILE, "numbers", whole=False),
    "quantile": AggregateKind(k.QUANTILE, "numbers", whole=False),
    "approx_quantile": AggregateKind(k.APPROX_QUANTILE, "numbers", whole=False),
    "distinct": AggregateKind(k.DISTINCT, "values"),
    "mode": AggregateKind(k.MODE, "values", whole=False, gives_field=True),
    "share_of_top": AggregateKind(k.SHARE_OF_TOP, "values", whole=False),
    "entropy": AggregateKind(k.ENTROPY, "values", whole=False),
    "label_count": AggregateKind(k.LABELS, labels=True),
    "label_rate": AggregateKind(k.LABEL_RATE, labels=True),
    "session_count": AggregateKind(k.SESSION_COUNT, looks="session", whole=False),
    "session_sum": AggregateKind(k.SESSION_SUM, "numbers", looks="session", whole=False),
    "session_duration": AggregateKind(k.SESSION_DURATION, looks="session", whole=False),
    "last": AggregateKind(k.LAST, "values", looks="within", gives_field=True),
    "first": AggregateKind(k.FIRST_VALUE, "values", looks="back", gives_field=True),
    "since_last": AggregateKind(k.SINCE_LAST, looks="within"),
    "since_first": AggregateKind(k.SINCE_FIRST, looks="back"),
    "linked": AggregateKind(link_words.OTHERS, looks="links"),
    "linked_frauds": AggregateKind(link_words.FRAUDS, looks="links", labels=True),
    "linked_fraud_share": AggregateKind(link_words.FRAUD_SHARE, looks="links", labels=True),
    "linked_amount": AggregateKind(link_words.TOTAL, "numbers", looks="links"),
    "linked_hubs": AggregateKind(link_words.HUBS, looks="links"),
    "ring": AggregateKind(component_words.SIZE, looks="ring", whole=False),
    "ring_frauds": AggregateKind(component_words.KNOWN_FRAUDS, looks="ring", whole=False, labels=True),
    "ring_distinct": AggregateKind(component_words.DISTINCT, "values", looks="ring", whole=False),
    "ring_age": AggregateKind(component_words.AGE, looks="ring", whole=False),
}
"""In the order of the reference page."""
REMEMBERED = tuple(name for name, kind in KINDS.items() if kind.looks in ("within", "back"))
"""Aggregates of earlier events alone, which never include the event itself."""
UNWINDOWED = tuple(name for name, kind in KINDS.items() if kind.looks in ("within", "back", "session"))
"""Aggregates that look at no window: they cannot be delayed, nor compared with a longer window."""
LINKED = tuple(name for name, kind in KINDS.items() if kind.looks in ("links", "ring"))
RINGS = tuple(name for name, kind in KINDS.items() if kind.looks == "ring")
LABELLED = tuple(name for name, kind in KINDS.items() if kind.labels)
SCANNED = tuple(name for name, kind in KINDS.items() if kind.looks == "window" and k.QUANTILE <= kind.op <= k.ENTROPY)
"""Aggregates that read the values of a window one by one: of the newest `most` alone."""
RANKED = ("quantile", "approx_quantile")
"""Aggregates that are told which share of the values lies below them."""
OF_A_FIELD = tuple(name for name, kind in KINDS.items() if kind.field != "nothing")
MOST, LARGEST_MOST = 1_000, 10_000
"""How many values of a window such an aggregate reads unless it says otherwise, and at most."""
MAX_DEGREE, LARGEST_DEGREE = 50, 1_000
"""How many others a value links unless it says otherwise, and at most."""
