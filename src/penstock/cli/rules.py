"""`penstock rules`: rules as data, with a life."""

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.office.rule_versions import Version

_who = click.option("--who", default=getpass.getuser, help="Who makes the change.  [the user of this machine]")
_why = click.option("--note", "why", default="", help="Why.")
_name = click.argument("rule")


@click.group()
def command() -> None:
    """Rules as data, from draft to archived, every version kept.

    Services and workers over the same data folder decide by a change within a second.
    """


@command.command("list")
@detector_argument
@settings("data")
@click.option("--all", "everything", is_flag=True, help="Archived versions, too.")
@as_json
def list_(detector: str, everything: bool, as_json: bool, **flags: Any) -> None:
    """The versions of every rule, and what each is doing."""
    with _book(detector, flags) as book:
        found = [version for version in book.versions() if everything or version.state != "archived"]
    if as_json:
        print_json(found)
        return
    for version in found:
        click.echo(_line(version))


@command.command()
@detector_argument
@_name
@click.option("--when", required=True, metavar="SQL", help="The condition.")
@click.option("--then", default="review", show_default=True, help="allow, challenge, review or block.")
@click.option("--reason", metavar="TEXT", help="A sentence for people, with {name} in place of values.")
@click.option("--hard", is_flag=True, help="A block that no allow can lift.")
@_who
@_why
@settings("data")
def add(
    detector: str, rule: str, when: str, then: str, reason: str | None, hard: bool, who: str, why: str, **flags: Any
) -> None:
    """Add a version of a rule, as a draft: it is checked, and does nothing yet."""
    from penstock.office.rule_versions import Body

    with _book(detector, flags) as book:
        say(_line(book.add(rule, Body(when=when, then=then, reason=reason, hard=hard), who=who, why=why)))


@command.command()
@detector_argument
@click.argument("condition")
@as_json
def test(detector: str, condition: str, as_json: bool) -> None:
    """Check a condition without saving it: names, types, and what is probably not meant."""
    from penstock.assemble.detectors import load_detector
    from penstock.rules import Rule

    loaded = load_detector(detector)
    tried = loaded.with_rules([*loaded.rules, Rule("condition_under_test", condition)])
    compiled = list(tried.plan.rules)[-1]
    doubts = [doubt for doubt in tried.plan.rules.warnings if "condition_under_test" in doubt]
    found = {"condition": compiled.expression.sql, "reads": list(compiled.reads), "warnings": doubts}
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['condition']}\nreads {', '.join(compiled.reads) or 'nothing'}")
        for doubt in doubts:
            click.echo(f"warning: {doubt}")


@command.command()
@detector_argument
@_name
@click.argument("version", type=int)
@_who
@settings("data")
def shadow(detector: str, rule: str, version: int, who: str, **flags: Any) -> None:
    """Let a version watch: where it would have fired is recorded, and changes nothing."""
    with _book(detector, flags) as book:
        say(_line(book.shadow(rule, version, who=who)))


@command.command()
@detector_argument
@_name
@click.argument("version", type=int)
@click.option("--percent", type=float, required=True, metavar="N", help="Share of the keys.")
@click.option("--of", "share_of", required=True, metavar="FIELD", help="The field whose keys are shared out.")
@_who
@settings("data")
def rollout(detector: str, rule: str, version: int, percent: float, share_of: str, who: str, **flags: Any) -> None:
    """Let a version act on a share of the keys; the active one goes on for the others."""
    with _book(detector, flags) as book:
        say(_line(book.rollout(rule, version, percent=percent, share_of=share_of, who=who)))


@command.command()
@detector_argument
@_name
@click.argument("version", type=int, required=False)
@_who
@settings("data")
def promote(detector: str, rule: str, version: int | None, who: str, **flags: Any) -> None:
    """Let the candidate, or a version, act on everything."""
    with _book(detector, flags) as book:
        say(_line(book.promote(rule, version, who=who)))


@command.command()
@detector_argument
@_name
@_who
@_why
@settings("data")
def pause(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Let the candidate stop, or where there is none the active version."""
    with _book(detector, flags) as book:
        say(_line(book.pause(rule, who=who, why=why)))


@command.command()
@detector_argument
@_name
@_who
@_why
@settings("data")
def rollback(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Undo the last step: stop the candidate, or bring the version back that was active before."""
    with _book(detector, flags) as book:
        say(_line(book.rollback(rule, who=who, why=why)))


@command.command()
@detector_argument
@_name
@_who
@_why
@settings("data")
def archive(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Let no version of a rule act or watch any more."""
    with _book(detector, flags) as book:
        book.archive(rule, who=who, why=why)


@command.command()
@detector_argument
@settings("data")
def export(detector: str, **flags: Any) -> None:
    """The active rules as JSON, one object each: for `import`, or for the detector's file."""
    with _book(detector, flags) as book:
        for version in book.versions():
            if version.state == "active":
                print_json({"name": version.name, "version": version.version, "body": version.body})


@command.command("import")
@detector_argument
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@_who
@_why
@settings("data")
def import_(detector: str, file: Path, who: str, why: str, **flags: Any) -> None:
    """Add what `export` wrote, as drafts; a rule that says the same already is left alone."""
    import msgspec

    from penstock.errors import DataError
    from penstock.office.rule_versions import Body

    text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    with _book(detector, flags) as book:
        for number, line in enumerate(filter(None, text.splitlines()), 1):
            try:
                found = json.loads(line)
                name, body = str(found["name"]), msgspec.convert(found["body"], Body)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{file}, line {number}: this is no exported rule: {error}") from error
            if any(version.body == body for version in book.versions(name) if version.state != "archived"):
                continue
            say(_line(book.add(name, body, who=who, why=why)))


def _book(detector: str, flags: dict[str, Any]) -> Any:
    from penstock.assemble.detectors import load_detector
    from penstock.assemble.rulebooks import open_book

    return open_book(load_detector(detector), settings_from(**flags))


def _line(version: "Version") -> str:
    share = f" {version.percent:g} % of {version.share_of}" if version.state == "rollout" else ""
    told = f"  ({version.author}{': ' + version.note if version.note else ''})"
    return f"{version.name} {version.version}  {version.state}{share}  {version.body.when} -> {version.body.then}{told}"
