"""`penstock models shadow` and `rollout`: a version beside the champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.model_options import challengers, found_version, where, who, why
from penstock.cli.options import print_json

if TYPE_CHECKING:
    from penstock.office.model_trials import ModelTrial

_guards = click.option(
    "--guard",
    "guards",
    multiple=True,
    metavar="GUARD",
    help="In place of the policy's, as in 'block_rate more=0.02 window=10m least=300'; `none` for no guard at all.",
)


@click.command()
@click.argument("version")
@_guards
@who
@why
@where
def shadow(version: str, guards: Sequence[str], who: str, why: str, detector: str | None, as_json: bool, **flags: Any) -> None:
    """Let a version score the same events as the champion, and decide nothing.

    Guards of its errors and of the time it takes end that on their own.
    """
    entry = found_version(version, detector, flags)[1]
    with challengers(entry.detector, detector, flags, begin=True) as office:
        assert office is not None
        _show(entry.detector, office.shadow(entry.version, who=who, why=why, guards=_read(guards)), as_json=as_json)


@click.command()
@click.argument("version")
@click.option("--percent", type=float, required=True, metavar="N", help="Share of the keys.")
@click.option("--of", "share_of", required=True, metavar="FIELD", help="The field whose keys are shared out.")
@_guards
@who
@why
@where
def rollout(
    version: str,
    percent: float,
    share_of: str,
    guards: Sequence[str],
    who: str,
    why: str,
    detector: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Let a version decide for a share of the keys; the champion goes on for the others.

    Guards hold both against each other on the same events, and roll the version back where it breaches one.
    """
    entry = found_version(version, detector, flags)[1]
    with challengers(entry.detector, detector, flags, begin=True) as office:
        assert office is not None
        trial = office.rollout(entry.version, percent=percent, share_of=share_of, who=who, why=why, guards=_read(guards))
        _show(entry.detector, trial, as_json=as_json)


def _read(guards: Sequence[str]) -> list[dict[str, Any]] | None:
    import msgspec

    from penstock.decision.guard import guard_of

    if not guards:
        return None
    found: list[dict[str, Any]] = msgspec.to_builtins([guard_of(each) for each in guards if each != "none"])
    return found


def _show(detector: str, trial: "ModelTrial", *, as_json: bool) -> None:
    if as_json:
        print_json(trial)
        return
    share = f" for {trial.percent:g} % of {trial.share_of}" if trial.state == "rollout" else ""
    guards = "the policy's guards" if trial.guards is None else f"{len(trial.guards)} guards of its own"
    click.echo(f"{trial.version} of {detector} is in {trial.state}{share}, under {guards}; {trial.champion} is the champion")
