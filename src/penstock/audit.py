"""The audit log: who changed what, and when; append-only, each entry chained by a hash to the one before it.

Changing, removing or reordering an entry breaks the chain behind it, and `AuditLog.verify` finds the place. The details
of an entry may be personal, so the chain covers only a salted digest of them: details can be erased, the digest stays,
and a later entry records who erased them and when.

The chain reveals tampering to anyone who knows its head. An attacker with write access to the whole database can make a
new chain; against that, keep the head that `penstock audit verify` prints somewhere else.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema

START = ""
"""The hash before the first entry."""
ERASED = "audit.erase"
"""The action of an entry that records an erasure of details."""

_TABLE = """CREATE TABLE audit (seq BIGINT PRIMARY KEY, at_us BIGINT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, digest TEXT NOT NULL, salt TEXT, details TEXT, hash TEXT NOT NULL)"""

SCHEMA = TableSchema(
    "audit",
    [
        [
            _TABLE,
            "CREATE INDEX audit_by_subject ON audit (subject, seq)",
            "CREATE TABLE audit_head (id INTEGER PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL)",
            "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')",
        ]
    ],
)

_COLUMNS = "seq, at_us, who, action, subject, digest, salt, details, hash"
_PAGE = 1000
_NARROWED = {
    "before": "seq < :before",
    "who": "who = :who",
    "subject": "subject = :subject",
    "action": "action = :action",
    "kind": "substr(action, 1, :letters) = :kind",
    "since_us": "at_us >= :since_us",
    "until_us": "at_us < :until_us",
}


class ChainEntry(msgspec.Struct, frozen=True):
    """One change. details: what was changed, None if erased; hash: of this entry and all before it."""

    seq: int
    at_us: int
    who: str
    action: str
    subject: str
    details: dict[str, Any] | None
    hash: str


class Misfit(msgspec.Struct, frozen=True):
    """The first invalid entry, by its number, and why."""

    seq: int
    reason: str


class ChainErasure(msgspec.Struct, frozen=True):
    """An erasure of details: of which entries, when and by whom."""

    at_us: int
    who: str
    subject: str
    entries: list[int]


class ChainHead(msgspec.Struct, frozen=True):
    """The end of the chain: the number of entries, and the hash over all of them."""

    seq: int
    hash: str


def note(
    transaction: DatabaseTransaction, *, who: str, action: str, subject: str, details: Mapping[str, Any], at_us: int
) -> None:
    """Add an entry, in the transaction of the change: both take effect or neither does.

    The head of the chain is one row that is updated first, so that of two writers the second waits for the first.

    Args:
        transaction: of a database whose audit tables are prepared (`AuditLog` does).
        who: the user or key that acts; "local" without sign-in.
        action: what was done, as noun.verb: `keys.add`.
        subject: the changed object: `keys/3fA9`.
        details: JSON values; never a secret.
        at_us: when.
    """
    [(seq, previous)] = transaction.run("UPDATE audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, hash")
    encoded = msgspec.json.encode(dict(details), order="sorted").decode()
    salt = secrets.token_hex(16)
    digest = _digest(salt, encoded)
    values = {"seq": seq, "at_us": at_us, "who": who, "action": action, "subject": subject, "digest": digest}
    values["hash"] = chained(previous, *values.values())
    transaction.run(
        f"INSERT INTO audit ({_COLUMNS}) VALUES (:seq, :at_us, :who, :action, :subject, :digest, :salt, :details, :hash)",  # noqa: S608 - names of columns
        values | {"salt": salt, "details": encoded},
    )
    transaction.run("UPDATE audit_head SET hash = :hash WHERE id = 1", {"hash": values["hash"]})


def erase(transaction: DatabaseTransaction, *, who: str, subject: str, at_us: int) -> int:
    """Erase the details of the entries about a subject; the erasure itself becomes an entry.

    Returns:
        how many entries lost their details.
    """
    found = {"subject": subject, "erased": ERASED}
    rows = transaction.run(
        "SELECT seq FROM audit WHERE subject = :subject AND action <> :erased AND details IS NOT NULL ORDER BY seq", found
    )
    transaction.run("UPDATE audit SET details = NULL, salt = NULL WHERE subject = :subject AND action <> :erased", found)
    note(transaction, who=who, action=ERASED, subject=subject, details={"entries": [row[0] for row in rows]}, at_us=at_us)
    return len(rows)


def chained(previous: str, *fields: Any) -> str:
    """The hash of an entry: SHA-256 over the JSON list of the hash before it and its fields.

    >>> chained(START, 1, 0, "ana", "keys.add", "keys/a", "")[:12]
    '998bfa92f83f'
    """
    return hashlib.sha256(msgspec.json.encode([previous, *fields])).hexdigest()


class AuditLog:
    """Reads the log and verifies its chain.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> database = SqliteDatabase()
    >>> log = AuditLog(database)
    >>> with database.write() as transaction:
    ...     note(transaction, who="ana", action="keys.add", subject="keys/a", details={"role": "viewer"}, at_us=1)
    >>> [(entry.who, entry.action, entry.details) for entry in log.entries()]
    [('ana', 'keys.add', {'role': 'viewer'})]
    >>> log.verify() is None
    True
    """

    def __init__(self, database: Database) -> None:
        database.prepare(SCHEMA)
        self._database = database

    def entries(
        self,
        limit: int = 50,
        before: int | None = None,
        who: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> list[ChainEntry]:
        """Entries, newest first; `before` is the number of the last entry of the page before.

        action: `keys.add`, or all of a kind, `keys`. since_us, until_us: from the one instant on, before the other.
        """
        given = {"before": before, "who": who, "subject": subject, "since_us": since_us, "until_us": until_us}
        if action is not None:
            given |= {"action": action} if "." in action else {"kind": f"{action}.", "letters": len(action) + 1}
        values = {name: value for name, value in given.items() if value is not None}
        wanted = [condition for name, condition in _NARROWED.items() if name in values]
        where = " WHERE " + " AND ".join(wanted) if wanted else ""
        sql = f"SELECT {_COLUMNS} FROM audit{where} ORDER BY seq DESC LIMIT :limit"  # noqa: S608 - names of columns
        return [_entry(row) for row in self._database.read(sql, values | {"limit": limit})]

    def following(self, seq: int, limit: int) -> list[ChainEntry]:
        """The entries behind the one of this number, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM audit WHERE seq > :seq ORDER BY seq LIMIT :limit"  # noqa: S608 - names of columns
        return [_entry(row) for row in self._database.read(sql, {"seq": seq, "limit": limit})]

    def head(self) -> ChainHead:
        """The end of the chain."""
        [(seq, value)] = self._database.read("SELECT seq, hash FROM audit_head WHERE id = 1") or [(0, "")]
        return ChainHead(seq, value)

    def erasures(self) -> list[ChainErasure]:
        """Erasures of details, oldest first."""
        rows = self._database.read(
            "SELECT at_us, who, subject, details FROM audit WHERE action = :a ORDER BY seq", {"a": ERASED}
        )
        return [ChainErasure(at_us, who, subject, _named(details)) for at_us, who, subject, details in rows]

    def verify(self) -> Misfit | None:
        """Verify the whole chain: None if every entry is valid, else the first that is not.

        Entries written while this runs are not checked.
        """
        missing: list[int] = []
        broken = self._broken(missing)
        explained = {seq for erasure in self.erasures() for seq in erasure.entries}
        for seq in missing:
            if seq not in explained:
                return Misfit(seq, "its details are missing, and no entry says who erased them")
        return broken

    def _broken(self, missing: list[int]) -> Misfit | None:
        """The first break of the chain; collects the entries without details on the way."""
        head = self.head()
        previous, last = START, 0
        for row in self._upwards(head.seq):
            reason = _misfit(row, previous, last)
            if reason is not None:
                return Misfit(last + 1, reason)
            previous, last = row[8], row[0]
            if row[7] is None:
                missing.append(last)
        if (last, previous) != (head.seq, head.hash):
            return Misfit(last + 1, f"the log ends with entry {last}, its head tells of {head.seq}")
        return None

    def _upwards(self, upto: int) -> Iterator[Row]:
        sql = f"SELECT {_COLUMNS} FROM audit WHERE seq > :last AND seq <= :upto ORDER BY seq LIMIT :page"  # noqa: S608 - names of columns
        last = -(1 << 62)
        while rows := self._database.read(sql, {"last": last, "upto": upto, "page": _PAGE}):
            yield from rows
            last = rows[-1][0]


def _misfit(row: Row, previous: str, last: int) -> str | None:
    seq, at_us, who, action, subject, digest, salt, details, given = row
    if seq != last + 1:
        return f"after entry {last} comes entry {seq}"
    if chained(previous, seq, at_us, who, action, subject, digest) != given:
        return "its hash is not that of what it says and of the entries before it"
    if details is None and salt is None:
        return None
    if not (isinstance(salt, str) and isinstance(details, str) and _digest(salt, details) == digest):
        return "its details are not those that were written"
    return None


def _digest(salt: str, details: str) -> str:
    return hashlib.sha256(f"{salt}{details}".encode()).hexdigest()


def _entry(row: Row) -> ChainEntry:
    seq, at_us, who, action, subject, _, _, details, value = row
    return ChainEntry(seq, at_us, who, action, subject, None if details is None else msgspec.json.decode(details), value)


def _named(details: str | None) -> list[int]:
    """The entries that an erasure names; none if it was changed, which the chain finds."""
    try:
        return list(msgspec.json.decode(details or "{}", type=dict[str, list[int]]).get("entries", []))
    except msgspec.MsgspecError:
        return []
