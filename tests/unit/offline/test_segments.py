"""Figures by segment: joined from a file that no model sees, with the disparity of false positives and its interval."""

import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import declared, payments

from penstock.errors import ConfigurationError, DataError
from penstock.offline.datasets import read
from penstock.offline.rows import replayed
from penstock.offline.stages.segments import OTHERS, UNKNOWN, figures_by_segment, segments_of
from penstock.offline.train import Options, run


@pytest.fixture(scope="module")
def frame():
    return payments(3000)


@pytest.fixture(scope="module")
def rows(frame):
    return replayed(declared(), read(frame, declared()))


def test_segments_are_joined_by_id_by_entity_key_or_taken_from_the_recorded_data(frame, rows):
    detector, recorded = declared(), read(frame, declared())
    by_id = pl.DataFrame({"id": frame["id"][::-1], "band": [f"b{i % 3}" for i in range(3000)]})
    expected = by_id.sort(by_id["id"].str.slice(1).cast(int))["band"].to_list()
    assert segments_of(detector, recorded, rows, ["band"], by_id)["band"].tolist() == expected
    keys = pl.DataFrame({"customer": [f"c{i}" for i in range(100)], "age": ["young"] * 60 + ["old"] * 40})
    found = segments_of(detector, recorded, rows, ["age"], keys)["age"]
    place = frame["customer"].str.slice(1).cast(int).to_numpy()
    assert found.tolist() == np.where(place < 60, "young", np.where(place < 100, "old", UNKNOWN)).tolist()
    assert segments_of(detector, recorded, rows, ["branch"], None)["branch"].tolist() == frame["branch"].to_list()


def test_what_cannot_be_joined_is_refused_with_the_reason(frame, rows):
    detector, recorded = declared(), read(frame, declared())
    with pytest.raises(ConfigurationError, match=r"--segments bandd: .*Did you mean band"):
        segments_of(detector, recorded, rows, ["bandd"], pl.DataFrame({"id": ["p1"], "band": ["a"]}))
    with pytest.raises(DataError, match="needs a column of keys, one of id, customer"):
        segments_of(detector, recorded, rows, ["band"], pl.DataFrame({"who": ["p1"], "band": ["a"]}))
    twice = pl.DataFrame({"customer": ["c1", "c1"], "band": ["a", "b"]})
    with pytest.raises(DataError, match="'c1' has two different segments"):
        segments_of(detector, recorded, rows, ["band"], twice)


def test_rare_values_are_one_group(frame, rows):
    many = pl.DataFrame({"id": frame["id"], "city": [f"city{i % 40:02}" for i in range(3000)]})
    found = segments_of(declared(), read(frame, declared()), rows, ["city"], many)["city"]
    assert len(set(found)) == 21
    assert (found == OTHERS).sum() == 20 * 75


def test_rates_and_disparity_are_what_counting_gives(rows):
    rng = np.random.default_rng(0)
    group = np.where(rng.random(3000) < 0.3, "small", "large").astype(object)
    score = np.where((rng.random(3000) < np.where(group == "small", 0.2, 0.05)), 0.9, 0.1)
    found = figures_by_segment({"size": group}, score, rows, 0.5, seed=0)["size"]
    good, stopped = rows.fraud == 0, score >= 0.5
    rates = {name: stopped[good & (group == name)].mean() for name in ("small", "large")}
    for name, other in (("small", "large"), ("large", "small")):
        assert found[name]["false_positive_rate"]["value"] == pytest.approx(rates[name])
        apart = found[name]["disparity"]
        assert apart["ratio"] == pytest.approx(rates[name] / rates[other])
        assert apart["low"] < apart["ratio"] < apart["high"]
        assert apart["differs"]
    assert list(found) == ["large", "small"]


def test_groups_that_are_treated_alike_rarely_differ(rows):
    rng = np.random.default_rng(1)
    score = np.where(rng.random(3000) < 0.1, 0.9, 0.1)
    groups = {str(at): rng.choice(["a", "b"], 3000).astype(object) for at in range(40)}
    found = figures_by_segment(groups, score, rows, 0.5, seed=0)
    assert sum(each["a"]["disparity"]["differs"] for each in found.values()) <= 6


def test_the_models_are_the_same_with_and_without_segments(frame):
    detector = declared()
    plain, divided = run(detector, frame), run(detector, frame, Options(segments=["branch"]))
    assert divided.report.test == plain.report.test
    assert set(divided.report.as_json()["segments"]["branch"]) == {"food", "fuel", "games"}
