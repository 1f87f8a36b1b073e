"""`penstock erase`: erasure of one person's data."""

import sys

import click

from penstock.cli.options import as_json, detector_argument, print_json, settings, settings_from


@click.command()
@detector_argument
@click.argument("entity")
@click.argument("key")
@click.option("--reason", metavar="TEXT", help="Why, for the log of changes; nothing that says who it is.")
@settings("data", "office")
@as_json
def command(detector: str, entity: str, key: str, reason: str | None, as_json: bool, **place: str | None) -> None:
    """Erase the personal data of one person.

    KEY is the person's key as it was sent, such as `customer C1001`; - reads it from standard input, which keeps it out
    of process lists. Decisions stay and can be verified; they hold only tokens that nobody can resolve. Notes on the
    person's cases are erased, too. Works while services run over the same office.
    """
    from penstock.clock import iso
    from penstock.wiring.personal import erase

    given = sys.stdin.readline().strip() if key == "-" else key
    found = erase(detector, entity, given, settings_from(**place), reason=reason)
    if as_json:
        print_json(found)
    else:
        erased = f"{found.values} values of personal fields, notes of {found.cases} cases"
        click.echo(f"erased at {iso(found.at_us)} by {found.who}: {erased}")
