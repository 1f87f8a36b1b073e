"""`penstock features`: features defined at run time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

from penstock.cli.changes.lifecycle import (
    Step,
    add_step,
    approvals,
    as_changer,
    by_author,
    listing,
    say_done,
    show_version,
    show_versions,
)
from penstock.cli.changes.suggest import command as suggest
from penstock.cli.options import as_json, detector_argument, print_json, say, settings

if TYPE_CHECKING:
    from penstock.governance.feature_activation import FeatureActivation
    from penstock.governance.features import StoredFeature

_name = click.argument("feature")


@click.group()
def command() -> None:
    """Run-time features: backfilled from the log, then active.

    Every version is kept, from draft to archived. An activated feature is backfilled from the log by services and
    workers over the same office while they decide; rules and models may read it as soon as it is active.
    """


def as_described(function: Any) -> Any:
    """Add the options that define a feature."""
    options = [
        click.option("--derive", metavar="SQL", help="An expression; it stands alone."),
        click.option("--kind", metavar="KIND", help="count, sum, mean, median, distinct, mode, last, ..."),
        click.option("--entity", metavar="NAME", help="Of the detector, or a new one."),
        click.option("--key", "keys", metavar="FIELD", multiple=True, help="A field of the key of a new entity; repeatable."),
        click.option("--field", metavar="FIELD", help="What is summed, counted or remembered."),
        click.option("--window", metavar="TIME", help="1h, 7d, ever; of a session its gap."),
        click.option("--delay", metavar="TIME", help="How far before the event the window ends."),
        click.option("--where", metavar="SQL", help="Which events count."),
        click.option("--before", is_flag=True, help="Leave the event itself out."),
        click.option("--role", metavar="ROLE", help="Count the events in which the key has this role."),
        click.option("--at", metavar="ROLE", help="For the key that has this role in the event."),
        click.option("--of", metavar="TYPE", multiple=True, help="Events of this type, in place of transactions; repeatable."),
        click.option("--q", type=float, metavar="SHARE", help="Of quantile, approx_quantile: which one, from 0 to 1."),
        click.option("--most", type=int, metavar="N", help="Of quantiles and frequencies: the newest so many values are read."),
        click.option("--link", "links", metavar="FIELD", multiple=True, help="Of linked kinds: whose values link; repeatable."),
        click.option("--max-degree", type=int, help="Of linked kinds: a value with more others is left out."),
        click.option("--by", metavar="WHEN", help="Of label_count: `known` counts labels by when they became known."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("list")
@listing
def list_(detector: str, everything: bool, as_json: bool, **flags: Any) -> None:
    """The versions of every feature, and the history that each covers."""
    with _open_activation(detector, flags) as found:
        show_versions(found.store.versions(), _cells, everything=everything, as_json=as_json)


@command.command()
@detector_argument
@_name
@settings("data", "office")
@as_json
def show(detector: str, feature: str, as_json: bool, **flags: Any) -> None:
    """All versions of a feature."""
    with _open_activation(detector, flags) as found:
        known = found.store.known(feature)
    if as_json:
        print_json(known)
        return
    for version in known:
        show_version(version, _cells)


@command.command()
@detector_argument
@_name
@as_described
@as_changer
@settings("data", "office", "models")
def add(detector: str, feature: str, who: str, why: str, **given: Any) -> None:
    """Add a version of a feature as a draft: it is checked, and not computed yet."""
    body = _body(given)
    with _open_activation(detector, given) as found:
        say_done(found.store.add(feature, body, who=who, why=why), _cells)


@command.command()
@detector_argument
@_name
@as_described
@settings("data", "office")
@as_json
def test(detector: str, feature: str, as_json: bool, **given: Any) -> None:
    """Check a feature without saving it: names, types and windows, as in a detector's file."""
    body = _body(given)
    with _open_activation(detector, given) as found:
        name, type_, reads = found.test(feature, body)
    if as_json:
        print_json({"name": name, "type": type_, "reads": reads})
    else:
        click.echo(f"{name}  {type_}, reads {', '.join(reads) or 'nothing'}")


def _step(verb: str) -> Step:
    """The step that a method of the store takes, as a command."""

    def step(detector: str, flags: dict[str, Any], feature: str, version: int | None, by: dict[str, str]) -> None:
        with _open_activation(detector, flags) as found:
            versions = () if version is None else (version,)
            done = getattr(found.store, verb)(feature, *versions, **by)
        if done is None:
            say(f"{feature} is archived")
        else:
            say_done(done, _cells)

    return step


_STEPS: tuple[tuple[str, Literal["none", "optional", "required"], str], ...] = (
    ("activate", "optional", "Backfill a version, by default the newest; it becomes active when the backfill is complete."),
    ("rollback", "none", "Undo the last step: cancel the backfill, or backfill the version that was active before."),
    ("archive", "none", "Stop computing a feature; refused while a rule, a model or another feature reads it."),
)
for _verb, _takes, _summary in _STEPS:
    add_step(command, _verb, "feature", _summary, _step(_verb), version=_takes, places=("data", "office", "models"))


command.add_command(approvals)
command.add_command(suggest)


@contextmanager
def _open_activation(detector: str, flags: dict[str, Any]) -> "Iterator[FeatureActivation]":
    from penstock.cli.options import settings_from
    from penstock.governance.feature_activation import feature_activation
    from penstock.wiring.database import office_of
    from penstock.wiring.detectors import load_detector

    loaded, chosen = load_detector(detector), settings_from(**flags)
    with office_of(chosen) as database:
        yield feature_activation(database, [loaded], chosen)[loaded.name]


def _body(given: dict[str, Any]) -> dict[str, Any]:
    names = ("derive", "kind", "entity", "field", "window", "delay", "where", "role", "at", "by", "q", "most", "max_degree")
    body = {name: value for name in names if (value := given.pop(name)) is not None}
    repeated = {name: list(values) for name in ("keys", "of", "links") if (values := given.pop(name))}
    before = given.pop("before")
    return body | repeated | ({"current": False} if before else {})


def _cells(version: "StoredFeature") -> tuple[str, ...]:
    body = version.body
    text = body.get("derive") or " ".join(f"{name}={value}" for name, value in body.items())
    history = version.reach["sentence"] if version.reach else ""
    trouble = f"not filled: {version.trouble}" if version.trouble else ""
    return f"{version.name} {version.version}", version.state, text, by_author(version), history, trouble
