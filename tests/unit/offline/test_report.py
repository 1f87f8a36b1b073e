"""The report: curves against naive counting, intervals that cover, mistakes as decisions would have been, a page alone."""

import json
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from tests.integration.paid import START, detector, events, trained

from penstock import Detector, Entity, Label, LogisticRegression, cli
from penstock.messages import Action
from penstock.models import metrics
from penstock.offline.pages import NAMES
from penstock.offline.replay import replay
from penstock.offline.report import investigate, page, plots
from penstock.offline.report.curves import EDGES, distribution, precision_recall, reliability, roc
from penstock.offline.report.importance import importance
from penstock.offline.report.intervals import intervals
from penstock.outcomes import wilson


def scores(n, seed=0, share=0.1):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(float)
    return np.round(1 / (1 + np.exp(2 - 3 * y + rng.normal(0, 1, n))), 2), y


# ---------------------------------------------------------------- curves


@pytest.mark.parametrize("seed", range(3))
def test_every_point_of_a_curve_is_what_counting_gives(seed):
    score, y = scores(400, seed)
    curve, pure = roc(score, y), precision_recall(score, y)
    counted = {(0.0, 0.0)} | {
        (float(((score >= at) & (y == 0)).sum() / (y == 0).sum()), float(((score >= at) & (y == 1)).sum() / y.sum()))
        for at in np.unique(score)
    }
    assert set(zip(curve.fpr, curve.recall, strict=True)) <= counted
    assert (curve.fpr[-1], curve.recall[-1]) == (1.0, 1.0)
    purity = {(float(((score >= at) & (y == 1)).sum() / y.sum()), float(y[score >= at].mean())) for at in np.unique(score)}
    assert set(zip(pure.recall, pure.precision, strict=True)) <= purity


def test_a_thinned_curve_keeps_its_area():
    score, y = scores(20_000, share=0.02)
    score = score + np.random.default_rng(1).random(len(score)) * 1e-3
    curve = roc(score, y)
    assert len(curve.fpr) < 500
    assert np.trapezoid(curve.recall, curve.fpr) == pytest.approx(metrics.roc_auc(score, y), abs=0.005)


def test_bins_hold_every_row_once_and_shares_add_up():
    score, y = scores(3000)
    score[:3] = [0.0, 1.0, 1e-7]
    assert sum(each["rows"] for each in reliability(score, y)) == 3000
    assert sum(each["frauds"] for each in reliability(score, y)) == y.sum()
    bins = distribution(score, y)
    assert len(bins) == len(EDGES)
    for kind in ("fraud", "good"):
        assert sum(each[kind] for each in bins) == pytest.approx(1.0)


def test_the_interval_of_a_share_holds_the_truth_about_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    inside = [low <= 0.02 <= high for low, high in (wilson(found, 500) for found in rng.binomial(500, 0.02, 2000).tolist())]
    assert 0.92 < np.mean(inside) < 0.98


# ---------------------------------------------------------------- intervals


def test_every_figure_has_an_interval_that_holds_it():
    score, y = scores(3000)
    day, customer, amount = np.arange(3000) // 300, np.arange(3000) % 700, np.random.default_rng(1).random(3000) * 100
    figures = metrics.figures(score, y, threshold=0.5, day=day, customer=customer, amount=amount)
    found = intervals(score, y, threshold=0.5, day=day, customer=customer, amount=amount)
    assert set(found) == set(figures) == set(NAMES)
    for name, (low, high) in found.items():
        if name != "ece":  # what is drawn twice is further from its probability: the interval lies above
            assert low <= figures[name] <= high, name


def test_frauds_of_one_card_count_as_one_chance():
    """The same rows are less certain where few customers made them all."""
    score, y = scores(3000)
    day, amount = np.zeros(3000, int), np.ones(3000)
    frauds = np.flatnonzero(y)
    of_few = np.arange(3000) + 10
    of_few[frauds] = np.argsort(np.argsort(score[frauds])) * 5 // len(frauds)  # each thief is caught always or never
    narrow, wide = (
        intervals(score, y, threshold=0.5, day=day, customer=customer, amount=amount)["recall"]
        for customer in (np.arange(3000), of_few)
    )
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


def test_rows_of_one_class_have_no_intervals():
    found = intervals(
        np.full(5, 0.5), np.zeros(5), threshold=0.5, day=np.zeros(5, int), customer=np.arange(5), amount=np.ones(5)
    )
    assert set(found.values()) == {None}


# ---------------------------------------------------------------- what was found


@pytest.fixture(scope="module")
def result():
    return trained(treatments=True)


@pytest.fixture(scope="module")
def findings(result):
    return investigate(detector(), result, events())


@pytest.fixture(scope="module")
def pictures(findings):
    return plots(findings)


@pytest.fixture(scope="module")
def text(findings, pictures):
    return page(findings, pictures)


def test_importance_is_the_mean_size_of_exact_contributions(result):
    x, score = result.test.x[:300], result.scores.ensemble[:300]
    found = {each["feature"]: each for each in importance(result.ensemble, x, score)}
    sizes = np.abs(result.ensemble.contributions(x)).mean(axis=0)
    assert {name: each["mean"] for name, each in found.items()} == pytest.approx(
        dict(zip(result.ensemble.features, sizes.tolist(), strict=True))
    )
    assert sum(each["share"] for each in found.values()) == pytest.approx(1.0)
    assert next(iter(found)) in ("amount", "spent")


def test_mistakes_are_those_of_a_replay_with_rules_and_the_dearest_come_first(result, findings):
    decided = replay(detector(), events(), result.ensemble)
    truth = dict(zip(result.test.ids.tolist(), result.test.fraud.tolist(), strict=True))
    amount = dict(zip(result.test.ids.tolist(), result.test.amount.tolist(), strict=True))
    said = dict(zip(decided["transaction_id"].to_list(), decided["decision"].to_list(), strict=True))
    missed = sorted((name for name in truth if truth[name] and said[name] == "APPROVE"), key=lambda name: -amount[name])
    stopped = sorted((name for name in truth if not truth[name] and said[name] != "APPROVE"), key=lambda name: -amount[name])
    assert missed
    assert stopped
    shown = findings.decided
    assert [each["amount"] for each in shown.missed] == [amount[name] for name in missed[: len(shown.missed)]]
    assert {each["id"] for each in shown.stopped} <= set(stopped)
    for action in Action:
        if action.name in findings.decided.counts:
            wanted = sum(1 for name in truth if truth[name] and said[name] == action.name)
            assert findings.decided.counts[action.name]["fraud"] == wanted


def test_a_mistake_can_be_read(findings):
    worst = findings.decided.missed[0]
    assert worst["decision"] == "APPROVE"
    assert worst["event"]["customer_id"].startswith("c")
    assert all(re.fullmatch(r".+ is .+", sentence) for sentence in worst["for"] + worst["against"])
    assert worst["for"] or worst["against"]
    assert "is_fraud" not in worst["event"]


def test_everything_is_plain_json_and_the_same_twice(result, findings, text):
    again = investigate(detector(), result, events())
    assert msgspec.json.encode(findings.as_json()) == msgspec.json.encode(again.as_json())
    assert page(again) == text


# ---------------------------------------------------------------- the page


UNCLOSED = {"meta", "br", "path", "use", "line", "rect", "li"}


class Reader(HTMLParser):
    """Collects what a browser would fetch, all ids, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.titles, self.open = [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.fetched += [value for name, value in given.items() if name in ("src", "href") and tag != "a"]
        self.ids += [given["id"]] if "id" in given else []
        self.titles += tag == "svg" and given.get("role") == "img" and "aria-labelledby" in given
        if tag not in UNCLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in UNCLOSED:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in UNCLOSED:
            assert self.open.pop() == tag


def test_the_page_fetches_nothing_and_runs_nothing(text):
    read_ = Reader(text)
    assert "<script" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert [each for each in read_.fetched if not each.startswith("#")] == []
    assert re.findall(r"https?://(?!www\.w3\.org/(?:2000/svg|1999/xlink))", text) == []


def test_ids_are_unique_and_every_picture_has_a_title(text, pictures):
    read_ = Reader(text)
    assert read_.open == []
    assert sorted(read_.ids) == sorted(set(read_.ids))
    assert read_.titles == len(pictures) == 6


def test_pictures_take_their_ink_from_the_page(pictures):
    for svg in pictures.values():
        assert "currentColor" in svg
        assert "#010203" not in svg
        assert "#000000" not in svg


def test_the_page_says_every_figure_treatment_and_mistake(result, findings, text):
    for name, words in NAMES.items():
        assert words in text
        if result.report.test[name] is not None:
            assert f"{result.report.test[name]:.4f}" in text
    for treatment in ("none", "weights", "smote", "smoteenn", "under"):
        assert f"<th scope=row>{treatment}</th>" in text
    for mistake in (*findings.decided.missed, *findings.decided.stopped):
        assert f"<code>{mistake['id']}</code>" in text


def test_the_page_shows_segments_with_their_disparity_and_inputs_that_add_nothing(text):
    frame = events(9000)
    result = trained(frame=frame, useless="name", segments=("channel",))
    told = page(investigate(detector(), result, frame))
    assert Reader(told).open == []
    groups, useless = result.report.segments["channel"], result.report.useless
    assert set(groups) == {"web", "shop", "unknown"}
    for name, group in groups.items():
        apart = group["disparity"]
        assert f"<th scope=row>{name}</th><td>{group['rows']:,}</td><td>{group['frauds']:,}</td>" in told
        assert f"{apart['ratio']:.2f} ({apart['low']:.2f} to {apart['high']:.2f})" in told
    assert useless["useless"]
    for name in useless["useless"]:
        worth = useless["inputs"][name]
        assert (
            f"<th scope=row>{name}</th><td>{worth['loss']:.4f}</td><td>{worth['low']:.4f} to {worth['high']:.4f}</td>" in told
        )
    assert f"{len(useless['useless'])} of {len(useless['inputs'])} inputs add no more than noise" in told
    assert "No segments were given" in text
    assert "Nobody looked" in text


def test_what_comes_from_data_is_escaped(result):
    frame = events()
    name = "<script>alert(1)</script>"
    frame = frame.with_columns(transaction_id=frame["transaction_id"] + name)
    text = page(investigate(detector(), trained(frame=frame), frame))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_test_without_fraud_is_reported_without_figures():
    frame = events(2500)
    late = pl.col("timestamp") > START + timedelta(days=15)
    frame = frame.with_columns(is_fraud=pl.when(late).then(statement=False).otherwise(pl.col("is_fraud")))
    result = trained(frame=frame)
    assert result.report.fraud["test"] == 0
    found = investigate(detector(), result, frame)
    assert found.decided.missed == []
    assert set(found.intervals.values()) == {None}
    assert "the test holds only 0 frauds" in page(found)


def test_events_without_amounts_get_no_sums_of_money():
    class Login(msgspec.Struct):
        transaction_id: str
        timestamp: datetime
        customer_id: str
        risk: float
        is_fraud: bool | None = None

    logins = Detector(
        "logins",
        event=Login,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1d"),
        features=[Entity("customer_id").count("1h")],
        models=[LogisticRegression()],
    )
    frame = events(2500).rename({"amount": "risk"}).drop("channel")
    found = investigate(logins, trained(logins, frame), frame)
    assert not found.amounts
    text = page(found)
    assert "believe no sum of money here" in text
    assert "saved, after reviews" not in text
    assert found.decided.missed[0]["amount"] is None


def a_file(folder):
    """The detector as a file, and beside it what it learns from."""
    mine = folder / "mine.py"
    source = Path(__file__).parents[2] / "integration" / "paid.py"
    mine.write_text(source.read_text() + "\n\nmine = detector(models=[LogisticRegression()])\n")
    events(2500).write_parquet(folder / "paid.parquet")
    return mine


def test_the_command_writes_the_page_and_prints_json_alone(tmp_path):
    mine = a_file(tmp_path)
    arguments = ["report", "train", mine, "--data", tmp_path / "paid.parquet", "--out", tmp_path / "out.html", "--json"]
    with CliRunner().isolation() as (stdout, stderr, _):
        code = cli.run([*map(str, arguments), "--no-treatments"])
        out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
    assert code == 0, said
    assert {"test", "roc", "precision_recall", "reliability", "distribution", "money", "importance", "missed"} <= set(
        json.loads(out)
    )
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


def test_training_writes_the_page_too_and_names_the_version(tmp_path):
    mine = a_file(tmp_path)
    arguments = ["train", mine, "--data", tmp_path / "paid.parquet", "--models", tmp_path, "--save", "--json"]
    with CliRunner().isolation() as (stdout, stderr, _):
        code = cli.run([*map(str, arguments), "--report", str(tmp_path / "out.html")])
        out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
    assert code == 0, said
    assert json.loads(out)["model_version"] in (tmp_path / "out.html").read_text()
