"""`penstock features suggest`: searches recorded events for features that help, and writes them as code or as drafts."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.changes.lifecycle import as_changer
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
    show_table,
)
from penstock.cli.training.training_options import data_option

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.detector import Detector
    from penstock.offline.suggest import Suggestions

minutes_option = click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), default=20.0, metavar="N", help="Time for the search.  [20]"
)


@click.command("suggest")
@detector_argument
@data_option
@minutes_option
@click.option("--before", type=instant, metavar="T", help="Search before this time.  [where a training's test begins]")
@click.option("--accept-input", "accepted", multiple=True, metavar="NAME", help="A refused field that is known in time.")
@click.option("--seed", type=int, default=0, metavar="N", help="Of everything that draws at random.  [0]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the declarations into a file.")
@click.option("--force", is_flag=True, help="Overwrite it.")
@click.option("--draft", is_flag=True, help="Add them to the running detector as drafts.")
@as_changer
@settings("office", "models", "max_refused")
@as_json
def command(
    detector: str,
    data: str,
    minutes: float,
    before: datetime | None,
    accepted: tuple[str, ...],
    seed: int,
    out: Path | None,
    force: bool,
    draft: bool,
    who: str,
    why: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Search recorded events for features that help.

    Candidates over all keys, windows, fields and conditions are computed by the ordinary replay and judged on later time, with
    labels known late. The result is code, with gain and cost of each feature, or drafts of the running detector. Fields that
    are known only after the outcome are refused by name.
    """
    from penstock.offline.suggest import SearchLimits, source, suggest
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_features

    if out is not None and out.exists() and not force:
        raise click.UsageError(f"{out} exists; choose another name with --out, or overwrite it with --force")
    chosen = settings_from(**flags)
    loaded = load_detector(detector)
    recorded = read_events(detector, data, chosen)
    with progress("searching") as advance:
        found = suggest(
            with_stored_features(loaded, chosen),
            recorded,
            before=before,
            accepted=accepted,
            limits=SearchLimits(minutes=minutes),
            seed=seed,
            progress=lambda _what, share: advance(share),
        )
    show(found)
    if draft and found.chosen:
        _add_drafts(loaded, found, chosen, who, why)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(source(found), encoding="utf-8")
        say(f"written: {out}")
    if as_json:
        print_json(found.as_json())
    elif out is None and not draft and found.chosen:
        click.echo(source(found))


def show(found: "Suggestions") -> None:
    """Say what was refused and found: a table of features with gain and cost, to standard error."""
    from contextlib import redirect_stdout
    from sys import stderr

    from penstock.offline.suggest import figures

    for leak in found.refused:
        say(f"refused: {leak.text}")
    rows = [
        (each.name, f"{each.gain:.4f}", "{} of {}".format(*each.folds), f"{each.cost.ns:.0f}", f"{each.cost.bytes:,.0f}")
        for each in found.chosen
    ]
    if rows:
        with redirect_stdout(stderr):
            show_table(rows, ("feature", "gain", "folds", "ns an event", "bytes a key"), right={1, 2, 3, 4})
    for note in found.notes:
        say(f"note: {note}")
    say(figures(found))


def _add_drafts(detector: "Detector", found: "Suggestions", chosen: "Settings", who: str, why: str) -> None:
    from penstock.features.definitions import to_plain
    from penstock.offline.suggest import worth
    from penstock.wiring.governance import open_features

    gains = {each.name: worth(each) for each in found.chosen}
    bodies = {each.name: to_plain(each.described) for each in found.features}
    whys = {name: "; ".join(filter(None, [why, gains.get(name, "read by other suggested features")])) for name in bodies}
    with open_features(detector, chosen) as store:
        made = store.add_together(bodies, who=who, whys=whys)
    say(f"added {len(made)} drafts; activate them in this order:")
    for each in made:
        say(f"  penstock features activate {detector.name} {each.name}")
