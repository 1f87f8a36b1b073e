"""`penstock verify`: recomputes a recorded decision and compares it."""

import click

from penstock.cli.options import as_json, print_json, settings, settings_from


@click.command()
@click.argument("transaction_id", metavar="ID")
@click.option("--detector", metavar="DETECTOR", help="Who decided; looked for in the data folder unless given.")
@settings("data", "models", "ledger", "ledger_log", "office")
@as_json
def command(transaction_id: str, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """Recompute a recorded decision: identical or not.

    The state of that moment is restored from the log before it; exit 0 only when everything is identical to the last
    bit. Erased personal fields of the transaction are reported, and change nothing else.
    """
    from penstock.clock import iso
    from penstock.engine import verify
    from penstock.wiring.changes.rule_administration import list_at
    from penstock.wiring.engines import recorded_decisions
    from penstock.wiring.personal import erasure_of

    settings = settings_from(**flags)
    with recorded_decisions(settings, transaction_id, detector) as (loaded, ledger):
        found = verify(ledger, loaded, transaction_id, settings.models_folder, list_at=list_at(loaded, settings))
        erasure = erasure_of(transaction_id, loaded, ledger, settings)
    erased = None if erasure is None else {"at": iso(erasure.at_us), "by": erasure.who}
    differences = [{"column": name, "recorded": before, "recomputed": after} for name, before, after in found.differences]
    if as_json:
        events = found.events_replayed
        told = {"transaction_id": transaction_id, "identical": found.identical, "events": events, "differences": differences}
        print_json(told | {"erased": erased})
    elif found.identical:
        click.echo(f"{transaction_id} is identical, recomputed after {found.events_replayed:,} events from the log")
    else:
        click.echo(f"{transaction_id} differs in {len(differences)} values:")
        for each in differences:
            click.echo(f"  {each['column']:<32} recorded {each['recorded']!r}, recomputed {each['recomputed']!r}")
    if erased is not None and not as_json:
        click.echo(f"what its personal fields said was erased at {erased['at']} by {erased['by']}")
    if not found.identical:
        raise click.exceptions.Exit(1)
