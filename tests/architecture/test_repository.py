"""The repository as a place to work in: locks that hold, a Makefile that explains itself."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-bootstrap.lock",
    "requirements-image.lock",
    "requirements-spark.lock",
]


def locked(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / name).read_text(), re.MULTILINE))


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", text)[0].lower() for text in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash(name):
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split("\n")[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_registry_and_no_machine(name):
    assert re.findall(r"https?://\S+|^-\S*(?:index|find).*|(?:^|\s)/\w+/\S+", (ROOT / name).read_text(), re.MULTILINE) == []


def test_the_locks_hold_everything_that_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert named(declared["project"]["dependencies"]) <= locked("requirements.lock")
    assert named(declared["project"]["optional-dependencies"]["train"]) <= locked("requirements.lock")  # `make run` trains
    extras = set().union(*map(named, declared["project"]["optional-dependencies"].values())) - {"penstock"}  # its own extras
    assert extras <= locked("requirements-dev.lock")
    assert locked("requirements.lock") <= locked("requirements-dev.lock")
    for extra in ("kafka", "mlflow", "postgres", "redis", "s3", "train"):
        assert named(declared["project"]["optional-dependencies"][extra]) <= locked("requirements-image.lock")
    assert named(declared["project"]["optional-dependencies"]["spark"]) <= locked("requirements-spark.lock")
    assert named(declared["dependency-groups"]["bootstrap"]) <= locked("requirements-bootstrap.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_all_locks_hold_the_same_versions(name):
    pinned = [set(re.findall(r"^([a-z0-9._-]+==\S+)", (ROOT / lock).read_text(), re.MULTILINE)) for lock in (name, LOCKS[1])]
    assert {pin for pin in pinned[0] - pinned[1] if pin.partition("==")[0] in locked(LOCKS[1])} == set()


def test_make_alone_lists_every_target():
    shown = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()
    assert [target for target in targets if f"make {target} " not in shown] == []
