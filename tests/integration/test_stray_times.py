"""Events with stray times: one of years ago and one of years ahead change neither previews nor pages nor other keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Rule
from penstock.clock import to_us
from penstock.config import Settings
from penstock.ledger.archive import Archive
from penstock.models.reference import Reference, ReferenceColumn
from penstock.offline.backtest import backtest
from penstock.offline.backtest.fires import fires
from penstock.offline.drift.watch import Watch
from penstock.wiring.reports.daily import daily_reports, decided_days

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
STRAYS = {
    "of years ago": "2019-02-06T02:30:00Z",
    "of years ahead": "2031-02-06T02:30:00Z",
    "an hour ahead of midnight": "2026-05-21T09:00:00Z",
}


class Purchase(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


customer = Entity("customer_id")
DETECTOR = Detector(
    "shop",
    event=Purchase,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("7d").named("count_7d"), customer.mean("amount", "30d").named("usual")],
    rules=[Rule("dear", "amount > 90", then="review")],
)


REFERENCE = Reference("paid", [], (0.0, 0.0), [ReferenceColumn("amount", "number", [50.0])])


class Ticking:
    """A clock that somebody moves."""

    at_us = 0

    def __call__(self) -> int:
        return self.at_us


def facts(engine: Engine, watch: Watch, folder: Path) -> dict[str, object]:
    """What previews, pages, reports and drift say of what was decided."""
    settings, now_us = Settings(data=folder), to_us(NOW)
    with Archive(engine.ledger, folder / "archive") as archive:
        tried = backtest(archive, DETECTOR, "amount > 90", now_us=now_us, then="block")
        fired = fires(archive, "shop", 7, now_us=now_us)["rule_dear"]
    reports = daily_reports(settings, None, None, clock=lambda: now_us)
    watch.catch_up()
    profile = engine.entity("customer", "c1")
    assert profile is not None
    assert watch.sketch.span is not None
    _, stop = watch.sketch.span
    return {
        "preview": (tried.until, tried.days, tried.read // 100),
        "fires": (fired.count // 10, fired.last),
        "features": (profile["as_of"], profile["features"]),
        "newest day reported": decided_days(settings, engine, clock=lambda: now_us)[0][0],
        "report": reports["shop"].date,
        "drift": (stop, int(watch.sketch.between(stop - 24 * 7, stop).sum()) // 100),
    }


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
@pytest.mark.parametrize("customer_id", ["c1", "somebody new"])
def test_one_stray_event_changes_nothing_that_is_said_of_the_others(tmp_path, stray, customer_id):
    events = [
        {
            "transaction_id": f"t{n}",
            "timestamp": NOW - timedelta(minutes=20 * (1049 - n)),
            "customer_id": f"c{n % 10}",
            "amount": float(n % 100),
        }
        for n in range(1050)
    ]
    with Engine(DETECTOR, data=tmp_path, clock=Ticking()) as engine:
        clock = engine.clock
        assert isinstance(clock, Ticking)
        for event in events:
            clock.at_us = to_us(event["timestamp"])
            engine.decide_json([msgspec.json.encode(event)])
        clock.at_us = to_us(NOW)
        engine.ledger.flush()
        watch = Watch(engine.ledger, "shop", REFERENCE, version=None, review_at=0.5)
        before = facts(engine, watch, tmp_path)
        assert before["features"] != (None, None)
        decided = engine.decide({"transaction_id": "stray", "timestamp": stray, "customer_id": customer_id, "amount": 95.0})
        assert decided.decision == "REVIEW"
        assert facts(engine, watch, tmp_path) == before
