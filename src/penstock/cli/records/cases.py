"""`penstock cases`: case review on the command line."""

from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.cases.case import Case


@click.group()
def command() -> None:
    """Cases for review, and their verdicts.

    Works on the cases of the data folder, also while a service runs over it. The service submits verdicts as labels
    within seconds; if none runs, when it starts.
    """


@command.command("list")
@click.option("--queue", metavar="NAME", help="Only this queue.")
@click.option(
    "--state",
    type=click.Choice(["open", "taken", "escalated", "decided", "undecided"]),
    help="Only cases in this state; undecided: all but those that are decided.",
)
@click.option(
    "--order",
    type=click.Choice(["expected_loss", "priority", "due", "newest", "oldest"]),
    default="expected_loss",
    show_default=True,
    help="What comes first.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many.  [20]")
@settings("data")
@as_json
def list_cases(queue: str | None, state: str | None, order: str, limit: int, as_json: bool, **flags: str | None) -> None:
    """Cases, those with the highest expected loss first."""
    from penstock.cases.queues import Filter, page
    from penstock.wiring.cases import open_cases

    with open_cases(settings_from(**flags)) as cases:
        found, _ = page(cases, Filter(queue=queue, state=state), order=order, limit=limit)
    if as_json:
        print_json(found)
        return
    show_table([_row(case) for case in found], right={3})
    if not found:
        click.echo("no such cases")


@command.command()
@click.argument("case_id", metavar="ID")
@settings("data")
@as_json
def show(case_id: str, as_json: bool, **flags: str | None) -> None:
    """One case with its keys and its history; penstock explain shows the decision."""
    from penstock.clock import iso
    from penstock.wiring.cases import open_cases

    with open_cases(settings_from(**flags)) as cases:
        case, keys, history = cases.case(case_id), cases.keys(case_id), cases.history(case_id)
    if as_json:
        print_json({"case": case, "keys": keys, "history": history})
        return
    show_table([_row(case)])
    click.echo("about " + ", ".join(f"{key.entity} {key.key}" for key in keys))
    details = [", ".join(f"{name} {value}" for name, value in line.details.items()) for line in history]
    rows = [(iso(line.at_us)[:19], line.who, line.action) for line in history]
    show_table([(*row, text) for row, text in zip(rows, details, strict=True)], indent=2)


@command.command()
@click.argument("case_id", metavar="ID")
@click.argument("verdict", type=click.Choice(["fraud", "good", "unsure"]))
@click.option("--reason", metavar="CODE", help="Why, as one of the codes that docs/guide/cases.md lists.")
@click.option("--note", metavar="TEXT", help="What should be remembered.")
@click.option(
    "--transaction", "transactions", multiple=True, metavar="ID", help="Only this transaction of the case; repeatable."
)
@click.option("--version", "seen", type=int, metavar="N", help="The version looked at: needed to correct a verdict.")
@click.option("--as", "who", default="local", show_default=True, metavar="NAME", help="Whose verdict it is.")
@settings("data")
@as_json
def verdict(
    case_id: str,
    verdict: str,
    reason: str | None,
    note: str | None,
    transactions: tuple[str, ...],
    seen: int | None,
    who: str,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Give a verdict: fraud and good become a label. Exit 1 if somebody else holds the case or was first."""
    from penstock.identity.roles import LOCAL
    from penstock.wiring.cases import open_cases

    with open_cases(settings_from(**flags)) as cases:
        case = cases.decide(
            case_id, who, verdict, reason=reason, note=note, version=seen, transactions=transactions, roles=LOCAL.roles
        )
    if as_json:
        print_json(case)
    else:
        show_table([_row(case)])


def _row(case: "Case") -> tuple[str, ...]:
    text = case.verdict or (f"taken by {case.owner}" if case.owner else case.state)
    score = "" if case.score is None else f"{case.score:.0%}"
    return case.id, case.queue, text, f"{case.expected_loss:.2f}", score, case.transaction_id, case.reason or ""
