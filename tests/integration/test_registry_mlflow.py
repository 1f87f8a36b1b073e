"""The registry in MLflow, for real: an embedded store of a SQLite file, and a server of its own process."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from deploy.infra.server import free_port
from penstock import LogisticRegression
from penstock.adapters.runs import figures_of, parameters
from penstock.config import Settings
from penstock.errors import BundleError, MissingExtra, RegistryError
from penstock.models import champion
from penstock.models.bundle import read_manifest
from penstock.offline.registry import FolderRegistry, champion_of, find, promote_to, register, roll_back
from penstock.offline.report import investigate, page, plots
from penstock.wiring.registries import Champion, open_registry
from tests.integration.paid import detector, events, trained
from tests.waiting import wait_until

mlflow_itself = pytest.mark.slow  # importing it and making its tables takes some twenty seconds
quietly = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of SQLAlchemy and others, inside mlflow
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # connections that its store pools until the process ends
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
pytestmark = quietly


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    """No server, unless a test names one."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def first():
    """A training with both members, and its data."""
    return trained()


@pytest.fixture(scope="module")
def second():
    """Another one, of one member."""
    return trained(detector(models=[LogisticRegression()]))


@pytest.fixture(scope="module")
def registry(tmp_path_factory, first, second):
    """The embedded store with two versions; the first decides."""
    registry = open_registry(Settings(models=tmp_path_factory.mktemp("models"), registry="mlflow"))

    def pictures(kept):
        findings = investigate(detector(), kept, events())
        drawn = plots(findings)
        return {"report.html": page(findings, drawn), **{f"plots/{name}.svg": svg for name, svg in drawn.items()}}

    register(registry, detector(), first, attached=pictures)
    register(registry, detector(), second)
    return registry


def run_of(registry, version):
    [model] = [
        each for each in registry.client.search_model_versions("name='paid'") if each.tags["penstock.version"] == version
    ]
    return registry.client.get_run(model.run_id)


@mlflow_itself
def test_a_run_holds_parameters_figures_pictures_the_bundle_and_each_member(registry, first):
    version = registry.entries("paid")[0].version
    run = run_of(registry, version)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["average_precision"] == pytest.approx(first.report.test["average_precision"])
    for name in ("precision", "recall", "f1", "roc_auc", "recall_at_fpr_0.001", "recall_at_fpr_0.01", "recall_at_fpr_0.05"):
        assert name in run.data.metrics
    for name in ("card_precision_at_100", "value_detection_rate", "brier", "ece"):
        assert name in run.data.metrics
    assert run.data.metrics["lr_model/roc_auc"] == pytest.approx(first.report.members["logistic_regression"]["roc_auc"])
    assert run.data.params["xgb_model/trees"] == "20"
    assert run.data.params["rows/train"] == str(first.report.rows["train"])
    artefacts = {each.path for each in registry.client.list_artifacts(run.info.run_id)}
    assert artefacts == {"bundle", "lr_model", "xgb_model", "report.html", "plots"}
    assert "plots/roc.svg" in {each.path for each in registry.client.list_artifacts(run.info.run_id, "plots")}


@mlflow_itself
def test_mlflow_loads_the_champion_and_its_members_and_they_score_as_penstock_does(registry, first, monkeypatch):
    import mlflow
    import pandas as pd

    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)  # the call below sets it, too, for good
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    rows = pd.DataFrame(first.test.x[:50], columns=list(first.study.features))
    whole = mlflow.pyfunc.load_model("models:/paid@champion")
    served = first.served.score(first.test.x[:50])
    np.testing.assert_array_equal(whole.predict(rows), served.ensemble)
    run = run_of(registry, registry.entries("paid")[0].version).info.run_id
    alone = mlflow.pyfunc.load_model(f"runs:/{run}/xgb_model")
    np.testing.assert_array_equal(alone.predict(rows), served.members[:, 1])


@mlflow_itself
def test_aliases_move_and_come_back_and_versions_are_known_by_number(registry):
    one, two = (entry.version for entry in registry.entries("paid"))
    assert registry.alias("paid", "champion") == one
    assert find(registry, "2").version == two
    promote_to(registry, detector(), two, "challenger")
    assert [entry.aliases for entry in registry.entries("paid")] == [("champion",), ("challenger",)]
    promote_to(registry, detector(), two)
    assert (registry.alias("paid", "champion"), registry.alias("paid", "challenger")) == (two, None)
    assert roll_back(registry, detector()) == one
    with pytest.raises(BundleError, match="nothing to return to"):
        roll_back(registry, detector())


@mlflow_itself
def test_what_does_not_fit_is_refused_and_an_unknown_version_gets_a_hint(registry):
    one, two = (entry.version for entry in registry.entries("paid"))
    with pytest.raises(BundleError, match="train it again"):
        promote_to(registry, detector(window="2h"), two)
    with pytest.raises(BundleError, match=f"Did you mean {two}"):
        registry.fetch("paid", two[:-1])
    assert registry.alias("paid", "champion") == one


@mlflow_itself
def test_publishing_again_makes_no_second_version(registry, first):
    before = registry.entries("paid")
    register(registry, detector(), first)
    assert registry.entries("paid") == before


@mlflow_itself
def test_another_folder_fetches_the_champion_and_keeps_it_for_when_the_registry_is_gone(registry, tmp_path, monkeypatch):
    one = registry.alias("paid", "champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    settings = Settings(models=tmp_path, registry="mlflow")
    following = Champion(settings)
    ensemble = following.newer(detector(), None)
    assert ensemble.version == one == champion(tmp_path, "paid")
    assert following.newer(detector(), one) is None
    assert champion_of(FolderRegistry(tmp_path), detector()).version == one


@mlflow_itself
def test_an_embedded_store_is_not_made_by_looking(tmp_path):
    registry = open_registry(Settings(models=tmp_path / "models", registry="mlflow"))
    assert registry.detectors() == registry.entries("paid") == registry.changes("paid") == []
    assert registry.alias("paid", "champion") is None
    assert not (tmp_path / "models").exists()


@mlflow_itself
def test_a_server_that_is_not_there_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    registry = open_registry(Settings(models=tmp_path, registry="mlflow"))
    with pytest.raises(RegistryError, match=re.escape("http://127.0.0.1:9")):
        registry.alias("paid", "champion")


@mlflow_itself
def test_the_command_line_trains_into_it_and_lists_what_is_there(tmp_path, first):
    """A folder of its own in a process of its own, as a person would."""
    mine, data = tmp_path / "mine.py", tmp_path / "paid.parquet"
    mine.write_text(Path(__file__).with_name("paid.py").read_text() + "\n\nmine = detector()\n")
    events().write_parquet(data)

    def penstock(*arguments):
        command = [sys.executable, "-m", "penstock.cli", *arguments, "--registry", "mlflow", "--models", tmp_path, "--json"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    report = penstock("train", mine, "--data", data, "--save")
    [listed] = penstock("models", "list")
    assert (listed["version"], listed["number"], listed["aliases"]) == (report["model_version"], 1, ["champion"])
    assert listed["figures"]["average_precision"] == pytest.approx(first.report.test["average_precision"])
    kept = {path.name for path in (tmp_path / "mlflow-artifacts" / "paid").glob("*/artifacts/*")}
    assert kept == {"bundle", "lr_model", "xgb_model", "report.html", "plots"}


def healthy(url, process):
    assert process.poll() is None, "the server has ended"
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture
def server(tmp_path):
    """A tracking server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path / "kept")]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet, start_new_session=True, cwd=tmp_path
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: healthy(url, process), every_s=0.25)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@mlflow_itself
def test_a_server_keeps_versions_for_machines_that_share_no_folder(server, tmp_path, monkeypatch, first, second):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    here = open_registry(Settings(models=tmp_path / "here", registry="mlflow"))
    there = Champion(Settings(models=tmp_path / "there", registry="mlflow"))
    assert there.newer(detector(), None) is None
    register(here, detector(), first)
    one = there.newer(detector(), None)
    register(here, detector(), second, make_champion=True)
    two = there.newer(detector(), one.version)
    assert [one.version, two.version] == [entry.version for entry in here.entries("paid")]
    np.testing.assert_array_equal(one.score(first.test.x).ensemble, first.served.score(first.test.x).ensemble)
    assert roll_back(here, detector()) == one.version
    assert there.newer(detector(), two.version).version == one.version


# ---------------------------------------------------------------- without MLflow


def test_one_module_alone_imports_mlflow():
    source = Path(__file__).parents[2] / "src" / "penstock"
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if re.search(r"^\s*(import mlflow|from mlflow)", path.read_text(), re.MULTILINE)
    }
    assert found == {"adapters/mlflow.py"}


def test_a_missing_extra_is_an_instruction(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'penstock\[mlflow\]'"):
        open_registry(Settings(models=tmp_path, registry="mlflow"))


def test_what_a_run_says_is_what_the_bundle_says(tmp_path, first):
    kept = register(FolderRegistry(tmp_path), detector(), first)
    manifest = read_manifest(tmp_path / "paid" / kept.report.model_version)
    figures, told = figures_of(manifest), parameters(manifest)
    assert figures["brier"] == first.report.test["brier"]
    assert figures["interval_low/roc_auc"] == first.report.intervals["roc_auc"][0]
    assert told["xgb_model/depth"] == "3"
    assert told["period/test"].startswith("2026-")
    assert all(isinstance(value, float) for value in figures.values())


def test_the_scorer_names_a_feature_that_is_missing(tmp_path, first):
    from penstock.adapters.pyfunc import _load_pyfunc
    from penstock.errors import DataError

    kept = register(FolderRegistry(tmp_path), detector(), first)
    scorer = _load_pyfunc(str(kept.report.saved_to))
    columns = {name: first.test.x[:5, at] for at, name in enumerate(first.study.features)}
    np.testing.assert_array_equal(scorer.predict(columns), first.served.score(first.test.x[:5]).ensemble)
    del columns["spent"]
    with pytest.raises(DataError, match="'spent' that is missing"):
        scorer.predict(columns)
