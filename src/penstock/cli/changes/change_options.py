"""Options and helpers that the commands for rules and lists share."""

import getpass
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.governance.approvals import Request
    from penstock.wiring.changes.rule_administration import RuleAdministration

F = TypeVar("F", bound=Callable[..., Any])


def as_changer(function: F) -> F:
    """Add --who and --note."""
    return with_who(click.option("--note", "why", default="", help="Why.")(function))


def with_who(function: F) -> F:
    """Add --who."""
    return _WHO(function)


def _not_reserved(_context: click.Context, _parameter: click.Parameter, who: str) -> str:
    from penstock.identity.roles import user_name

    return user_name(who)


_WHO = click.option(
    "--who", default=getpass.getuser, callback=_not_reserved, help="Who makes the change.  [the user of this machine]"
)


def books(detector: str, flags: dict[str, Any]) -> "AbstractContextManager[RuleAdministration]":
    """The rule and list administration of a detector, from flags."""
    from penstock.wiring.changes.rule_administration import open_rule_administration
    from penstock.wiring.detectors import load_detector

    return open_rule_administration(load_detector(detector), settings_from(**flags))


def text_of(file: Path, standard_input: TextIO) -> str:
    """The text of a file, or of standard input for -."""
    return standard_input.read() if str(file) == "-" else file.read_text("utf-8")


def since(us: int) -> str:
    """An instant, for people."""
    from penstock.clock import from_us

    return f"{from_us(us):%Y-%m-%d %H:%M}"


def say_request(request: "Request") -> None:
    """Print that a request waits for another person."""
    say(f"{request.id}  waits for another person to approve it: {_told(request)}")


def _told(request: "Request") -> str:
    details = ", ".join(f"{name} {value}" for name, value in request.details.items() if not isinstance(value, list))
    counted = ", ".join(f"{len(value)} {name}" for name, value in request.details.items() if isinstance(value, list))
    return f"{request.action} {request.kind} {request.name} ({', '.join(filter(None, (details, counted)))})"


@click.group()
def approvals() -> None:
    """Requests that wait for the approval of a second person."""


@approvals.command("list")
@detector_argument
@click.option("--all", "everything", is_flag=True, help="Also what was approved, rejected or withdrawn.")
@settings("data", "office")
@as_json
def list_(detector: str, everything: bool, as_json: bool, **flags: Any) -> None:
    """Requests, newest first."""
    with books(detector, flags) as found:
        requests = found.requests(None if everything else "pending")
    if as_json:
        print_json(requests)
        return
    for each in requests:
        settled = f" by {each.settled_by}" if each.settled_by else ""
        note = f": {each.note}" if each.note else ""
        click.echo(f"{each.id}  {each.stage}{settled}  {_told(each)}  ({each.asked_by}, {since(each.asked_us)}{note})")


@approvals.command()
@detector_argument
@click.argument("request_id", metavar="ID")
@as_changer
@settings("data", "office", "models", "registry")
def approve(detector: str, request_id: str, who: str, why: str, **flags: Any) -> None:
    """Approve a request about rules, lists, models or features, and apply it; its author cannot."""
    from penstock.wiring.changes.approvals import open_approving
    from penstock.wiring.detectors import load_detector

    with open_approving(load_detector(detector), settings_from(**flags)) as found:
        found.approve(request_id, who=who, why=why)
    say(f"{request_id} is approved")


@approvals.command()
@detector_argument
@click.argument("request_id", metavar="ID")
@as_changer
@settings("data", "office")
def reject(detector: str, request_id: str, who: str, why: str, **flags: Any) -> None:
    """Reject a request; its author uses this to withdraw it."""
    with books(detector, flags) as found:
        stage = found.approvals.reject(request_id, who=who, why=why).stage
    say(f"{request_id} is {stage}")
