"""Where only the base is installed, bundles trained elsewhere serve, and a command that trains names its extra."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from penstock.cli import run
from penstock.errors import MissingExtra
from penstock.extras import MODULES, require
from tests import base_install
from tests.recorded_shapes import write

ROOT = Path(__file__).parents[2]
TRAINING = {
    *("scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "imbalanced-learn", "optuna", "matplotlib", "scipy"),
    "threadpoolctl",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file, a detector written for it, and its trained models."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file = write("milliseconds", folder)
    given = ["init", str(file), "--out", str(folder / "mine.py"), "--models", str(folder / "models"), "--minutes", "0"]
    assert run(given) == 0
    return folder


def base(*arguments: object, cwd: Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command of Penstock without what the base lacks."""
    command = [sys.executable, "-c", base_install.program([str(each) for each in arguments])]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, input=given)


def test_the_base_is_small():
    found = base_install.distributions()
    sizes = {name: base_install.megabytes(each) for name, each in found.items()}
    assert not TRAINING & set(found)
    assert len(found) <= base_install.MOST_DISTRIBUTIONS, sorted(found)
    assert sum(sizes.values()) <= base_install.MOST_MB, sorted(sizes.items(), key=lambda each: -each[1])[:12]


def test_the_page_has_a_sentence_for_each_large_distribution():
    page = (ROOT / "docs" / "guide" / "wheel.md").read_text()
    large = {name for name, found in base_install.distributions().items() if base_install.megabytes(found) > 20}
    assert {name for name in large if f"`{name}`" not in page} == set()


def test_the_modules_of_an_extra_are_those_that_it_declares():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(MODULES) == set(declared) - {"dev"}


def test_a_file_is_replayed_and_scored_without_what_trains(trained, tmp_path):
    out = tmp_path / "decided.parquet"
    done = base(
        "replay",
        trained / "mine.py",
        trained / "milliseconds.parquet",
        "--models",
        trained / "models",
        "--out",
        out,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(out)["score"].null_count() == 0
    event = {
        "payment_id": "p1",
        "created_at": "2025-12-01T10:00:00Z",
        "customer_id": "C1",
        "device_id": "d",
        "amount": 5.0,
        "currency": "EUR",
    }
    scored = base("score", trained / "mine.py", "--models", trained / "models", cwd=tmp_path, given=json.dumps(event) + "\n")
    assert scored.returncode == 0, scored.stderr
    decision = json.loads(scored.stdout)
    assert decision["degraded"] is None
    assert set(decision["scores"]) == {"xgboost", "logistic_regression"}


@pytest.mark.parametrize(
    "command",
    [["rules", "list"], ["query", "select 1"], ["detectors"], ["models", "list"], ["simulate", "card", "--events", "5"]],
)
def test_commands_that_train_nothing_work_without_what_trains(command, tmp_path):
    done = base(*command, cwd=tmp_path)
    assert "penstock[train]" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(
    "command", [["train", "{mine}", "--data", "{file}"], ["report", "train", "{mine}", "--data", "{file}"]]
)
def test_a_command_that_trains_names_the_extra_at_once(command, trained, tmp_path):
    names = {"mine": trained / "mine.py", "file": trained / "milliseconds.parquet"}
    done = base(*(part.format(**names) for part in command), cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'penstock[train]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_writes_the_file_first_and_then_names_the_extra_and_the_command_that_goes_on(trained, tmp_path):
    file = trained / "milliseconds.parquet"
    done = base("init", file, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    said = done.stderr.splitlines()
    assert said[-2:] == [
        "mine.py is written; training needs an optional part: pip install 'penstock[train]'",
        f"next: penstock train mine.py --data {file} --save",
    ]


def test_init_writes_a_file_without_what_trains(trained, tmp_path):
    done = base("init", trained / "milliseconds.parquet", "--no-train", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.py").exists()


def test_the_doctor_names_the_extras_that_are_missing(tmp_path):
    done = base("doctor", "--json", "--port", "0", cwd=tmp_path)
    [extras] = [each for each in json.loads(done.stdout) if each["what"] == "extras"]
    assert "train" in re.search("without (.*) \\(", extras["found"])[1].split(", ")
    assert extras["remedy"] is None


def test_all_extras_that_are_missing_are_named(tmp_path):
    done = base(
        "serve",
        "banking",
        "--port",
        "0",
        "--stream",
        "kafka://127.0.0.1:1",
        "--archive",
        "s3://a/b",
        "--data",
        tmp_path,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "pip install 'penstock[kafka,s3]'" in done.stderr


def test_nothing_is_missing_here():
    require(*MODULES, purpose="this test")


def test_a_single_missing_extra_is_one_part():
    assert str(MissingExtra("kafka", "a stream")) == "a stream needs an optional part: pip install 'penstock[kafka]'"
