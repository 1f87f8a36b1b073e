"""`penstock drift`: live traffic compared with the training data."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import (
    as_json,
    detector_argument,
    instant,
    print_json,
    progress,
    read_events,
    say,
    settings,
    settings_from,
)

if TYPE_CHECKING:
    from penstock.offline.drift.result import ColumnDrift, DriftReport

_SHOWN = 15


@click.command()
@detector_argument
@click.option("--last", metavar="DURATION", default="1d", show_default=True, help="The newest stretch of decisions: 1d, 7d.")
@click.option("--since", type=instant, metavar="TIME", help="Decisions since then, UTC, instead.")
@click.option("--until", type=instant, metavar="TIME", help="Decisions before then, UTC.")
@click.option("--reference", metavar="FILE", help="Make a reference of recorded data first, where the models have none.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page (.html) as well.")
@settings("data", "models", "registry", "ledger", "ledger_log", "max_refused")
@as_json
def command(
    detector: str,
    last: str,
    since: datetime | None,
    until: datetime | None,
    reference: str | None,
    out: Path | None,
    as_json: bool,
    **flags: str | None,
) -> None:
    """How far live decisions have drifted from the training data.

    Every input and score against the training, what is missing or was never seen, what labels say now and what calibrated
    scores say without them; what each finding touches, and what to do. Also while a service is running.
    """
    from penstock.clock import duration_us
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_features
    from penstock.wiring.reports.drift import drift_report
    from penstock.wiring.reports.references import make_reference

    chosen = settings_from(**flags)
    loaded = with_stored_features(load_detector(detector), chosen)
    if reference is not None:
        with progress("reading the reference"):
            say(f"written: {make_reference(chosen, loaded, read_events(detector, reference, chosen))}")
    found = drift_report(
        chosen, loaded, last_us=duration_us(last, what="--last"), since_us=_instant(since), until_us=_instant(until)
    )
    if out is not None:
        from penstock.offline.drift.page import page

        out.write_text(page(found), encoding="utf-8")
        say(f"written: {out}")
    if as_json:
        print_json(found)
    else:
        _show(found)


def _instant(time: datetime | None) -> int | None:
    from penstock.clock import to_us

    return None if time is None else to_us(time)


def _show(found: "DriftReport") -> None:
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M}" if found.since and found.until else "no time"
    click.echo(f"{found.detector}, models {found.model_version or 'none'}: {found.rows:,} decisions of {span}")
    click.echo(f"compared with {found.reference} ({found.reference_days[0]} to {found.reference_days[1]})")
    if found.judged and not found.findings:
        click.echo("no drift")
    for finding in found.findings:
        click.echo(
            f"{'!' if finding.alarm else '-'} {finding.text}: {finding.advice}, for {finding.because}{_touched(finding)}"
        )
    live, training = found.estimate["live"], found.estimate["training"]
    said = [
        f"{name.replace('_', ' ')} {live[key]:.4g} ({training[key]:.4g} in training)"
        for name, key in (("fraud_rate", "fraud_rate"), ("precision", "precision"), ("recall", "recall"), ("AUC", "roc_auc"))
        if live.get(key) is not None and training.get(key) is not None
    ]
    if said:
        click.echo("by the scores alone: " + ", ".join(said))
    _columns(found.columns[:_SHOWN])
    if len(found.columns) > _SHOWN:
        say(f"and {len(found.columns) - _SHOWN} more, with --json or --out")
    for note in found.notes:
        say(f"note: {note}")


def _touched(finding: object) -> str:
    from penstock.offline.drift.result import Finding

    assert isinstance(finding, Finding)
    models = ", ".join(f"{name} {share:.1%}" for name, share in finding.models.items())
    parts = [f"in models: {models}" if models else "", f"in rules: {', '.join(finding.rules)}" if finding.rules else ""]
    said = "; ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _columns(columns: "list[ColumnDrift]") -> None:
    rows = [("", "state", "PSI", "limit", "KS", "missing", "importance")]
    for column in columns:
        importance = max(column.importance.values(), default=None)
        rows.append(
            (
                column.name,
                column.state + (", ages" if column.ageing else ""),
                f"{column.psi:.3f}",
                f"{column.limit:.3f}",
                "" if column.ks is None else f"{column.ks:.3f}",
                f"{column.missing[0]:.1%}",
                "" if importance is None else f"{importance:.1%}",
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row[:2], widths, strict=False)]
        cells += [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
        click.echo("  ".join(cells).rstrip())
