"""Trials of models: what people ask for, the registry beside it, and what whoever decides asks for the challenger."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.assemble.features import grown
from penstock.assemble.registries import open_registry
from penstock.config import Settings
from penstock.decision.guard import guards_of
from penstock.detector import Detector
from penstock.engine import Challenger
from penstock.engine.path import check_keys
from penstock.engine.trying import InTrial, NewerTrial
from penstock.errors import BundleError, Conflict, NotFound, PenstockError, RegistryError
from penstock.models import Ensemble
from penstock.models.shelf import way_back
from penstock.office import Database
from penstock.office.feature_versions import SCHEMA
from penstock.office.model_trials import ModelTrial, ModelTrials
from penstock.offline.registry import Entry, Registry, find, fitting
from penstock.rules import Share

_AGAIN_S = 5.0
"""After so long a challenger that could not be loaded is asked for again; what ends its trial is heard of at once."""

_log = logging.getLogger("penstock.models")


class Ended(msgspec.Struct, frozen=True):
    """What going back did. action: `rollback` of a trial, or `return` to the champion before; version: that was rolled back;
    champion: which decides now.
    """

    action: str
    version: str
    champion: str | None


class Challengers:
    """The models of one detector and their trials.

    Args:
        database: of the office.
        detector: whose.
        registry: where versions and aliases are.
        four_eyes: whoever began a trial does not promote its version.

    Every version may be named in full, by its first characters, by the registry's number or by an alias.
    """

    def __init__(self, database: Database, detector: Detector, registry: Registry, *, four_eyes: bool = False) -> None:
        self._detector, self._registry, self._four_eyes = detector, registry, four_eyes
        self._database = database
        database.prepare(SCHEMA)
        self.trials = ModelTrials(database, detector.name)
        self._loaded: Ensemble | None = None

    def versions(self) -> list[Entry]:
        """Every version, oldest first, with its aliases and what it was worth on its test."""
        return self._registry.entries(self._detector.name)

    @property
    def champion(self) -> str | None:
        """The version that decides."""
        return self._registry.alias(self._detector.name, "champion")

    def shadow(self, version: str, *, who: str, why: str = "", guards: Sequence[Mapping[str, Any]] | None = None) -> ModelTrial:
        """Let a version score beside the champion, and decide nothing.

        Raises:
            NotFound: there is none.
            BundleError: it does not fit the detector.
            DeclarationError: a guard is none.
            Conflict: it is the champion.
        """
        found, given = self._fitting(version, None), _checked(guards)
        return self._began(self.trials.shadow(found, champion=self.champion, who=who, why=why, guards=given))

    def rollout(
        self,
        version: str,
        *,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[Mapping[str, Any]] | None = None,
    ) -> ModelTrial:
        """Let a version decide for a share of the keys of a text field or feature; guards watch it.

        Raises:
            NotFound, BundleError, DeclarationError, Conflict: as `shadow`; or the keys cannot be shared out.
            MalformedEvent: the percentage is none.
        """
        found, given = self._fitting(version, share_of), _checked(guards)
        return self._began(
            self.trials.rollout(
                found, champion=self.champion, percent=percent, share_of=share_of, who=who, why=why, guards=given
            )
        )

    def promote(self, version: str | None = None, *, who: str, why: str = "") -> str:
        """Let a version, or the one that is tried, decide everything; which that is.

        Raises:
            NotFound: there is none.
            BundleError: it does not fit the detector.
            Conflict: nothing is tried; or four eyes are asked for, and whoever began the trial would end it so.
        """
        running = self.trials.running()
        if version is None and running is None:
            raise Conflict(f"no version of {self._detector.name!r} is tried; name the one to promote")
        found = self._fitting(version or str(running and running.version), None)
        if found != self.champion:
            self.trials.promote(found, who=who, why=why, then=lambda: self._crown(found), four_eyes=self._four_eyes)
        return found

    def rollback(self, *, who: str, why: str = "") -> Ended:
        """Undo the last step: end the trial that runs; where none does, return to the champion before this one.

        Raises:
            Conflict: nothing is tried, and there was no champion before.
            BundleError: that no longer fits the detector.
        """
        running, before = self.trials.running(), self.champion
        if running is not None and self.stop(running, who=who, why=why):
            return Ended("rollback", running.version, before)
        past = way_back(self._registry.changes(self._detector.name), before)
        if not past:
            raise Conflict(
                f"detector {self._detector.name!r} has had no champion before {before or 'now'}, and nothing is tried: there is"
                " nothing to return to; `penstock models list` shows what could be promoted"
            )
        self._fitting(past[-1], None)
        name = self._detector.name
        self.trials.rolled_back(past[-1], who=who, why=why, then=lambda: self._registry.crown(name, past[-1], "rolled back"))
        return Ended("return", str(before), past[-1])

    def stop(self, trial: ModelTrial, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; whether it did."""
        stopped = self.trials.stop(trial.id, who=who, why=why)
        if stopped:
            self._point(None)
        return stopped

    def adopt(self) -> None:
        """Watch what became the challenger by its alias alone, as a retraining makes it."""
        version = self._registry.alias(self._detector.name, "challenger")
        if version is not None:
            self.trials.adopt(version, champion=self.champion)

    def challenger(self) -> Challenger | None:
        """What is tried by now, loaded and warm; None where nothing is.

        Raises:
            BundleError: it is damaged, or does not fit the detector.
            RegistryError: the registry does not answer.
        """
        trial = self.trials.running()
        if trial is None:
            return None
        if self._loaded is None or self._loaded.version != trial.version:
            if trial.version == self.champion:
                return None
            self._loaded = fitting(self._registry, self._detector, trial.version)
            self._loaded.warm()
        return Challenger(self._loaded, share_of(self._detector, trial))

    # ---- inside

    def _fitting(self, version: str, share_of: str | None) -> str:
        try:
            found = find(self._registry, version, self._detector.name).version
        except BundleError as error:
            raise NotFound(str(error)) from error
        detector = grown(self._database, self._detector)
        ensemble = fitting(self._registry, detector, found)
        if share_of is not None:
            check_keys(detector, Challenger(ensemble, Share(share_of, 0, 1)))
        return found

    def _began(self, trial: ModelTrial) -> ModelTrial:
        self._point(trial.version)
        return trial

    def _crown(self, version: str) -> None:
        self._registry.crown(self._detector.name, version, "promoted")

    def _point(self, version: str | None) -> None:
        """Let the alias say what the drawer does; where that fails, the drawer counts."""
        try:
            self._registry.challenge(self._detector.name, version)
        except PenstockError as error:
            _log.warning("the alias `challenger` of %s is not up to date: %s", self._detector.name, error)


def share_of(detector: Detector, trial: ModelTrial) -> Share | None:
    """The keys that a trial's version decides for: the same ones for every version of a detector's models."""
    if trial.state != "rollout":
        return None
    return Share(trial.share_of, 0.0, trial.percent, f"models of {detector.name}")


def newer_challengers(database: Database, detectors: Sequence[Detector], settings: Settings) -> dict[str, NewerTrial]:
    """For each detector that declares models, what a process that decides asks for the challenger."""
    registry = open_registry(settings)
    return {
        detector.name: _following(Challengers(database, detector, registry), settings.follow_every_s)
        for detector in detectors
        if detector.models
    }


def _following(challengers: Challengers, adopt_every_s: float) -> NewerTrial:
    adopted_s, failed, failed_s = -float("inf"), -1, 0.0

    def newer(revision: int) -> InTrial | None:
        nonlocal adopted_s, failed, failed_s
        now_s = time.monotonic()
        if now_s - adopted_s > adopt_every_s:
            adopted_s = now_s
            _adopt(challengers)
        found = challengers.trials.revision()  # before the rest: if that changes in between, it is read once more
        if found == revision or (found == failed and now_s - failed_s < _AGAIN_S):
            return None
        try:
            return InTrial(found, challengers.challenger())
        except PenstockError:
            failed, failed_s = found, now_s
            raise

    return newer


def _adopt(challengers: Challengers) -> None:
    """A registry that does not answer must not keep a trial from ending."""
    try:
        challengers.adopt()
    except RegistryError as error:
        _log.debug("which version is the challenger cannot be had: %s", error)


def _checked(guards: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Guards as the drawer keeps them."""
    if guards is None:
        return None
    found: list[dict[str, Any]] = msgspec.to_builtins(guards_of(list(guards)))
    return found
