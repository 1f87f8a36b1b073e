"""What tests of all kinds share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # several processes test at once, and more threads than cores would
    os.environ.setdefault(threads, "1")  # spin: a training takes three times as much of the processor, and ten times as long

os.environ.setdefault("PENSTOCK_COMPILE_FEATURES", "false")  # services that tests start would do so beside every test

# How long an example takes tells what else this machine does and what is compiled for the first time, and little of a test.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

pytest_plugins = ["tests.integration.servers", "tests.integration.spark_servers"]


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded files that are not part of the project."""
    folder = Path(os.environ.get("PENSTOCK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip(f"no recorded data in {folder}; set PENSTOCK_TEST_DATA to the folder that holds it")
    return folder
