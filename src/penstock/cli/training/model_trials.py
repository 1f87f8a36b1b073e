"""`penstock models shadow` and `rollout`: trials of model versions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.changes.lifecycle import say_request
from penstock.cli.options import guard_options, print_json, read_guards
from penstock.cli.training.model_options import challengers, found_version, where, who, why

if TYPE_CHECKING:
    from penstock.governance.approvals import Request
    from penstock.governance.model_trials import ModelTrial


@click.command()
@click.argument("version")
@guard_options
@who
@why
@where
def shadow(version: str, guards: Sequence[str], who: str, why: str, detector: str | None, as_json: bool, **flags: Any) -> None:
    """Run a version in shadow: it scores the same events as the champion and decides nothing.

    Guards of its errors and latency end the trial automatically.
    """
    entry = found_version(version, detector, flags)[1]
    with challengers(entry.detector, detector, flags, begin=True) as office:
        assert office is not None
        _show(entry.detector, office.shadow(entry.version, who=who, why=why, guards=_plain(guards)), as_json=as_json)


@click.command()
@click.argument("version")
@click.option("--percent", type=float, required=True, metavar="N", help="Share of the keys.")
@click.option("--of", "share_of", required=True, metavar="FIELD", help="The field whose keys are shared out.")
@guard_options
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
    """Roll a version out to a share of the keys; the champion decides the others.

    Guards compare both on the same events, and roll the version back when it exceeds a limit.
    """
    entry = found_version(version, detector, flags)[1]
    with challengers(entry.detector, detector, flags, begin=True) as office:
        assert office is not None
        trial = office.rollout(entry.version, percent=percent, share_of=share_of, who=who, why=why, guards=_plain(guards))
        _show(entry.detector, trial, as_json=as_json)


def _plain(guards: Sequence[str]) -> list[dict[str, Any]] | None:
    import msgspec

    found: list[dict[str, Any]] | None = msgspec.to_builtins(read_guards(guards))
    return found


def _show(detector: str, trial: "ModelTrial | Request", *, as_json: bool) -> None:
    from penstock.governance.approvals import Request

    if as_json:
        print_json(trial)
        return
    if isinstance(trial, Request):
        say_request(trial)
        return
    share = f" for {trial.percent:g} % of {trial.share_of}" if trial.state == "rollout" else ""
    guards = "the policy's guards" if trial.guards is None else f"{len(trial.guards)} separate guards"
    click.echo(f"{trial.version} of {detector} is in {trial.state}{share}, under {guards}; {trial.champion} is the champion")
