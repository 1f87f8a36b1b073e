"""Tables of chargebacks: every row is a label or says why it is none."""

import json

import pytest

from penstock.errors import DataError
from penstock.ingest.label_rows import MOST_ROWS, read_label_rows
from penstock.messages import Refusal


def test_every_row_is_a_label_or_says_why_it_is_none():
    table = (
        "transaction_id,fraud,known_at,source,kind\r\n"
        "tx1,true,2026-02-06T10:00:00Z,bank,chargeback\r\n"
        'tx2,NO,,"the, bank",\r\n'
        "\r\n"
        "tx3,maybe,,,\r\n"
        ",1,,,\r\n"
        "tx4,1\r\n"
    )
    first, second, unclear, nameless, short = read_label_rows(table.encode())
    known = {"known_at": "2026-02-06T10:00:00Z", "source": "bank", "kind": "chargeback"}
    assert json.loads(first) == {"transaction_id": "tx1", "fraud": True, **known}
    assert json.loads(second) == {"transaction_id": "tx2", "fraud": False, "source": "the, bank"}
    assert [refused.errors[0][0] for refused in (unclear, nameless)] == ["fraud", "transaction_id"]
    assert isinstance(short, Refusal)
    assert "2 fields" in short.detail


def test_tables_as_spreadsheets_write_them_are_read():
    [label] = read_label_rows("\ufeffFraud ;Transaction_ID\n0;tü\n".encode())
    assert json.loads(label) == {"transaction_id": "tü", "fraud": False}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"", "empty"),
        (b"transaction_id,is_fraud\na,1\n", "Did you mean fraud"),
        (b"transaction_id\na\n", "no column 'fraud'"),
        (b"fraud,fraud,transaction_id\n1,1,a\n", "several"),
        (b'transaction_id,fraud\n"a,1\n', "no CSV"),
        (b"transaction_id,fraud\n\xff,1\n", "UTF-8"),
        (b"transaction_id,fraud\n" + b"a,1\n" * (MOST_ROWS + 1), "in parts"),
    ],
)
def test_what_is_no_such_table_is_refused_as_a_whole(table, says):
    with pytest.raises(DataError, match=says):
        read_label_rows(table)
