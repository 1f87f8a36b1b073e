"""`penstock rules`: rules edited at run time."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.changes.change_options import approvals, as_changer, books, say_request, text_of
from penstock.cli.changes.versions import by_author, listing, show_version, show_versions
from penstock.cli.options import as_json, detector_argument, guard_options, print_json, read_guards, say, settings

if TYPE_CHECKING:
    from penstock.governance.approvals import Request
    from penstock.governance.rule_versions import Version
    from penstock.rules.checks import Finding
    from penstock.wiring.changes.rule_administration import RuleAdministration

_name = click.argument("rule")
_version = click.argument("version", type=int)


@click.group()
def command() -> None:
    """Rules as data, from draft to archived; all versions kept.

    Services and workers over the same office apply a change within a second.
    """


@command.command("list")
@listing
def list_(detector: str, everything: bool, as_json: bool, **flags: Any) -> None:
    """The versions of every rule, with their states."""
    with books(detector, flags) as found:
        show_versions(found.rules.versions(), _line, everything=everything, as_json=as_json)


@command.command()
@detector_argument
@_name
@settings("data", "office")
@as_json
def show(detector: str, rule: str, as_json: bool, **flags: Any) -> None:
    """All versions of a rule, each with its differences from the one before it."""
    from penstock.errors import NotFound, did_you_mean
    from penstock.governance.rule_versions import by_name, difference

    with books(detector, flags) as found:
        rules = by_name(found.rules.versions())
    if rule not in rules:
        raise NotFound(f"detector {detector!r} has no rule {rule!r}.{did_you_mean(rule, rules)}")
    before = [None, *(version.body for version in rules[rule])]
    changes = [difference(old, version.body) for old, version in zip(before, rules[rule], strict=False)]
    if as_json:
        print_json([{"version": each, "changed": change} for each, change in zip(rules[rule], changes, strict=True)])
        return
    for version, change in zip(rules[rule], changes, strict=True):
        show_version(version, _line)
        for field, (old, new) in change.items() if version.version > 1 else ():
            click.echo(f"    {field}: {old!r} -> {new!r}")


@command.command()
@detector_argument
@_name
@click.option("--when", required=True, metavar="SQL", help="The condition.")
@click.option("--then", default="review", show_default=True, help="allow, challenge, review or block.")
@click.option("--reason", metavar="TEXT", help="A sentence for people, with {name} in place of values.")
@click.option("--code", metavar="CODE", default="", help="What decisions say where it decides.  [the rule's name]")
@click.option("--hard", is_flag=True, help="A block that no allow can lift.")
@click.option("--override", is_flag=True, help="Lowers what the score or other rules ask for.")
@as_changer
@settings("data", "office")
def add(detector: str, rule: str, who: str, why: str, **given: Any) -> None:
    """Add a version of a rule as a draft: it is checked, and does not run yet."""
    from penstock.governance.rule_versions import Body

    body = Body(**{name: given.pop(name) for name in Body.__struct_fields__})
    with books(detector, given) as found:
        say(_line(found.rules.add(rule, body, who=who, why=why)))
        _say_findings(found.check(rule, body).findings)


@command.command()
@detector_argument
@click.argument("condition")
@click.option("--then", default="review", show_default=True, help="What it would ask for.")
@settings("data", "office")
@as_json
def test(detector: str, condition: str, then: str, as_json: bool, **flags: Any) -> None:
    """Check a condition without saving it: names, types, and lint findings.

    It is compared with the running rules: the same as another, never reached, never or always true.
    """
    from penstock.governance.rule_versions import Body
    from penstock.wiring.changes.rule_administration import UNDER_TEST

    with books(detector, flags) as found:
        checked = found.check(UNDER_TEST, Body(when=condition, then=then))
    if as_json:
        warnings = [finding.sentence for finding in checked.findings]
        print_json({**checked._asdict(), "warnings": warnings})
        return
    click.echo(f"{checked.condition}\nreads {', '.join(checked.reads) or 'nothing'}")
    if checked.lists:
        click.echo(f"asks the lists {', '.join(checked.lists)}")
    for finding in checked.findings:
        click.echo(f"warning: {finding.sentence}")


@command.command()
@detector_argument
@_name
@click.argument("version", type=int, required=False)
@click.option("--days", type=click.IntRange(1), metavar="N", default=30, show_default=True, help="The newest N days.")
@settings("data", "office", "ledger", "ledger_log", "archive")
@as_json
def backtest(detector: str, rule: str, version: int | None, days: int, as_json: bool, **flags: Any) -> None:
    """Backtest a version of a rule over recorded decisions: the newest unless given."""
    from penstock.cli.changes.backtest import show_tried
    from penstock.cli.options import settings_from
    from penstock.wiring.reports.backtests import Trials

    archived = flags["archive"] is not None
    with books(detector, flags) as found:
        now, body = found.now(), found.body(rule, version)
    with Trials(settings_from(**flags), now, days=days, archived=archived, told=say) as trials:
        tried = trials.run(body.when, body.then, hard=body.hard, override=body.override, leaving_out=rule)
    if as_json:
        print_json(tried)
    else:
        show_tried(tried)


@command.command()
@detector_argument
@_name
@_version
@as_changer
@settings("data", "office")
def shadow(detector: str, rule: str, version: int, who: str, why: str, **flags: Any) -> None:
    """Run a version in shadow: where it would have fired is recorded, and changes nothing."""
    with books(detector, flags) as found:
        _say(found.rules.shadow(rule, version, who=who, why=why))


@command.command()
@detector_argument
@_name
@_version
@click.option("--percent", type=float, required=True, metavar="N", help="Share of the keys.")
@click.option("--of", "share_of", required=True, metavar="FIELD", help="The field whose keys are shared out.")
@guard_options
@as_changer
@settings("data", "office")
def rollout(
    detector: str,
    rule: str,
    version: int,
    percent: float,
    share_of: str,
    guards: Sequence[str],
    who: str,
    why: str,
    **flags: Any,
) -> None:
    """Roll a version out to a share of the keys; the active one acts on the others.

    Guards compare both on the same events, and stop the version when it exceeds a limit.
    """
    given = read_guards(guards)
    with books(detector, flags) as found:
        done = found.roll_out(rule, version, percent=percent, share_of=share_of, who=who, why=why, guards=given)
        _say(done)
        _say_lowering(found, done, flags)


@command.command()
@detector_argument
@_name
@click.argument("version", type=int, required=False)
@as_changer
@settings("data", "office")
def promote(detector: str, rule: str, version: int | None, who: str, why: str, **flags: Any) -> None:
    """Promote the candidate, or a version, to active."""
    with books(detector, flags) as found:
        done = found.rules.promote(rule, version, who=who, why=why)
        _say(done)
        _say_lowering(found, done, flags)


@command.command()
@detector_argument
@_name
@as_changer
@settings("data", "office")
def pause(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Stop the candidate, or without one the active version."""
    with books(detector, flags) as found:
        _say(found.rules.pause(rule, who=who, why=why))


@command.command()
@detector_argument
@_name
@as_changer
@settings("data", "office")
def rollback(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Undo the last step: stop the candidate, or restore the version that was active before."""
    with books(detector, flags) as found:
        _say(found.rules.rollback(rule, who=who, why=why))


@command.command()
@detector_argument
@_name
@as_changer
@settings("data", "office")
def archive(detector: str, rule: str, who: str, why: str, **flags: Any) -> None:
    """Archive a rule: no version acts or runs in shadow any more."""
    with books(detector, flags) as found:
        found.rules.archive(rule, who=who, why=why)


command.add_command(approvals)


@command.command()
@detector_argument
@settings("data", "office")
def export(detector: str, **flags: Any) -> None:
    """The active rules as JSON, one object each: for `import`, or for the detector's file."""
    with books(detector, flags) as found:
        for line in found.export():
            click.echo(line)


@command.command("import")
@detector_argument
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@as_changer
@settings("data", "office")
def import_(detector: str, file: Path, who: str, why: str, **flags: Any) -> None:
    """Add rules written by `export` as drafts; rules equal to existing ones are skipped."""
    with books(detector, flags) as found:
        for version in found.import_(text_of(file, sys.stdin), str(file), who=who, why=why):
            say(_line(version))


def _say(done: "Version | Request") -> None:
    from penstock.governance.approvals import Request

    if isinstance(done, Request):
        say_request(done)
    else:
        say(_line(done))


def _say_lowering(found: "RuleAdministration", done: "Version | Request", flags: dict[str, Any]) -> None:
    """Print how many outcomes a version lowers a day, if it can and decisions are recorded here."""
    from penstock.cli.options import settings_from
    from penstock.errors import PenstockError
    from penstock.governance.approvals import Request
    from penstock.wiring.changes.rule_stores import can_lower
    from penstock.wiring.reports.backtests import Trials

    version = done.details["version"] if isinstance(done, Request) else done.version
    now, body = found.now(), found.body(done.name, version)
    if not can_lower(body, now.policy):
        return
    try:
        with Trials(settings_from(**flags), now, limit_s=_LOWERING_S) as trials:
            tried = trials.run(body.when, body.then, override=body.override, leaving_out=done.name)
    except PenstockError as error:
        say(f"what it lowers is not known: {error}")
        return
    say(f"it lowers {tried.lowered:,} outcomes of {tried.days} days, {tried.lowered_per_day:,.2f} a day")


_LOWERING_S = 20.0  # the time limit of a backtest over HTTP


def _say_findings(findings: "Sequence[Finding]") -> None:
    for finding in findings:
        say(f"warning: {finding.sentence}")


def _line(version: "Version") -> str:
    share = f" {version.percent:g} % of {version.share_of}" if version.state == "rollout" else ""
    how = " hard" if version.body.hard else " override" if version.body.override else ""
    told = f"{version.body.when} -> {version.body.then}{how}  {by_author(version)}"
    return f"{version.name} {version.version}  {version.state}{share}  {told}"
