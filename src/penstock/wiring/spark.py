"""Spark jobs, from references, files and URLs."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import BrokerError, ConfigurationError, PenstockError, shown_url
from penstock.ledger import RecentRecords
from penstock.private_files import personal_key
from penstock.stream.sinks import Feeding
from penstock.wiring.detectors import load_detector
from penstock.wiring.store_process import open_stores, plan_of
from penstock.wiring.streams import open_broker, open_replica, open_watchers

if TYPE_CHECKING:
    from penstock.adapters.spark.backfill import Backfilled
    from penstock.adapters.spark.publish import PublishResult

_FINISH_S = 30.0
_log = logging.getLogger(__name__)


def run_backfill(
    reference: str,
    files: Sequence[Path],
    out: Path,
    *,
    models: Path | None,
    master: str,
    buckets: int | None,
    max_refused: float,
) -> "Backfilled":
    """Run a backfill in a separate session; see `adapters.spark.backfill.backfill`."""
    from penstock.adapters.spark.session import check_spark, close_session, open_session

    check_spark()
    from penstock.adapters.spark.backfill import BUCKETS, backfill
    from penstock.adapters.spark.source import DetectorSource

    source = DetectorSource(reference, load_detector, str(models) if models is not None else None)
    _ = source.ensemble  # errors of detector and models are raised before Spark starts
    spark = open_session(master, name=f"penstock backfill {source.detector.name}")
    try:
        return backfill(spark, source, files, out, buckets=buckets or BUCKETS, max_refused=max_refused)
    finally:
        close_session(spark)


def run_stream(
    reference: str,
    settings: Settings,
    checkpoint: Path,
    *,
    master: str,
    jars: Path | None,
    buckets: int | None,
    most_events: int | None,
    without_labels: bool,
    on_done: "Callable[[PublishResult], None]",
    on_started: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Decide events from Kafka until asked to stop.

    Raises:
        ConfigurationError: the detector counts labels, which this stream does not read, and that was not allowed.
        BundleError: it declares models, and none have been trained.
    """
    from penstock.adapters.spark.session import check_spark, close_session, open_session

    check_spark()
    from penstock.adapters.kafka.address import KafkaAddress
    from penstock.adapters.spark import stream
    from penstock.adapters.spark.source import DetectorSource

    if settings.stream is None or not settings.stream.startswith("kafka://"):
        raise ConfigurationError(f"Spark reads Kafka: --stream kafka://HOST:PORT, not {shown_url(str(settings.stream))}")
    models = str(settings.models_folder) if load_detector(reference).models else None
    key = personal_key(settings.personal_key_file)
    source = (
        DetectorSource(reference, load_detector, models, key)
        if key is not None
        else DetectorSource(reference, load_detector, models)
    )
    stream.check_fit(source, without_labels=without_labels, has_key=key is not None)
    stores = _Stores.of(source.detector, settings, checkpoint)
    address = KafkaAddress.of(settings.stream)
    cluster = stream.Cluster(address.servers, address.topics, address.client())
    chosen = {**stream.SETTINGS, **({"spark.sql.shuffle.partitions": master[6:-1]} if master[6:-1].isdigit() else {})}
    spark = open_session(master, jars=_jars(jars), settings=chosen, name=f"penstock stream {source.detector.name}")
    try:
        options = {"buckets": buckets or stream.BUCKETS, "most_events": most_events or stream.MOST_EVENTS}
        query = stream.start(spark, source, cluster, checkpoint, on_done=on_done, **options)
        on_started()
        stream.wait(query, stop)
    finally:
        close_session(spark)
        if stores is not None:
            stores.close()


class _Stores:
    """The sinks in the settings, fed by a replica that follows the stream's journal, in the process of Spark's driver."""

    def __init__(self, detector: Detector, settings: Settings, folder: Path) -> None:
        assert settings.stream is not None
        self._broker = open_broker(settings.stream, detector.name)
        self._broker.create()
        self._replica = open_replica(detector, settings, [folder])
        self._journal = self._broker.journal(0, self._replica.place)
        self._settings = settings
        self._feedings: list[Feeding] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="penstock-follower", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, detector: Detector, settings: Settings, checkpoint: Path) -> "_Stores | None":
        """The sinks; None if the settings name none."""
        named = (settings.ledger, settings.redis, settings.archive, settings.alerts)
        return cls(detector, settings, checkpoint / "replica") if any(name is not None for name in named) else None

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                self._replica.follow(self._journal, 0.5)
            except BrokerError as error:
                _log.warning("the journal cannot be followed: %s", error)
                self._closing.wait(1.0)
            if self._replica.fence and not self._feedings:
                self._feedings = self._fed()

    def _fed(self) -> list[Feeding]:
        replica, newest = self._replica, RecentRecords()
        stores = open_stores(plan_of(replica.engine, self._settings, None), replica.ledger)
        sinks = [*stores, *open_watchers(self._settings, replica, outlet=self._broker.outlet)]
        return [Feeding(sink, replica.ledger, newest, replica.fence, self._fenced) for sink in sinks]

    def _fenced(self, error: PenstockError) -> None:
        _log.error("nothing more is written to the stores: %s", error)

    def close(self) -> None:
        """Follow to the journal's end, wait until the sinks have everything, and stop."""
        self._closing.set()
        self._thread.join()
        self._replica.catch_up(self._journal)
        for feeding in self._feedings or (self._fed() if self._replica.fence else []):
            feeding.finish(_FINISH_S)
            feeding.close()
        self._replica.save()
        self._journal.close()
        self._replica.close()
        self._broker.close()


def _jars(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(folder.glob("*.jar"))
    if not found:
        raise ConfigurationError(f"{folder} holds no .jar; fetch them with: make spark-jars (deploy/spark/pom.xml names them)")
    return found
