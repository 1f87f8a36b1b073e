"""The matrix that models read of a batch."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, XGBoost, replay
from penstock.codes import text_codes
from penstock.engine import verify
from penstock.messages import Batch, Layout, Type
from penstock.models import About, fit_ensemble, save
from penstock.models.categories import Encoding
from penstock.models.inputs import Inputs


@pytest.fixture
def layout():
    layout = Layout()
    for name, type_ in [("amount", Type.NUMBER), ("country", Type.TEXT), ("night", Type.BOOLEAN), ("shop", Type.TEXT)]:
        layout.add(name, type_)
    return layout


def batch(numbers, countries, shops):
    n = len(countries)
    codes = np.column_stack([text_codes(countries), text_codes(shops)])
    none = np.zeros(n, np.int64)
    return Batch([""] * n, np.zeros(n, np.uint8), none, none, np.array(numbers, float), codes, {})


ENCODINGS = {
    "country": Encoding({"NO": -5.0, "DE": -4.0}, unseen=-4.5, usual="DE"),
    "shop": Encoding({"toys": -1.0}, unseen=-2.0, usual="toys"),
}


def test_numbers_and_encoded_texts_stand_in_the_models_order(layout) -> None:
    inputs = Inputs(layout, ["shop", "night", "country", "amount"], ENCODINGS)
    rows = batch([[10.0, 1.0], [20.0, np.nan], [30.0, 0.0]], ["NO", "XX", None], ["toys", "food", "toys"])
    expected = [[-1.0, 1.0, -5.0, 10.0], [-2.0, np.nan, -4.5, 20.0], [-1.0, 0.0, np.nan, 30.0]]
    found = inputs.matrix(rows)
    assert np.array_equal(found, expected, equal_nan=True)
    assert found.flags.c_contiguous
    assert np.array_equal(inputs.matrix(rows, np.array([2, 0], np.int32)), np.array(expected)[[2, 0]], equal_nan=True)


def test_numbers_alone_are_taken_as_they_are(layout) -> None:
    rows = batch([[10.0, 1.0], [20.0, np.nan]], ["NO", "DE"], ["toys", "toys"])
    assert np.array_equal(Inputs(layout, ["night", "amount"]).matrix(rows), [[1.0, 10.0], [np.nan, 20.0]], equal_nan=True)


def test_a_text_without_an_encoding_is_missing_and_its_codes_are_to_be_found(layout) -> None:
    """So training gathers rows before it has fitted the encodings."""
    inputs = Inputs(layout, ["amount", "shop", "country"])
    found = inputs.matrix(batch([[10.0, 1.0]], ["NO"], ["toys"]))
    assert np.array_equal(found, [[10.0, np.nan, np.nan]], equal_nan=True)
    assert inputs.texts == {"shop": 1, "country": 0}


def test_no_rows_are_no_error(layout) -> None:
    inputs = Inputs(layout, ["amount", "shop"], ENCODINGS)
    assert inputs.matrix(batch(np.empty((0, 2)), [], [])).shape == (0, 2)


# ---------------------------------------------------------------- through a detector


class Purchase(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    card: str
    amount: float
    category: str | None = None
    is_fraud: bool | None = None


card = Entity("card")
START = datetime(2026, 1, 5, tzinfo=UTC)
CATEGORIES = ["grocery", "grocery", "travel", "toys", None]


def purchases(n, seed=0):
    """Frauds are in travel, whatever the amount."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
        fraud = bool(category == "travel" and rng.random() < 0.9)
        at = START + timedelta(minutes=7 * i)
        event = {"transaction_id": f"{seed}-{i}", "timestamp": at, "card": f"c{i % 9}", "amount": float(rng.uniform(1, 99))}
        found.append(event | {"category": category, "is_fraud": fraud})
    return found


@pytest.fixture(scope="module")
def detector():
    return Detector(
        "shop", event=Purchase, id="transaction_id", time="timestamp", label=Label("is_fraud", delay="1d"),
        features=[card.count("1h"), card.last("category").named("previous")],
        models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5, trees=20)],
        policy=Policy(review_at=0.3, block_at=0.999),
        inputs=["amount", "category", "card_count_1h", "previous"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    """Trained on what the engine computes, texts encoded."""
    rows = purchases(2000)
    y = np.array([float(row["is_fraud"]) for row in rows])
    inputs = detector.plan.inputs
    frame = replay(detector, pl.DataFrame(rows))
    x = np.full((len(rows), len(inputs)), np.nan)
    encodings = {}
    for at, name in enumerate(inputs):
        column = [row[name] for row in rows] if name in ("amount", "category") else frame[name].to_list()
        if name in ("category", "previous"):
            codes = text_codes(column)
            encodings[name] = Encoding.fit(codes, column, y)
            x[:, at] = encodings[name].encode(codes)
        else:
            x[:, at] = np.array(column, float)
    ensemble = fit_ensemble(detector.models, x, y, x, y, inputs, encodings=encodings)
    about = About(detector.name, "2026-01-01T00:00:00Z", detector.fingerprint(inputs))
    return save(ensemble, tmp_path_factory.mktemp("models"), about), x


def test_a_detector_reads_texts_live_as_in_a_replay_as_in_training(detector, saved) -> None:
    """One number for all three, to the last bit."""
    ensemble, x = saved
    rows = purchases(2000)
    replayed = replay(detector, pl.DataFrame(rows), models=ensemble)["score"].to_numpy()
    assert np.array_equal(replayed, ensemble.score(x).ensemble)
    with Engine(detector, models=ensemble) as engine:
        live = [engine.decide({**row, "is_fraud": None}).fraud_probability for row in rows[:100]]
    assert live == replayed[:100].tolist()


def test_a_reason_names_the_text_and_what_is_usual(detector, saved) -> None:
    ensemble, _ = saved
    with Engine(detector, models=ensemble) as engine:
        decision = engine.decide({"transaction_id": "a", "timestamp": START, "card": "c", "amount": 5.0, "category": "travel"})
    assert decision.decision == "REVIEW"
    assert decision.explanation.contributions[0].feature == "category"
    assert decision.explanation.contributions[0].value == "travel"
    (reason,) = [each for each in decision.explanation.reasons if each.feature == "category"]
    assert (reason.text, reason.value, reason.usual) == ("Category is travel (typically grocery overall)", "travel", "grocery")


def test_an_unseen_and_a_missing_text_are_decided_like_any_other(detector, saved) -> None:
    ensemble, _ = saved
    with Engine(detector, models=ensemble) as engine:
        for i, category in enumerate(["never seen", None]):
            event = {"transaction_id": f"u{i}", "timestamp": START, "card": "c", "amount": 5.0, "category": category}
            decision = engine.decide(event)
            assert decision.degraded is None
            assert 0 < decision.fraud_probability < 1


def test_a_decision_over_texts_is_verified_from_its_bundle(detector, saved, tmp_path) -> None:
    """Encodings travel in the bundle: what is loaded again says the same."""
    ensemble, _ = saved
    models = tmp_path / "models"
    about = About(detector.name, "2026-01-01T00:00:00Z", detector.fingerprint(ensemble.features))
    again = save(ensemble, models, about)
    assert again.version == ensemble.version
    assert again.encodings["category"].values == ensemble.encodings["category"].values
    with Engine(detector, models=again, data=tmp_path / "data") as engine:
        engine.decide({"transaction_id": "a", "timestamp": START, "card": "c", "amount": 5.0, "category": "travel"})
        assert verify(engine.ledger, detector, "a", models).identical
