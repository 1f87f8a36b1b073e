"""Comparison of a candidate with the champion, from names and files."""

from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError
from penstock.models import Ensemble, load_champion
from penstock.offline.archived import as_recorded
from penstock.offline.backtest.compare import BacktestComparison, compare
from penstock.offline.backtest.side import BacktestSide, recorded_side, replayed_side
from penstock.offline.datasets import Recorded, accepted, read
from penstock.wiring.detectors import installed, load_detector
from penstock.wiring.engines import open_archive
from penstock.wiring.reports.backtests import frames_of
from penstock.wiring.traffic.events import read_recorded


def compare_candidate(
    settings: Settings,
    reference: str,
    data: str,
    *,
    champion: str | None = None,
    models: Path | None = None,
    champion_models: Path | None = None,
) -> tuple[BacktestComparison, pl.DataFrame]:
    """Replay a candidate and compare it with the champion; returns figures, and a row for each decision that differs.

    Args:
        settings: for reading a data folder.
        reference: the DETECTOR that is the candidate.
        data: a recorded file, a data folder, or an archive.
        champion: the DETECTOR to replay as champion; recorded decisions unless given.
        models: the folder whose champion scores for the candidate; rules alone decide unless given.
        champion_models: the same for the champion.

    Raises:
        ConfigurationError: nothing was recorded, and there is no detector of the candidate's name to replay in its place.
        DataError: the data does not fit.
        BundleError: the models do not fit.
    """
    candidate = load_detector(reference)
    recorded = events_of(settings, reference, data)
    side = _replayed(candidate, models, recorded)
    baseline = recorded_side(recorded) if champion is None else None
    if baseline is None:
        name = champion or _of_its_name(candidate)
        baseline = _replayed(load_detector(name), champion_models, events_of(settings, name, data))
    return compare(candidate, recorded, baseline, side)


def events_of(settings: Settings, reference: str, data: str) -> Recorded:
    """Recorded events of a detector: from a file, a data folder, or an archive."""
    if "://" in data or not (Path(data) / "ledger").is_dir():
        return accepted(read_recorded(reference, data), settings.max_refused)
    detector = load_detector(reference)
    with open_archive(msgspec.structs.replace(settings, data=Path(data), ledger=None)) as archive:
        frame = as_recorded(frames_of(archive, detector.name), detector)
    return accepted(replace(read(frame, detector), name=data), settings.max_refused)


def _of_its_name(candidate: Detector) -> str:
    if candidate.name not in installed():
        raise ConfigurationError(
            f"the data does not say what was decided, and no detector {candidate.name!r} is installed; name what decides"
            " now: --champion FILE.py"
        )
    return candidate.name


def _replayed(detector: Detector, models: Path | None, recorded: Recorded) -> BacktestSide:
    ensemble: Ensemble | None = None if models is None else load_champion(models, detector.name)
    return replayed_side(detector, ensemble, recorded)
