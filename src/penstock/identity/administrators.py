"""Protection of the last administrator, so that somebody can always grant access."""

from penstock.database.sqlite import DatabaseTransaction
from penstock.errors import Conflict

_ADMINISTERS = "' ' || roles || ' ' LIKE '% administrator %'"
_STAYING = (
    f"SELECT 1 FROM people WHERE disabled_us IS NULL AND {_ADMINISTERS} "  # noqa: S608 - names of columns
    f"UNION ALL SELECT 1 FROM api_keys WHERE revoked_us IS NULL AND expires_us IS NULL AND {_ADMINISTERS} LIMIT 1"
)


def keep_one(transaction: DatabaseTransaction) -> None:
    """Refuse a change of users or keys that leaves no administrator; call it at the end of the transaction.

    A key that expires does not count: after its expiry nobody would be left. The tables of both exist if `Users` and
    `Keys` were opened before.

    Raises:
        Conflict: no enabled user, and no key without expiry, is an administrator.
    """
    if not transaction.run(_STAYING):
        raise Conflict(
            "nobody would be left who may change users and keys; make an administrator first: a user, or a key that lasts"
        )
