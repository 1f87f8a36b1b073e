"""Spark jobs: from references, files and URLs to what runs on Spark."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.assemble.detectors import load_detector
from penstock.assemble.engines import personal_key
from penstock.config import Settings
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.adapters.spark.backfill import Backfilled
    from penstock.adapters.spark.stream import Done


def run_backfill(
    reference: str, files: Sequence[Path], out: Path, *, models: Path | None, master: str, buckets: int | None
) -> "Backfilled":
    """A backfill, with a session of its own; see `adapters.spark.backfill.backfill`."""
    from penstock.adapters.spark.session import check_spark, close_session, open_session

    check_spark()
    from penstock.adapters.spark.backfill import BUCKETS, backfill
    from penstock.adapters.spark.source import Source

    source = Source(reference, load_detector, str(models) if models is not None else None)
    _ = source.ensemble  # what is wrong with detector and models is said before Spark starts
    spark = open_session(master, name=f"penstock backfill {source.detector.name}")
    try:
        return backfill(spark, source, files, out, buckets=buckets or BUCKETS)
    finally:
        close_session(spark)


def run_stream(
    reference: str,
    settings: Settings,
    checkpoint: Path,
    *,
    with_models: bool,
    master: str,
    jars: Path | None,
    buckets: int | None,
    most_events: int | None,
    without_labels: bool,
    on_done: "Callable[[Done], None]",
    on_started: Callable[[Callable[[], None]], None],
) -> None:
    """Decide what comes through Kafka until stopped; on_started is given what stops it.

    Raises:
        ConfigurationError: the detector counts labels, which this stream does not read, and nobody said that it may.
    """
    from penstock.adapters.spark.session import check_spark, close_session, open_session

    check_spark()
    from penstock.adapters.kafka.address import Address
    from penstock.adapters.spark import stream
    from penstock.adapters.spark.source import Source

    if settings.stream is None or not settings.stream.startswith("kafka://"):
        raise ConfigurationError(f"Spark reads Kafka: --stream kafka://HOST:PORT, not {settings.stream}")
    models = str(settings.models_folder) if with_models else None
    key = personal_key(settings.personal_key_file)
    source = Source(reference, load_detector, models, key) if key is not None else Source(reference, load_detector, models)
    stream.check_fit(source, without_labels=without_labels, has_key=key is not None)
    address = Address.of(settings.stream)
    cluster = stream.Cluster(address.servers, address.topics, address.client())
    chosen = {**stream.SETTINGS, **({"spark.sql.shuffle.partitions": master[6:-1]} if master[6:-1].isdigit() else {})}
    spark = open_session(master, jars=_jars(jars), settings=chosen, name=f"penstock stream {source.detector.name}")
    try:
        options = {"buckets": buckets or stream.BUCKETS, "most_events": most_events or stream.MOST_EVENTS}
        query = stream.start(spark, source, cluster, checkpoint, on_done=on_done, **options)
        on_started(query.stop)
        stream.wait(query)
    finally:
        close_session(spark)


def _jars(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(folder.glob("*.jar"))
    if not found:
        raise ConfigurationError(f"{folder} holds no .jar; fetch them with: make spark-jars (deploy/spark/pom.xml names them)")
    return found
