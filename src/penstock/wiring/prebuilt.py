"""Builds the compiled kernels and trained models that are shipped in the wheel.

    python -m penstock.wiring.prebuilt kernels            # a checkout does this in `make setup`
    python -m penstock.wiring.prebuilt models FOLDER N    # trains every detector on N simulated events
    python -m penstock.wiring.prebuilt demo FOLDER N      # what a demo needs: kernels, its models, its challenger

Each part runs in a process, side by side. Compiled code goes where `penstock.compilation` has numba keep it; code that is
there already is not compiled again.
"""

import fcntl
import os
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import penstock
from penstock import detectors
from penstock.engine.warm import compile_decisions, compile_features, compile_links
from penstock.errors import MissingExtra
from penstock.features.kernel.rare import address_of_rare
from penstock.models.bundle_store import versions

DEMONSTRATED = "banking"
"""The detector of `penstock demo`."""

DAYS = 60.0
"""The time over which simulated events are spread."""


def main(arguments: Sequence[str]) -> None:
    """Build the named parts, or one of them."""
    _write_one_by_one()
    match arguments:
        case ["kernels"]:
            compile_common()
            side_by_side(["kernels", "rare"], ["kernels", "engine"], ["kernels", "links"])  # of parts that are in the cache now
        case ["kernels", "features"]:
            compile_features()
        case ["kernels", "links"]:
            compile_links()
        case ["kernels", "others"]:
            compile_decisions()
            compile_models()
        case ["kernels", "rare"]:
            address_of_rare()
            compile_stores()
        case ["kernels", "engine"]:
            compile_engine()
        case ["models", folder, events]:
            train(Path(folder), events, *(each.name for each in pkgutil.iter_modules(detectors.__path__)))
        case ["models", folder, events, detector]:
            train_one(detector, Path(folder), int(events))
        case ["challenger", folder, events]:
            train_challenger(Path(folder), int(events))
        case ["demo", folder, events]:
            compile_common()
            train(Path(folder), events, DEMONSTRATED)
        case _:
            raise SystemExit(__doc__)


def side_by_side(*parts: Sequence[str]) -> None:
    """Run parts in processes, as many at once as there are processors.

    Raises:
        CalledProcessError: one failed; its message is on standard error.
    """

    def run(part: Sequence[str]) -> None:
        subprocess.run([sys.executable, "-m", __spec__.name, *part], check=True)  # noqa: S603 -- this module

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, parts))


def compile_common() -> None:
    """Compile the kernels that training and the demo need."""
    side_by_side(["kernels", "features"], ["kernels", "others"])


def compile_engine() -> None:
    """Compile the missing kernels that every engine runs."""
    from penstock.detectors.banking import detector
    from penstock.engine import Engine, warm_up

    warm_up(Engine(detector, wait_for_models=True))


def compile_stores() -> None:
    """Compile what a worker's stores need, those whose clients are installed."""
    with suppress(MissingExtra):
        from penstock.adapters.redis_sink.profiles import compile_profiles

        compile_profiles()


def compile_models() -> None:
    """Compile scoring for every kind of model that the detectors declare, with shallow trees and with deep ones."""
    import numpy as np

    from penstock import GradientBoosting, IsolationForest, LogisticRegression, XGBoost
    from penstock.models import Model, fit_ensemble

    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = (x[:, 0] + rng.normal(size=600) > 1).astype(np.float64)
    models: list[Model] = [
        LogisticRegression(),
        XGBoost(trees=8, depth=3),
        XGBoost(name="deep", trees=8, depth=12, min_child_weight=0.0),
        GradientBoosting(trees=8, depth=3, min_leaf=5),
        GradientBoosting(name="deep_boosting", trees=8, depth=12, min_leaf=1),
        IsolationForest(trees=8),
    ]
    ensemble = fit_ensemble(models, x[:400], y[:400], x[400:], y[400:], ["a", "b", "c", "d"])
    ensemble.warm()
    ensemble.score(x)


def train(folder: Path, events: str, *names: str) -> None:
    """Train these detectors, and the demo's challenger, which is no champion whichever training ends first."""
    with TemporaryDirectory() as apart:
        side_by_side(*(["models", str(folder), events, name] for name in names), ["challenger", apart, events])
        for bundle in versions(Path(apart), DEMONSTRATED):
            copytree(bundle.path, folder / DEMONSTRATED / bundle.version)


def train_one(detector: str, folder: Path, events: int) -> None:
    """Train a detector of the package on simulated events, let it decide some of them, and keep its bundle."""
    from penstock.engine import Engine, warm_up
    from penstock.offline.replay import replay

    shown = detector == DEMONSTRATED  # in the demo; half as many events more, and it blocks most attacks of testing cards
    declared, frame = _train(detector, folder, events * 3 // 2 if shown else events, seed=int(shown))
    replay(declared, frame.head(2000), models=folder)
    with Engine(declared, models=folder) as engine:
        warm_up(engine)


def train_challenger(folder: Path, events: int) -> None:
    """Train the demo's detector once more, on fewer and other events: the version that is tried in the demo's history.

    Without a refit: it only scores in shadow, and a start waits for it.
    """
    _train(DEMONSTRATED, folder, events // 2, seed=0, refit=False)


def _train(detector: str, folder: Path, events: int, *, seed: int, refit: bool = True) -> tuple[Any, Any]:
    """Train as declared, and keep the bundle; the detector, and what it was trained on."""
    from penstock.adapters.simulated import Simulation
    from penstock.offline.train import Options, keep, run

    home = f"{detectors.__name__}.{detector}"
    declared, profile = import_module(home).detector, import_module(f"{home}.profile").profile
    frame = Simulation(profile, events=events, days=DAYS, seed=seed).frame()
    # As declared: tuning takes many times as long. The simulator makes no field that is known only afterwards, so an input that
    # separates the classes in few events is no leak.
    options = Options(trials=0, accept_inputs=list(declared.plan.inputs), refit=refit)
    keep(declared, run(declared, frame, options), folder)
    return declared, frame


def _write_one_by_one() -> None:
    """Serialize writes to numba's index of a function: two writers at once could use one file name for two types."""
    from numba.core.caching import IndexDataCacheFile

    save = IndexDataCacheFile.save

    def save_alone(self: Any, key: Any, data: Any) -> None:
        with (Path(penstock.__file__).parent / "py.typed").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(self, key, data)

    IndexDataCacheFile.save = save_alone


if __name__ == "__main__":
    main(sys.argv[1:])
