"""Fields that the schema does not know are dropped, or kept in the ledger where the detector says so."""

from datetime import datetime

import msgspec
import pytest

from penstock import Detector, Engine, Entity
from penstock.ledger.archive import Archive


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


class Decline(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


def declared(*, keep_unknown: bool) -> Detector:
    customer = Entity("customer_id")
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        informs=[Decline],
        features=[customer.count("1h")],
        keep_unknown=keep_unknown,
    )


def event(transaction_id: str, **fields) -> bytes:
    fixed = {"transaction_id": transaction_id, "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c"}
    return msgspec.json.encode({**fixed, **fields})


@pytest.mark.parametrize("keep", [False, True])
def test_unknown_fields_are_found_by_sql_where_they_are_kept(tmp_path, keep) -> None:
    """With their event, also where others of the batch came before or are refused; the answer does not show them."""
    with Engine(declared(keep_unknown=keep), data=tmp_path) as engine, Archive(engine.ledger) as archive:
        engine.decide_json([event("t1", campaign="spring")])
        answers = engine.decide_json([event("t1"), b"{}", event("t2", basket={"items": 2}), event("t3")])
        engine.inform_json([event("d1", type="Decline", reason="funds")])
        engine.ledger.flush()
        assert b"basket" not in answers[2]
        assert engine.queries.transaction("t2") == answers[2]
        rows = archive.query("SELECT * FROM decisions ORDER BY seq").to_dicts()
        [decline] = archive.query("SELECT * FROM informing").to_dicts()
    found = [msgspec.json.decode(row["unknown_fields"]) if row.get("unknown_fields") else None for row in rows]
    assert found == ([{"campaign": "spring"}, {"basket": {"items": 2}}, None] if keep else [None] * 3)
    assert (decline.get("unknown_fields") == '{"reason":"funds"}') is keep
