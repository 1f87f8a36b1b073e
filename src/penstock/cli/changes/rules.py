"""`penstock rules`: rules edited at run time."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from penstock.cli.changes.lifecycle import (
    Step,
    add_step,
    approvals,
    as_changer,
    by_author,
    listing,
    open_administration,
    say_done,
    show_version,
    show_versions,
    since,
    text_of,
    with_who,
)
from penstock.cli.options import as_json, detector_argument, guard_options, print_json, read_guards, say, settings, show_table

if TYPE_CHECKING:
    from penstock.governance.administration import RuleAdministration
    from penstock.governance.approvals import Request
    from penstock.governance.rules import StoredRule
    from penstock.rules.checks import RuleFinding

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
    with open_administration(detector, flags) as found:
        show_versions(found.rules.versions(), _cells, everything=everything, as_json=as_json)


@command.command()
@detector_argument
@_name
@settings("data", "office")
@as_json
def show(detector: str, rule: str, as_json: bool, **flags: Any) -> None:
    """All versions of a rule, each with its differences from the one before it."""
    from penstock.errors import NotFound, did_you_mean
    from penstock.governance.rules import difference
    from penstock.governance.versions import by_name

    with open_administration(detector, flags) as found:
        rules = by_name(found.rules.versions())
    if rule not in rules:
        raise NotFound(f"detector {detector!r} has no rule {rule!r}.{did_you_mean(rule, rules)}")
    before = [None, *(version.body for version in rules[rule])]
    changes = [difference(old, version.body) for old, version in zip(before, rules[rule], strict=False)]
    if as_json:
        print_json([{"version": each, "changed": change} for each, change in zip(rules[rule], changes, strict=True)])
        return
    for version, change in zip(rules[rule], changes, strict=True):
        show_version(version, _cells)
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
    from penstock.governance.rules import RuleBody

    body = RuleBody(**{name: given.pop(name) for name in RuleBody.__struct_fields__})
    with open_administration(detector, given) as found:
        say_done(found.rules.add(rule, body, who=who, why=why), _cells)
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
    from penstock.governance.administration import UNDER_TEST
    from penstock.governance.rules import RuleBody

    with open_administration(detector, flags) as found:
        checked = found.check(UNDER_TEST, RuleBody(when=condition, then=then))
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
    from penstock.wiring.reports.backtests import ConditionBacktests

    archived = flags["archive"] is not None
    with open_administration(detector, flags) as found:
        now, body = found.now(), found.body(rule, version)
    with ConditionBacktests(settings_from(**flags), now, days=days, archived=archived, progress=say) as trials:
        tried = trials.run(body.when, body.then, hard=body.hard, override=body.override, leaving_out=rule)
    if as_json:
        print_json(tried)
    else:
        show_tried(tried)


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
    with open_administration(detector, flags) as found:
        done = found.rules.rollout(rule, version, percent=percent, share_of=share_of, who=who, why=why, guards=given)
        say_done(done, _cells)
        _say_lowering(found, done, flags)


def _step(verb: str) -> Step:
    """The step that a method of the store takes, as a command."""

    def step(detector: str, flags: dict[str, Any], rule: str, version: int | None, by: dict[str, str]) -> None:
        with open_administration(detector, flags) as found:
            versions = () if version is None else (version,)
            done = getattr(found.rules, verb)(rule, *versions, **by)
            if done is not None:
                say_done(done, _cells)
            if verb == "promote":
                _say_lowering(found, done, flags)

    return step


_STEPS: tuple[tuple[str, Literal["none", "optional", "required"], str], ...] = (
    ("shadow", "required", "Run a version in shadow: where it would have fired is recorded, and changes nothing."),
    ("promote", "optional", "Promote the candidate, or a version, to active."),
    ("pause", "none", "Stop the candidate, or without one the active version."),
    ("rollback", "none", "Undo the last step: stop the candidate, or restore the version that was active before."),
    ("archive", "none", "Archive a rule: no version acts or runs in shadow any more."),
)
for _verb, _takes, _summary in _STEPS:
    add_step(command, _verb, "rule", _summary, _step(_verb), version=_takes)


@command.command()
@detector_argument
@_name
@click.argument("entity")
@click.argument("key")
@click.option("--for", "lasts", metavar="DURATION", default="7d", show_default=True, help="How long; at most 90d.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@with_who
@settings("data", "office")
def snooze(detector: str, rule: str, entity: str, key: str, lasts: str, reason: str, who: str, **flags: Any) -> None:
    """Snooze a rule for one customer: it records where it fires, and does not act."""
    with open_administration(detector, flags) as found:
        done = found.snooze(rule, entity, key, lasts, who=who, reason=reason)
    say(f"{rule} is snoozed for {entity} {done.key} until {since(done.until_us)}")


@command.command()
@detector_argument
@_name
@click.argument("entity")
@click.argument("key")
@as_changer
@settings("data", "office")
def unsnooze(detector: str, rule: str, entity: str, key: str, who: str, why: str, **flags: Any) -> None:
    """Let a rule act on a customer again."""
    with open_administration(detector, flags) as found:
        found.snoozes.end(rule, entity, key, who=who, why=why)
    say(f"{rule} acts on {entity} {key} again")


@command.command()
@detector_argument
@_name
@settings("data", "office")
@as_json
def snoozes(detector: str, rule: str, as_json: bool, **flags: Any) -> None:
    """The customers for whom a rule is snoozed, by whom, and until when."""
    with open_administration(detector, flags) as found:
        found.body(rule)
        snoozed = found.snoozes.of(rule)
    if as_json:
        print_json(snoozed)
        return
    show_table((each.entity, each.key, f"until {since(each.until_us)}", each.by, each.reason) for each in snoozed)


command.add_command(approvals)


@command.command()
@detector_argument
@settings("data", "office")
def export(detector: str, **flags: Any) -> None:
    """The active rules as JSON, one object each: for `import`, or for the detector's file."""
    with open_administration(detector, flags) as found:
        for line in found.export():
            click.echo(line)


@command.command("import")
@detector_argument
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@as_changer
@settings("data", "office")
def import_(detector: str, file: Path, who: str, why: str, **flags: Any) -> None:
    """Add rules written by `export` as drafts; rules equal to existing ones are skipped."""
    with open_administration(detector, flags) as found:
        for version in found.import_(text_of(file, sys.stdin), str(file), who=who, why=why):
            say_done(version, _cells)


def _say_lowering(found: "RuleAdministration", done: "StoredRule | Request", flags: dict[str, Any]) -> None:
    """Print how many outcomes a version lowers a day, if it can and decisions are recorded here."""
    from penstock.cli.options import settings_from
    from penstock.errors import PenstockError
    from penstock.governance.approvals import Request
    from penstock.governance.stored_detector import can_lower
    from penstock.wiring.reports.backtests import ConditionBacktests

    version = done.details["version"] if isinstance(done, Request) else done.version
    now, body = found.now(), found.body(done.name, version)
    if not can_lower(body, now.policy):
        return
    try:
        with ConditionBacktests(settings_from(**flags), now, limit_s=_LOWERING_S) as trials:
            tried = trials.run(body.when, body.then, override=body.override, leaving_out=done.name)
    except PenstockError as error:
        say(f"what it lowers is not known: {error}")
        return
    say(f"it lowers {tried.lowered:,} outcomes of {tried.days} days, {tried.lowered_per_day:,.2f} a day")


_LOWERING_S = 20.0  # the time limit of a backtest over HTTP


def _say_findings(findings: "Sequence[RuleFinding]") -> None:
    for finding in findings:
        say(f"warning: {finding.sentence}")


def _cells(version: "StoredRule") -> tuple[str, ...]:
    share = f" {version.percent:g} % of {version.share_of}" if version.state == "rollout" else ""
    how = " hard" if version.body.hard else " override" if version.body.override else ""
    text = f"{version.body.when} -> {version.body.then}{how}"
    return f"{version.name} {version.version}", f"{version.state}{share}", text, by_author(version)
