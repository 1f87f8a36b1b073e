import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.messages import Record


@pytest.fixture
def record():
    """Makes a record of some ids, with a matrix of three columns and a text."""

    def make(ids, first_seq, kind="decisions", detector="banking", arrived_us=1_000, **columns):
        n = len(ids)
        columns = columns or {"x": np.arange(3.0 * n).reshape(n, 3), "city": ["Zürich"] * n}
        arrived = np.full(n, arrived_us, np.int64)
        return Record(kind, detector, first_seq, list(ids), text_codes(ids), arrived - 5, arrived, columns, {"layout": "a"})

    return make


@pytest.fixture
def fill(record):
    """Appends batches of rows named tx0, tx1, ..., each durable before the next."""

    def fill_it(ledger, batches=40, rows=3, **options):
        for _ in range(batches):
            first = ledger.next_seq
            ledger.append(record([f"tx{first + k}" for k in range(rows)], first, arrived_us=1_000 + first, **options))
            ledger.flush()

    return fill_it
