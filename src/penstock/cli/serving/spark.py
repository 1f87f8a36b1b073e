"""`penstock spark`: a detector on a Spark cluster."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.adapters.spark.publish import PublishResult

_master = click.option(
    "--master", default="local[*]", metavar="URL", help="Where Spark runs: local[N], spark://HOST:PORT, yarn.  [local[*]]"
)
_buckets = click.option(
    "--buckets", type=click.IntRange(1, 65_536), metavar="N", help="How many buckets the keys of an entity are dealt to."
)


@click.group()
def command() -> None:
    """A detector on Spark: history and streams beyond one machine."""


@command.command()
@detector_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR|FILE",
    help="A new folder of Parquet files, or one file: .parquet, .csv, .ndjson.",
)
@_master
@_buckets
@settings("models", "max_refused")
@as_json
def backfill(
    detector: str,
    files: tuple[Path, ...],
    out: Path,
    master: str,
    buckets: int | None,
    models: str | None,
    max_refused: str | None,
    as_json: bool,
) -> None:
    """Decide years of recorded events: .parquet, .csv, or folders of .parquet.

    The rows are those of `penstock replay`, bit for bit, in arrival order. Without --models rules alone decide.
    """
    from penstock.wiring.spark import run_backfill

    chosen = settings_from(models=models, max_refused=max_refused)
    folder = chosen.models_folder if models else None
    done = run_backfill(detector, files, out, models=folder, master=master, buckets=buckets, max_refused=chosen.max_refused)
    if as_json:
        print_json({"events": done.events, "refused": done.refused, "duplicates": done.duplicates, "out": str(out)})
        return
    more = [f"{done.refused:,} rows refused"] * (done.refused > 0) + [f"{done.duplicates:,} repeated"] * (done.duplicates > 0)
    say(f"{done.events:,} rows in {out}" + "".join(f"; {text}" for text in more))


@command.command()
@detector_argument
@settings("stream", "models", "ledger", "redis", "archive", "alerts")
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A folder that all machines see: offsets and state. A new one begins with the topic's oldest message.",
)
@click.option(
    "--jars",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The jars with which Spark reads Kafka, where the cluster does not have them; see deploy/spark/pom.xml.",
)
@_master
@_buckets
@click.option("--max-events", type=click.IntRange(1), metavar="N", help="Messages of a micro-batch.  [100000]")
@click.option("--without-labels", is_flag=True, help="Run although features count labels: they will count none.")
def stream(
    detector: str,
    checkpoint: Path,
    jars: Path | None,
    master: str,
    buckets: int | None,
    max_events: int | None,
    without_labels: bool,
    **flags: str | None,
) -> None:
    """Decide events from Kafka, in order, exactly once.

    Reads the topic `transactions`; writes `decisions`, `quarantine` and the journal, which the configured stores follow.
    State is Spark's.
    """
    from penstock.cli.logs import begin_logging
    from penstock.cli.signals import stop_on_signals
    from penstock.wiring.spark import run_stream

    chosen = settings_from(**flags)
    begin_logging(chosen)

    stop = threading.Event()

    def started() -> None:
        stop_on_signals(stop.set, chosen.stop_within_s)
        say(f"deciding for {detector}; state in {checkpoint}")

    def on_micro_batch(done: "PublishResult") -> None:
        more = f", {done.quarantined:,} in quarantine" if done.quarantined else ""
        say(f"micro-batch {done.batch}: {done.decisions:,} decisions{more}" + ("" if done.sent else " (sent before)"))

    run_stream(
        detector,
        chosen,
        checkpoint,
        master=master,
        jars=jars,
        buckets=buckets,
        most_events=max_events,
        without_labels=without_labels,
        on_done=on_micro_batch,
        on_started=started,
        stop=stop,
    )
