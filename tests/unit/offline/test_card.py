"""The model card: in every bundle, with whose figures it gives, and what the models do not know."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from tests.unit.offline.conftest import declared, payments

from penstock import LogisticRegression, Policy, XGBoost
from penstock.cli import run as penstock
from penstock.errors import BundleError
from penstock.models import About, load_bundle
from penstock.models.bundle import CARD, save_bundle
from penstock.offline import measure
from penstock.offline.stages import card as cards
from penstock.offline.thresholds import rewrite
from penstock.offline.train import Options, keep, run

FRAME = payments(8000)
BANDS = pl.DataFrame({"id": FRAME["id"], "band": ["young" if at % 3 else "old" for at in range(len(FRAME))]})


def detector():
    return declared([LogisticRegression(), XGBoost(trees=30)], inputs=["amount", "branch", "customer_count_1d", "usual"])


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    options = Options(segments=("band",), segments_from=BANDS, useless="name")
    return keep(detector(), run(detector(), FRAME, options), tmp_path_factory.mktemp("models"), clock=lambda: 0)


@pytest.fixture
def card(kept):
    return cards.read_card(kept.report.saved_to)


def test_a_card_says_what_the_training_found(kept, card):
    report, said = kept.report, kept.report.as_json()
    assert (card.detector, card.version, card.created_at) == ("small", report.model_version, "1970-01-01T00:00:00Z")
    assert (card.detector_version, card.fingerprint) == (detector().version, kept.served.fingerprint)
    assert (card.data.rows, card.data.frauds, card.data.unknown) == (report.rows, report.fraud, report.unknown)
    assert (card.data.label, card.data.label_delay_s) == ("fraud", 172_800.0)
    assert card.data.periods == {part: said["periods"][part] for part in ("train", "valid", "test")}
    assert {each.name: each.weight for each in card.members} == pytest.approx(report.weights)
    assert {each.name: each.parameters["kind"] for each in card.members} == {
        "logistic_regression": "logistic_regression",
        "xgboost": "xgboost",
    }
    assert {each.name: each.figures for each in card.members} == report.members
    assert {each.name: each.value for each in card.figures} == report.test
    ends = {each.name: (each.low, each.high) for each in card.figures if each.low is not None}
    assert ends == {name: tuple(found) for name, found in report.intervals.items() if found is not None and name in report.test}
    assert card.features.used == list(kept.served.features)
    assert card.features.useless == report.useless["useless"]
    assert card.notes == report.notes


def test_it_tells_the_models_that_serve_from_those_that_were_measured(kept, card, tmp_path):
    assert card.served.refit
    assert (card.served.rows, card.served.frauds) == (kept.report.refit["rows"], kept.report.refit["fraud"])
    assert card.figures_of == "the models before the refit, which had not seen the test"
    alone = keep(detector(), run(detector(), FRAME, Options(refit=False)), tmp_path)
    other = cards.read_card(alone.report.saved_to)
    assert not other.served.refit
    assert other.served.rows == alone.report.rows["train"]
    assert other.figures_of == cards.MEASURED
    assert other.thresholds.expected == alone.report.decided_rates


def test_expected_rates_are_taken_over_the_validation_and_what_was_known_of_the_test(kept, card):
    expected, at = card.thresholds.expected, card.thresholds.in_force["review_at"]
    judged, stopped = kept.study.judged, kept.served.scores_of(kept.raw).ensemble >= at
    known = kept.test.take(kept.report.periods.history(kept.test.time_us, kept.test.known_us))
    assert expected["recall"].of == judged.frauds + known.frauds
    assert expected["false_positive_rate"].of == len(judged) + len(known) - expected["recall"].of
    caught = int((stopped & (judged.fraud == 1)).sum())
    assert caught < expected["recall"].part <= caught + known.frauds
    assert card.thresholds.in_force == measure.in_force(detector(), kept.served)
    assert {name: getattr(card.thresholds, name) for name in ("review_at", "block_at")} == kept.report.refit["thresholds"]
    assert expected["false_positive_rate"].value == pytest.approx(0.01, abs=0.005)


def test_segments_carry_the_disparity_of_false_positives(kept, card):
    groups = card.segments["band"]
    assert set(groups) == {"young", "old"}
    assert sum(group.rows for group in groups.values()) == kept.report.rows["test"]
    said = kept.report.segments["band"]["old"]["disparity"]
    assert (groups["old"].disparity.ratio, groups["old"].disparity.differs) == (said["ratio"], said["differs"])


def test_limits_name_the_period_unseen_values_the_cold_start_and_what_is_not_shown(kept, card, tmp_path):
    said = " ".join(card.limits)
    assert f"from {card.served.period[0][:10]} to {card.served.period[1][:10]}" in said
    assert "branch: 3 values were seen in training" in said
    assert "look back up to 7 days" in said
    assert "penstock load" in said
    assert "fewer than 30 known outcomes" in said
    assert "--segments" not in said
    alone = keep(detector(), run(detector(), FRAME), tmp_path)
    assert "no segments were given" in " ".join(cards.read_card(alone.report.saved_to).limits)


def test_the_same_training_gives_the_same_bundle_and_the_card_in_it_holds_no_time(kept, tmp_path):
    options = Options(segments=("band",), segments_from=BANDS, useless="name")
    again = keep(detector(), run(detector(), FRAME, options), tmp_path, clock=lambda: 10**12)
    assert again.report.model_version == kept.report.model_version
    assert json.loads((again.report.saved_to / CARD).read_text())["version"] is None


def test_thresholds_that_a_person_sets_are_in_the_card_and_promise_nothing(kept):
    folder = kept.report.saved_to
    version = rewrite(folder.parents[1], "small", kept.report.model_version, {"review_at": 0.2, "block_at": 0.9})
    changed, old = cards.read_card(folder.parent / version), cards.read_card(folder)
    assert (changed.version, changed.figures, changed.limits) == (version, old.figures, old.limits)
    assert changed.thresholds.in_force == {"review_at": 0.2, "block_at": 0.9}
    assert (changed.thresholds.chosen_by, changed.thresholds.expected) == ("hand", None)
    assert "set by hand" in cards.page(changed).lower()


def test_thresholds_of_the_policy_stay_in_force(tmp_path):
    held = declared(policy=Policy(review_at=0.3, block_at=0.95))
    trained = keep(held, run(held, FRAME), tmp_path)
    version = rewrite(tmp_path, "small", trained.report.model_version, {"review_at": 0.2, "block_at": 0.9})
    assert cards.read_card(tmp_path / "small" / version).thresholds.in_force == {"review_at": 0.3, "block_at": 0.95}


def test_a_page_shows_all_of_it(kept, card):
    html = cards.page(card)
    assert f"Model card of small, version {card.version}" in html
    assert "Fitted again on all labelled history" in html
    assert "average precision" in html
    assert all(name in html for name in (*card.features.used, "xgboost", "young", "learning_rate", "disparity"))
    assert all(limit.replace("`", "") in html.replace("`", "") for limit in card.limits)
    assert "http" not in html
    assert "<script" not in html


def test_names_from_data_are_escaped(tmp_path):
    odd = pl.DataFrame({"id": FRAME["id"], "band": ["<b>x</b>"] * len(FRAME)})
    trained = keep(detector(), run(detector(), FRAME, Options(segments=("band",), segments_from=odd)), tmp_path)
    html = cards.page(cards.read_card(trained.report.saved_to))
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<b>x</b>" not in html


# ---------------------------------------------------------------- bundles of before, and damaged ones


def test_bundles_of_before_open_and_say_that_they_have_no_card(kept, tmp_path, monkeypatch, capsys):
    old = _without_card(kept, tmp_path / "models")
    assert load_bundle(tmp_path / "models" / "small" / old).version == old
    assert cards.read_card(tmp_path / "models" / "small" / old) is None
    monkeypatch.chdir(tmp_path)
    assert penstock(["models", "card", "small", old, "--models", "models"]) == 1
    said = capsys.readouterr().err
    assert f"version {old} was made before card.json was part of bundles" in said
    assert "penstock train small --data FILE --save" in said
    changed = rewrite(tmp_path / "models", "small", old, {"review_at": 0.2, "block_at": 0.9})
    assert cards.read_card(tmp_path / "models" / "small" / changed) is None


def _without_card(kept, models):
    manifest = kept.served.manifest
    about = About("small", "2026-01-01T00:00:00Z", manifest["fingerprint"], manifest["schema"], manifest["training"])
    place = models / "small" / "writing"
    place.mkdir(parents=True)
    version = save_bundle(place, _unsaved(kept), about)
    place.rename(place.with_name(version))
    return version


def _unsaved(kept):
    """The ensemble as a training leaves it, before it has a version."""
    return kept.served.with_thresholds(kept.served.thresholds)


def test_a_changed_card_is_refused(kept, tmp_path):
    place = tmp_path / kept.report.model_version
    shutil.copytree(kept.report.saved_to, place)
    (place / CARD).write_text((place / CARD).read_text().replace("small", "large"))
    with pytest.raises(BundleError, match="it was changed or damaged"):
        cards.read_card(place)


def test_a_card_of_a_newer_penstock_is_refused_with_the_remedy(kept, tmp_path):
    place = tmp_path / "newer"
    place.mkdir()
    version = save_bundle(place, _unsaved(kept), About("small", "2026-01-01T00:00:00Z", "f", card={"other": 1}))
    place.rename(tmp_path / version)
    with pytest.raises(BundleError, match="upgrade Penstock"):
        cards.read_card(tmp_path / version)


# ---------------------------------------------------------------- the command


def test_the_command_says_it_as_text_as_json_and_as_a_page(kept, card, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    models = ["--models", str(kept.report.saved_to.parents[1])]
    assert penstock(["models", "card", "small", *models]) == 0
    said = capsys.readouterr().out
    assert "the figures are of the models before the refit" in said
    assert "limit: The models have learned from events" in said
    assert "young" in said
    assert penstock(["models", "card", "small", card.version[:6], "--json", *models]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == card.version
    assert penstock(["models", "card", "small", "--html", "card.html", *models]) == 0
    assert (tmp_path / "card.html").read_text() == cards.page(card)


def test_figures_that_mean_nothing_are_null(kept):
    report = replace(kept.report, test={**kept.report.test, "roc_auc": None}, intervals={})
    found = cards.card_of(detector(), kept.served, report.as_json(), "some/where/payments.csv")
    assert found.data.file == "payments.csv"
    assert next(each for each in found.figures if each.name == "roc_auc").value is None
    assert all(each.low is None for each in found.figures)
