"""Drift of what an engine has recorded: from its ledger, by command, beside a service, for a trainer, on the day's page."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Engine, replay
from penstock.alerts.alert import alert_of
from penstock.cli import run
from penstock.clock import from_us, to_us
from penstock.config import Settings
from penstock.errors import BundleError, DataError
from penstock.ledger import FileLedger
from penstock.models import load_bundle
from penstock.models.reference import REFERENCE, read_reference
from penstock.offline.daily import page as daily_page
from penstock.offline.datasets import read
from penstock.offline.drift.page import page
from penstock.offline.drift.report import Reporter
from penstock.offline.drift.result import DriftReport
from penstock.offline.drift.sketch import HOUR_US, DecisionColumns, Sketch
from penstock.offline.drift.watch import Watch
from penstock.offline.registry import FolderRegistry, register
from penstock.testing import SetClock
from penstock.wiring.alerts import Alerting
from penstock.wiring.engines import load_history, openers
from penstock.wiring.reports.daily import daily_reports
from penstock.wiring.reports.drift import (
    Drift,
    DriftSink,
    DriftWork,
    drift_asks,
    drift_of_day,
    drift_report,
)
from penstock.wiring.reports.references import make_reference, reference_file
from tests.integration.behind import Behind, WorkerProcess
from tests.integration.paid import START, detector, events, trained
from tests.waiting import wait_until

LIVE = START + timedelta(days=20)
SHIFT = START + timedelta(days=29)
NOW = START + timedelta(days=30)
ALL = events(9000, days=30)


def shifted(frame):
    later = pl.col("timestamp") >= SHIFT
    return frame.with_columns(
        pl.when(later).then(pl.col("amount") * 4).otherwise(pl.col("amount")).alias("amount"),
        pl.when(later & (pl.col("channel") == "web")).then(pl.lit("app")).otherwise(pl.col("channel")).alias("channel"),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    done = trained(detector(), ALL.filter(pl.col("timestamp") < LIVE))
    return folder, register(FolderRegistry(folder), detector(), done).report.model_version


@pytest.fixture(scope="module")
def folder(tmp_path_factory, models):
    """A data folder whose last day is another population, with the truth of most days."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(models[0], data / "models")
    live = shifted(ALL.filter(pl.col("timestamp") >= LIVE))
    with Engine(detector(), models=data / "models", data=data, clock=SetClock(NOW)) as engine:
        load_history(engine, read(ALL.filter(pl.col("timestamp") < LIVE), detector()))
        for part in live.iter_slices(300):
            engine.decide_many(part)
        told = live.filter(pl.col("timestamp") < SHIFT - timedelta(days=1)).select(
            "transaction_id", fraud="is_fraud", known_at=(pl.col("timestamp") + timedelta(days=1)).dt.strftime("%FT%TZ")
        )
        assert all(isinstance(answer, dict) for answer in engine.label_json(msgspec.json.encode(told.to_dicts())))
        engine.ledger.flush()
    return data


@pytest.fixture
def settings(folder):
    return Settings(data=folder)


def column(report, name):
    return next(each for each in report.columns if each.name == name)


def clock():
    return to_us(NOW)


# ---------------------------------------------------------------- what a training leaves


def test_a_bundle_says_what_its_models_were_trained_on(models):
    folder, version = models
    reference = read_reference(folder / "paid" / version)
    names = [each.name for each in reference.columns]
    assert names == [*detector().plan.inputs, "fraud_probability", "score_logistic_regression", "score_xgboost"]
    assert (reference.days[0], reference.days[-1]) == ("2026-01-01", "2026-01-20")
    recorded = ALL.filter(pl.col("timestamp") < LIVE)
    assert sum(map(sum, reference.columns[0].days)) == len(recorded)
    assert set(reference.importance) == set(detector().plan.inputs)
    assert reference.expected["fraud_rate"] == pytest.approx(reference.expected["known_fraud_rate"], rel=0.5)


def test_a_reference_holds_the_scores_that_the_served_models_give_and_the_quality_of_those_that_had_not_seen_the_test(models):
    """Bins cut for other fits of the same models hold other shares of what the served ones give, though nobody changed."""
    folder, version = models
    reference, served = read_reference(folder / "paid" / version), load_bundle(folder / "paid" / version)
    begins = {part: datetime.fromisoformat(served.manifest["training"]["periods"][part][0]) for part in ("valid", "test")}
    recorded = ALL.filter(pl.col("timestamp") < LIVE)
    given = replay(detector(), recorded, served).filter(pl.col("timestamp") >= begins["valid"])
    for column, name in zip(reference.columns[-3:], ("score", "score_logistic_regression", "score_xgboost"), strict=True):
        placed = column.place(given[name].to_numpy())
        assert np.sum(column.days, axis=0).tolist() == np.bincount(placed, minlength=column.bins).tolist()
    assert reference.expected["rows"] == len(recorded.filter(pl.col("timestamp") >= begins["test"]))
    assert REFERENCE in served.manifest["files"]


def test_scores_of_models_that_serve_as_they_were_measured_are_of_days_that_they_did_not_learn_from():
    """These begin late, with full windows: a service that begins empty is judged by its scores when its own have filled."""
    done = trained(detector(), ALL.filter(pl.col("timestamp") < LIVE), refit=False)
    score = done.reference.columns[-3]
    first_known = next(at for at, day in enumerate(score.days) if sum(day))
    assert START + timedelta(days=first_known + 1) > from_us(done.report.periods.valid_from)
    reporter, sketch = Reporter(detector(), done.reference, done.ensemble), Sketch(done.reference.columns)
    first = to_us(LIVE) // HOUR_US
    sketch.add(DecisionColumns(to_us(LIVE) + np.arange(24) * HOUR_US, {}, {}, {"fraud_probability": np.full(24, 0.9)}))
    begins, began = (
        column(reporter.report(sketch, now_us=0, begun_us=begun, stop=first + 24), "fraud_probability").state
        for begun in (to_us(LIVE), to_us(LIVE - timedelta(days=1)))
    )
    assert (begins, began) == ("filling", "drifted")


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_days_like_those_of_training_raise_nothing_about_the_scores_of_refitted_models(seed):
    """Also where trees give most payments one of a few values; that amounts four times as high move scores is still found."""
    frame = events(9000, seed=seed, days=30)
    done = trained(detector(), frame.filter(pl.col("timestamp") < LIVE))
    later = pl.col("timestamp") >= LIVE
    higher = frame.with_columns(pl.when(later).then(pl.col("amount") * 4).otherwise("amount").alias("amount"))
    reporter = Reporter(detector(), done.reference, done.served)
    quiet, moved = ([_scores_moved(reporter, done, each, day) for day in range(10)] for each in (frame, higher))
    assert quiet == [set()] * 10
    assert all("fraud_probability" in drifted for drifted in moved)


def _scores_moved(reporter, done, frame, day):
    """The scores that drifted on one day after LIVE, by state that has filled."""
    since = LIVE + timedelta(days=day)
    given = replay(detector(), frame, done.served)
    given = given.filter((pl.col("timestamp") >= since) & (pl.col("timestamp") < since + timedelta(days=1)))
    scores = {name: given[name].to_numpy() for name in ("score_logistic_regression", "score_xgboost")}
    sketch = Sketch(done.reference.columns)
    times = given["timestamp"].dt.epoch("us").to_numpy()
    sketch.add(DecisionColumns(times, {}, {}, {"fraud_probability": given["score"].to_numpy(), **scores}))
    stop = to_us(since + timedelta(days=1)) // HOUR_US
    report = reporter.report(sketch, now_us=0, begun_us=to_us(START), stop=stop)
    return {each.name for each in report.columns if each.state == "drifted"}


# ---------------------------------------------------------------- what was recorded


def test_a_shift_is_found_with_what_it_touches_and_what_to_do(settings):
    report = drift_report(settings, detector(), clock=clock)
    found = {each.column: each for each in report.alarms}
    assert found["amount"].advice == "retrain"
    assert set(found["amount"].models) == {"logistic_regression", "xgboost"}
    assert found["amount"].rules == ["huge"]
    assert report.retrain
    assert report.judged
    assert column(report, "amount").state == "drifted"
    assert column(report, "recent").state == "stable"


def test_the_days_before_the_shift_raise_nothing(settings):
    report = drift_report(settings, detector(), until_us=to_us(SHIFT), clock=clock)
    assert (report.findings, report.judged) == ([], True)
    assert report.rows == len(ALL.filter((pl.col("timestamp") >= SHIFT - timedelta(days=1)) & (pl.col("timestamp") < SHIFT)))


def test_bins_of_the_report_are_what_counting_the_rows_gives(settings):
    report = drift_report(settings, detector(), since_us=to_us(LIVE), until_us=to_us(SHIFT), clock=clock)
    live = ALL.filter((pl.col("timestamp") >= LIVE) & (pl.col("timestamp") < SHIFT))["amount"].to_numpy()
    reference = read_reference(settings.models_folder / "paid" / report.model_version)
    amount = next(each for each in reference.columns if each.name == "amount")
    low, high = [-np.inf, *amount.edges], [*amount.edges, np.inf]
    naive = [int(((live > a) & (live <= b)).sum()) for a, b in zip(low, high, strict=True)]
    assert [each.live for each in column(report, "amount").bins] == pytest.approx([n / len(live) for n in naive if n])
    assert sum(day.rows for day in column(report, "amount").days) == len(live)


def test_labels_are_told_by_day_and_days_whose_labels_are_on_their_way_are_young(settings):
    report = drift_report(settings, detector(), clock=clock)
    days = {day.day: day for day in report.truth}
    mature, young = days[datetime(2026, 1, 22, tzinfo=UTC).date()], days[datetime(2026, 1, 30, tzinfo=UTC).date()]
    rows = ALL.filter(pl.col("timestamp").dt.date() == mature.day)
    assert (mature.decisions, mature.known, mature.frauds) == (len(rows), len(rows), rows["is_fraud"].sum())
    assert mature.fraud_rate == pytest.approx(rows["is_fraud"].mean())
    assert 0 < mature.expected < len(rows)
    assert (young.young, young.known, young.fraud_rate, mature.young) == (True, 0, None, False)


def test_what_scores_say_without_labels_is_close_to_what_labels_say(settings):
    report = drift_report(settings, detector(), since_us=to_us(LIVE), until_us=to_us(SHIFT), clock=clock)
    truth = ALL.filter((pl.col("timestamp") >= LIVE) & (pl.col("timestamp") < SHIFT))["is_fraud"].mean()
    assert report.estimate["live"]["fraud_rate"] == pytest.approx(truth, rel=0.25)
    assert report.estimate["live"]["roc_auc"] == pytest.approx(report.estimate["training"]["roc_auc"], abs=0.05)


def test_looking_again_counts_what_is_new_and_nothing_twice(models, tmp_path):
    """A watch that follows an engine as it decides has counted what one that begins at the end counts."""
    reference = read_reference(models[0] / "paid" / models[1])
    live = ALL.filter(pl.col("timestamp") >= LIVE)
    with Engine(detector(), models=models[0], data=tmp_path, clock=SetClock(NOW)) as engine:
        follows = Watch(engine.ledger, "paid", reference, version=models[1], review_at=0.5)
        for part in live.iter_slices(500):
            engine.decide_many(part)
            engine.ledger.flush()
            follows.catch_up()
        begins = Watch(engine.ledger, "paid", reference, version=models[1], review_at=0.5)
        begins.catch_up()
    first, stop = begins.sketch.span
    np.testing.assert_array_equal(follows.sketch.between(first, stop), begins.sketch.between(first, stop))
    assert begins.sketch.between(first, stop)[:, 0].sum() == len(live)


def test_scores_of_other_models_are_not_counted(settings, models):
    reference = read_reference(models[0] / "paid" / models[1])
    with FileLedger(settings.data / "ledger", read_only=True) as ledger:
        other = Watch(ledger, "paid", reference, version="another", review_at=0.5)
        other.catch_up()
    first, stop = other.sketch.span
    counted = other.sketch.between(first, stop).sum(axis=(0, 2))
    assert counted[0] > 0
    assert counted[-3:].tolist() == [0, 0, 0]


def test_a_service_that_begins_empty_as_training_did_is_judged_from_its_first_day(models, tmp_path):
    with Engine(detector(), models=models[0], data=tmp_path, clock=SetClock(NOW)) as engine:
        engine.decide_many(ALL.filter((pl.col("timestamp") >= LIVE) & (pl.col("timestamp") < LIVE + timedelta(days=1))))
        engine.ledger.flush()
        drift = Drift(detector(), Settings(data=tmp_path, models=models[0]), engine.ledger, models[1])
        report = drift.look(None, now_us=clock())
    assert (column(report, "spent").state, column(report, "amount").state) == ("stable", "stable")
    assert (report.judged, report.alarms) == (True, [])


def test_a_stretch_before_what_is_counted_is_refused(settings):
    with pytest.raises(DataError, match="35 days back from the newest: ask for a time after 2025-12-2"):
        drift_report(settings, detector(), since_us=to_us(NOW - timedelta(days=40)), clock=clock)


# ---------------------------------------------------------------- without a reference


def test_bundles_of_before_say_what_to_do_and_take_a_reference_from_a_file(folder, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    version = FolderRegistry(data / "models").alias("paid", "champion")
    place = data / "models" / "paid" / version
    (place / REFERENCE).unlink()
    manifest = json.loads((place / "manifest.json").read_text())
    del manifest["files"][REFERENCE]
    content = {key: value for key, value in manifest.items() if key not in ("version", "created_at")}
    older = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    (place / "manifest.json").write_text(json.dumps(manifest | {"version": older}))
    place.rename(place.with_name(older))
    FolderRegistry(data / "models").set_champion("paid", older, "promoted")
    settings = Settings(data=data)
    with pytest.raises(BundleError, match="penstock drift paid --reference FILE"):
        drift_report(settings, detector(), clock=clock)
    make_reference(settings, detector(), read(ALL.filter(pl.col("timestamp") < LIVE), detector()))
    assert reference_file(settings, "paid", older).is_file()
    drift = Drift(detector(), settings, FileLedger(data / "ledger", read_only=True), older)
    assert column(drift.look(None, now_us=clock()), "amount").state == "drifted"


def test_rules_alone_take_a_reference_from_a_file(tmp_path):
    alone = detector(models=[])
    settings = Settings(data=tmp_path)
    make_reference(settings, alone, read(ALL.filter(pl.col("timestamp") < LIVE), alone))
    with Engine(alone, data=tmp_path, clock=SetClock(NOW)) as engine:
        engine.decide_many(shifted(ALL))
    report = drift_report(settings, alone, clock=clock)
    assert report.model_version is None
    assert [(each.column, each.rules) for each in report.alarms if each.column == "amount"] == [("amount", ["huge"])]


def test_a_folder_that_has_decided_nothing_says_so(models, tmp_path):
    with Engine(detector(), models=models[0], data=tmp_path):
        pass
    with pytest.raises(DataError, match="has decided nothing here"):
        drift_report(Settings(data=tmp_path, models=models[0]), detector())


# ---------------------------------------------------------------- commands


@pytest.fixture
def mine(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("from tests.integration.paid import detector\n\nmine = detector()\n")
    monkeypatch.chdir(tmp_path)
    return str(path)


def test_the_command_says_what_drifted_as_text_as_json_and_as_a_page(folder, mine, tmp_path, capsys):
    shown = tmp_path / "drift.html"
    assert run(["drift", mine, "--data", str(folder), "--out", str(shown)]) == 0
    said = capsys.readouterr().out
    assert "! amount has moved against training" in said
    assert "in rules: huge" in said
    html = shown.read_text()
    assert "<title>Drift of paid" in html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert run(["drift", mine, "--data", str(folder), "--json"]) == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=DriftReport)
    assert {"amount"} <= {each.column for each in report.alarms}


def test_the_command_takes_a_longer_stretch_and_one_that_has_passed(folder, mine, capsys):
    assert run(["drift", mine, "--data", str(folder), "--since", "2026-01-22", "--until", "2026-01-29", "--json"]) == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=DriftReport)
    assert (report.alarms, report.since, report.until) == (
        [],
        datetime(2026, 1, 22, tzinfo=UTC),
        datetime(2026, 1, 29, tzinfo=UTC),
    )
    assert run(["drift", mine, "--data", str(folder), "--last", "7d", "--json"]) == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=DriftReport)
    assert report.until - report.since == timedelta(days=7)


def test_the_command_explains_what_it_cannot_do(mine, tmp_path, capsys):
    assert run(["drift", mine, "--data", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    assert run(["drift", mine, "--last", "soon"]) == 2
    assert "--last 'soon'" in capsys.readouterr().err


# ---------------------------------------------------------------- beside what runs


@pytest.fixture
def engine(folder, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    with Engine(detector(), models=data / "models", data=data, clock=SetClock(NOW)) as opened:
        yield opened


def test_a_look_beside_a_service_says_what_the_command_says(engine, settings, tmp_path):
    work = DriftWork(Settings(data=tmp_path / "data"), clock=clock)
    work.look([engine])
    once = drift_report(settings, detector(), clock=clock)
    assert work.reports["paid"] == once
    assert work.figures() == {"paid": {"drift": float(len(once.alarms))}}


def test_a_look_beside_a_service_logs_one_line_however_much_has_moved(engine, tmp_path, caplog):
    work = DriftWork(Settings(data=tmp_path / "data"), clock=clock)
    with caplog.at_level("WARNING", "penstock.wiring.reports.drift"):
        work.look([engine])
    first, *others = work.reports["paid"].alarms
    assert others
    assert caplog.messages == [f"drift of paid: {first.text}; {first.advice} (and {len(others)} more: penstock drift paid)"]


def test_a_look_that_finds_no_reference_says_why_and_goes_on(tmp_path):
    alone = detector(models=[])
    with Engine(alone, data=tmp_path, clock=SetClock(NOW)) as engine:
        work = DriftWork(Settings(data=tmp_path), clock=clock)
        work.look([engine])
        assert "has no reference" in work.troubles["paid"]
        make_reference(Settings(data=tmp_path), alone, read(ALL, alone))
        work.look([engine])
        assert (list(work.reports), work.troubles) == (["paid"], {})


def test_a_look_ends_at_once_when_the_service_does(engine, tmp_path):
    work = DriftWork(Settings(data=tmp_path / "data"), clock=clock)
    work.stop()
    work.look([engine])
    assert (work.reports, work.troubles) == ({}, {})


def test_a_trainer_is_asked_once_for_each_version(settings):
    ask = drift_asks(msgspec.structs.replace(settings, drift_every_s=0.001), detector(), clock=_ticking())
    first = ask()
    assert first is not None
    assert first.startswith("drift of ")
    assert "amount" in first
    assert [ask(), ask()] == [None, None]


def _ticking():
    now = iter(range(clock(), clock() + 10**9, 10**6))
    return lambda: next(now)


def test_a_trainer_is_not_asked_where_nothing_can_be_said(tmp_path):
    assert drift_asks(Settings(data=tmp_path), detector())() is None


def test_the_day_on_which_it_shifted_says_so_and_the_day_before_does_not(settings):
    with FileLedger(settings.data / "ledger", read_only=True) as ledger:
        bad, why = drift_of_day(settings, detector(), ledger, SHIFT.date(), now_us=clock(), by="event")
        good, _ = drift_of_day(settings, detector(), ledger, (SHIFT - timedelta(days=1)).date(), now_us=clock(), by="event")
    assert why is None
    assert "amount" in {each.column for each in bad.alarms}
    assert good.findings == []
    assert "amount has moved" in page(bad)


def test_the_report_of_the_day_has_a_section_about_drift(settings, mine):
    """All of it was decided at one instant, so days are those of the events."""
    days = SHIFT.date(), (SHIFT - timedelta(days=1)).date()
    bad, good = (daily_reports(settings, mine, day, by="event", clock=clock)["paid"] for day in days)
    assert "amount has moved against training" in daily_page(bad)
    assert "Nothing has drifted" in daily_page(good)
    psi, limit = bad.as_json()["drift"]["columns"]["amount"]
    assert psi > limit


def test_a_sink_of_a_worker_looks_for_as_long_as_it_is_in_charge(engine, tmp_path):
    work = DriftWork(Settings(data=tmp_path / "data", drift_every_s=0.01), clock=clock)
    sink = DriftSink(engine, work)
    assert sink.begin(1) == engine.ledger.durable_position
    wait_until(lambda: work.reports, 60)
    sink.close()
    sink.close()
    assert work.figures()["paid"]["drift"] > 0


@pytest.mark.slow
def test_a_worker_that_decides_for_another_population_tells_people(models, mine, redis_url, tmp_path, monkeypatch):
    """The worker as it is started: what it decides is looked at while it goes on, and an alert goes to the topic of alerts."""
    monkeypatch.setenv("PENSTOCK_DRIFT_EVERY_S", "0.2")
    live = shifted(ALL.filter(pl.col("timestamp") >= SHIFT - timedelta(days=1))).drop("is_fraud")
    behind = Behind(redis_url, "paid")
    worker = WorkerProcess(mine, redis_url, tmp_path / "data", "--models", str(models[0]), "--alerts", "defaults")

    def drifted():
        return [alert for alert in behind.read("alerts") if alert["rule"] == "drift"]

    try:
        behind.put("transactions", live.to_dicts())
        wait_until(lambda: drifted() and "drift of paid: amount has moved" in worker.log.read_text())
        assert worker.stop() == 0
    finally:
        worker.end()
        behind.close()
    assert "has drifted from what the models were trained on" in drifted()[0]["text"]
    assert "drift of paid: amount has moved" in worker.log.read_text()


def test_an_alert_tells_people(folder, tmp_path):
    """By the rules that come with Penstock: the figure of drift, looked at beside the running service."""
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    settings = Settings(data=data, alerts=Path("defaults"))
    alerting, work, told = Alerting.of([detector()], settings), DriftWork(settings, clock=clock), []
    alerting.listen(lambda _name, body: told.append(alert_of(body)))
    alerting.also(work.figures)
    engine = openers([detector()], settings, alerting=alerting)["paid"]()
    try:
        work.look([engine])
        wait_until(lambda: [alert for alert in told if alert.rule == "drift"], 60)
    finally:
        engine.close()
    [alert] = [alert for alert in told if alert.rule == "drift"]
    assert "has drifted from what the models were trained on" in alert.text
    assert alert.values["value"] == len(work.reports["paid"].alarms)
