"""`penstock trainer`: a process that trains when it is due."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import detector_argument, print_json, say, settings, settings_from
from penstock.cli.training.training_options import file_option, options_from, pictures_for, training_options

if TYPE_CHECKING:
    from penstock.offline.trainer import Round


@click.command()
@detector_argument
@file_option
@click.option("--every", metavar="DURATION", help="Train again so long after the last time: 24h, 7d.")
@click.option(
    "--on-drift",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Train again when what is decided in this data folder has drifted.",
)
@click.option(
    "--promote",
    type=click.Choice(["better", "always", "never"]),
    default="better",
    help="When the result of a training that somebody asked for decides.  [better]",
)
@click.option("--once", is_flag=True, help="Train now, and leave.")
@training_options
@settings("models", "registry", "max_refused")
@click.option("--json", "as_json", is_flag=True, help="A JSON value for each training on standard output, nothing else.")
def command(
    detector: str,
    data: Path,
    every: str | None,
    on_drift: Path | None,
    promote: Any,
    once: bool,
    as_json: bool,
    models: str | None,
    registry: str | None,
    max_refused: str | None,
    **wishes: Any,
) -> None:
    """Train when there are no models yet, and again when due.

    Due is what --every says, or when live traffic has drifted (--on-drift), or whenever somebody asks: by the signal SIGUSR1,
    or by making the file MODELS/NAME/train-now. FILE is read anew each time. What somebody asked for decides where it is
    better than the champion on the same test (or always, or never). What is trained by schedule or drift becomes the
    challenger, never the champion. A service follows.
    """
    from penstock.cli.signals import on_signal, stop_on_signals
    from penstock.clock import duration_us
    from penstock.offline.trainer import Trainer, take_request
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_features
    from penstock.wiring.registries import note_challenger, open_registry, request_file
    from penstock.wiring.reports.drift import drift_asks

    chosen = settings_from(models=models, registry=registry, data=on_drift, max_refused=max_refused)
    loaded = with_stored_features(load_detector(detector), chosen)
    pictured = pictures_for(loaded, data) if chosen.registry == "mlflow" else None
    trainer = Trainer(loaded, data, open_registry(chosen), options_from(wishes, chosen), promote, pictured)
    every_us = None if every is None else duration_us(every, what="--every")
    if once:
        show_training(trainer.train("asked for"), as_json=as_json)
        return
    stop, wanted = threading.Event(), threading.Event()
    stop_on_signals(stop.set, chosen.stop_within_s)
    on_signal("SIGUSR1", wanted.set)
    request = request_file(chosen, loaded.name)

    def asked() -> str | None:
        if wanted.is_set():
            wanted.clear()
            return "SIGUSR1"
        return request.name if take_request(request) else None

    def on_training(done: "Round") -> None:
        note_challenger(chosen, loaded, done)
        show_training(done, as_json=as_json)

    often = f"every {every}" if every else "when nothing decides"
    often += ", when it has drifted" if on_drift is not None else ""
    say(f"training {loaded.name} {often}, and whenever {request} is made or SIGUSR1 comes  (Ctrl-C stops)")
    drifted = drift_asks(chosen, loaded) if on_drift is not None else lambda: None
    trainer.attend(
        every_us=every_us,
        asked=asked,
        wait=stop.wait,
        on_training=on_training,
        failed=lambda error: say(f"training failed, the next one follows: {error}"),
        drifted=drifted,
    )


def show_training(done: "Round", *, as_json: bool) -> None:
    """Print the result of a training."""
    import msgspec

    for note in done.notes:
        say(f"note: {note}")
    if as_json:
        print_json({**msgspec.to_builtins(done), "decides": done.decides})
        return
    worth = "-" if done.average_precision is None else f"{done.average_precision:.4f}"
    held = "" if done.champion_average_precision is None else f", the champion before {done.champion_average_precision:.4f}"
    decides = "it decides" if done.decides else f"{done.champion} still decides"
    decides += ", it is the challenger" if done.challenger == done.version else ""
    click.echo(f"{done.version} ({done.why}): average precision {worth}{held}; {decides}")
