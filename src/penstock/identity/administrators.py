"""Somebody must be able to let others in: the last administrator stays."""

from penstock.database.sqlite import Transaction
from penstock.errors import Conflict

_ADMINISTERS = "' ' || roles || ' ' LIKE '% administrator %'"
_STAYING = (
    f"SELECT 1 FROM people WHERE disabled_us IS NULL AND {_ADMINISTERS} "  # noqa: S608 - names of columns
    f"UNION ALL SELECT 1 FROM api_keys WHERE revoked_us IS NULL AND expires_us IS NULL AND {_ADMINISTERS} LIMIT 1"
)


def keep_one(transaction: Transaction) -> None:
    """For the end of a transaction that changed users or keys: refuse what leaves nobody who may change them again.

    A key that expires does not count: on the day after, nobody would be left. The tables of both are there where `People` and
    `Keys` were opened before.

    Raises:
        Conflict: no user who is let in, and no key that lasts, is an administrator.
    """
    if not transaction.run(_STAYING):
        raise Conflict(
            "nobody would be left who may change users and keys; make an administrator first: a user, or a key that lasts"
        )
