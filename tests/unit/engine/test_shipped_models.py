"""The models that come with a wheel decide until somebody has trained."""

from datetime import datetime

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, LogisticRegression, Policy
from penstock.config import Settings
from penstock.engine import startup, verify
from penstock.errors import BundleError
from penstock.models import About, Ensemble, champion, fit_ensemble, promote, save, versions
from penstock.wiring.engines import engine_in_memory, open_engine


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


PAYMENT = {"transaction_id": "t", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
customer = Entity("customer_id")


def declared(**others) -> Detector:
    said = {"features": [customer.count("1h")], "models": [LogisticRegression()], "policy": Policy(review_at=0.5, block_at=0.9)}
    return Detector("mine", event=Payment, id="transaction_id", time="timestamp", **said | others)


def kept(folder, detector: Detector, seed: int) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, len(detector.plan.inputs)))
    y = (x[:, 0] + rng.normal(size=400) > 1).astype(float)
    ensemble = fit_ensemble(detector.models, x[:200], y[:200], x[200:], y[200:], detector.plan.inputs)
    saved = save(ensemble, folder, About(detector.name, "2026-01-01T00:00:00Z", detector.fingerprint(detector.plan.inputs)))
    promote(folder, detector.name, saved.version)
    return saved


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Ensemble:
    """The models of a detector, where a wheel has them."""
    monkeypatch.setattr(startup, "SHIPPED", tmp_path / "shipped")
    return kept(tmp_path / "shipped", declared(), 0)


def test_they_decide_where_there_is_no_champion_and_say_so(shipped, caplog):
    with Engine(declared()) as engine:
        assert engine.decide(PAYMENT).model_version == shipped.version
    assert [record.getMessage() for record in caplog.records if "trained on simulated events" in record.getMessage()]


def test_a_folder_that_is_named_must_hold_models(shipped, tmp_path):
    with pytest.raises(BundleError, match="no trained bundle is in"):
        Engine(declared(), models=tmp_path / "elsewhere")


def test_they_do_not_decide_for_a_detector_of_other_features(shipped):
    with pytest.raises(BundleError, match="no trained bundle"):
        Engine(declared(features=[customer.count("2h")]))


def test_what_they_decided_can_be_verified_from_the_data_folder(shipped, tmp_path):
    settings = Settings(data=tmp_path / "data")
    with open_engine(declared(), settings) as engine:
        assert engine.decide(PAYMENT).model_version == shipped.version
        assert verify(engine.ledger, engine.detector, "t", settings.models_folder).identical
    assert champion(settings.models_folder, "mine") is None
    assert [each.version for each in versions(settings.models_folder, "mine")] == [shipped.version]


def test_the_first_champion_of_ones_own_takes_over(shipped, tmp_path):
    settings = Settings(data=tmp_path / "data")
    own = kept(settings.models_folder, declared(), 1)
    with open_engine(declared(), settings) as engine:
        assert engine.model_version == own.version


def test_an_engine_in_memory_writes_nothing(shipped, tmp_path):
    with engine_in_memory(declared(), Settings(data=tmp_path / "data")) as engine:
        assert engine.model_version == shipped.version
    assert not (tmp_path / "data").exists()


def test_a_demo_gets_all_versions_with_their_champion(shipped, tmp_path):
    challenger = kept(startup.SHIPPED, declared(), 1)
    promote(startup.SHIPPED, "mine", shipped.version)
    assert startup.keep_shipped(declared(), tmp_path / "models")
    assert champion(tmp_path / "models", "mine") == shipped.version
    assert {each.version for each in versions(tmp_path / "models", "mine")} == {shipped.version, challenger.version}


def test_a_demo_gets_none_that_do_not_fit(shipped, tmp_path):
    assert not startup.keep_shipped(declared(features=[customer.count("2h")]), tmp_path / "models")
    assert not (tmp_path / "models").exists()
