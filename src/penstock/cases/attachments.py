"""Files attached to a case, such as a receipt or a screenshot. They are kept in the office database."""

import hashlib
import secrets

import msgspec

from penstock.cases.history import record
from penstock.cases.store import Cases
from penstock.database.sqlite import Database
from penstock.errors import Conflict, Forbidden, MalformedEvent, NotFound

MOST_BYTES = 5_000_000
MOST_FILES = 20
_LONGEST_NAME = 200
_COLUMNS = "id, name, size, sha256, added_by, added_us"


class Attachment(msgspec.Struct, frozen=True):
    """A file of a case, without its content. size: in bytes."""

    id: str
    name: str
    size: int
    sha256: str
    added_by: str
    added_us: int


def attach(cases: Cases, case_id: str, who: str, name: str, content: bytes) -> Attachment:
    """Add a file to a case, also to one that a colleague holds; record its name, size and hash in history and audit log.

    Raises:
        MalformedEvent: the name is not valid, or the file is empty or larger than `MOST_BYTES`.
        Conflict: the case has `MOST_FILES` files.
    """
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or "/" in name or "\\" in name:
        what = f"1 to {_LONGEST_NAME} printable characters without / and \\"
        raise MalformedEvent(f"{name[:80]!r} is no file name: it has {what}", "name")
    if not 0 < len(content) <= MOST_BYTES:
        raise MalformedEvent(f"a file has between 1 and {MOST_BYTES:,} bytes, this one {len(content):,}", "body")
    sha256 = hashlib.sha256(content).hexdigest()
    with cases.database.write() as transaction:
        now = cases.clock()
        case = cases.find(transaction, case_id, now)
        record(transaction, case.id, who, "attach", now, {"name": name, "size": len(content), "sha256": sha256})
        [(count,)] = transaction.run("SELECT count(*) FROM case_attachments WHERE case_id = :id", {"id": case.id})
        if count >= MOST_FILES:
            raise Conflict(f"case {case.id} has {count} files, which is the most; remove one first")
        added = Attachment(secrets.token_hex(8), name, len(content), sha256, who, now)
        transaction.run(
            f"INSERT INTO case_attachments ({_COLUMNS}, case_id, content) "  # noqa: S608 - names of columns
            "VALUES (:id, :name, :size, :sha256, :added_by, :added_us, :case_id, :content)",
            {**msgspec.structs.asdict(added), "case_id": case.id, "content": content},
        )
    return added


def attachments(database: Database, case_id: str) -> list[Attachment]:
    """The files of a case, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM case_attachments WHERE case_id = :id ORDER BY added_us, id"  # noqa: S608 - names of columns
    return [Attachment(*row) for row in database.read(sql, {"id": case_id})]


def attached(cases: Cases, case_id: str, attachment_id: str) -> tuple[Attachment, bytes]:
    """A file of a case, and its content.

    Raises:
        NotFound: the case has no such file.
    """
    case = cases.case(case_id)
    rows = cases.database.read(
        f"SELECT {_COLUMNS}, content FROM case_attachments WHERE id = :id AND case_id = :case_id",  # noqa: S608 - as above
        {"id": attachment_id, "case_id": case.id},
    )
    if not rows:
        raise _unknown(case.id, attachment_id)
    *columns, content = rows[0]
    return Attachment(*columns), bytes(content)


def detach(cases: Cases, case_id: str, attachment_id: str, who: str, *, of_others: bool = False) -> None:
    """Delete a file of a case; its name and hash stay in the history. of_others: also one that somebody else added.

    Raises:
        NotFound: the case has no such file.
        Forbidden: somebody else added it.
    """
    with cases.database.write() as transaction:
        now = cases.clock()
        case = cases.find(transaction, case_id, now)
        rows = transaction.run(
            "DELETE FROM case_attachments WHERE id = :id AND case_id = :case_id RETURNING name, sha256, added_by",
            {"id": attachment_id, "case_id": case.id},
        )
        if not rows:
            raise _unknown(case.id, attachment_id)
        [(name, sha256, added_by)] = rows
        if added_by != who and not of_others:
            raise Forbidden(f"{added_by} added {name!r}; only they or an administrator can remove it")
        record(transaction, case.id, who, "detach", now, {"name": name, "sha256": sha256})


def _unknown(case_id: str, attachment_id: str) -> NotFound:
    return NotFound(f"case {case_id} has no file {attachment_id[:80]!r}")
