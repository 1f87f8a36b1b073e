"""Erasure of one person: the original values of personal fields, and the notes on and files of the person's cases."""

import msgspec

from penstock import audit
from penstock.cases import tables
from penstock.database.sqlite import Database, DatabaseTransaction
from penstock.privacy.vault import Vault

GONE = "[erased]"
"""Replaces an erased text."""

_WRITTEN = ("text", "note", "name")
"""Free-text details of a case's history, and the names of its files."""


class ErasureResult(msgspec.Struct, frozen=True):
    """The result of an erasure: when and by whom. values: number of personal values; cases: number of cases whose notes
    and files were erased.
    """

    detector: str
    entity: str
    values: int
    cases: int
    at_us: int
    who: str


def erase_person(
    database: Database, vault: Vault, detector: str, entity: str, key: str, person: str, *, who: str, reason: str | None = None
) -> ErasureResult:
    """Erase a person in one transaction. A repeated erasure removes only later notes and files.

    Args:
        database: of the office.
        vault: in the same database.
        detector: whose events the person is in.
        entity: the entity under which cases know the person.
        key: the key under which cases know the person.
        person: the token under which the vault knows the person.
        who: the user who asks.
        reason: for the audit log.

    Raises:
        NotFound: nothing was ever kept about such a person.
    """
    database.prepare(tables.SCHEMA)
    with database.write() as transaction:
        details = {"entity": entity} | ({} if reason is None else {"reason": reason})
        erasure, values = vault.erase(transaction, detector, person, who=who, details=details)
        cases = _cases_with_notes(transaction, detector, entity, key)
        for case in cases:
            _blank(transaction, case)
            audit.erase(transaction, who=who, subject=f"cases/{case}", at_us=erasure.at_us)
    database.scrub("vault_people", "vault_values", "case_history", "case_attachments", "audit")
    return ErasureResult(detector, entity, values, len(cases), erasure.at_us, erasure.who)


def _cases_with_notes(transaction: DatabaseTransaction, detector: str, entity: str, key: str) -> list[str]:
    rows = transaction.run(
        "SELECT DISTINCT h.case_id, h.details FROM case_history h JOIN case_keys k ON k.case_id = h.case_id "
        "JOIN cases c ON c.id = h.case_id "
        "WHERE c.detector = :detector AND k.entity = :entity AND k.key = :key ORDER BY h.case_id",
        {"detector": detector, "entity": entity, "key": key},
    )
    return list(dict.fromkeys(case for case, details in rows if _written(details)))


def _written(details: str) -> bool:
    found = msgspec.json.decode(details)
    return any(found.get(name, GONE) != GONE for name in _WRITTEN)


def _blank(transaction: DatabaseTransaction, case: str) -> None:
    transaction.run("DELETE FROM case_attachments WHERE case_id = :id", {"id": case})
    for n, details in transaction.run("SELECT n, details FROM case_history WHERE case_id = :id", {"id": case}):
        if _written(details):
            found = msgspec.json.decode(details)
            blank = found | {name: GONE for name in _WRITTEN if name in found}
            transaction.run(
                "UPDATE case_history SET details = :details WHERE case_id = :id AND n = :n",
                {"id": case, "n": n, "details": msgspec.json.encode(blank).decode()},
            )
