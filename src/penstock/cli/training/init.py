"""`penstock init`: guesses what the columns of a file mean, writes a detector, and trains it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, print_json, progress, read_events, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.offline.guess import Guessed, SuggestedFeatures
    from penstock.offline.train import Trained

_TRIES = 4
_SHOWN = 92


@click.command(short_help="Write a detector for a recorded file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("mine.py"), help="The file to write.  [mine.py]")
@click.option("--force", is_flag=True, help="Overwrite it.")
@click.option("--no-train", is_flag=True, help="Write the file only.")
@click.option(
    "--minutes", type=click.FloatRange(min=0), default=10.0, metavar="N", help="Time to search for features; 0 for none.  [10]"
)
@click.option("--yes", is_flag=True, help="Ask nothing. Without a terminal, nothing is asked either.")
@settings("models", "max_refused")
@as_json
def command(
    file: Path,
    out: Path,
    force: bool,
    no_train: bool,
    minutes: float,
    yes: bool,
    as_json: bool,
    models: str | None,
    max_refused: str | None,
) -> None:
    """Guess what the columns of FILE (.csv, .parquet, .ndjson) mean, write a detector, and train it.

    Finds the id, the time with its form and zone, the amount, the currency, the keys, the label, categories and numbers, and
    leaves out what is known only after a decision. The written file says above each line what was seen, how sure that is, and
    what else it might be. Then it searches for further features, trains, makes the result the champion, and writes a report.
    Training needs the extra train; without it the file is written, and the command that trains is named.
    """
    from penstock.extras import missing
    from penstock.offline.guess import guess, source

    name = _name(out)
    if not file.exists():
        guess(file)  # says so, and which files there are
    if out.exists() and not force:
        raise click.UsageError(f"{out} exists; choose another name with --out, or overwrite it with --force")
    chosen = settings_from(models=models, max_refused=max_refused)
    guessed = guess(file)
    _show(guessed)
    wanted = not no_train and guessed.label is not None
    trains = wanted and not missing(["train"])
    if not yes and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        click.confirm(f"Write {out}{' and train' if trains else ''}?", default=True, abort=True, err=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(source(guessed, name, file=str(out), path=str(file)), encoding="utf-8")
    say(f"written: {out}")
    page = out.with_name(f"{name}-training.html") if trains else None
    if guessed.label is None and not no_train:
        _limit(guessed, name, out, file, chosen)
    further = _searched(guessed, name, out, file, chosen, minutes) if trains and minutes else None
    trained = _trained(guessed, name, out, file, page, chosen, further) if page is not None else None
    _say_next(guessed, out, file, trained, lacking=wanted and not trains)
    if as_json:
        report = None if trained is None else trained.report.as_json()
        written = None if page is None else str(page)
        print_json({"detector": name, "file": str(out), **guessed.as_json(), "training": report, "report": written})
    elif page is not None and sys.stdout.isatty():
        click.launch(str(page))
    if wanted and not trains:
        raise click.exceptions.Exit(2)  # as every command that lacks an extra


def _name(out: Path) -> str:
    """The name of the detector, from that of its file.

    Raises:
        UsageError: it cannot be one.
    """
    import re

    if out.suffix != ".py":
        raise click.UsageError(f"--out {out}: a detector is a Python file; write --out {out.with_suffix('.py')}")
    name = re.sub(r"[^a-z0-9_]+", "_", out.stem.lower()).strip("_")
    if not re.match("[a-z]", name):
        raise click.UsageError(f"--out {out}: the detector takes its name from it, which begins with a letter, as in mine.py")
    return name[:63]


def _show(guessed: "Guessed") -> None:
    """The guesses, a line each."""
    say(f"{guessed.file}: {len(guessed.frame):,} rows, {len(guessed.columns)} columns")
    for each in guessed.guesses:
        say(f"  {each.what:<13} {', '.join(each.fields):<24} {each.sure:<7} {_cut(each.seen)}")
    for left_out in guessed.left_out:
        say(f"  {'left out':<13} {left_out.column:<24} {'late' if left_out.late else '':<7} {_cut(left_out.why)}")
    for note in guessed.notes:
        say(f"note: {note}")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _searched(
    guessed: "Guessed", name: str, out: Path, file: Path, chosen: "Settings", minutes: float
) -> "SuggestedFeatures | None":
    """Search for features on the time before the training's test, and write them into the file; None where nothing helps."""
    from penstock.cli.changes.suggest import show
    from penstock.errors import DataError
    from penstock.features import Aggregate
    from penstock.offline.guess import SuggestedFeatures, source
    from penstock.offline.suggest import SearchLimits, entity_lines, feature_lines, figures, suggest
    from penstock.wiring.detectors import load_detector

    detector = load_detector(str(out))
    try:
        with progress("searching for features") as advance:
            found = suggest(
                detector,
                read_events(str(out), file, chosen),
                limits=SearchLimits(minutes=minutes),
                measured=False,
                progress=lambda _what, share: advance(share),
            )
    except DataError as error:
        say(f"no search for further features: {error}")
        return None
    show(found)
    if not found.chosen:
        return None
    known = {feature.entity.name for feature in detector.features if isinstance(feature, Aggregate)}
    entities = [line for line in entity_lines(found) if line.split(" = ")[0] not in known]
    names = [each.name for each in found.chosen]
    further = SuggestedFeatures(figures(found), entities, list(feature_lines(found)), names, found.known_in_time)
    out.write_text(source(guessed, name, file=str(out), path=str(file), further=further), encoding="utf-8")
    return further


def _trained(
    guessed: "Guessed", name: str, out: Path, file: Path, page: Path, chosen: "Settings", further: "SuggestedFeatures | None"
) -> "Trained":
    """Train, without inputs that alone separate fraud from good: these are written into the file as not to be read."""
    from penstock.cli.training.train import show
    from penstock.cli.training.training_options import write_page
    from penstock.errors import DataError
    from penstock.offline.guess import source
    from penstock.offline.options import Options
    from penstock.offline.registry import register
    from penstock.offline.train import run
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.registries import open_registry

    without: dict[str, str] = {}
    for _ in range(_TRIES):
        detector = load_detector(str(out))
        recorded = read_events(str(out), file, chosen)
        try:
            with progress("training") as advance:
                options = Options(max_refused=chosen.max_refused, accept_inputs=further.known_in_time if further else ())
                trained = run(detector, recorded, options, progress=lambda _what, share: advance(share))
        except DataError as error:
            raise DataError(f"{out} is written, but cannot be trained on {file}: {error}") from error
        leaks = {input_: leak.evidence for leak in trained.report.leaks if leak.asks for input_ in leak.names}
        if not leaks:
            break
        for input_, evidence in leaks.items():
            say(f"left out of the models: {evidence}")
            without[input_] = f"{evidence}. Name it again only if it is known when a payment arrives"
        text = source(guessed, name, file=str(out), path=str(file), without=without, further=further)
        out.write_text(text, encoding="utf-8")
    trained = register(open_registry(chosen), detector, trained, make_champion=True)
    write_page(detector, trained, recorded, page)
    for leak in trained.report.leaks:
        say(f"warning: {leak.text}")
    _to_standard_error(show, trained)
    say(f"written: {page}")
    return trained


def _limit(guessed: "Guessed", name: str, out: Path, file: Path, chosen: "Settings") -> None:
    """Write rules with limits from a replay of the file, where there is no label that a model could learn from."""
    from penstock.offline.guess import limits_of, source
    from penstock.offline.replay import replay
    from penstock.wiring.detectors import load_detector

    detector = load_detector(str(out))
    limits = limits_of(replay(detector, read_events(str(out), file, chosen)), guessed)
    out.write_text(source(guessed, name, file=str(out), path=str(file), limits=limits), encoding="utf-8")


def _to_standard_error(show: Any, trained: "Trained") -> None:
    """The report of a training, as `penstock train` prints it, beside what is written to standard output."""
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):
        show(trained.report)


def _say_next(guessed: "Guessed", out: Path, file: Path, trained: "Trained | None", *, lacking: bool) -> None:
    """What to do now. lacking: whether it could not train because the extra is missing."""
    from penstock.errors import MissingExtra

    unsure = [", ".join(each.fields) for each in guessed.guesses if each.sure == "unsure"]
    if unsure:
        say(f"check first in {out}: {', '.join(unsure)}")
    if guessed.label is None:
        say("the detector decides by its rules alone: no column says which payments were fraud")
        say(f"see what they would have done: penstock replay {out} {file}")
    elif trained is None:
        if lacking:
            say(str(MissingExtra("train", f"{out} is written; training")))
        say(f"next: penstock train {out} --data {file} --save")
        return
    say(f"next: penstock serve {out}")
