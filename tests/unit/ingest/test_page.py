"""What docs/reference/events.md shows is so."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.ingest.events import KEY, reader

from penstock.clock import iso
from penstock.ingest.times import instants

PAGE = Path(__file__).parents[3].joinpath("docs/reference/events.md").read_text()


@pytest.fixture(scope="module")
def structs() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "events"}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], names)
    return names


def test_the_declaration_on_the_page_reads_events(structs):
    source = reader(
        structs["Payment"],
        [structs["Login"]],
        id="transaction_id",
        time="timestamp",
        label="is_fraud",
        personal=["card_number"],
        key=KEY,
    )
    payment = {"timestamp": 1770372000, "card_number": 17, "amount": 2.5}
    login = {"type": "login", "timestamp": "2026-02-06 11:00:00+01:00", "card_number": "17"}
    batch = source.read([msgspec.json.encode(payment), msgspec.json.encode(login)], 0).batch
    assert batch.kinds.tolist() == [0, 1]
    assert batch.texts["card_number"][0] == batch.texts["card_number"][1]
    assert batch.texts["channel"] == ["shop", None]
    assert source.schema.scales["amount"] == 100


def test_the_times_on_the_page_are_read():
    table = PAGE[PAGE.index("## Times") : PAGE.index("* Digits after")]
    rows = [re.findall(r"`([^`]+)`", row.rsplit(" | ", 1)[1]) for row in table.splitlines() if row.count(" | ") >= 1]
    zoned, naive, numbers = rows[1:4]
    assert len(zoned) == len(naive) == 3
    assert len(numbers) == 4
    assert not instants(zoned, None)[1].any()
    assert {iso(value) for value in instants(naive, "UTC")[0]} == {"2015-02-24T22:55:00Z", "2015-02-24T00:00:00Z"}
    seconds = instants([float(number) for number in numbers], None)[0] // 1_000_000
    assert set(seconds.tolist()) == {1_770_372_000}
