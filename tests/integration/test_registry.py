"""A registry of models in a folder: versions, aliases, the way back, and no way for what does not fit."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock import LogisticRegression, cli, derive, lookup
from penstock.config import Settings
from penstock.errors import BundleError
from penstock.models import champion, load_champion, promote
from penstock.models.bundle import read_manifest
from penstock.models.bundle_store import history
from penstock.offline.registry import FolderRegistry, compare, find, promote_to, register, roll_back
from penstock.testing import SetClock
from penstock.wiring.engines import openers
from penstock.wiring.registries import champions
from tests.integration.paid import START, detector, events, trained


@pytest.fixture(scope="module")
def results():
    """Three trainings that come to three versions."""
    lone = detector(models=[LogisticRegression()])
    return [trained(), trained(lone), trained(lone, events(3000))]


@pytest.fixture
def registry(tmp_path, results):
    """A folder with the three, each made a day after the other; the first decides."""
    registry = FolderRegistry(tmp_path, clock=SetClock(START))
    for day, each in enumerate(results, start=1):
        register(registry, detector(), each, clock=SetClock(datetime(2026, 2, day, tzinfo=UTC)))
    return registry


def versions(registry):
    return [entry.version for entry in registry.entries("paid")]


def test_the_first_version_decides_and_later_ones_wait(registry):
    first = versions(registry)[0]
    assert len(set(versions(registry))) == 3
    assert [entry.aliases for entry in registry.entries("paid")] == [("champion",), (), ()]
    assert registry.alias("paid", "champion") == first == champion(registry.folder, "paid")


def test_rolling_back_returns_step_by_step_and_then_says_that_there_is_nothing_before(registry):
    first, second, third = versions(registry)
    promote_to(registry, detector(), second)
    promote_to(registry, detector(), third)
    assert roll_back(registry, detector()) == second
    assert roll_back(registry, detector()) == first
    with pytest.raises(BundleError, match="nothing to return to"):
        roll_back(registry, detector())
    assert registry.alias("paid", "champion") == first
    assert [change.why for change in registry.changes("paid")] == ["promoted"] * 3 + ["rolled back"] * 2


def test_after_a_rollback_a_new_champion_leads_back_to_the_one_rolled_back_to(registry):
    first, second, third = versions(registry)
    promote_to(registry, detector(), second)
    roll_back(registry, detector())
    promote_to(registry, detector(), third)
    assert roll_back(registry, detector()) == first


def test_a_champion_that_was_named_by_hand_can_be_returned_to(registry):
    first, second, _ = versions(registry)
    (registry.folder / "paid" / "champion").write_text(second + "\n")
    promote_to(registry, detector(), first)
    assert roll_back(registry, detector()) == second


def test_a_line_of_history_that_a_crash_cut_off_is_left_out(registry):
    with (registry.folder / "paid" / "history.ndjson").open("ab") as file:
        file.write(b'{"at":"2026-02-')
    assert len(history(registry.folder, "paid")) == 1


def test_promoting_what_was_trained_on_other_features_is_refused_with_the_remedy(registry):
    first, second, _ = versions(registry)
    with pytest.raises(BundleError, match=r"other definitions of the features of 'paid'.*penstock train paid"):
        promote_to(registry, detector(window="2h"), second)
    assert registry.alias("paid", "champion") == first


def test_a_model_without_the_file_that_it_was_trained_with_is_named_and_the_others_are_served(tmp_path):
    (tmp_path / "risk.csv").write_text("channel,risk\nweb,3\nshop,1\n")
    seen = detector(risk=lookup("risk", "channel", table=str(tmp_path / "risk.csv")))
    blind, other = detector(risk=derive("risk", "nullif(0, 0)")), detector(name="other")
    settings = Settings(data=tmp_path / "data")
    registry = FolderRegistry(settings.models_folder)
    register(registry, seen, trained(seen))
    register(registry, other, trained(other))
    opened = openers([blind, other], settings)
    with opened["paid"]() as waiting, opened["other"]() as serving:
        assert waiting.ready is not None
        assert serving.ready is None
        said = "was trained with risk of 'paid' looked up in risk.csv, which is not here; .* setting lookups"
        with pytest.raises(BundleError, match=said):
            champions([blind], settings)["paid"](None)
    with openers([seen], settings)["paid"]() as engine:
        assert engine.ready is None


def test_a_damaged_bundle_cannot_be_promoted(registry):
    first, second, _ = versions(registry)
    numbers = next((registry.folder / "paid" / second / "members").rglob("*.npy"), None) or next(
        (registry.folder / "paid" / second / "members").rglob("*.json")
    )
    numbers.write_bytes(numbers.read_bytes()[:-1])
    with pytest.raises(BundleError, match="checksum"):
        promote_to(registry, detector(), second)
    assert registry.alias("paid", "champion") == first


def test_the_challenger_is_no_challenger_once_it_is_champion(registry):
    _, second, _ = versions(registry)
    promote_to(registry, detector(), second, "challenger")
    assert registry.alias("paid", "challenger") == second
    promote_to(registry, detector(), second)
    assert (registry.alias("paid", "champion"), registry.alias("paid", "challenger")) == (second, None)


def test_a_version_is_found_by_its_first_characters_or_an_alias_and_an_unknown_one_gets_a_hint(registry):
    first, second, _ = versions(registry)
    assert find(registry, second[:6]).version == second
    assert find(registry, "champion").version == first
    with pytest.raises(BundleError, match=f"Did you mean {second}"):
        find(registry, second[:-1] + "x")


def test_comparing_says_when_figures_come_from_different_tests(registry):
    first, second, third = (read_manifest(registry.fetch("paid", version)) for version in versions(registry))
    assert compare(first, second)["same_test"]
    assert not compare(second, third)["same_test"]
    assert compare(first, second)["figures"]["roc_auc"] == [each["metrics"]["test"]["roc_auc"] for each in (first, second)]


def test_every_reader_sees_the_old_champion_or_the_new_one(registry):
    """Promotions in another process, hundreds of readings in this one: never nothing, never half a line."""
    first, second, _ = versions(registry)
    code = (
        "import sys; from penstock.models.bundle_store import point\n"
        f"for i in range(120): point(sys.argv[1], 'paid', 'champion', ({first!r}, {second!r})[i % 2])"
    )
    moving = subprocess.Popen([sys.executable, "-c", code, str(registry.folder)])
    seen = set()
    while moving.poll() is None:
        seen.add(champion(registry.folder, "paid"))
    assert moving.returncode == 0
    assert seen <= {first, second}


# ---------------------------------------------------------------- the command line


@pytest.fixture
def file(tmp_path):
    """The detector as a file of one's own."""
    path = tmp_path / "mine.py"
    path.write_text(Path(__file__).with_name("paid.py").read_text() + "\n\nmine = detector()\n")
    return path


def models(registry, *arguments, ends_with=0):
    with CliRunner().isolation() as (stdout, stderr, _):
        code = cli.run(["models", *map(str, arguments), "--models", str(registry.folder)])
        out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
    assert code == ends_with, said
    return out if not code else said


def test_the_commands_list_show_compare_promote_and_roll_back(registry, file):
    first, second, _ = versions(registry)
    listed = json.loads(models(registry, "list", "--json"))
    assert (listed[0]["version"], listed[0]["aliases"]) == (first, ["champion"])
    assert first in models(registry, "list")
    assert "average_precision" in models(registry, "show", "champion")
    assert json.loads(models(registry, "show", second[:5], "--json"))["version"] == second
    assert "difference" in models(registry, "compare", first, second)
    assert json.loads(models(registry, "promote", second, "--detector", file, "--json")) == {
        "detector": "paid",
        "champion": second,
        "before": first,
    }
    assert f"{first} is the champion of paid now" in models(registry, "rollback", "--detector", file)
    assert "nothing to return to" in models(registry, "rollback", "--detector", file, ends_with=1)
    assert "name its file: --detector" in models(registry, "promote", second, ends_with=2)


def test_thresholds_change_without_training_and_the_old_version_stays(registry, file):
    first = versions(registry)[0]
    before = read_manifest(registry.fetch("paid", first))
    out = models(
        registry, "thresholds", first, "--review-at", 0.3, "--block-at", 0.7, "--promote", "--detector", file, "--json"
    )
    made = json.loads(out)["version"]
    after = load_champion(registry.folder, "paid")
    assert after.version == made != first
    assert (after.thresholds["review_at"], after.thresholds["block_at"]) == (0.3, 0.7)
    assert read_manifest(registry.fetch("paid", first)) == before
    refused = models(registry, "thresholds", first, "--review-at", 0.9, "--block-at", 0.7, ends_with=2)
    assert "review_at not above block_at" in refused


def test_thresholds_that_the_policy_overrules_are_said_to_be(registry, tmp_path):
    strict = tmp_path / "strict.py"
    source = (
        Path(__file__).with_name("paid.py").read_text().replace("policy=Policy()", "policy=Policy(review_at=0.5, block_at=0.8)")
    )
    strict.write_text(source + "\n\nmine = detector()\n")
    arguments = ["thresholds", "champion", "--review-at", "0.5", "--block-at", "0.7", "--detector", strict]
    with CliRunner().isolation() as (_, stderr, _output):
        assert cli.run(["models", *map(str, arguments), "--models", str(registry.folder)]) == 0
        said = stderr.getvalue().decode()
    assert "the policy of paid holds block_at=0.8, which wins" in said


def test_serving_from_a_folder_imports_no_library_that_trains_or_registers(registry):
    code = """
import sys
from tests.integration.paid import detector, events
from penstock.wiring.registries import champions
from penstock.config import Settings
from penstock.engine import Engine
settings = Settings(models=sys.argv[1])
newer = champions([detector()], settings)["paid"]
engine = Engine(detector(), models=sys.argv[1])
engine.use(newer("another"))
event = {"transaction_id": "t", "timestamp": "2026-03-01T00:00:00Z", "customer_id": "c", "amount": 9000.0}
assert engine.decide(event).decision == "BLOCK"
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"mlflow", "sklearn", "xgboost", "lightgbm", "imblearn", "optuna", "matplotlib", "pandas"}))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(registry.folder)], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_setting_names_the_registry(tmp_path):
    from penstock.wiring.registries import open_registry

    assert isinstance(open_registry(Settings(models=tmp_path)), FolderRegistry)


def test_promoting_the_champion_again_changes_nothing(registry):
    first = versions(registry)[0]
    promote(registry.folder, "paid", first)
    assert len(history(registry.folder, "paid")) == 1
