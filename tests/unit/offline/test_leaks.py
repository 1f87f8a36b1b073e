"""What nobody could have known in time is refused, or named with its evidence, and never decides without a word."""

import json
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import START, declared, payments

from penstock import Detector, Entity, Label, LogisticRegression, Policy
from penstock.cli import run as command
from penstock.errors import ConfigurationError, RowsRefused
from penstock.offline.datasets import read
from penstock.offline.registry import FolderRegistry, register
from penstock.offline.report import investigate, page
from penstock.offline.train import Options, run


class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    branch: str
    amount: float
    chargebacks: float | None = None
    fraud: bool | None = None


customer = Entity("customer")


def shop(**changes) -> Detector:
    settings = {
        "event": Payment,
        "id": "id",
        "time": "time",
        "label": Label("fraud", delay="2d"),
        "features": [customer.count("1d")],
        "models": [LogisticRegression()],
        "policy": Policy(),
    }
    return Detector("small", **{**settings, **changes})


def known_afterwards(frame: pl.DataFrame) -> pl.DataFrame:
    """A field that is filled when a chargeback comes."""
    return frame.with_columns(chargebacks=pl.when("fraud").then(1.0))


def kinds(report) -> list[str]:
    return [leak.kind for leak in report.leaks]


def test_ordinary_payments_leak_nothing(frame):
    report = run(declared(), frame).report
    assert report.leaks == []
    assert report.as_json()["leaks"] == []


def test_a_field_that_is_known_only_afterwards_is_named_and_does_not_decide(frame, tmp_path):
    detector = shop()
    trained = run(detector, known_afterwards(frame))
    [leak] = trained.report.leaks
    assert (leak.kind, leak.names) == ("separating_input", ("chargebacks",))
    assert "ROC AUC 1.0000" in leak.evidence
    assert "--accept-input chargebacks" in leak.text
    registry = FolderRegistry(tmp_path)
    kept = register(registry, detector, trained, make_champion=True)
    assert kept.report.champion is None
    manifest = json.loads((kept.report.saved_to / "manifest.json").read_text())
    assert manifest["training"]["leaks"][0]["names"] == ["chargebacks"]
    html = page(investigate(detector, kept, known_afterwards(frame)))
    assert "&#39;chargebacks&#39; alone separates" in html


def test_an_input_that_is_confirmed_decides_and_is_still_named(frame, tmp_path):
    detector = shop()
    trained = run(detector, known_afterwards(frame), Options(accept_inputs=["chargebacks"]))
    assert [leak.accepted for leak in trained.report.leaks] == [True]
    kept = register(FolderRegistry(tmp_path), detector, trained)
    assert kept.report.champion == kept.report.model_version
    with pytest.raises(ConfigurationError, match=r"--accept-input chargeback: .*Did you mean chargebacks"):
        run(detector, known_afterwards(frame), Options(accept_inputs=["chargeback"]))


def test_the_field_may_be_kept_from_the_models(frame):
    assert run(shop(inputs=["amount", "customer_count_1d"]), known_afterwards(frame)).report.leaks == []


@pytest.mark.parametrize(("label", "named"), [(Label("fraud"), True), (Label("fraud", delay="2d"), False)])
def test_labels_that_are_known_at_once_are_named_beside_features_over_labels(frame, label, named):
    features = [customer.count("1d"), customer.label_rate("7d"), customer.label_count("7d")]
    report = run(declared(label=label, features=features, inputs=None), frame).report
    assert kinds(report) == (["labels_at_once"] if named else [])
    if named:
        assert report.leaks[0].names == ("customer_label_rate_7d", "customer_label_count_7d")
        assert "100% of the labels" in report.leaks[0].evidence
        assert run(declared(label=label), frame).report.leaks == []  # no feature reads them


def test_rows_whose_label_was_known_before_their_event_are_refused(frame):
    early = frame.with_columns(
        label_known_at=pl.when(pl.int_range(pl.len()) % 50 == 0)
        .then(pl.col("time") - pl.duration(days=33))
        .otherwise(pl.col("time") + pl.duration(days=1))
    )
    recorded = read(early, declared())
    assert len(recorded.refused) == 60
    assert set(recorded.refused["field"]) == {"label_known_at"}
    assert "lies before the event" in recorded.refused["message"][0]
    with pytest.raises(RowsRefused, match="60 of 3,000 rows"):
        run(declared(), early)


def test_rows_that_were_resampled_before_the_split_are_named(frame):
    frauds = frame.filter("fraud")
    copies = [frauds.with_columns(id=pl.format("{}-{}", "id", pl.lit(k))) for k in range(5)]
    report = run(declared(), pl.concat([frame, *copies]).sort("time")).report
    assert "copied_rows" in kinds(report)
    leak = next(leak for leak in report.leaks if leak.kind == "copied_rows")
    assert f"{5 * len(frauds):,} of {6 * len(frauds):,} frauds (83%)" in leak.evidence


def test_rows_that_stand_on_both_sides_of_the_cut_are_named(frame):
    rng = np.random.default_rng(1)
    moved = frame.with_columns(
        id=pl.format("{}-again", "id"),
        time=pl.Series([START + timedelta(days=float(each)) for each in rng.random(len(frame)) * 60]),
    )
    report = run(declared(), pl.concat([frame, moved]).sort("time")).report
    assert "copies_across_the_cut" in kinds(report)


def test_the_command_warns_and_says_what_decides(tmp_path, capsys):
    data, file = tmp_path / "payments.parquet", tmp_path / "shop.py"
    known_afterwards(payments()).write_parquet(data)
    file.write_text(
        """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Label, LogisticRegression

class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    amount: float
    chargebacks: float | None = None
    fraud: bool | None = None

detector = Detector("small", event=Payment, id="id", time="time", label=Label("fraud", delay="2d"),
                    features=[Entity("customer").count("1d")], models=[LogisticRegression()])
"""
    )
    train = ["train", str(file), "--data", str(data), "--save", "--models", str(tmp_path / "models"), "--json"]
    assert command(train) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert "warning: field 'chargebacks' alone separates" in err
    assert (report["unconfirmed_inputs"], report["champion"]) == (["chargebacks"], None)
    assert command([*train, "--accept-input", "chargebacks"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unconfirmed_inputs"] == []
    assert report["champion"] == report["model_version"]
