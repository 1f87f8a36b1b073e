"""Nothing heavy is imported before it is used."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "numba", "polars", "sqlglot", "duckdb", "fastapi", "sklearn", "scipy.linalg", "xgboost", "lightgbm")


def imported_by(program: str, folder: Path) -> list[str]:
    """The heavy packages among the modules that this program imported."""
    shown = f"import json, sys\n{program}\nprint(json.dumps([each for each in {HEAVY} if each in sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", shown],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PENSTOCK_DATA": str(folder)},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: list[str] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_the_engine_is_imported_without_anything_heavy(tmp_path):
    assert imported_by("from penstock import Engine; assert Engine.__init__", tmp_path) == []


@pytest.mark.parametrize(
    "command", [["--help"], ["version"], ["models", "list"], ["users", "list"], ["keys", "list"], ["audit", "--help"]]
)
def test_commands_that_need_no_detector_import_nothing_heavy(command, tmp_path):
    assert imported_by(f"import penstock.cli as c\nassert c.run({command}) == 0", tmp_path) in ([], ["numpy"])


@pytest.mark.parametrize("detector", ["banking", "card", "ecommerce", "mobile_money", "payments"])
def test_a_detector_is_read_without_numba(detector, tmp_path):
    program = f"from penstock.wiring.detectors import load_detector\nassert load_detector('{detector}').warnings is not None"
    assert set(imported_by(program, tmp_path)) == {"numpy", "polars", "sqlglot"}


@pytest.mark.parametrize(
    "command", [["detectors"], ["rules", "list", "banking"], ["lists", "list", "banking"], ["features", "list", "banking"]]
)
def test_commands_that_look_at_a_detector_run_no_kernel(command, tmp_path):
    program = f"import penstock.cli as c\nassert c.run({command}) == 0"
    assert set(imported_by(program, tmp_path)) <= {"numpy", "polars", "sqlglot"}


def test_the_import_of_the_engine_takes_a_moment():
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "from penstock import Engine"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # of work: others may hold the processor

    assert any(seconds() < 0.3 for _ in range(10)), "a busy machine takes longer for the same work, but not each time"


def test_the_names_of_a_lazy_package_are_complete():
    program = (
        "import penstock, penstock.engine, penstock.models\n"
        "for package in (penstock, penstock.engine, penstock.models):\n"
        "    assert set(package.__all__) <= set(dir(package)), package\n"
        "    assert [each for each in package.__all__ if getattr(package, each, None) is None] == []\n"
        "    assert not hasattr(package, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
