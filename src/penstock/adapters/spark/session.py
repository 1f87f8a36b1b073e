"""The Spark session: located, started with quiet logs, and set to run this Python."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ALWAYS: Mapping[str, str] = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4",  # a row is a block of thousands of events
    "spark.sql.adaptive.enabled": "false",  # how many parts a shuffle has is decided here, by the size of blocks
    "spark.python.worker.reuse": "true",
    "spark.shuffle.compress": "false",  # blocks of numbers do not shrink; compressing them costs more than moving them
}
_LOCAL: Mapping[str, str] = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
}


def open_session(
    master: str, *, jars: Sequence[Path] = (), settings: Mapping[str, str] | None = None, name: str = "penstock"
) -> "SparkSession":
    """A Spark session on `master` (`local[2]`, `spark://HOST:PORT`, ...) whose workers run this Python.

    Raises:
        MissingExtra: pyspark is not installed.
        ConfigurationError: there is no Java, or Spark does not start.
    """
    check_spark()
    from pyspark.sql import SparkSession

    logging.getLogger("py4j").setLevel(logging.WARNING)

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", _quiet())
    builder = SparkSession.builder.appName(name).master(master)
    chosen = {**_ALWAYS, **(_LOCAL if master.startswith("local") else {}), **(settings or {})}
    if jars:
        chosen["spark.jars"] = ",".join(str(jar) for jar in jars)
    for key, value in chosen.items():
        builder = builder.config(key, value)
    with tempfile.TemporaryFile() as said:
        try:
            with _standard_error_in(said.fileno()):
                return builder.getOrCreate()
        except Exception as error:
            said.seek(0)
            log = said.read().decode("utf-8", "replace").strip().splitlines()
            raise ConfigurationError(f"Spark does not start on {master}: {error}\n" + "\n".join(log[-10:])) from error


@contextmanager
def _standard_error_in(file: int) -> Iterator[None]:
    """Redirect Java's start messages to a file, shown only if Spark does not start."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def check_spark() -> None:
    """Whether Spark can be started here.

    Raises:
        MissingExtra: pyspark is not installed.
        ConfigurationError: there is no Java.
    """
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
        import pyspark  # noqa: F401
    except ImportError as error:
        raise MissingExtra("spark", "Spark") from error
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else None
    if (java is None or not java.exists()) and shutil.which("java") is None:
        raise ConfigurationError("Spark needs Java 17 or later: install one (Debian: openjdk-17-jre-headless) or set JAVA_HOME")


def close_session(session: "SparkSession") -> None:
    """Stop Spark and the Java process that it lives in."""
    gateway = session.sparkContext._gateway
    session.stop()
    process = getattr(gateway, "proc", None)
    if gateway is not None:
        gateway.shutdown()
    if process is not None:
        process.stdin.close()
        with suppress(Exception):
            process.wait(timeout=10)
    from pyspark import SparkContext

    SparkContext._gateway = None
    SparkContext._jvm = None


def _quiet() -> str:
    """Keep Spark's logs below errors out of the terminal, from the first line on."""
    properties = Path(__file__).parent / "log4j2.properties"
    return f'--conf "spark.driver.extraJavaOptions=-Dlog4j2.configurationFile=file:{properties}" pyspark-shell'
