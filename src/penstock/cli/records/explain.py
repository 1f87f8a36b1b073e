"""`penstock explain`: the explanation of a recorded decision."""

from typing import Any

import click

from penstock.cli.options import as_json, settings, settings_from


@click.command()
@click.argument("transaction_id", metavar="ID")
@click.option(
    "--detector", metavar="DETECTOR", help="Who decided: a name, or FILE.py; found in the data folder if it is installed."
)
@settings("data", "ledger", "ledger_log", "office")
@as_json
def command(transaction_id: str, detector: str | None, as_json: bool, **place: str | None) -> None:
    """Show a recorded decision: outcome, reasons, values.

    Also while a service is running.
    """
    import msgspec

    from penstock.clock import iso
    from penstock.offline.recorded_decisions import explain
    from penstock.wiring.engines import recorded_decisions
    from penstock.wiring.personal import erasure_of

    settings = settings_from(**place)
    with recorded_decisions(settings, transaction_id, detector) as (loaded, ledger):
        found = explain(loaded, ledger, transaction_id)
        erasure = erasure_of(transaction_id, loaded, ledger, settings)
    if as_json:
        click.echo(found)
    else:
        show(msgspec.json.decode(found))
        if erasure is not None:
            click.echo(f"what its personal fields said was erased at {iso(erasure.at_us)} by {erasure.who}")


def show(decision: dict[str, Any]) -> None:
    """Print the decision."""
    explanation = decision["explanation"]
    probability = decision["fraud_probability"]
    score = "no score" if probability is None else f"fraud probability {probability:.4f}"
    click.echo(f"{decision['decision']} {decision['transaction_id']}  ({score}, {explanation['decision_reason']})")
    click.echo(f"happened {decision['event_time']}, decided {decision['decided_at']} by {decision['detector']}")
    if decision["degraded"]:
        click.echo(f"degraded: {decision['degraded']['part']}: {decision['degraded']['cause']}")
    for reason in explanation["reasons"]:
        click.echo(f"  - {reason['text']}")
    _table("rules", [(rule["name"], rule["action"]) for rule in explanation["rules"]])
    _table("scores", decision["scores"].items())
    if "contribution_base" in explanation:
        _table("base", [("log-odds of the average event", explanation["contribution_base"])])
    _table("moved by", [(found["feature"], found["contribution"]) for found in explanation["contributions"][:8]])
    _table("features", decision["features"].items())
    _table("versions", decision["versions"].items())


def _table(title: str, rows: Any) -> None:
    for number, (name, value) in enumerate(rows):
        shown = f"{value:,.6g}" if isinstance(value, float) else value
        click.echo(f"{title if number == 0 else '':<10} {name:<32} {shown}")
