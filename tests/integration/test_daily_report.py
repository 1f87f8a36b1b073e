"""The report of a day says what a naive count over all decisions says, also while an engine goes on deciding."""

import csv
import io
import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Label, Policy, Rule
from penstock.adapters.postgres import PostgresLedger, create
from penstock.cli import run
from penstock.clock import to_us
from penstock.config import Settings
from penstock.errors import ConfigurationError, DataError
from penstock.ingest import Steps
from penstock.ledger import FileLedger
from penstock.ledger.archive import Archive
from penstock.offline.daily import make_report, page, table
from penstock.testing import SetClock
from penstock.wiring.reports.daily import daily_reports, decided_days, write_reports

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
NOW = FIRST + timedelta(days=12)
DAY = date(2026, 1, 13)


class Purchase(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def detector():
    return Detector(
        "shop",
        event=Purchase,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="3d", sources=("analyst", "bank")),
        features=[customer.count("1h").named("count_1h")],
        rules=[
            Rule("dear", "amount > 900", then="block", reason="{amount:.0f} is dear"),
            Rule("often", "count_1h >= 5", then="review"),
        ],
        policy=Policy(on_failure="review"),
    )


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A data folder with twelve days of decisions, rows as dicts, and the truth by id as far as it is known."""
    data = tmp_path_factory.mktemp("data")
    chance, clock, rows, truth = random.Random(3), SetClock(FIRST), [], {}
    with Engine(detector(), data=data, clock=clock) as engine:
        for day in range(12):
            for hour in range(0, 0 if day == 4 else 24, 2):
                at = FIRST + timedelta(days=day, hours=hour)
                clock.at(at)
                events = [
                    {
                        "transaction_id": f"t{len(rows) + k}",
                        "timestamp": (at - timedelta(seconds=chance.randrange(7200))).isoformat(),
                        "customer_id": f"c{chance.randrange(6)}",
                        "amount": chance.randrange(1, 100_000) / 100,
                    }
                    for k in range(chance.randrange(4, 16))
                ]
                rows += [
                    {**e, "decided": at, "decision": d.decision, "reasons": [r.code for r in d.explanation.reasons]}
                    for e, d in zip(events, engine.decide_many(events), strict=True)
                ]
                if hour % 7 == 0:
                    engine.decide_json([b'{"transaction_id": 5}'])
        said = []
        for row in rows:
            if chance.random() < 0.4:
                fraud = chance.random() < 0.5
                at = datetime.fromisoformat(row["timestamp"]) + timedelta(days=chance.choice([1, 3, 30]))
                said.append((row, fraud, at, "bank"))
                if at <= NOW:
                    truth[row["transaction_id"]] = fraud
                if chance.random() < 0.2:
                    said += [(row, not fraud, at, "analyst"), (row, fraud, at + timedelta(hours=1), "bank")]
                    if at <= NOW:
                        truth[row["transaction_id"]] = not fraud
        labels = [
            {"transaction_id": row["transaction_id"], "fraud": fraud, "known_at": at, "source": source}
            for row, fraud, at, source in said
        ]
        assert {answer["accepted"] for answer in engine.label_json(msgspec.json.encode(labels))} == {True}
    return data, rows, truth


def report_of(data, day=DAY, now=NOW, folder=None, by="decided"):
    with FileLedger(data / "ledger", read_only=True) as ledger, Archive(ledger, folder) as archive:
        return make_report(
            ledger, archive, "shop", now_us=to_us(now), date=day, by=by, amount="amount", label_delay_us=3 * 86_400_000_000
        )


def of_day(rows, day, by="decided"):
    times = {"decided": lambda row: row["decided"], "event": lambda row: datetime.fromisoformat(row["timestamp"])}
    return [row for row in rows if times[by](row).date() == day]


def worth(rows):
    return pytest.approx(sum(row["amount"] for row in rows), abs=0.01)


BOTH = pytest.mark.parametrize("by", ["decided", "event"])


@BOTH
def test_every_day_of_the_week_is_counted_as_a_naive_count_does(decided, by):
    data, rows, truth = decided
    report = report_of(data, by=by)
    assert report.by == by
    assert [of_day(rows, day.date, "decided") != of_day(rows, day.date, "event") for day in report.days].count(True) > 4
    assert [day.date for day in report.days] == [DAY - timedelta(days=back) for back in range(7, -1, -1)]
    for day in report.days:
        mine = of_day(rows, day.date, by)
        assert (day.decided.count, day.decided.amount) == (len(mine), worth(mine))
        counts = Counter(row["decision"] for row in mine)
        assert {name: share.count for name, share in day.by_decision.items()} == counts
        known = [row for row in mine if row["transaction_id"] in truth]
        caught = [row for row in known if truth[row["transaction_id"]] and row["decision"] != "APPROVE"]
        missed = [row for row in known if truth[row["transaction_id"]] and row["decision"] == "APPROVE"]
        false = [row for row in known if not truth[row["transaction_id"]] and row["decision"] != "APPROVE"]
        assert day.truth.known == len(known)
        assert (day.truth.caught.count, day.truth.caught.amount) == (len(caught), worth(caught))
        assert (day.truth.missed.count, day.truth.missed.amount) == (len(missed), worth(missed))
        assert day.truth.false_alarms.count == len(false)
    assert report.day.truth.caught.count > 0 < report.day.truth.missed.count
    empty = report_of(data, date(2026, 1, 9), by=by)
    assert empty.days[-1].decided.count == len(of_day(rows, date(2026, 1, 9), by)) < 30 < empty.days[-2].decided.count
    assert (by == "event") == (empty.days[-1].decided.count > 0)  # late ones of the next morning


@BOTH
def test_reasons_and_rules_are_those_of_the_decisions(decided, by):
    data, rows, _ = decided
    report = report_of(data, by=by)
    mine = of_day(rows, DAY, by)
    reasons = Counter(code for row in mine if row["decision"] != "APPROVE" for code in set(row["reasons"]))
    assert {reason.name: reason.count for reason in report.reasons} == reasons
    assert report.reasons_of == sum(row["decision"] != "APPROVE" for row in mine)
    dear = next(rule for rule in report.rules if rule.name == "dear")
    assert dear.count == dear.stopped == sum(row["amount"] > 900 for row in mine)
    assert dear.before == sum(row["amount"] > 900 for row in of_day(rows, DAY - timedelta(days=1), by))
    assert "is dear" in next(reason for reason in report.reasons if reason.name == "dear").example


def test_figures_stand_beside_the_day_before_and_the_mean_of_the_days_before(decided):
    data, rows, _ = decided
    figures = report_of(data).figures()
    earlier = [len(of_day(rows, DAY - timedelta(days=back))) for back in range(1, 8)]
    assert figures["decisions"][1] == earlier[0]
    assert figures["decisions"][2] == pytest.approx(sum(earlier) / sum(count > 0 for count in earlier))
    p50, p95, p99 = (figures[f"latency_ms_{name}"][0] for name in ("p50", "p95", "p99"))
    assert 0 < p50 <= p95 <= p99
    assert figures["quarantined"][0] == 2  # at 0 and 14 hours


def test_young_and_unfinished_days_say_so(decided):
    data = decided[0]
    old = report_of(data, now=NOW + timedelta(days=30))
    assert (old.finished, old.young, old.notes) == (True, False, [])
    young = report_of(data, now=datetime(2026, 1, 14, 12, tzinfo=UTC))
    assert (young.finished, young.young) == (True, True)
    assert "until 2026-01-17" in young.notes[0]
    running = report_of(data, now=datetime(2026, 1, 13, 12, tzinfo=UTC))
    assert not running.finished
    assert "The day is not over" in running.notes[0]
    nothing = report_of(data, date(2025, 1, 1))
    assert "Nothing was decided on this day." in nothing.notes
    assert nothing.figures()["decisions"] == (0, None, None)
    assert "Nothing was decided in this week" in page(nothing)


def test_the_day_is_the_newest_that_is_over_unless_one_is_named(decided):
    data = decided[0]
    assert report_of(data, None, NOW + timedelta(days=9)).date == date(2026, 1, 16)
    assert report_of(data, None, datetime(2026, 1, 16, 12, tzinfo=UTC)).date == date(2026, 1, 15)


def test_what_is_in_parquet_counts_like_what_is_still_in_the_log(decided, tmp_path):
    data = decided[0]
    with FileLedger(data / "ledger") as ledger, Archive(ledger, tmp_path / "archive", file_rows=300) as archive:
        before = make_report(ledger, archive, "shop", now_us=to_us(NOW), date=DAY, amount="amount")
        assert archive.roll(everything=True) > 0
        after = make_report(ledger, archive, "shop", now_us=to_us(NOW), date=DAY, amount="amount")
        assert before == after
        ledger.tables.put_setting("archive.rolled", (0, 0))


def test_a_report_is_made_while_the_engine_goes_on(decided, tmp_path):
    clock = SetClock(NOW)
    event = {"transaction_id": "a", "timestamp": NOW.isoformat(), "customer_id": "c", "amount": 3.0}
    with Engine(detector(), data=tmp_path, clock=clock) as engine:
        engine.decide(event)
        assert report_of(tmp_path, None, NOW).day.decided.count == 1
        engine.decide({**event, "transaction_id": "b"})
        assert report_of(tmp_path, None, NOW).day.decided.count == 2


def test_csv_json_and_page_say_the_same(decided, tmp_path):
    report = report_of(decided[0])
    lines = {row["figure"]: row for row in csv.DictReader(io.StringIO(table(report)))}
    assert int(lines["decisions"]["value"]) == report.day.decided.count
    assert lines["rule:dear"]["value"] == str(report.rules[[rule.name for rule in report.rules].index("dear")].count)
    written = write_reports({"shop": report}, tmp_path)
    assert [path.name for path in written] == [f"daily-shop-2026-01-13.{ending}" for ending in ("json", "csv", "html")]
    said = json.loads(written[0].read_bytes())
    assert said["figures"]["decisions"]["day"] == report.day.decided.count
    assert said["days"][-1]["date"] == "2026-01-13"
    html = written[2].read_text()
    assert f"<b>{report.day.decided.count:,}</b>decisions" in html
    assert "<script" not in html
    assert "is dear" in html


def test_a_hostile_name_stays_text_on_the_page(decided):
    report = report_of(decided[0])
    [first, *rest] = report.reasons
    evil = msgspec.structs.replace(report, reasons=[msgspec.structs.replace(first, example="<img src=x>"), *rest])
    assert "<img" not in page(evil)


# ---------------------------------------------------------------- the command


MINE = """
from tests.integration.test_daily_report import detector as made
detector = made()
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_the_command_writes_files_or_prints_one_json_value(decided, mine, tmp_path, capsys):
    data = str(decided[0])
    assert run(["report", "daily", str(mine), "--date", "2026-01-13", "--data", data, "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
    capsys.readouterr()
    assert run(["report", "daily", str(mine), "--date", "2026-01-13", "--data", data, "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["reports"]
    assert (report["detector"], report["date"], report["notes"]) == ("shop", "2026-01-13", [])
    assert report["figures"]["amount"]["day"] > 0
    assert not (decided[0] / "reports").exists()


def test_a_detector_that_is_not_installed_is_counted_without_money(decided, capsys):
    assert run(["report", "daily", "--date", "2026-01-13", "--data", str(decided[0]), "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["reports"]
    assert report["figures"]["amount"]["day"] is None
    assert "Events do not say what they are worth" in report["notes"][0]


def test_what_cannot_be_reported_is_an_error_that_says_why(decided, tmp_path, capsys):
    chosen = Settings(data=decided[0])
    with pytest.raises(DataError, match="'banking' has decided nothing here"):
        daily_reports(chosen, "banking", None)
    with pytest.raises(ConfigurationError, match="there is no ledger"):
        daily_reports(Settings(data=tmp_path / "none"), None, None)
    assert run(["report", "daily", "--date", "13.1.2026", "--data", str(decided[0])]) == 2


# ---------------------------------------------------------------- events that happen in steps


class Movement(msgspec.Struct):
    transaction_id: str
    nameOrig: str
    amount: float
    step: int | None = None
    timestamp: datetime | None = None


STEPS_FROM = datetime(2020, 1, 1, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
MOVED = [  # the step of each movement, and when it was decided
    (1, MIDNIGHT - timedelta(hours=30)),
    (2, MIDNIGHT - timedelta(hours=20)),
    (26, MIDNIGHT - timedelta(hours=20)),
    (743, MIDNIGHT - timedelta(microseconds=1)),
    (3, MIDNIGHT),
    (1, MIDNIGHT + timedelta(hours=9)),
]


def moving():
    account = Entity("nameOrig")
    return Detector(
        "moving",
        event=Movement,
        id="transaction_id",
        time="timestamp",
        steps=Steps("step", every="1h", start=STEPS_FROM),
        features=[account.count("1h").named("count_1h")],
        rules=[Rule("large", "amount > 100", then="block")],
    )


@pytest.fixture(params=["disk", "postgres"])
def moved(request, tmp_path):
    """The settings of a service that decided events that name an hour of another year; its ledger on disk and in PostgreSQL."""
    settings = Settings(data=tmp_path / "data")
    if request.param == "postgres":
        settings = Settings(data=tmp_path / "data", ledger=request.getfixturevalue("postgres_url"))
        create(settings.ledger)
    mine = tmp_path / "moving.py"
    mine.write_text("from tests.integration.test_daily_report import moving\ndetector = moving()\n")
    clock = SetClock(MIDNIGHT)
    ledger = {} if settings.ledger is None else {"ledger": PostgresLedger(settings.ledger)}
    with Engine(moving(), data=settings.data, clock=clock, **ledger) as engine:
        for number, (step, at) in enumerate(MOVED):
            clock.at(at)
            event = {"transaction_id": f"m{number}", "nameOrig": "C1", "amount": 60.0 * (1 + number % 2), "step": step}
            assert engine.decide(event).decision == ("BLOCK" if number % 2 else "APPROVE")
        engine.ledger.flush()
        listed = {by: decided_days(settings, engine, by=by, clock=clock) for by in ("decided", "event")}
    for close in ledger.values():
        close.close()
    return settings, mine, listed


def test_mobile_money_is_reported_by_the_day_on_which_it_was_decided(moved):
    """Also the decision of the last microsecond before midnight, and that of midnight."""
    settings, mine, listed = moved
    assert listed["decided"] == [(date(2026, 3, 3), 2), (date(2026, 3, 2), 3), (date(2026, 3, 1), 1)]
    now = SetClock(MIDNIGHT + timedelta(hours=10))
    report = daily_reports(settings, str(mine), None, clock=now)["moving"]
    assert (report.date, report.by, report.finished) == (date(2026, 3, 2), "decided", True)
    assert [day.decided.count for day in report.days] == [0] * 6 + [1, 3]
    assert {name: (share.count, share.amount) for name, share in report.day.by_decision.items()} == {
        "APPROVE": (1, 60.0),
        "BLOCK": (2, 240.0),
    }
    assert [(rule.name, rule.count) for rule in report.rules] == [("large", 2)]
    assert "Decisions by the day on which they were made (UTC)" in page(report)


def test_mobile_money_is_reported_by_its_steps_on_request(moved):
    settings, mine, listed = moved
    days = [(date(2020, 1, 31), 1), (date(2020, 1, 2), 1), (date(2020, 1, 1), 4)]
    assert listed["event"] == days
    for day, count in days:
        report = daily_reports(settings, str(mine), day, by="event", clock=SetClock(MIDNIGHT))["moving"]
        assert (report.by, report.day.decided.count) == ("event", count)
    assert "Decisions by the day of their event (UTC)" in page(report)
    assert daily_reports(settings, None, None, by="event", clock=SetClock(MIDNIGHT))["moving"].date == date(2020, 1, 31)


@pytest.mark.parametrize(("named", "decisions"), [("today", 2), ("yesterday", 3), ("2026-03-01", 1)])
def test_today_and_yesterday_are_days_that_can_be_named(moved, named, decisions, monkeypatch, capsys):
    settings, mine, _ = moved
    monkeypatch.setattr("penstock.clock.system_clock", SetClock(MIDNIGHT + timedelta(hours=23, minutes=59)))
    place = ["--data", str(settings.data), *(["--ledger", settings.ledger] if settings.ledger else [])]
    assert run(["report", "daily", str(mine), "--date", named, "--json", *place]) == 0
    [report] = json.loads(capsys.readouterr().out)["reports"]
    assert (report["by"], report["figures"]["decisions"]["day"]) == ("decided", decisions)
    assert run(["report", "daily", str(mine), "--date", "2020-01-02", "--by", "event", "--json", *place]) == 0
    [report] = json.loads(capsys.readouterr().out)["reports"]
    assert (report["by"], report["figures"]["decisions"]["day"]) == ("event", 1)


# ---------------------------------------------------------------- the control share


def blocking(control_share):
    rules = [Rule("dear", "amount > 500", then="block")]
    return Detector(
        "shop",
        event=Purchase,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="3d"),
        features=[customer.count("1h")],
        rules=rules,
        policy=Policy(control_share=control_share),
    )


def test_the_precision_of_blocks_is_what_those_let_through_stand_for(tmp_path):
    """Half of the time one would-be block in twenty is let through, then one in five; each stands for so many."""
    chance, clock, known = random.Random(5), SetClock(FIRST), []
    for day, share in enumerate([0.05] * 5 + [0.2] * 5):
        clock.at(FIRST + timedelta(days=day))
        with Engine(blocking(share), data=tmp_path, clock=clock) as engine:
            events = [
                {
                    "transaction_id": f"d{day}-{number}",
                    "timestamp": (FIRST + timedelta(days=day)).isoformat(),
                    "customer_id": f"c{number}",
                    "amount": 1000.0 * chance.random(),
                }
                for number in range(400)
            ]
            let_through = [
                answer.transaction_id
                for event, answer in zip(events, engine.decide_many(events), strict=True)
                if event["amount"] > 500 and answer.decision == "APPROVE"
            ]
            for name in let_through:
                fraud = chance.random() < (0.9 if day < 5 else 0.4)
                if fraud or chance.random() < 0.5:  # of good ones half are never spoken of
                    engine.label(name, fraud=fraud, at=FIRST + timedelta(days=day, hours=1))
                if day < 7:  # what is younger than labels take tells nothing yet, whatever is said of it
                    known.append((fraud, 1 / share))
    settings, now = Settings(data=tmp_path), SetClock(FIRST + timedelta(days=9, hours=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.wiring.reports.daily.load_detector", lambda _: blocking(0.2))
        report = daily_reports(settings, "shop.py", (FIRST + timedelta(days=9)).date(), clock=now)["shop"]
    found = report.control.blocks
    naive = sum(weight for fraud, weight in known if fraud) / sum(weight for _, weight in known)
    assert (found.known, found.fraud) == (len(known), sum(fraud for fraud, _ in known))
    assert found.precision.value == pytest.approx(naive)
    assert found.precision.low < naive < found.precision.high
    assert found.precision.of == len(known)
    assert f"Of {len(known)} of these the truth is known by now" in page(report)
    assert f"block_precision,{naive:.10g}" in table(report)


def test_without_a_control_share_nothing_is_said_of_the_precision_of_blocks(decided):
    data, *_ = decided
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.wiring.reports.daily.load_detector", lambda _: detector())
        report = daily_reports(Settings(data=data), "shop.py", DAY, clock=SetClock(NOW))["shop"]
    assert report.control is None
    assert "control share" not in page(report)
    assert "block_precision" not in table(report)
