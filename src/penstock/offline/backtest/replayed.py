"""Recorded decisions extended by features that were not recorded, computed by a replay through the same kernel."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from penstock.detector import Detector
from penstock.errors import DataError
from penstock.ledger.sql import answer
from penstock.offline.archived import archived_events, as_recorded
from penstock.offline.datasets import ROW, accepted, read
from penstock.offline.replay import Replay


class Replayed:
    """Recorded decisions with further features, with the query interface of an archive.

    Args:
        frames: archived rows by kind, from the beginning: see `penstock.offline.archived`.
        detector: declares the features; its rules and models do not matter.
        names: the features to add.
        folder: an empty folder for files, which the caller removes.

    Raises:
        DataError: one of them is no feature, or the rows do not fit the detector.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame], detector: Detector, names: Sequence[str], folder: Path) -> None:
        others = [name for name in names if name not in detector.plan.features]
        if others:
            raise DataError(
                f"{', '.join(others)}: not recorded, and no feature of {detector.name!r} that a replay could compute"
            )
        if not len(frames.get("decisions", ())):
            raise DataError(f"detector {detector.name!r} has decided nothing here; name another data folder or detector")
        self._folder = folder
        self._files: dict[tuple[str, str], list[Path]] = {}
        self._write("decisions", detector.name, _with_features(frames, detector, names))
        if len(frames.get("labels", ())):
            self._write("labels", detector.name, frames["labels"])

    def _write(self, kind: str, detector: str, frame: pl.DataFrame) -> None:
        path = self._folder / f"{kind}.parquet"
        frame.write_parquet(path, compression="uncompressed")
        self._files[detector, kind] = [path]

    def query(self, sql: str) -> pl.DataFrame:
        """The result of one SELECT: see `penstock.ledger.archive.Archive.query`."""
        return answer(sql, self._files, self._folder, [self._folder])


def _with_features(frames: Mapping[str, pl.DataFrame], detector: Detector, names: Sequence[str]) -> pl.DataFrame:
    recorded = accepted(read(as_recorded(frames, detector), detector))
    found, rows = Replay(detector).placed(recorded)
    seqs = archived_events(frames, detector)["seq"].gather(recorded.frame[ROW].gather(rows))
    return (
        frames["decisions"]
        .drop(names, strict=False)
        .join(found.select(seqs, *names), on="seq", how="left", maintain_order="left")
    )
