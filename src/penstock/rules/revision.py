"""The revision of rules and lists in force, as handed to engines."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from penstock.expressions import Members
from penstock.rules.rule import Rule


class RuleSetRevision(NamedTuple):
    """Rules and the lists that they ask, which take effect together. revision: grows with every change of either."""

    revision: int
    rules: Sequence[Rule]
    lists: Mapping[str, Members]


NewerRules = Callable[[int], RuleSetRevision | None]
"""Asked with the revision in force: what is to decide instead, or None where that is still it."""
