"""`penstock verify`: would it be decided so again."""

import click

from penstock.cli.options import as_json, print_json, settings, settings_from


@click.command()
@click.argument("transaction_id", metavar="ID")
@click.option("--detector", metavar="DETECTOR", help="Who decided; looked for in the data folder unless given.")
@settings("data", "models")
@as_json
def command(transaction_id: str, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """Recompute a recorded decision: identical or not.

    The state of that moment is brought back from the log before it; exit 0 only when everything is identical to the
    last bit.
    """
    from penstock.assemble.engines import recorded_decisions
    from penstock.offline.past import verify

    settings = settings_from(**flags)
    with recorded_decisions(settings, transaction_id, detector) as (loaded, ledger):
        found = verify(loaded, ledger, transaction_id, models=settings.models_folder)
    if as_json:
        print_json(found.as_json())
    elif found.obstacle is not None:
        click.echo(f"{transaction_id} cannot be recomputed: {found.obstacle}")
    elif found.identical:
        click.echo(f"{transaction_id} is identical: {found.compared} values, recomputed from the log")
    else:
        click.echo(f"{transaction_id} differs in {len(found.differences)} of {found.compared} values:")
        for each in found.differences:
            click.echo(f"  {each.column:<32} recorded {each.recorded!r}, recomputed {each.recomputed!r}")
    if not found.identical:
        raise click.exceptions.Exit(1)
