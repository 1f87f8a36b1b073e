"""`penstock worker`: decides events from a broker."""

import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import accept_loss_flag, accepting, detector_argument, no_deliver_flag, settings, settings_from

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.detector import Detector


@click.command()
@detector_argument
@settings("stream", "data", "models", "registry", "ledger", "redis", "archive", "alerts", "office", "shard_key")
@click.option("--name", metavar="NAME", help="Who this process is, for people.  [host and process number]")
@click.option("--takeover", is_flag=True, help="Follow until up to date, then take over from the worker that runs, which ends.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Answer /health, /ready and /metrics here; 0 takes a free port.",
)
@click.option(
    "--train-first",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where no version of the models decides yet, train on this file before the start.",
)
@click.option("--port-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the port that was taken here.")
@accept_loss_flag
@no_deliver_flag
def command(
    detector: str,
    name: str | None,
    takeover: bool,
    metrics_port: int | None,
    port_file: Path | None,
    train_first: Path | None,
    *,
    accept_loss: bool,
    no_deliver: bool,
    **flags: str | None,
) -> None:
    """Decide events from a broker.

    One worker owns a detector (or each shard of it); others started like it stand by and take over when it ends, however
    it ends. Each event is decided once, and each decision published once.
    """
    from penstock.cli.logs import announce, begin_logging
    from penstock.cli.signals import stop_on_signals
    from penstock.engine.statistics.totals import Meter
    from penstock.engine.warm import SWITCH_S
    from penstock.errors import shown_url
    from penstock.features.compiled import background
    from penstock.wiring.database import office_of
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.extras import check_extras
    from penstock.wiring.governance import trial_work
    from penstock.wiring.personal import keeping
    from penstock.wiring.streams import open_broker, parts_of, shards_of
    from penstock.wiring.traces import BatchSpans, spans_of
    from penstock.worker import Monitor, Worker

    settings = settings_from(**accepting(flags, accept_loss=accept_loss, no_deliver=no_deliver))
    if settings.stream is None:
        raise click.UsageError("--stream says which broker: kafka://HOST:PORT or redis://HOST:PORT")
    check_extras(settings)
    begin_logging(settings)
    sys.setswitchinterval(SWITCH_S)
    loaded = load_detector(detector)
    begin_logging(settings, loaded.name)
    if train_first is not None:
        train_where_nothing_decides(loaded, train_first, settings)
    broker = open_broker(settings.stream, loaded.name)
    shards = shards_of(broker, loaded, settings)
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    monitor = None
    compiles = background.running(on=settings.compile_features)
    with compiles, closing(broker), office_of(settings) as office, keeping([loaded], settings, office) as kept:
        trials = trial_work(office, [loaded], settings, alerted=lambda: settings.alerts is not None)
        parts = parts_of(broker, loaded, settings, shards, office=office, trials=trials, keeping=kept)
        worker = Worker(parts, name, shards, takeover=takeover)
        spans = spans_of(settings)
        if spans is not None:
            Meter.watching = BatchSpans(spans, loaded.name, settings.trace_share)
        if metrics_port is not None:
            monitor = Monitor(worker.status, loaded.name, settings.host, metrics_port, meters=worker.meters)
            if port_file is not None:
                port_file.write_text(str(monitor.port))
        stop_on_signals(worker.stop, settings.stop_within_s, started=lambda: bool(worker.meters()))
        place = f"{shown_url(settings.stream)}, {shards} shard{'s' * (shards > 1)}"
        quiet = "" if settings.deliver else "; it sends no alerts to channels (deliver = false)"
        announce(f"{name} works for {loaded.name} at {place}  (Ctrl-C stops){quiet}")
        try:
            worker.run()
        finally:
            trials.close()
            if spans is not None:
                spans.close()
            if monitor is not None:
                monitor.close()


def train_where_nothing_decides(detector: "Detector", file: Path, settings: "Settings") -> None:
    """Train a detector's first models on recorded events, unless a version decides already."""
    from penstock.cli.training.trainer import show_training
    from penstock.offline.options import Options
    from penstock.offline.trainer import Trainer
    from penstock.wiring.governance import with_stored_features
    from penstock.wiring.registries import open_registry

    registry = open_registry(settings)
    if detector.models and registry.alias(detector.name, "champion") is None:
        options = Options(max_refused=settings.max_refused)
        show_training(
            Trainer(with_stored_features(detector, settings), file, registry, options).train("first start"), as_json=False
        )
