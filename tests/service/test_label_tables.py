"""Chargebacks as a table: every row is answered in its place."""

import pytest
from tests.service import patient
from tests.service.test_decisions import payment


@pytest.fixture
def client(real):
    with patient.Client(base_url=real) as opened:
        yield opened


TABLE = """transaction_id,fraud,known_at,source
tx1,true,2026-02-07T00:00:00Z,bank
nobody,1,,
tx2,maybe,,
tx2,0,yesterday,
tx3,0,,
"""


def test_a_table_of_labels_is_answered_by_row(client):
    client.post("/predict", json=[payment(number) for number in range(1, 4)])
    found = client.post("/labels/csv", content=TABLE).json()
    assert found[0] == {"transaction_id": "tx1", "fraud": True, "known_at": "2026-02-07T00:00:00Z", "accepted": True}
    assert [each["status"] for each in found[1:4]] == [404, 422, 422]
    assert [each["errors"][0]["field"] for each in found[2:4]] == ["fraud", "known_at"]
    assert found[4]["accepted"] is True


def test_labels_take_a_table_too_by_its_content_type(client):
    client.post("/predict", json=payment(1))
    csv = {"content-type": "text/csv; charset=utf-8"}
    [found] = client.post("/labels", content="transaction_id;fraud\ntx1;1\n", headers=csv).json()
    assert found["accepted"] is True
    misspelt = client.post("/labels", content="transaction_id,frau\ntx1,1\n", headers=csv)
    assert (misspelt.status_code, misspelt.headers["content-type"]) == (422, "application/problem+json")
    assert "Did you mean fraud" in misspelt.json()["detail"]
    assert client.post("/labels", content=b"x" * 300_000, headers=csv).status_code == 413
