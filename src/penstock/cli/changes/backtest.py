"""`penstock backtest`: the effect of a change on recorded decisions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.offline.backtest import BacktestResult
    from penstock.offline.backtest.compare import BacktestComparison

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_DAYS = click.option(
    "--days", type=click.IntRange(1), metavar="N", default=30, show_default=True, help="The newest N days with decisions."
)
_ALL = click.option("--all", "everything", is_flag=True, help="All days instead.")


@click.group(invoke_without_command=True)
@click.option("--detector", metavar="DETECTOR", help="A candidate, to be compared with what decides now.")
@click.option("--data", "events", metavar="SOURCE", help="Its events: a recorded file, a data folder, or an archive's URL.")
@click.option("--champion", metavar="DETECTOR", help="What decides now, replayed.  [as recorded]")
@click.option("--models", type=_FOLDER, metavar="DIR", help="Models of the candidate; rules alone decide unless given.")
@click.option("--champion-models", type=_FOLDER, metavar="DIR", help="Models of a champion that is replayed.")
@click.option("--out", type=_FILE, metavar="FILE", help="Write each decision that differs: .parquet, .csv, .ndjson.")
@settings("max_refused")
@as_json
@click.pass_context
def command(context: click.Context, /, detector: str | None, events: str | None, out: Path | None, **given: Any) -> None:
    """See what a condition, rules or a candidate would have done.

    With --detector and --data a candidate is replayed and compared with the champion: features, models, rules and policy.

    \b
    penstock backtest --detector candidate.py --data history.parquet --champion mine.py --out flips.parquet
    """  # noqa: D301 -- click's mark for lines that are kept as they are
    if context.invoked_subcommand is not None:
        return
    if detector is None or events is None:
        raise click.UsageError("name a candidate and its events: --detector DETECTOR --data SOURCE", context)
    from penstock.wiring.reports.candidates import compare_candidate
    from penstock.wiring.traffic.events import write_frame

    as_json = given.pop("as_json")
    found, flips = compare_candidate(settings_from(max_refused=given.pop("max_refused")), detector, events, **given)
    if out is not None:
        write_frame(flips, out)
        say(f"{len(flips):,} rows in {out}")
    if as_json:
        print_json(found)
    else:
        _show_compared(found)


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
@click.option("--hard", is_flag=True, help="A block that no allow can lift.")
@click.option("--override", is_flag=True, help="Lowers what the score or other rules ask for.")
@_DAYS
@_ALL
@settings("data", "ledger", "ledger_log", "archive")
@as_json
def condition(
    detector: str,
    when: str,
    then: str,
    hard: bool,
    override: bool,
    days: int,
    everything: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Try an SQL condition over recorded decisions, before it is a rule.

    Decisions that it matches, those that rules caught already, what is known of them now, and what it is worth. What needs
    a feature that was not recorded is replayed. With --archive, what was archived is asked, else the ledger.

    \b
    penstock backtest condition banking "amount > 1000 AND is_night" --then review
    """  # noqa: D301 -- click's mark for lines that are kept as they are
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_rules
    from penstock.wiring.reports.backtests import ConditionBacktests

    archived = flags["archive"] is not None
    span, chosen = None if everything else days, settings_from(**flags)
    now = with_stored_rules(load_detector(detector), chosen)
    with ConditionBacktests(chosen, now, days=span, archived=archived, progress=say) as trials:
        found = trials.run(when, then, hard=hard, override=override)
    if as_json:
        print_json(found)
    else:
        show_tried(found)


@command.command()
@detector_argument
@_DAYS
@_ALL
@settings("data", "ledger", "ledger_log", "archive")
@as_json
def rules(detector: str, days: int, everything: bool, as_json: bool, **flags: str | None) -> None:
    """Try every rule of a detector over recorded decisions, each as if added to the others.

    DETECTOR may be a candidate in a file: its rules need not be those that decided.
    """
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_rules
    from penstock.wiring.reports.backtests import ConditionBacktests

    archived = flags["archive"] is not None
    span, chosen = None if everything else days, settings_from(**flags)
    loaded = with_stored_rules(load_detector(detector), chosen, rules=False)
    with ConditionBacktests(chosen, loaded, days=span, archived=archived, progress=say) as trials:
        found = {
            rule.name: trials.run(rule.when, rule.then, hard=rule.hard, override=rule.override, leaving_out=rule.name)
            for rule in loaded.rules
        }
    if as_json:
        print_json({"detector": loaded.name, "rules": found})
    else:
        _show_rules(found)


def show_tried(found: "BacktestResult") -> None:
    """Print the result of a condition."""
    span = f"{found.since} to {found.until}" if found.since else "no day"
    click.echo(f"{found.detector}: {found.when} -> {found.then}")
    click.echo(f"read {found.read:,} decisions of {span} ({found.days} days) in {found.seconds:.2f} s")
    decided = ", ".join(f"{count:,} {name}" for name, count in found.decisions.items() if count)
    click.echo(f"matched {found.matched:,}" + (f": {decided}" if decided else ""))
    for caught in found.caught_by:
        click.echo(f"  {caught.count:>10,}  caught by {caught.rule}")
    click.echo(f"  {found.new:>10,}  caught by no other rule")
    click.echo(f"changed {found.changed:,}; of these: {_truth(found)}")
    if found.lowered:
        click.echo(f"lowers {found.lowered:,}, {found.lowered_per_day:,.2f} a day")
    if found.money is not None:
        click.echo(
            f"money: loss caught {found.money.loss_caught:,.2f}, good revenue stopped {found.money.good_stopped:,.2f},"
            f" not known {found.money.undecided_stopped:,.2f}"
        )
    click.echo("a day: " + ", ".join(f"{count:+,.2f} {name}" for name, count in found.per_day.items()))
    rows = []
    for each in found.examples[:10]:
        amount = "" if each.amount is None else f"{each.amount:,.2f}"
        change = f"{each.decision} -> {each.then}"
        rows.append((each.transaction_id, f"{each.event_time:%Y-%m-%d %H:%M}", amount, change, each.truth))
    show_table(rows, right={2}, indent=2)
    _notes(found.notes)


def _truth(found: "BacktestResult") -> str:
    known = found.truth_changed
    return (
        f"{known.fraud:,} fraud, {known.good + known.unobjected:,} good, {known.young:,} too young to know,"
        f" {known.untold:,} never to be known"
    )


def _show_rules(found: "dict[str, BacktestResult]") -> None:
    heads = ("rule", "then", "matched", "by no other", "fraud", "good", "not known")
    rows = []
    for name, tried in found.items():
        truth = tried.truth
        counts = (tried.matched, tried.new, truth.fraud, truth.good + truth.unobjected, truth.young + truth.untold)
        rows.append((name, tried.then, *(f"{count:,}" for count in counts)))
    show_table(rows, heads, right=range(2, len(heads)))
    _notes(sorted({note for tried in found.values() for note in tried.notes}))


def _show_compared(found: "BacktestComparison") -> None:
    from penstock.outcomes import known_rate, said

    click.echo(f"{found.detector}: {found.events:,} events of {found.days} days in {found.data}")
    heads = ["champion \\ candidate", *found.matrix]
    rows = [[name, *(f"{count:,}" for count in row.values())] for name, row in found.matrix.items()]
    show_table(rows, heads, right=range(1, len(heads)))
    click.echo(f"decided otherwise: {found.flips:,}")
    for name, side in (("champion", found.champion), ("candidate", found.candidate)):
        known = [("loss", side.loss), ("good revenue stopped", side.good_revenue_stopped)]
        known += [("reviews a day", side.per_day["REVIEW"]), ("us an event", side.latency_us.get("total"))]
        click.echo(f"{name} ({side.how}): " + ", ".join(f"{what} {value:,.4g}" for what, value in known if value is not None))
        for what, rest in (("precision", side.good_stopped), ("recall", side.frauds_missed)):
            click.echo(f"  {what}: {said(known_rate(side.frauds_stopped, side.frauds_stopped + rest))}")
    if found.money is not None:
        click.echo(
            f"the candidate: loss caught {found.money.loss_caught:,.2f}, good revenue stopped {found.money.good_stopped:,.2f},"
            f" not known {found.money.undecided_stopped:,.2f}"
        )
    _notes(found.notes)


def _notes(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}")
