"""Bundles: whole or not at all, the same bytes for the same training, and refused when anything is off."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.unit.models.conftest import FEATURES, make_rows

from penstock.errors import BundleError
from penstock.models import (
    About,
    LogisticRegression,
    XGBoost,
    champion,
    fit_ensemble,
    load_bundle,
    load_champion,
    promote,
    save,
    versions,
)

ABOUT = About(
    detector="mine",
    created_at="2026-02-06T10:00:00Z",
    fingerprint="f00d",
    schema={"amount": "number"},
    training={"from": "2026-01-01T00:00:00Z", "rows": 3000},
    metrics={"roc_auc": np.float64(0.9), "average_precision": float("nan")},
)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def saved(ensemble, tmp_path):
    return tmp_path / "mine" / save(ensemble, tmp_path, ABOUT).version


def test_a_loaded_bundle_scores_and_explains_bit_for_bit_as_what_was_saved(ensemble, saved):
    x, _ = make_rows(300, seed=8)
    loaded = load_bundle(saved, expect_fingerprint="f00d")
    assert np.array_equal(loaded.score(x).raw, ensemble.score(x).raw)
    assert np.array_equal(loaded.score(x).ensemble, ensemble.score(x).ensemble)
    assert np.array_equal(loaded.contributions(x), ensemble.contributions(x))
    assert np.array_equal(loaded.usual, ensemble.usual, equal_nan=True)
    assert (loaded.features, loaded.thresholds, loaded.base_rate) == (FEATURES, ensemble.thresholds, ensemble.base_rate)
    assert (loaded.version, loaded.fingerprint) == (saved.name, "f00d")


def test_the_manifest_says_how_it_came_about_and_holds_no_nan(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["created_at"] == "2026-02-06T10:00:00Z"
    assert manifest["metrics"] == {"roc_auc": 0.9, "average_precision": None}
    assert manifest["members"][1]["declared"]["kind"] == "xgboost"
    assert manifest["members"][1]["declared"]["trees"] == 40
    assert set(manifest["files"]) == set(contents(saved)) - {"manifest.json"}
    assert "members/xgboost/xgboost.json" in manifest["files"]


def test_the_same_training_gives_the_same_bytes_and_version(tmp_path):
    x, y = make_rows(1500)
    for folder in ("one", "two"):
        models = [LogisticRegression(), XGBoost(trees=10, subsample=0.5)]
        save(fit_ensemble(models, x[:1000], y[:1000], x[1000:], y[1000:], FEATURES, seed=7), tmp_path / folder, ABOUT)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_saving_again_later_is_the_same_version_and_changes_nothing(ensemble, saved, tmp_path):
    before = contents(tmp_path)
    later = About("mine", "2027-01-01T00:00:00Z", "f00d", ABOUT.schema, ABOUT.training, ABOUT.metrics)
    assert save(ensemble, tmp_path, later).version == saved.name
    assert contents(tmp_path) == before


def test_a_missing_file_is_named(saved):
    (saved / "members/xgboost/nodes.npy").unlink()
    with pytest.raises(BundleError, match=r"nodes\.npy is missing.*train it again with `penstock train mine"):
        load_bundle(saved)


@pytest.mark.parametrize("name", ["xgboost/nodes.npy", "logistic_regression/linear.json", "xgboost/xgboost.json"])
def test_a_changed_file_is_named_with_both_checksums(saved, name):
    content = bytearray((saved / "members" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / "members" / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} has checksum [0-9a-f]+\.\.\., but the manifest says"):
        load_bundle(saved)


def test_a_threshold_changed_by_hand_in_the_manifest_is_noticed(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["thresholds"]["block_at"] = 0.99
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest\.json was changed by hand or damaged"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2}', "has format 2, this .* reads format 1; upgrade"),
        ("{", "cannot be read as a manifest"),
        ("[]", "cannot be read"),
    ],
)
def test_a_manifest_of_another_form_is_refused(saved, text, message):
    (saved / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        load_bundle(saved)


def test_models_trained_on_other_features_are_refused_with_both_fingerprints(saved):
    with pytest.raises(BundleError, match=r"fingerprint f00d, but .*'mine' now computes beef: a feature they read has changed"):
        load_bundle(saved, expect_fingerprint="beef")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is not a model bundle"):
        load_bundle(tmp_path)


def test_nobody_decides_until_a_version_is_promoted(ensemble, saved, tmp_path):
    assert champion(tmp_path, "mine") is None
    with pytest.raises(BundleError, match=r"no trained model for detector 'mine'.*penstock train mine"):
        load_champion(tmp_path, "mine")
    promote(tmp_path, "mine", saved.name)
    assert load_champion(tmp_path, "mine").version == champion(tmp_path, "mine") == saved.name


def test_versions_are_listed_oldest_first_with_the_champion_marked(ensemble, saved, tmp_path):
    newer = About("mine", "2026-03-01T00:00:00Z", "f00d", training={"rows": 1})
    second = save(ensemble, tmp_path, newer).version
    promote(tmp_path, "mine", second)
    (tmp_path / "mine" / ".writing-left-behind").mkdir()
    assert [(each.version, each.champion) for each in versions(tmp_path, "mine")] == [(saved.name, False), (second, True)]
    assert versions(tmp_path, "other") == []


def test_an_unknown_version_cannot_be_promoted(saved, tmp_path):
    with pytest.raises(BundleError, match=f"no model version 'nonsense'.*{saved.name}"):
        promote(tmp_path, "mine", "nonsense")


def test_a_save_that_fails_leaves_nothing_behind(ensemble, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr("penstock.models.trees.np.save", fail)
    with pytest.raises(OSError, match="no room"):
        save(ensemble, tmp_path, ABOUT)
    assert list((tmp_path / "mine").iterdir()) == []


SERVE = """
import sys
import numpy as np
from pathlib import Path
from penstock.models import load_bundle
ensemble = load_bundle(Path(sys.argv[1]))
ensemble.warm()
assert 0 < ensemble.score(np.full((2, 6), np.nan)).ensemble[0] < 1
print(sorted({"sklearn", "xgboost", "joblib"} & set(sys.modules)))
"""


def test_serving_imports_no_training_library(saved):
    done = subprocess.run([sys.executable, "-c", SERVE, str(saved)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
