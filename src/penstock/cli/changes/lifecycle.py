"""The life cycle of versions on the command line: what `rules`, `lists`, `features` and `models` share, and approvals."""

import getpass
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.governance.administration import RuleAdministration
    from penstock.governance.approvals import Request
    from penstock.governance.features import StoredFeature
    from penstock.governance.rules import StoredRule

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V", "StoredRule", "StoredFeature")

Cells = Callable[[V], tuple[str, ...]]
"""A version as the cells of a table."""


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


def open_administration(detector: str, flags: dict[str, Any]) -> "AbstractContextManager[RuleAdministration]":
    """The rule and list administration of a detector, from flags."""
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import open_rule_administration

    return open_rule_administration(load_detector(detector), settings_from(**flags))


def text_of(file: Path, standard_input: TextIO) -> str:
    """The text of a file, or of standard input for -."""
    return standard_input.read() if str(file) == "-" else file.read_text("utf-8")


def since(us: int) -> str:
    """An instant, for people."""
    from penstock.clock import from_us

    return f"{from_us(us):%Y-%m-%d %H:%M}"


def listing(function: F) -> F:
    """The argument and options of a command that lists versions."""
    everything = click.option("--all", "everything", is_flag=True, help="Archived versions, too.")
    return detector_argument(settings("data", "office")(everything(as_json(function))))


def show_versions(versions: Sequence[V], cells: Cells[V], *, everything: bool, as_json: bool) -> None:
    """Print versions; everything: include archived ones."""
    kept = [version for version in versions if everything or version.state != "archived"]
    if as_json:
        print_json(kept)
        return
    show_table(cells(version) for version in kept)


def show_version(version: V, cells: Cells[V]) -> None:
    """Print a version with its state, since when, and by whom."""
    click.echo("  ".join([*filter(None, cells(version)), f"since {since(version.changed_us)} by {version.changed_by}"]))


def say_done(done: "V | Request", cells: Cells[V]) -> None:
    """Print the version that a step changed, or the request that waits for another person."""
    from penstock.governance.approvals import Request

    if isinstance(done, Request):
        say_request(done)
    else:
        say("  ".join(filter(None, cells(done))))


Step = Callable[[str, dict[str, Any], str, int | None, dict[str, str]], None]
"""Takes the detector, the settings as flags, the name, the version, and who and why."""


def add_step(
    group: click.Group,
    verb: str,
    what: str,
    summary: str,
    step: Step,
    *,
    version: Literal["none", "optional", "required"] = "none",
    places: Sequence[str] = ("data", "office"),
) -> None:
    """Add the command of one step of the life cycle, such as `rules promote DETECTOR RULE [VERSION]`.

    what: the name of the argument, such as rule. version: whether the command takes one. places: its settings.
    """

    def run(detector: str, who: str, why: str, version: int | None = None, **flags: Any) -> None:
        name = flags.pop(what)
        step(detector, flags, name, version, {"who": who, "why": why})

    command: Any = as_changer(settings(*places)(run))
    if version != "none":
        command = click.argument("version", type=int, required=version == "required")(command)
    command = detector_argument(click.argument(what)(command))
    group.command(verb, help=summary)(command)


def by_author(version: V) -> str:
    """The author and reason of a version."""
    return f"({version.author}{': ' + version.note if version.note else ''})"


def say_request(request: "Request") -> None:
    """Print that a request waits for another person."""
    say(f"{request.id}  waits for another person to approve it: {_described(request)}")


def _described(request: "Request") -> str:
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
    with open_administration(detector, flags) as found:
        requests = found.requests(None if everything else "pending")
    if as_json:
        print_json(requests)
        return
    rows = []
    for each in requests:
        settled = f" by {each.settled_by}" if each.settled_by else ""
        note = f": {each.note}" if each.note else ""
        author = f"({each.asked_by}, {since(each.asked_us)}{note})"
        rows.append((each.id, f"{each.stage}{settled}", _described(each), author))
    show_table(rows)


@approvals.command()
@detector_argument
@click.argument("request_id", metavar="ID")
@as_changer
@settings("data", "office", "models", "registry")
def approve(detector: str, request_id: str, who: str, why: str, **flags: Any) -> None:
    """Approve a request about rules, lists, models or features, and apply it; its author cannot."""
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import open_approving

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
    with open_administration(detector, flags) as found:
        stage = found.approvals.reject(request_id, who=who, why=why).stage
    say(f"{request_id} is {stage}")
