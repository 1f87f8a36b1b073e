"""Listing and display of versions of rules and features."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.cli.changes.change_options import since
from penstock.cli.options import as_json, detector_argument, print_json, settings

if TYPE_CHECKING:
    from penstock.governance.feature_versions import Version as FeatureVersion
    from penstock.governance.rule_versions import Version as RuleVersion

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V", "RuleVersion", "FeatureVersion")

Line = Callable[[V], str]
"""A version in one line."""


def listing(function: F) -> F:
    """The argument and options of a command that lists versions."""
    everything = click.option("--all", "everything", is_flag=True, help="Archived versions, too.")
    return detector_argument(settings("data", "office")(everything(as_json(function))))


def show_versions(versions: Sequence[V], line: Line[V], *, everything: bool, as_json: bool) -> None:
    """Print versions; everything: include archived ones."""
    kept = [version for version in versions if everything or version.state != "archived"]
    if as_json:
        print_json(kept)
        return
    for version in kept:
        click.echo(line(version))


def show_version(version: V, line: Line[V]) -> None:
    """Print a version with its state, since when, and by whom."""
    click.echo(f"{line(version)}  since {since(version.changed_us)} by {version.changed_by}")


def by_author(version: V) -> str:
    """The author and reason of a version."""
    return f"({version.author}{': ' + version.note if version.note else ''})"
