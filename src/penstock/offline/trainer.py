"""The trainer: trains when a detector has no models, on schedule, on drift, or on request.

A training on request may make its result the champion. One by schedule or drift only makes it the challenger: models
fitted to last week's attacks or to a broken source must be watched before they decide.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from penstock.clock import Clock, system_clock, to_us
from penstock.detector import Detector
from penstock.errors import DataError, PenstockError
from penstock.models import Ensemble, metrics
from penstock.models.port import Vector
from penstock.offline.options import Options
from penstock.offline.registry import Registry, champion_of, register
from penstock.offline.train import run
from penstock.offline.trained import Trained

FEWEST_FRAUDS = 30
"""A champion that has seen events of the test is compared on the rest of it, where so many frauds are left."""

Promotion = Literal["better", "always", "never"]
"""When what was asked for shall decide: where its average precision is higher on the same test, in any case, or when a
person says so. Where nothing decides yet, it decides in any case."""

SCHEDULE = "schedule"

RETRY_S = 60.0
"""After a training that failed, the next one is tried so much later."""

LOOK_S = 0.5
"""So often a trainer looks whether somebody asks for a training."""


class Round(msgspec.Struct, frozen=True):
    """The result of one training.

    why: its cause. version: the trained one. champion: the version that decides afterwards, challenger: the version
    compared with it. average_precision: on the test, or on the part of it that the previous champion has not learned from.
    champion_average_precision: of that champion, on the same events; None where there was none. notes: caveats.
    """

    why: str
    version: str
    champion: str | None
    average_precision: float | None
    champion_average_precision: float | None = None
    notes: list[str] = []
    challenger: str | None = None

    @property
    def decides(self) -> bool:
        """Whether the trained version is the champion."""
        return self.champion == self.version


@dataclass(frozen=True)
class Trainer:
    """Trainer of one detector on a growing file.

    data: read anew for each training. attached: see `registry.register`.
    """

    detector: Detector
    data: Path
    registry: Registry
    options: Options = field(default_factory=Options)
    promotion: Promotion = "better"
    attached: Callable[[Trained], dict[str, str]] | None = None
    clock: Clock = system_clock

    def train(self, why: str, progress: Callable[[float], None] = lambda _share: None, *, by_itself: bool = False) -> Round:
        """Train once and store the version; by schedule or drift it only becomes the challenger.

        Raises:
            DataError: the file cannot be learned from, or not yet. RegistryError: the result cannot be kept.
        """
        trained = run(self.detector, self.data, self.options, progress=lambda _what, share: progress(share))
        before = champion_of(self.registry, self.detector)
        worth = trained.report.test.get("average_precision")
        held, ours, notes = (None, worth, []) if before is None else self._hold(before, trained)
        better = held is None or (ours is not None and ours > held)
        chosen = not by_itself and (self.promotion == "always" or (self.promotion == "better" and better))
        kept = register(
            self.registry, self.detector, trained, make_champion=chosen, attached=self.attached, clock=self.clock
        ).report
        assert kept.model_version is not None
        if by_itself and kept.champion == kept.model_version and before is not None:
            notes = ["nothing has changed: the same data gave the champion again"]
        elif by_itself and kept.champion != kept.model_version:
            self.registry.challenge(self.detector.name, kept.model_version)
        challenger = self.registry.alias(self.detector.name, "challenger")
        return Round(
            why,
            kept.model_version,
            kept.champion,
            ours,
            held,
            [*notes, *(leak.text for leak in kept.leaks), *kept.notes],
            challenger,
        )

    def _hold(self, champion: Ensemble, trained: Trained) -> tuple[float | None, float | None, list[str]]:
        """Average precision of the champion and of the trained models on the same events, and reasons to doubt that.

        These are the events of the test that the champion has not learned from; the whole test where too few are left.
        """
        score, fraud, ours = scores_of(champion, trained), trained.test.fraud, trained.scores.ensemble
        if score is None:
            worth = trained.report.test.get("average_precision")
            doubt = f"champion {champion.version} reads other features, so it cannot be compared on the same test"
            return None, worth, [doubt]
        seen, notes = _end_of_training(champion), []
        unseen = trained.test.time_us > (-1 if seen is None else seen)
        if fraud[unseen].sum() >= FEWEST_FRAUDS:
            score, fraud, ours = score[unseen], fraud[unseen], ours[unseen]
        elif not unseen.all():
            notes = [f"champion {champion.version} has seen events of this test, which flatters it"]
        return metrics.average_precision(score, fraud), metrics.average_precision(ours, fraud), notes

    # ---- schedule

    def due_us(self, every_us: int | None) -> int | None:
        """The time of the next scheduled training: at once without a champion, else a period after the newest version."""
        if champion_of(self.registry, self.detector) is None:
            return self.clock()
        if every_us is None:
            return None
        made = [to_us(datetime.fromisoformat(entry.created_at)) for entry in self.registry.entries(self.detector.name)]
        return max(made) + every_us

    def attend(
        self,
        *,
        every_us: int | None,
        asked: Callable[[], str | None],
        wait: Callable[[float], bool],
        on_training: Callable[[Round], None],
        failed: Callable[[PenstockError], None],
        drifted: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Train whenever due or requested, until `wait` returns true.

        Args:
            every_us: time between trainings; None: only without a champion, or on request.
            asked: the reason for a requested training, once; None for none.
            wait: sleeps that many seconds; true ends the loop.
            on_training: called with the result of each training.
            failed: called with the error of a failed one, which is repeated later.
            drifted: the drift that calls for a training, once; None for none.
        """
        due_us = self.due_us(every_us)
        while True:
            why, by_itself = asked(), False
            if why is None:
                why, by_itself = self._due(due_us) or drifted(), not self._unserved
            if why is not None:
                try:
                    on_training(self.train(why, by_itself=by_itself))
                    due_us = None if every_us is None else self.clock() + every_us
                except PenstockError as error:
                    failed(error)
                    due_us = self.clock() + round(RETRY_S * 1e6)
            if wait(LOOK_S):
                return

    def _due(self, due_us: int | None) -> str | None:
        if due_us is None or self.clock() < due_us:
            return None
        return "nothing decides yet" if self._unserved else SCHEDULE

    @property
    def _unserved(self) -> bool:
        return champion_of(self.registry, self.detector) is None


def scores_of(champion: Ensemble, trained: Trained) -> Vector | None:
    """The scores of another ensemble on the test of a training; None if it reads features that the test lacks."""
    features = trained.study.features
    if not set(champion.features) <= set(features):
        return None
    encodings = {**trained.ensemble.encodings, **champion.encodings}
    columns = [features.index(name) for name in champion.features]
    return champion.score(trained.test.encoded(encodings, features).x[:, columns]).ensemble


def _end_of_training(champion: Ensemble) -> int | None:
    training = champion.manifest.get("training", {})
    period = (training.get("refit") or {}).get("period") or training.get("periods", {}).get("train")
    try:
        return to_us(datetime.fromisoformat(period[1]))
    except (TypeError, ValueError):  # a bundle that somebody else has made
        return None


def take_request(path: Path) -> bool:
    """Whether the request file for a training exists; it is removed.

    Raises:
        DataError: it is there and cannot be removed.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(f"the request {path} cannot be removed: {error.strerror}; remove it by hand") from error
    return True
