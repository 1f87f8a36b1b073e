"""Mentions of colleagues in notes, as `@name`: who was mentioned finds the case."""

import re

from penstock.database.sqlite import DatabaseTransaction

_MENTION = re.compile(r"(?<![\w@])@([\w](?:[\w.@+-]*\w)?)")
_MOST = 20


def mentioned(text: str) -> list[str]:
    """The names that a note mentions, at most 20.

    >>> mentioned("@ana, please ask @bob.smith; mail to x@example.org.")
    ['ana', 'bob.smith']
    """
    return list(dict.fromkeys(_MENTION.findall(text)))[:_MOST]


def mention(transaction: DatabaseTransaction, case_id: str, text: str) -> None:
    """Store the mentions of a note on a case."""
    for name in mentioned(text):
        transaction.run(
            "INSERT INTO case_mentions (name, case_id) VALUES (:name, :id) ON CONFLICT DO NOTHING",
            {"name": name, "id": case_id},
        )
