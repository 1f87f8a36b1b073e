"""What is built before a first start: the demo's champion decides, whichever of its two trainings ends first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from penstock import LogisticRegression
from penstock.models import champion, fit_ensemble
from penstock.models.bundle import About, save
from penstock.models.bundle_store import promote, versions
from penstock.wiring import prebuilt


@pytest.mark.parametrize("turn", [1, -1], ids=["champion first", "challenger first"])
def test_the_challenger_of_the_demo_is_kept_and_never_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    trained: dict[str, tuple[int, Path]] = {}

    def trainings(*parts: Sequence[str]) -> None:
        for part in parts[::turn]:
            prebuilt.main(part)

    def keep(folder: Path, seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=(600, 1))
        y = (x[:, 0] > 1).astype(np.float64)
        ensemble = fit_ensemble([LogisticRegression()], x[:400], y[:400], x[400:], y[400:], ["amount"])
        version = save(ensemble, folder, About("banking", "f00d", "2026-01-01T00:00:00Z")).version
        if champion(folder, "banking") is None:  # as `penstock.offline.registry.register` does
            promote(folder, "banking", str(version))
        trained[str(version)] = (seed, folder)

    monkeypatch.setattr(prebuilt, "side_by_side", trainings)
    monkeypatch.setattr(prebuilt, "compile_common", lambda: None)
    monkeypatch.setattr(prebuilt, "_write_one_by_one", lambda: None)
    monkeypatch.setattr(prebuilt, "train_one", lambda _detector, folder, _events: keep(folder, 1))
    monkeypatch.setattr(prebuilt, "train_challenger", lambda folder, _events: keep(folder, 0))
    prebuilt.main(["demo", str(tmp_path), "1000"])
    decides = champion(tmp_path, "banking")
    assert {each.version: each.version == decides for each in versions(tmp_path, "banking")} == {
        version: seed == 1 for version, (seed, _) in trained.items()
    }
    [beside] = [folder for seed, folder in trained.values() if seed == 0]
    assert not beside.exists()
