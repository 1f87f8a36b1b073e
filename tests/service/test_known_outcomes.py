"""One recorded week, its labels delivered late and some never: every surface gives the figures that counting by hand gives."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from tests.known_week import END, NOW, START, Payment, by_hand, customer, declared, rate, recorded_week

from penstock import Detector, Engine, Label, Money, Policy, Rule
from penstock.clock import to_us
from penstock.config import Settings
from penstock.engine.labels.known_rates import KnownRates
from penstock.ledger.archive import Archive
from penstock.offline.backtest.compare import compare as backtested
from penstock.offline.backtest.side import recorded_side
from penstock.offline.daily import page, table
from penstock.offline.daily.day import rates_of
from penstock.offline.datasets import read
from penstock.offline.drift.sketch import Sketch
from penstock.offline.drift.truth import truth_of
from penstock.offline.outcome import outcome
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.testing import SetClock
from penstock.wiring.reports.daily import report_of


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    with recorded_week(tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def ask(run, tmp_path):
    def send(*engines: Engine, path: str) -> Any:
        async def scene() -> Any:
            settings = Settings(data=tmp_path)
            app = create_app(
                {engine.detector.name: MicroBatcher.of(engine, settings) for engine in engines}, settings, ServiceParts()
            )
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                response = await client.get(path)
                assert response.status_code == 200, response.text
                return response.json()

        return run(scene())

    return send


# ---------------------------------------------------------------- the surfaces


def test_the_week_has_enough_of_everything(week):
    _, _, rows, truth = week
    found = by_hand(rows, truth)
    assert min(found["prevented"]["count"], found["blocked_good"]["count"], found["blocked_unknown"]["count"]) >= 30
    assert found["known"] < 0.5 * len(rows)


@pytest.mark.parametrize(
    "path", ["/insights/summary?range=30d", "/insights/summary?range=30d&detector=week", "/stats", "/stats/overview"]
)
def test_the_api_says_what_counting_by_hand_gives(week, ask, path):
    engine, _, rows, truth = week
    found, answer = by_hand(rows, truth), ask(engine, path=path)
    labels = answer["labels"]
    assert {name: labels[name] for name in ("known", "fraud", "good")} == {
        name: found[name] for name in ("known", "fraud", "good")
    }
    assert labels["unknown"] == len(rows) - found["known"]
    assert {name: labels[name] for name in ("precision", "recall", "false_positive_rate")} == {
        name: found[name] for name in ("precision", "recall", "false_positive_rate")
    }
    rate = found["fraud_rate"]
    assert (labels["fraud_rate"], labels["fraud_rate_low"], labels["fraud_rate_high"]) == (
        rate["value"],
        rate["low"],
        rate["high"],
    )
    stopped = sum(row["decision"] != "APPROVE" for row in rows) / len(rows)
    if path.startswith("/stats"):
        assert answer["known_fraud_rate"] == rate["value"]
        assert answer["intervention_rate"] == answer["fraud_rate"] == pytest.approx(stopped)
        parts = answer["prevented"], answer["blocked_good"], answer["blocked_unknown"]
    else:
        assert answer["stopped_rate"] == pytest.approx(stopped)
        assert answer["blocks"]["precision"] == found["precision_of_blocks"]
        parts = answer["prevented"]["known"], answer["prevented"]["mistaken"], answer["blocks"]["unknown"]
        estimate = answer["blocks"]["estimate"]
        assert estimate["method"] == "calibrated_score"
        assert estimate["count"] == pytest.approx(found["estimated"], abs=0.01)
        assert estimate["count_high"] - estimate["count"] == pytest.approx(found["estimated_half"], abs=0.02)
        assert estimate["amount"] == pytest.approx(found["estimated_amount"], abs=0.02)
    assert parts == (found["prevented"], found["blocked_good"], found["blocked_unknown"])


def test_gauges_of_alerts_say_what_counting_by_hand_gives(week):
    engine, _, rows, truth = week
    found = by_hand([row for row in rows if row["at"] >= NOW - timedelta(days=7)], truth)
    wanted = {
        "false_positive_rate_known": found["false_positive_rate"]["value"],
        "false_discovery_rate_known": pytest.approx(1 - found["precision"]["value"]),
    }
    assert KnownRates(engine.label_outcomes, engine.clock).figures() == wanted


def test_rules_say_what_counting_by_hand_gives(week, ask):
    engine, _, rows, truth = week
    told = {rule["name"]: rule["labels"] for rule in ask(engine, path="/insights/rules?range=30d")["rules"]}
    assert told["dear"]["known"] >= 30
    for name, labels in told.items():
        on = [row for row in rows if name in row["rules"]]
        known = [truth[row["transaction_id"]] for row in on if row["transaction_id"] in truth]
        wanted = rate(sum(known), len(known))
        assert (labels["fraud"], labels["known"], labels["unknown"]) == (sum(known), len(known), len(on) - len(known))
        assert (labels["precision"], labels["precision_low"], labels["precision_high"]) == (
            wanted["value"],
            wanted["low"],
            wanted["high"],
        )
        estimate = labels["estimate"]
        assert (estimate is None) == (len(on) < 30)
        if estimate is None:
            continue
        assert (estimate["method"], estimate["of"]) == ("calibrated_score", len(on))
        assert estimate["value"] == pytest.approx(sum(row["p"] for row in on) / len(on), abs=1e-6)
        assert estimate["low"] < estimate["value"] < estimate["high"]


def test_the_daily_report_says_what_counting_by_hand_gives_for_days_and_for_the_week(week):
    engine, data, rows, truth = week
    report = report_of(Settings(data=data), engine, END.date(), clock=SetClock(NOW))
    for day in report.days[:-1]:
        found = by_hand([row for row in rows if row["at"].date() == day.date], truth)
        assert_day(day, found)
    found = by_hand(rows, truth)
    pooled = {name: msgspec.to_builtins(each) for name, each in rates_of(report.days).items()}
    names = {"fraud_rate": "fraud_rate_known", "precision_of_blocks": "precision_of_blocks_known", "recall": "recall_known"}
    names |= {"precision": "precision_known", "false_positive_rate": "false_positive_rate_known"}
    assert pooled == {there: found[here] for here, there in names.items()}
    whole = report.figures()["precision_known"][2], report.figures()["precision_known_low"][2]
    assert whole == (found["precision"]["value"], found["precision"]["low"])
    assert f"precision_known,,,{found['precision']['value']:.10g}" in table(report)
    html = page(report)
    assert f"{found['recall']['part']:,} of {found['recall']['of']:,} known" in html
    assert "blocked, outcome unknown" in html


def assert_day(day, found) -> None:
    assert (day.truth.known, day.truth.frauds) == (found["known"], found["fraud"])
    shares = {"prevented": day.truth.prevented, "blocked_good": day.truth.blocked_good, "blocked_unknown": day.blocked_unknown}
    for name, share in shares.items():
        assert {"count": share.count, "amount": share.amount} == found[name], (day.date, name)
    assert day.estimate.method == "calibrated_score"
    assert day.estimate.count == pytest.approx(found["estimated"], abs=0.01)
    assert day.estimate.amount == pytest.approx(found["estimated_amount"], abs=0.02)


def test_drift_says_of_each_day_what_counting_by_hand_gives(week):
    engine, data, rows, truth = week
    days = report_of(Settings(data=data), engine, END.date(), clock=SetClock(NOW)).days
    for day in truth_of(days, Sketch([]), now_us=to_us(NOW), label_delay_us=0):
        found = by_hand([row for row in rows if row["at"].date() == day.day], truth)
        assert (day.fraud_rate, day.fraud_rate_low) == (found["fraud_rate"]["value"], found["fraud_rate"]["low"])
        assert (day.precision, day.caught, day.stopped) == (
            found["precision"]["value"],
            found["precision"]["part"],
            found["precision"]["of"],
        )


def test_a_backtest_and_a_replay_of_the_week_say_the_same(week):
    import polars as pl

    _, _, rows, truth = week
    frame = pl.DataFrame(
        {
            "transaction_id": [row["transaction_id"] for row in rows],
            "timestamp": [row["at"] for row in rows],
            "customer_id": [row["customer_id"] for row in rows],
            "amount": [row["amount"] for row in rows],
            "decision": [row["decision"] for row in rows],
            "is_fraud": [truth.get(row["transaction_id"]) for row in rows],
        },
        schema_overrides={"is_fraud": pl.Boolean},
    )
    found, recorded = by_hand(rows, truth), read(frame, declared())
    side = recorded_side(recorded)
    champion = backtested(declared(), recorded, side, side)[0].champion
    for name in ("precision", "recall"):
        told = {"value": getattr(champion, name), **{end: getattr(champion, f"{name}_{end}") for end in ("low", "high")}}
        assert told == {key: found[name][key] for key in ("value", "low", "high")}
    assert (champion.frauds_stopped, champion.unobjected) == (found["precision"]["part"], 0)
    decided = frame.select("decision", score=pl.lit(0.5))
    worth = outcome(declared(), recorded, decided, np.arange(len(frame)), 1.0)["worth"]["decisions"]
    for name in ("precision", "recall"):
        assert (worth[name], worth[f"{name}_low"]) == (found[name]["value"], found[name]["low"])
    assert (worth["known"], worth["frauds"], worth["caught"]) == (found["known"], found["fraud"], found["recall"]["part"])


def test_lab_pages_read_the_same_figures(week, ask):
    from penstock.lab.figures import shown
    from penstock.outcomes import known_rate
    from penstock.service.records.decisions import Overview

    engine, _, rows, truth = week
    overview = msgspec.convert(ask(engine, path="/stats/overview"), Overview)
    found = by_hand(rows, truth)
    assert shown(overview.labels.precision) == f"{100 * found['precision']['value']:.2f} %"
    assert shown(known_rate(overview.labels.fraud, overview.labels.known)) == f"{100 * found['fraud_rate']['value']:.2f} %"


def test_labels_that_are_known_only_later_count_from_then_on(week, ask):
    engine, *_ = week
    before = ask(engine, path="/stats")["labels"]["known"]
    clock = engine.clock
    try:
        clock.at(NOW + timedelta(days=20))
        assert ask(engine, path="/stats")["labels"]["known"] > before
    finally:
        clock.at(NOW)


# ---------------------------------------------------------------- currencies


class Abroad(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    currency: str


def test_amounts_in_different_currencies_are_never_added_up(ask, tmp_path):
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-01-01,USD,0.5\n")
    fixed = {"id": "transaction_id", "time": "timestamp", "rules": [Rule("all", "amount > 0", then="block")]}
    euros = Detector(
        "euros",
        event=Abroad,
        features=[customer.count("1h"), Money("amount", "currency", to="EUR", rates=tmp_path / "rates.csv")],
        **fixed,
    )
    bare = Detector("bare", event=Payment, features=[customer.count("1h")], **fixed)
    clock, event = SetClock(START), {"timestamp": START.isoformat(), "customer_id": "c"}
    with Engine(euros, clock=clock) as one, Engine(bare, clock=clock) as other:
        one.decide({**event, "transaction_id": "a", "amount": 100.0, "currency": "USD"})
        one.decide({**event, "transaction_id": "b", "amount": 10.0, "currency": "EUR"})
        other.decide({**event, "transaction_id": "c", "amount": 7.0})
        for engine, name in ((one, "a"), (other, "c")):
            engine.label(name, fraud=True)
        both = ask(one, other, path="/insights/summary")
        assert (both["amounts"], both["currency"], both["prevented"]["known"]) == (None, None, {"count": 2, "amount": None})
        told = {each["currency"]: each["prevented"]["known"]["amount"] for each in both["by_currency"]}
        assert told == {"EUR": 50.0, None: 7.0}
        stats = ask(one, other, path="/stats")
        assert (stats["total"], stats["amount"], stats["currency"]) == (3, None, None)
        assert stats["prevented"] == {"count": 2, "amount": None}
        alone = ask(one, other, path="/stats?detector=euros")
        assert (alone["amount"], alone["currency"], alone["prevented"]) == (60.0, "EUR", {"count": 1, "amount": 50.0})


def test_the_control_share_estimates_only_from_30_known_outcomes(tmp_path):
    """See also tests/integration/test_daily_report.py, which compares it with counting by hand."""
    from penstock.offline.trial import blocks

    clock, rng = SetClock(START), np.random.default_rng(1)
    detector = Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1d"),
        features=[customer.count("1h")],
        rules=[Rule("all", "amount > 0", then="block")],
        policy=Policy(control_share=0.2),
    )
    with Engine(detector, data=tmp_path, clock=clock) as engine, Archive(engine.ledger) as archive:
        for count, enough in ((60, False), (400, True)):
            event = {"timestamp": START.isoformat(), "amount": 10.0}
            names = [{**event, "transaction_id": f"{count}-{n}", "customer_id": f"c{n}"} for n in range(count)]
            for answer in engine.decide_many(names):
                if answer.decision == "APPROVE":
                    engine.label(answer.transaction_id, fraud=bool(rng.random() < 0.5), at=START + timedelta(hours=1))
            found = blocks(archive, detector, now_us=to_us(START + timedelta(days=2)))
            assert (found.precision.value is not None, found.fraud_prevented is not None) == (enough, enough)
            assert (found.precision.method, found.precision.of) == ("control_share", found.known)
    assert found.fraud_prevented.low < found.fraud_prevented.value < found.fraud_prevented.high
    assert found.fraud_prevented.value == pytest.approx(found.fraud * 10.0 * (1 / 0.2 - 1))


def test_cases_have_the_currency_of_their_amounts_and_sums_stay_apart(tmp_path):
    from penstock.cases.queues import CurrencySum, Filter, sweep, waiting
    from penstock.cases.queues import page as cases_page
    from penstock.cases.queues import queues as all_queues
    from penstock.cases.store import Cases
    from penstock.database import SqliteDatabase
    from penstock.stream.cases import CaseSink

    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-01-01,USD,0.5\n")
    fixed = {"id": "transaction_id", "time": "timestamp", "rules": [Rule("all", "amount > 0", then="review")]}
    euros = Money("amount", "currency", to="EUR", rates=tmp_path / "rates.csv")
    detectors = [
        Detector("euros", event=Abroad, features=[customer.count("1h"), euros], **fixed),
        Detector("named", event=Abroad, features=[customer.count("1h")], **fixed),
        Detector("bare", event=Payment, features=[customer.count("1h")], **fixed),
    ]
    cases, clock = Cases(SqliteDatabase(tmp_path / "office.sqlite"), clock=SetClock(START)), SetClock(START)
    event = {"timestamp": START.isoformat(), "customer_id": "c"}
    for detector in detectors:
        more = {} if detector.name == "bare" else {"currency": "USD"}
        with Engine(detector, clock=clock) as engine:
            engine.decide({**event, **more, "transaction_id": f"{detector.name}-1", "amount": 100.0})
            if detector.name == "euros":  # no rate: the event's own amount, in its own currency
                engine.decide({**event, "transaction_id": "euros-2", "amount": 8.0, "currency": "CHF"})
            sink = CaseSink(cases, detector.name, {detector.name: engine}.get, sample=0.0)
            sink.write(list(engine.ledger.read()))
    found, _ = cases_page(cases, Filter())
    assert {case.transaction_id: (case.amount, case.currency) for case in found} == {
        "euros-1": (50.0, "EUR"),
        "euros-2": (8.0, "CHF"),
        "named-1": (100.0, "USD"),
        "bare-1": (100.0, None),
    }
    sums = {"EUR": 50.0, "CHF": 8.0, "USD": 100.0, None: 100.0}
    swept = sweep(cases, "ana", "good", ids=[case.id for case in found])
    assert (swept.amount, {each.currency: each.amount for each in swept.amounts}) == (None, sums)
    one = sweep(cases, "ana", "good", ids=[case.id for case in found if case.currency == "EUR"])
    assert (one.amount, one.amounts) == (50.0, [CurrencySum("EUR", 50.0)])
    [queue] = all_queues(cases)
    assert (queue.expected_loss, {each.currency: each.amount for each in queue.at_stake}, queue.waiting) == (None, sums, 4)
    everything = waiting(cases, [detector.name for detector in detectors])
    assert (everything.cases, everything.amount, everything.expected_loss) == (4, None, None)
    assert {each.currency: each.amount for each in everything.amounts} == sums
    assert waiting(cases, ["bare"]).amount == 100.0
    cases.database.close()


def test_an_office_of_version_0_1_opens_and_its_cases_have_no_currency(tmp_path):
    import sqlite3

    from penstock.cases.store import Cases
    from penstock.cases.tables import SCHEMA
    from penstock.database import SqliteDatabase
    from penstock.database.sqlite import TableSchema

    path = tmp_path / "office.sqlite"
    database = SqliteDatabase(path)
    database.prepare(TableSchema("cases", SCHEMA.steps[:2]))
    database.close()
    with sqlite3.connect(path) as old:
        names = "id, detector, transaction_id, origin, propensity, queue, decision, amount, expected_loss, event_us, opened_us"
        old.execute(f"INSERT INTO cases ({names}) VALUES ('c1', 'shop', 't1', 'review', 1, 'review', 'REVIEW', 5, 5, 0, 0)")
    database = SqliteDatabase(path)
    case = Cases(database, clock=SetClock(START)).case("c1")
    assert (case.amount, case.currency) == (5.0, None)
    database.close()
