"""Structured streaming from Kafka to Kafka: state in Spark's keyed store, each decision sent exactly once.

    Kafka -> Inbox -> Dedup (by id) -> KeyedState (by entity and bucket) -> Decide (by slice) -> Outbox -> Kafka

Inside a micro-batch events are applied in the order (append time, partition, offset), whichever partitions they came by.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.decide import DONE_TYPE, Decide
from penstock.adapters.spark.inbox import PARCEL_TYPE, SparkInbox
from penstock.adapters.spark.outbox import SparkOutbox
from penstock.adapters.spark.publish import Publisher, PublishResult
from penstock.adapters.spark.source import DetectorSource, check_links
from penstock.decoding import prepared
from penstock.engine.startup import MAKE_PERSONAL_KEY
from penstock.errors import BrokerError, BundleError, ConfigurationError
from penstock.stream.port import Topics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

BUCKETS = 8
"""Of every entity's keys, and of ids."""
MOST_EVENTS = 100_000
"""Messages of a micro-batch by default."""
SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.metricsEnabled": "false",
}
"""Settings of a session for streams, in addition to those of `session.open_session`."""
_DECLARED = "penstock.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """Kafka connection settings. settings: of librdkafka, as `Address.client` makes them."""

    servers: str
    topics: Topics
    settings: dict[str, Any]


class CheckpointParameters(msgspec.Struct):
    """The parameters that a checkpoint was created with, which must not change.

    salt: of the codes of ids. name: of the stream towards Kafka.
    """

    detector: str
    state: str
    buckets: int
    salt: str
    name: str


def start(
    spark: "SparkSession",
    source: DetectorSource,
    cluster: Cluster,
    checkpoint: Path,
    *,
    buckets: int = BUCKETS,
    most_events: int = MOST_EVENTS,
    on_done: Callable[[PublishResult], None] = lambda _done: None,
) -> "StreamingQuery":
    """Start a query that decides existing and new messages of the topic `transactions`.

    Args:
        spark: opened with `SETTINGS` and the jars of Spark's Kafka source.
        source: the detector and its models.
        cluster: where messages come from and go to.
        checkpoint: a folder that all machines see: how far Kafka has been read, and all state.
        buckets: into how many the keys of each entity, and ids, are divided; fixed by the first start.
        most_events: messages of a micro-batch.
        on_done: called after each micro-batch.

    Raises:
        ConfigurationError: the checkpoint belongs to another detector, or to other features.
    """
    declared = declare(source, checkpoint, buckets)
    run = secrets.token_hex(8)
    decided = _decided(_messages(spark, cluster, most_events), source, declared, run)
    publisher = Publisher(SparkOutbox(cluster.settings, cluster.topics, declared.name), source, declared.name)

    def write(frame: "DataFrame", batch: int) -> None:
        on_done(publisher.publish(batch, _finished(frame, source, declared)))

    writer = decided.writeStream.foreachBatch(write).queryName(f"penstock {declared.detector}")
    return writer.option("checkpointLocation", str(checkpoint / "spark")).start()


def check_fit(source: DetectorSource, *, without_labels: bool, has_key: bool) -> None:
    """Refuse detectors for which this stream would differ from a single process.

    Raises:
        ConfigurationError: the detector has linked features, counts labels, or hides personal fields without a key that all
            machines share.
        BundleError: its models have not been trained.
    """
    detector = source.detector
    check_links(detector)
    if detector.models and source.ensemble is None:
        raise BundleError(
            f"detector {detector.name!r} declares models; train them first: "
            f"penstock train {detector.reference} --data FILE --save"
        )
    if detector.schema.personal and not has_key:
        raise ConfigurationError(
            f"detector {detector.name!r} hides personal fields ({', '.join(detector.schema.personal)}) with a key that all "
            f"machines must share; {MAKE_PERSONAL_KEY}"
        )
    counted = [plan.entity.name for plan in detector.plan.entities if Needs(detector, plan).waits]
    if counted and not without_labels:
        raise ConfigurationError(
            f"detector {detector.name!r} counts labels of {', '.join(counted)}, and this stream reads none; use penstock "
            "worker, or say --without-labels: those features then count no fraud"
        )


def wait(query: "StreamingQuery", stop: threading.Event) -> None:
    """Wait until the stream was asked to stop and its current micro-batch has been dropped.

    Raises:
        BrokerError: it ended by itself; the message gives the cause.
    """
    from pyspark.errors import StreamingQueryException

    try:
        while not stop.is_set() and query.isActive:
            query.awaitTermination(1)  # one call at a time: a signal handler must not call Java during another call
        if stop.is_set():  # the micro-batch that is dropped ends by an exception, which py4j logs with its traceback
            logging.getLogger("py4j").setLevel(logging.CRITICAL)
        query.stop()
    except StreamingQueryException as error:
        raise BrokerError(f"the stream ended: {error}") from error


def declare(source: DetectorSource, checkpoint: Path, buckets: int) -> CheckpointParameters:
    """Write the parameters of a new checkpoint, or check those of an existing one.

    Raises:
        ConfigurationError: they differ.
    """
    detector, path = source.detector, checkpoint / _DECLARED
    if not path.exists():
        checkpoint.mkdir(parents=True, exist_ok=True)
        name = f"penstock-spark-{detector.name}-{secrets.token_hex(6)}"
        declared = CheckpointParameters(detector.name, detector.state_fingerprint, buckets, secrets.token_hex(16), name)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(declared)))
        return declared
    declared = msgspec.json.decode(path.read_bytes(), type=prepared(CheckpointParameters))
    if declared.detector != detector.name:
        raise ConfigurationError(
            f"the checkpoint {checkpoint} belongs to {declared.detector!r}; name another for {detector.name!r}"
        )
    if declared.state != detector.state_fingerprint:
        raise ConfigurationError(
            f"the aggregates of {detector.name!r} are others than those that {checkpoint} holds; name a new checkpoint, which "
            "reads the topic from its beginning"
        )
    return declared


# ---------------------------------------------------------------- the plan


def _messages(spark: "SparkSession", cluster: Cluster, most_events: int) -> "DataFrame":
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", cluster.servers)
    for name, value in cluster.settings.items():
        if name.split(".")[0] in ("security", "sasl", "ssl"):
            reader = reader.option(f"kafka.{name}", str(value))
    reader = reader.option("kafka.isolation.level", "read_committed").option("startingOffsets", "earliest")
    reader = reader.option("subscribe", cluster.topics.transactions).option("maxOffsetsPerTrigger", most_events)
    try:
        messages = reader.load()
    except Exception as error:
        if "kafka" not in str(error).lower():
            raise
        raise ConfigurationError(
            "Spark has no jars that read Kafka; fetch them with make spark-jars, and name them: --jars DIR"
        ) from error
    return messages.selectExpr("value", "unix_micros(timestamp) as arrived_us", "partition", "offset")


def _decided(messages: "DataFrame", source: DetectorSource, declared: CheckpointParameters, run: str) -> "DataFrame":
    from penstock.adapters.spark.dedup import Dedup
    from penstock.adapters.spark.keyed_state import KeyedState

    parcels = messages.mapInArrow(SparkInbox(source, declared.buckets, declared.salt), PARCEL_TYPE)
    for stage in (Dedup(source, declared.buckets, run), KeyedState(source, declared.buckets, run)):
        parcels = parcels.groupBy("group").transformWithStateInPandas(stage, PARCEL_TYPE, "Append", "None")
    return parcels


# ---------------------------------------------------------------- a micro-batch


def _finished(frame: "DataFrame", source: DetectorSource, declared: CheckpointParameters) -> list[Any]:
    """The results of a micro-batch, in sequence order."""
    parts = frame.sparkSession.sparkContext.defaultParallelism
    by_slice = frame.repartition(parts, "slice").sortWithinPartitions("slice", "group")
    rows = by_slice.mapInArrow(Decide(source, declared.buckets), DONE_TYPE).collect()
    return sorted(rows, key=lambda row: (row.slice, row.nth))
