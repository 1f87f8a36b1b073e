"""`penstock backtest`: what a change would have done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.offline.backtest import Tried

_DAYS = click.option(
    "--days", type=click.IntRange(1), metavar="N", default=30, show_default=True, help="The newest N days with decisions."
)
_ALL = click.option("--all", "everything", is_flag=True, help="All days instead.")


@click.group()
def command() -> None:
    """See what a condition, all rules, or a whole candidate would have done, in decisions and in money."""


@command.command()
@detector_argument
@click.argument("when", metavar="CONDITION")
@click.option(
    "--then",
    type=click.Choice(["allow", "challenge", "review", "block"]),
    default="block",
    show_default=True,
    help="What it asks for where it is true.",
)
@_DAYS
@_ALL
@settings("data", "ledger", "archive")
@as_json
def condition(detector: str, when: str, then: str, days: int, everything: bool, as_json: bool, **flags: str | None) -> None:
    """Try an SQL condition over recorded decisions, before it is a rule.

    Decisions that it matches, those that rules caught already, what is known of them by now, and what it is worth. What needs
    a feature that was not recorded is replayed. With --archive, what was archived is asked, else the ledger.

    \b
    penstock backtest condition banking "amount > 1000 AND is_night" --then review
    """  # noqa: D301 -- click's mark for lines that are kept as they are
    from penstock.assemble.backtests import Trials
    from penstock.assemble.detectors import load_detector

    archived = flags["archive"] is not None
    span = None if everything else days
    loaded, chosen = load_detector(detector), settings_from(**flags)
    with Trials(chosen, loaded, days=span, archived=archived, told=say) as trials:
        found = trials.run(when, then)
    if as_json:
        print_json(found)
    else:
        _show(found)


@command.command()
@detector_argument
@_DAYS
@_ALL
@settings("data", "ledger", "archive")
@as_json
def rules(detector: str, days: int, everything: bool, as_json: bool, **flags: str | None) -> None:
    """Try every rule of a detector over recorded decisions, each as if it came on top of the others.

    DETECTOR may be a candidate in a file: its rules need not be those that decided.
    """
    from penstock.assemble.backtests import Trials
    from penstock.assemble.detectors import load_detector

    archived = flags["archive"] is not None
    span = None if everything else days
    loaded, chosen = load_detector(detector), settings_from(**flags)
    with Trials(chosen, loaded, days=span, archived=archived, told=say) as trials:
        found = {rule.name: trials.run(rule.when, rule.then, leaving_out=rule.name) for rule in loaded.rules}
    if as_json:
        print_json({"detector": loaded.name, "rules": found})
    else:
        _show_rules(found)


def _show(found: "Tried") -> None:
    """What a condition would have done, for people."""
    span = f"{found.since} to {found.until}" if found.since else "no day"
    click.echo(f"{found.detector}: {found.when} -> {found.then}")
    click.echo(f"read {found.read:,} decisions of {span} ({found.days} days) in {found.seconds:.2f} s")
    decided = ", ".join(f"{count:,} {name}" for name, count in found.decisions.items() if count)
    click.echo(f"matched {found.matched:,}" + (f": {decided}" if decided else ""))
    for caught in found.caught_by:
        click.echo(f"  {caught.count:>10,}  caught by {caught.rule}")
    click.echo(f"  {found.new:>10,}  caught by no other rule")
    click.echo(f"changed {found.changed:,}; of these: {_truth(found)}")
    if found.money is not None:
        click.echo(
            f"money: loss caught {found.money.loss_caught:,.2f}, good revenue stopped {found.money.good_stopped:,.2f},"
            f" not known {found.money.undecided_stopped:,.2f}"
        )
    click.echo("a day: " + ", ".join(f"{count:+,.2f} {name}" for name, count in found.per_day.items()))
    for example in found.examples[:10]:
        amount = "" if example.amount is None else f"{example.amount:>12,.2f}"
        change = f"{example.decision} -> {example.then}"
        click.echo(f"  {example.transaction_id:<24} {example.event_time:%Y-%m-%d %H:%M} {amount} {change:<22} {example.truth}")
    _notes(found.notes)


def _truth(found: "Tried") -> str:
    known = found.truth_changed
    return (
        f"{known.fraud:,} fraud, {known.good + known.unobjected:,} good, {known.young:,} too young to know,"
        f" {known.untold:,} never to be known"
    )


def _show_rules(found: "dict[str, Tried]") -> None:
    heads = ("rule", "then", "matched", "by no other", "fraud", "good", "not known")
    rows: list[Sequence[Any]] = [heads]
    for name, tried in found.items():
        truth = tried.truth
        counts = (tried.matched, tried.new, truth.fraud, truth.good + truth.unobjected, truth.young + truth.untold)
        rows.append((name, tried.then, *(f"{count:,}" for count in counts)))
    widths = [max(len(str(row[k])) for row in rows) for k in range(len(heads))]
    for row in rows:
        cells = [
            str(cell).ljust(w) if k < 2 else str(cell).rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
    _notes(sorted({note for tried in found.values() for note in tried.notes}))


def _notes(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}")
