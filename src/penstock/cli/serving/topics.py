"""`penstock topics`: the topics of a detector on a broker."""

import click

from penstock.cli.options import detector_argument, say, settings, settings_from


@click.group()
def command() -> None:
    """The topics of a detector on a broker."""


@command.command()
@detector_argument
@settings("stream", "shard_key")
@click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Partitions of transactions and journal, each with its own owner; needs a shard key.  [1]",
)
def create(detector: str, partitions: int | None, **flags: str | None) -> None:
    """Create missing topics: transactions, labels, answers, decisions, alerts, quarantine, journal.

    On Kafka also journal.published: up to where decisions are published.
    """
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.streams import check_shard_key, open_broker

    settings = settings_from(**flags)
    if settings.stream is None:
        raise click.UsageError("--stream says which broker: kafka://HOST:PORT or redis://HOST:PORT")
    loaded = load_detector(detector)
    if partitions is not None and partitions > 1:
        check_shard_key(loaded, settings.shard_key, partitions)
    broker = open_broker(settings.stream, loaded.name)
    made = broker.create(partitions)
    say(f"created {', '.join(made)}" if made else "all topics are there")
    broker.close()
