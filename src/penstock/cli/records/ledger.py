"""`penstock ledger`: the ledger in PostgreSQL."""

from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group()
def command() -> None:
    """The ledger in PostgreSQL: create it, inspect it, prune it.

    --ledger is postgresql://USER:PASSWORD@HOST:PORT/DATABASE; the password may also be in PGPASSWORD or ~/.pgpass.
    """


@command.command()
@click.option(
    "--partitions",
    type=click.Choice(["day", "month"]),
    default="day",
    help="How long a partition lasts: the step of retention.  [day]",
)
@settings("ledger")
@as_json
def create(partitions: str, as_json: bool, ledger: str | None) -> None:
    """Create the schema in an existing database; does nothing if it is up to date."""
    from penstock.wiring.stores import create_ledger

    _applied(create_ledger(settings_from(ledger=ledger), partitions=partitions), as_json=as_json)


@command.command()
@settings("ledger")
@as_json
def migrate(as_json: bool, ledger: str | None) -> None:
    """Bring the schema up to date with this version of Penstock, in one transaction; several may try at once."""
    from penstock.wiring.stores import migrate_ledger

    _applied(migrate_ledger(settings_from(ledger=ledger)), as_json=as_json)


def _applied(names: "Sequence[str]", *, as_json: bool) -> None:
    if as_json:
        print_json({"applied": names})
    else:
        click.echo("applied " + ", ".join(names) if names else "the ledger is up to date")


@command.command()
@settings("ledger")
@as_json
def status(as_json: bool, ledger: str | None) -> None:
    """The status: versions of the schema, logs and their positions, partitions. Exit 1 if a migration is pending."""
    from penstock.wiring.stores import ledger_status

    found = ledger_status(settings_from(ledger=ledger))
    if as_json:
        print_json(found)
    else:
        size = f", {found.size_bytes / 2**20:,.1f} MiB" if found.applied else ""
        click.echo(f"{found.place}: {', '.join(found.applied) or 'no ledger'}{size}")
        for name in found.pending:
            click.echo(f"  waits: {name}")
        for name, log in found.logs.items():
            counts = f"{log['position']:>12,} records {log['next_seq']:>14,} rows"
            click.echo(f"  log {name:<20} {counts}   owner's number {log['fence']}")
        if found.partitions:
            click.echo(f"  {len(found.partitions)} partitions, {found.partitions[0]} to {found.partitions[-1]}")
    if found.pending:
        raise click.exceptions.Exit(1)


@command.command()
@click.option("--days", type=click.IntRange(1), required=True, metavar="N", help="Keep what was written in the last N days.")
@settings("ledger")
@as_json
def retain(days: int, as_json: bool, ledger: str | None) -> None:
    """Drop partitions that are older than N days, and quarantined events received before then.

    Whole partitions are dropped, which takes no time and leaves no holes; labels and versions stay. Run it daily.
    """
    from penstock.wiring.stores import retain_ledger

    dropped = retain_ledger(settings_from(ledger=ledger), days)
    if as_json:
        print_json({"partitions": dropped.partitions, "rows": dropped.rows, "quarantined": dropped.quarantined})
    else:
        named = ", ".join(dropped.partitions) or "none"
        click.echo(f"dropped partitions: {named} ({dropped.rows:,} rows), {dropped.quarantined:,} quarantined events")
