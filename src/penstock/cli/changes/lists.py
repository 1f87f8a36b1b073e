"""`penstock lists`: allow, block and watch lists that rule conditions read."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.changes.lifecycle import (
    approvals,
    as_changer,
    open_administration,
    say_request,
    since,
    text_of,
    with_who,
)
from penstock.cli.options import as_json, detector_argument, print_json, say, settings, show_table

if TYPE_CHECKING:
    from penstock.governance.approvals import Request
    from penstock.governance.list_reader import ListEntry
    from penstock.governance.lists import Outcome

_list = click.argument("name", metavar="LIST")


@click.group()
def command() -> None:
    """Lists that rules read: stolen devices, trusted customers.

    A condition reads one as device_id IN list('stolen_devices'). Services and workers over the same office apply a
    change within a second.
    """


@command.command("list")
@detector_argument
@click.option("--all", "everything", is_flag=True, help="Those that were put away, too.")
@settings("data", "office")
@as_json
def list_(detector: str, everything: bool, as_json: bool, **flags: Any) -> None:
    """All lists and their sizes. Also: ls."""
    with open_administration(detector, flags) as found:
        kept, counts = [each for each in found.lists.versions() if everything or not each.archived], found.lists.counts()
    if as_json:
        print_json([{"list": each, "entries": counts.get(each.name)} for each in kept])
        return
    rows = []
    for each in kept:
        values = f"{counts[each.name].in_force if each.name in counts else 0:,} values"
        marks = " ".join(mark for mark in ("personal", "protected", "archived") if getattr(each, mark))
        changed = f"revision {each.revision}, {since(each.changed_us)} by {each.changed_by}"
        rows.append((each.name, each.kind, values, changed, marks, each.about))
    show_table(rows, right={2})


command.add_command(list_, "ls")


@command.command()
@detector_argument
@_list
@click.option("--kind", type=click.Choice(["block", "allow", "watch"]), default="block", show_default=True, help="What for.")
@click.option("--about", default="", metavar="TEXT", help="A sentence for people.")
@click.option("--personal", is_flag=True, help="For a field that is personal: only tokens of its values are kept.")
@click.option("--protected", is_flag=True, help="Every change waits for another person.")
@with_who
@settings("data", "office")
def create(detector: str, name: str, who: str, **given: Any) -> None:
    """Create a list, or restore an archived one."""
    options = {option: given.pop(option) for option in ("kind", "about", "personal", "protected")}
    with open_administration(detector, given) as found:
        found.create_list(name, who=who, **options)
    say(f"{name} is a list; rules ask it as: FIELD IN list('{name}')")


@command.command()
@detector_argument
@_list
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@click.option("--reason", default="", metavar="TEXT", help="Why they are on it.")
@click.option("--expires", metavar="DURATION", help="How long they stay on it, such as 30d; for ever unless given.")
@as_changer
@settings("data", "office")
def add(
    detector: str, name: str, values: tuple[str, ...], reason: str, expires: str | None, who: str, why: str, **flags: Any
) -> None:
    """Add values to a list; those on it already get the new reason and expiry."""
    from penstock.clock import duration_us, system_clock
    from penstock.governance.lists import NewEntry

    until = None if expires is None else system_clock() + duration_us(expires, what="--expires")
    with open_administration(detector, flags) as found:
        _say(found.put(name, [NewEntry(value, reason or why, until) for value in values], who=who, why=why or reason))


@command.command()
@detector_argument
@_list
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@as_changer
@settings("data", "office")
def remove(detector: str, name: str, values: tuple[str, ...], who: str, why: str, **flags: Any) -> None:
    """Remove values from a list."""
    with open_administration(detector, flags) as found:
        _say(found.lists.remove(name, values, who=who, why=why))


@command.command()
@detector_argument
@_list
@click.option("--state", type=click.Choice(["in_force", "expired", "removed", "all"]), default="in_force", show_default=True)
@click.option("--search", default="", metavar="TEXT", help="How values begin.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="The newest so many.")
@settings("data", "office")
@as_json
def show(detector: str, name: str, state: str, search: str, limit: int, as_json: bool, **flags: Any) -> None:
    """Entries of a list: who added them, when, why, and until when."""
    with open_administration(detector, flags) as found:
        entries, more = found.lists.entries(name, state, search=search, limit=limit)
        now = found.clock()
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        click.echo(_line(entry, now))
    if more:
        say(f"only the newest {limit:,} are shown; --limit shows more")


@command.command()
@detector_argument
@click.argument("value")
@settings("data", "office")
@as_json
def find(detector: str, value: str, as_json: bool, **flags: Any) -> None:
    """The lists that a value is or was on. Exit 1 if it is on none now."""
    with open_administration(detector, flags) as admin:
        found, now = admin.lists.find(value), admin.clock()
    held = any(entry.state(now) == "in_force" for entries in found.values() for entry in entries)
    if as_json:
        print_json(found)
    else:
        for name, entries in found.items():
            for entry in entries:
                click.echo(f"{name}  {_line(entry, now)}")
    if not held:
        raise click.exceptions.Exit(1)


@command.command("import")
@detector_argument
@_list
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@as_changer
@settings("data", "office")
def import_(detector: str, name: str, file: Path, who: str, why: str, **flags: Any) -> None:
    """Add the values of a CSV file to a list: columns value, reason, expires_at; only value is required."""
    with open_administration(detector, flags) as found:
        _say(found.import_list(name, text_of(file, sys.stdin), str(file), who=who, why=why))


@command.command()
@detector_argument
@_list
@settings("data", "office")
def export(detector: str, name: str, **flags: Any) -> None:
    """All entries that were ever on a list, as CSV: for `import`, or for lists={...} of a detector's file."""
    with open_administration(detector, flags) as found:
        click.echo(found.export_list(name), nl=False)


@command.command()
@detector_argument
@_list
@as_changer
@settings("data", "office")
def archive(detector: str, name: str, who: str, why: str, **flags: Any) -> None:
    """Archive a list that no rule reads; its entries are kept."""
    with open_administration(detector, flags) as found:
        found.lists.archive(name, who=who, why=why)


command.add_command(approvals)


def _say(done: "Outcome | Request") -> None:
    from penstock.governance.approvals import Request

    if isinstance(done, Request):
        say_request(done)
        return
    counts = {"added": done.added, "changed": done.replaced, "removed": done.removed, "as they were": done.unchanged}
    text = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    say(f"{done.list}, revision {done.revision}: {text or 'nothing'}")


def _line(entry: "ListEntry", now: int) -> str:
    until = "" if entry.expires_us is None else f", until {since(entry.expires_us)}"
    removal = "" if entry.removed_us is None else f", removed {since(entry.removed_us)} by {entry.removed_by}"
    state = entry.state(now)
    return f"{entry.value}  {state}  {entry.reason}  ({entry.author}, {since(entry.added_us)}{until}{removal})"
