"""Spark for tests: one session per test process, with the jars that read Kafka where they can be had."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
JARS = ROOT / ".infra" / "spark-jars"


def lacking(reason: str) -> None:
    """Skip where something cannot be had; in CI, which installs everything, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def jars() -> list[Path]:
    """The jars, fetched once; none where they cannot be had."""
    if not list(JARS.glob("spark-sql-kafka*.jar")) and shutil.which("mvn"):
        command = ["mvn", "-q", "-B", "-f", str(ROOT / "deploy" / "spark" / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={JARS}"], check=False, capture_output=True, timeout=300)
    return sorted(JARS.glob("*.jar"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session on two cores."""
    from penstock.adapters.spark.session import check_spark, close_session, open_session
    from penstock.adapters.spark.stream import SETTINGS

    try:
        check_spark()
    except ConfigurationError as error:
        lacking(str(error))
    settings = {**SETTINGS, "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "2"}
    session = open_session("local[2]", jars=jars(), settings=settings)
    yield session
    close_session(session)
