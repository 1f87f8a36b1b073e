"""Derived features: SQL expressions over fields and other features, in the language of rules."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Derived:
    """A feature computed from other columns of the same event."""

    name: str
    sql: str


def derive(name: str, sql: str) -> Derived:
    """Declare a feature as an SQL expression.

    >>> derive("is_night", "hour(timestamp) < 6").sql
    'hour(timestamp) < 6'
    """
    return Derived(name, sql)
