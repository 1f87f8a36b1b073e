"""What a detector says of itself, and what training says of its models: enough for forms, and nothing that does not hold."""

import json
from dataclasses import replace
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from tests.service.around import START, transfers
from tests.service.around import detector as around
from tests.service.mine import detector as mine
from tests.unit.offline.conftest import declared, payments

from penstock import Engine
from penstock.config import Settings
from penstock.models.bundle import EVALUATION
from penstock.offline import thresholds
from penstock.offline.evaluation import MOST_CUTS, evaluation_of
from penstock.offline.train import keep, run
from penstock.service import MicroBatcher, create_app
from penstock.testing import SetClock
from penstock.wiring.detectors import load_detector


@pytest.fixture
def clock():
    return SetClock(START)


def told(run_, engine, path, folder, *, before=(), status=200):
    """The answer of a service over an engine, after what is posted `before`."""

    async def scene():
        settings = Settings(data=folder)
        app = create_app({engine.detector.name: MicroBatcher.of(engine, settings)}, settings)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            for each in before:
                assert (await client.post(each)).status_code == 200
            response = await client.get(path)
            assert response.status_code == status, response.text
            return response.json()

    return run_(scene())


# ---------------------------------------------------------------- definition


@pytest.mark.parametrize("name", ["banking", "card", "ecommerce", "mobile_money", "payments"])
def test_an_event_made_from_the_definition_alone_would_be_taken(run, tmp_path, name):
    with Engine(load_detector(name), wait_for_models=True) as engine:
        found = told(run, engine, f"/detectors/{name}/definition", tmp_path)
        for example in found["examples"]:
            assert engine.check_json(json.dumps(example["event"]).encode()) is None
        sent = [field for field in found["fields"] if "label" not in field["roles"]]
        assert engine.check_json(json.dumps({field["name"]: field["example"] for field in sent}).encode()) is None
        needed = {field["name"]: field["example"] for field in sent if not field["optional"]}
        assert engine.check_json(json.dumps(needed).encode()) is None
        for left_out in needed:
            short = {field: value for field, value in needed.items() if field != left_out}
            assert engine.check_json(json.dumps(short).encode()) is not None, left_out


def test_fields_say_what_they_hold_and_what_for(run, tmp_path):
    with Engine(around) as engine:
        found = told(run, engine, "/detectors/around/definition", tmp_path)
    fields = {field["name"]: field for field in found["fields"]}
    assert [field["name"] for field in found["fields"]] == list(around.event.__annotations__)
    assert (fields["transaction_id"]["roles"], fields["timestamp"]["roles"]) == (["id"], ["time"])
    assert (fields["timestamp"]["type"], fields["device"]["type"], fields["sender"]["type"]) == ("time", "integer", "text")
    assert (fields["amount"]["roles"], fields["amount"]["minimum"], fields["amount"]["maximum"]) == (["amount"], 0, None)
    assert (fields["receiver"]["roles"], fields["receiver"]["entities"]) == (["key"], ["account"])
    assert fields["card"]["personal"]
    assert not fields["sender"]["personal"]
    assert (fields["is_fraud"]["roles"], fields["is_fraud"]["optional"]) == (["label"], True)
    assert found["description"] == "Money goes from one account to another, by a device, perhaps at a shop."


def test_features_say_who_reads_them_and_entities_what_they_hold(run, tmp_path, clock):
    with Engine(mine, clock=clock) as engine:
        engine.decide({"transaction_id": "t", "timestamp": START.isoformat(), "customer_id": "C1", "amount": 5.0})
        found = told(run, engine, "/detectors/mine/definition", tmp_path)
    features = {feature["name"]: feature for feature in found["features"]}
    assert features["customer_count_1h"]["used_by"] == {"models": False, "rules": ["fourth_in_an_hour"], "features": []}
    usual = features["usual_amount"]
    assert usual["used_by"] == {"models": False, "rules": ["amount_spike"], "features": ["amount_ratio"]}
    assert (usual["aggregate"], usual["field"], usual["window"], usual["window_s"], usual["current"]) == (
        "mean", "amount", "30d", 30 * 86400.0, False,
    )  # fmt: skip
    assert features["logins"]["of"] == ["Login"]
    assert (features["amount_ratio"]["kind"], features["amount_ratio"]["expression"]) == ("derived", "amount / usual_amount")
    [customer] = found["entities"]
    assert (customer["name"], customer["fields"], customer["features"], customer["keys"]) == (
        "customer",
        [["customer_id"]],
        3,
        1,
    )
    [login] = found["informs"]
    assert (login["type"], login["description"]) == ("Login", "Somebody signed in as a customer.")
    assert [field["name"] for field in login["fields"]] == ["transaction_id", "timestamp", "customer_id"]
    assert [rule["name"] for rule in found["rules"]] == ["fourth_in_an_hour", "amount_spike"]
    fresh = found["freshness"]
    assert (fresh["newest_event_at"], fresh["newest_decided_at"], fresh["behind_s"]) == (
        "2026-02-06T09:58:31Z", "2026-02-06T09:58:31Z", 0.0,
    )  # fmt: skip
    assert found["versions"]["rules"] == engine.active.format.versions.rules


def test_parity_is_what_the_last_verification_came_to_and_null_before_there_was_one(run, tmp_path, clock):
    with Engine(around, data=tmp_path, clock=clock) as engine:
        for transfer in transfers(clock, count=5):
            engine.decide(transfer)
        assert told(run, engine, "/detectors/around/definition", tmp_path)["parity"] is None
        parity = told(run, engine, "/detectors/around/definition", tmp_path, before=["/verify/t/3", "/verify/t/4"])["parity"]
        assert (parity["transaction_id"], parity["identical"], parity["checked"], parity["differing"]) == ("t/4", True, 2, 0)


def test_a_detector_that_is_not_served_has_no_definition(run, tmp_path):
    with Engine(mine) as engine:
        assert "Did you mean mine?" in told(run, engine, "/detectors/mina/definition", tmp_path, status=404)["detail"]


# ---------------------------------------------------------------- evaluation


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small detector that was trained and kept: `detector`, `trained`, `folder` with its data."""
    folder, detector = tmp_path_factory.mktemp("evaluation"), declared()
    found = run_training(detector)
    return SimpleNamespace(detector=detector, trained=keep(detector, found, folder / "models"), folder=folder)


def run_training(detector):
    return run(detector, payments())


def evaluation(run_, trained, version=None, status=200):
    with Engine(trained.detector, models=trained.trained.ensemble) as engine:
        version = version or trained.trained.report.model_version
        return told(run_, engine, f"/detectors/small/models/{version}/evaluation", trained.folder, status=status)


def test_an_evaluation_says_of_every_threshold_what_the_test_says(run, trained):
    found, kept = evaluation(run, trained), trained.trained
    score, test = kept.scores.ensemble, kept.test
    assert (found["rows"]["test"], found["fraud"]["test"]) == (len(test), test.frauds)
    assert found["thresholds"] == pytest.approx(kept.served.thresholds)
    for row in found["table"]:
        above = score >= row["at"]
        assert (row["flagged"], row["frauds"]) == (above.sum(), test.fraud[above].sum())
        for name, part, of in (
            ("precision", test.fraud[above].sum(), above.sum()),
            ("recall", test.fraud[above].sum(), test.frauds),
            ("false_positive_rate", (1 - test.fraud[above]).sum(), (1 - test.fraud).sum()),
        ):
            assert row[name] == (None if of < 30 else pytest.approx(part / of)), name
        assert row["precision"] is None or row["precision_low"] <= row["precision"] <= row["precision_high"]
        assert row["alerts_per_day"] == pytest.approx(above.sum() / found["days"])
        assert row["amount_stopped"] == pytest.approx(test.amount[above].sum(), abs=0.01)
        caught = (test.amount * test.fraud)[above].sum()
        assert row["amount_caught"] == pytest.approx(caught, abs=0.01)
        assert row["amount_caught_share"] == pytest.approx(caught / (test.amount * test.fraud).sum(), abs=1e-6)
    assert [row["at"] for row in found["table"]] == sorted(row["at"] for row in found["table"])
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert figures["average_precision"]["value"] == pytest.approx(kept.report.test["average_precision"])
    assert figures["average_precision"]["low"] <= figures["average_precision"]["value"] <= figures["average_precision"]["high"]
    assert [member["name"] for member in found["members"]] == list(kept.ensemble.names)
    assert found["reason"] is None


def test_calibration_holds_every_row_in_the_bin_of_its_score(run, trained):
    found, score, fraud = evaluation(run, trained), trained.trained.scores.ensemble, trained.trained.test.fraud
    assert sum(each["count"] for each in found["calibration"]) == len(score)
    for each in found["calibration"]:
        inside = (score >= each["low"]) & (score < each["high"])
        assert (each["count"], each["observed"]) == (inside.sum(), pytest.approx(fraud[inside].mean()))
        assert each["predicted"] == pytest.approx(score[inside].mean())
        assert each["observed_low"] <= each["observed"] <= each["observed_high"]
    recalls = [point["recall"] for point in found["precision_recall"]]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0


def test_a_version_without_a_kept_test_says_why_its_curves_are_missing(run, trained, monkeypatch):
    old = replace(run_training(trained.detector), evaluation=None)
    version = keep(trained.detector, old, trained.folder / "models").report.model_version
    assert not (trained.folder / "models" / "small" / version / EVALUATION).exists()
    found = evaluation(run, trained, version)
    assert (found["table"], found["calibration"], found["precision_recall"], found["days"]) == (None,) * 4
    assert "train again" in found["reason"]
    assert found["figures"]


def test_other_thresholds_keep_the_test_and_an_unknown_version_is_404(run, trained):
    models, version = trained.folder / "models", trained.trained.report.model_version
    changed = thresholds.rewrite(models, "small", version, {"review_at": 0.2, "block_at": 0.9})
    assert evaluation(run, trained, changed)["table"] == evaluation(run, trained)["table"]
    assert "no model version" in evaluation(run, trained, "none", status=404)["detail"]


def test_a_version_has_a_card_as_values_and_as_a_page(run, trained):
    version = trained.trained.report.model_version
    place = f"/detectors/small/models/{version}/card"

    async def scene():
        settings = Settings(data=trained.folder)
        with Engine(trained.detector, models=trained.trained.ensemble) as engine:
            app = create_app({"small": MicroBatcher.of(engine, settings)}, settings)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
                browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
                asked = ((place, {}), (f"{place}?format=html", {}), (place, browser), (f"{place}?format=json", browser))
                answers = [await client.get(path, headers=headers) for path, headers in asked]
                return answers, await client.get(place.replace(version, "none"))

    (plain, page, browsed, asked), unknown = run(scene())
    card = plain.json()
    assert (card["version"], card["detector"]) == (version, "small")
    assert card["served"]["refit"]
    assert card["limits"]
    assert (page.text, asked.json()) == (browsed.text, card)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f"Model card of small, version {version}" in page.text
    assert (unknown.status_code, "no model version" in unknown.json()["detail"]) == (404, True)


def test_a_version_that_was_made_without_a_card_says_so(run, trained, monkeypatch):
    monkeypatch.setattr("penstock.offline.trained.card_of", lambda *_: None)
    version = keep(trained.detector, run_training(trained.detector), trained.folder / "models").report.model_version
    with Engine(trained.detector, models=trained.trained.ensemble) as engine:
        found = told(run, engine, f"/detectors/small/models/{version}/card", trained.folder, status=404)
    assert "has no card" in found["detail"]
    assert "penstock train small" in found["detail"]


def test_what_is_kept_of_a_large_test_is_bounded_and_dense_where_thresholds_lie():
    chance = np.random.default_rng(0)
    score, fraud = chance.random(50_000), (chance.random(50_000) < 0.01).astype(float)
    kept = evaluation_of(score, fraud, np.full(50_000, np.nan), 10.0)
    assert len(kept.cuts) <= MOST_CUTS
    assert [cut.flagged for cut in kept.cuts[:8]] == list(range(1, 9))
    assert kept.cuts[-1].flagged == 50_000
    assert all(cut.amount is None for cut in kept.cuts)
    steps = np.diff([0, *(cut.frauds for cut in kept.cuts)])
    assert steps.max() <= 0.02 * fraud.sum()
