"""`penstock trials`: compares candidate and champion over recorded decisions, on the same events."""

from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.offline.trial import Blocks, Compared, Side
    from penstock.outcomes import Rate


@click.command()
@detector_argument
@click.argument("trial", required=False)
@click.option("--version", metavar="VERSION", help="Of the model; the one that was tried last unless given.")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="The newest N days of the trial.")
@settings("data", "ledger", "ledger_log", "archive")
@as_json
def command(detector: str, trial: str | None, version: str | None, days: int, as_json: bool, **flags: str | None) -> None:
    """Compare running trials with what decides.

    Both are counted on the same recorded events. TRIAL is `model`, or a candidate rule with its version, as in
    amount_spike_v2. Without it, the recorded trials are listed, and the precision of blocks from the control share.
    """
    if trial is not None:
        show_compared(detector, trial, version, days, flags, as_json=as_json)
        return
    from penstock.clock import system_clock
    from penstock.offline.trial import blocks, tried
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.reports.backtests import recorded

    loaded = load_detector(detector)
    with recorded(settings_from(**flags), loaded.name, archived=flags["archive"] is not None, days=days) as archive:
        names, found = tried(archive, loaded), blocks(archive, loaded, days=days, now_us=system_clock())
    if as_json:
        print_json({"trials": names, "blocks": found})
        return
    click.echo("\n".join(names) or f"nothing was tried beside {loaded.name}")
    _show_blocks(found)


def show_compared(detector: str, trial: str, version: str | None, days: int, flags: dict[str, Any], *, as_json: bool) -> None:
    """Compare, and print the result.

    Raises:
        DataError: no such trial is recorded.
    """
    from penstock.clock import system_clock
    from penstock.offline.trial import Question, compare
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.reports.backtests import recorded

    loaded = load_detector(detector)
    given = {name: value for name, value in flags.items() if name in ("data", "ledger", "ledger_log", "archive")}
    with recorded(settings_from(**given), loaded.name, archived=bool(given.get("archive")), days=days) as archive:
        found = compare(archive, loaded, Question(trial, version, days), now_us=system_clock())
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: "Compared") -> None:
    total = found.total
    click.echo(f"{found.candidate} and the champion of {found.detector}: {total.events:,} events, {total.errors:,} errors")
    if found.since is not None:
        click.echo(f"from {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC")
    click.echo(f"agreement {_rate(total.agreement)}, blocks {_change(total.block_rate_change)} compared with the champion's\n")
    rows = [(title, value(total.champion), value(total.candidate)) for title, value in _ROWS.items()]
    show_table([row for row in rows if row[1:] != ("-", "-")], ("", "champion", "candidate"), right={1, 2})
    for title, amount in (("loss caught", found.loss_caught), ("good stopped", found.good_stopped)):
        if amount is not None:
            click.echo(f"{title} compared with the champion: {amount.value:,.2f} ({amount.low:,.2f} to {amount.high:,.2f})")
    parts = []
    for part in found.parts:
        blocks = f"{_short(part.champion.block_rate)} / {_short(part.candidate.block_rate)}"
        parts.append((f"{part.since:%Y-%m-%d %H:%M}", f"{part.events:,}", _short(part.agreement), blocks))
    click.echo()
    show_table(parts, (found.period, "events", "agreement", "blocks"), right={1, 2, 3})
    _show_blocks(found.blocks)
    for note in found.notes:
        click.echo(f"note: {note}")


def _show_blocks(found: "Blocks | None") -> None:
    if found is not None:
        from penstock.outcomes import said

        click.echo(
            f"control share: {found.let_through:,} would-be blocks let through beside {found.blocked:,} blocked; precision of"
            f" blocks, as estimated from them: {said(found.precision)}"
        )


def _rate(rate: "Rate") -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return "-"
    return f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _known(rate: "Rate") -> str:
    """A rate of known outcomes; only counts if there are few."""
    if rate.value is None:
        return f"{rate.part:,} of {rate.of:,} known" if rate.of else "-"
    return _rate(rate)


def _short(rate: "Rate") -> str:
    return "-" if rate.value is None else f"{rate.value:.2%}"


def _change(rate: "Rate") -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return "-"
    return f"{100 * rate.value:+.2f} points ({100 * rate.low:+.2f} to {100 * rate.high:+.2f})"


def _money(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.2f}"


def _times(side: "Side") -> str:
    times = side.latency_ms
    return "-" if times is None or times.p50 is None or times.p99 is None else f"{times.p50:.3f} / {times.p99:.3f} ms"


_ROWS = {
    "block rate": lambda side: _rate(side.block_rate),
    "review rate": lambda side: _rate(side.review_rate),
    "approval rate": lambda side: _rate(side.approval_rate),
    "precision": lambda side: _known(side.precision),
    "recall": lambda side: _known(side.recall),
    "loss": lambda side: _money(side.loss),
    "good stopped": lambda side: _money(side.good_stopped),
    "p50 / p99": _times,
}
