"""Trials of models: requests of people, checked against the registry."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from penstock.clock import to_us
from penstock.database import Database
from penstock.decision.guard import guards_of
from penstock.detector import Detector
from penstock.engine import Challenger
from penstock.engine.pipeline import check_keys
from penstock.engine.trials.challenger import InTrial
from penstock.errors import BundleError, Conflict, NotFound, PenstockError, RegistryError
from penstock.governance.approvals import Request
from penstock.governance.features import SCHEMA
from penstock.governance.model_trials import ModelTrial, ModelTrials
from penstock.governance.stored_detector import with_active_features
from penstock.models import Ensemble, load_bundle
from penstock.models.bundle_store import way_back
from penstock.offline.registry import Registry, RegistryEntry, find, fitting
from penstock.offline.thresholds import rewrite
from penstock.rules import KeyShare

_AGAIN_S = 5.0
"""Seconds before a challenger that could not be loaded is retried; the end of its trial applies at once."""

_log = logging.getLogger("penstock.models")


class Ended(msgspec.Struct, frozen=True):
    """The result of going back. action: `rollback` of a trial, or `return` to the former champion; version: the one rolled
    back; champion: the one that decides now.
    """

    action: str
    version: str
    champion: str | None


class Challengers:
    """The models of one detector and their trials.

    Args:
        database: of the office.
        detector: whose.
        registry: the store of versions and aliases.
        four_eyes: requests of the person who began a trial wait for another person.

    A version may be given by its full name, a prefix, the registry's number or an alias.
    """

    def __init__(self, database: Database, detector: Detector, registry: Registry, *, four_eyes: bool = False) -> None:
        self._detector, self._registry = detector, registry
        self._database = database
        database.prepare(SCHEMA)
        self.trials = ModelTrials(database, detector.name, four_eyes=four_eyes)
        self._loaded: dict[str, Ensemble] = {}

    def versions(self) -> list[RegistryEntry]:
        """All versions, oldest first, with aliases and test figures."""
        return self._registry.entries(self._detector.name)

    @property
    def champion(self) -> str | None:
        """The version that decides."""
        return self._registry.alias(self._detector.name, "champion")

    def shadow(self, version: str, *, who: str, why: str = "", guards: Sequence[Mapping[str, Any]] | None = None) -> ModelTrial:
        """Start a shadow trial: the version scores the same events as the champion, and decides nothing.

        Raises:
            NotFound: there is no such version.
            BundleError: it does not fit the detector.
            DeclarationError: an invalid guard.
            Conflict: it is the champion, or too many trials run.
        """
        found, given = self._fitting(version, None), _checked(guards)
        trial = self.trials.shadow(found, champion=self.champion, who=who, why=why, guards=given)
        self._point()
        return trial

    def rollout(
        self,
        version: str,
        *,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[Mapping[str, Any]] | None = None,
    ) -> ModelTrial | Request:
        """Start a rollout: the version decides for a share of the keys of a text field or feature, under guards.

        Returns:
            the trial, or a request that waits for another person.

        Raises:
            NotFound, BundleError, DeclarationError, Conflict: as `shadow`; invalid keys; another is rolled out.
            MalformedEvent: an invalid percentage.
        """
        found, given = self._fitting(version, share_of), _checked(guards)
        share: dict[str, Any] = {"percent": percent, "share_of": share_of}
        done = self.trials.rollout(found, champion=self.champion, **share, who=who, why=why, guards=given)
        self._point()
        return done

    def promote(self, version: str | None = None, *, who: str, why: str = "") -> str | Request:
        """Promote a version, by default the only one in trial.

        Returns:
            the version, or a request that waits for another person.

        Raises:
            NotFound: there is no such version.
            BundleError: it does not fit the detector.
            Conflict: no version was named, and none is in trial, or several are.
        """
        found = self._fitting(version or self._only(), None)
        if found == self.champion:
            return found
        request = self.trials.promote(found, who=who, why=why, then=lambda: self._make_champion(found))
        return request or found

    def set_thresholds(
        self, version: str, *, review_at: float, block_at: float, who: str, why: str = ""
    ) -> tuple[str, str | Request]:
        """Let the champion decide by other thresholds: they are a version of their own, with the same models, that is promoted.

        So decisions name it, they can be verified, and `rollback` returns to the thresholds before.

        Returns:
            the new version, and the champion, or a request that waits for another person.

        Raises:
            NotFound: there is no such version.
            ConfigurationError: the thresholds are no probabilities, or out of order.
            Conflict: it is not the champion; the policy of the detector declares others, which would win; or they are in force.
        """
        found, wanted = self._fitting(version, None), {"review_at": review_at, "block_at": block_at}
        self._check_thresholds(found, wanted)
        made = rewrite(self._registry.folder, self._detector.name, found, wanted)
        self._registry.publish(self._detector.name, made)
        return made, self.promote(made, who=who, why=f"review from {review_at:g}, block from {block_at:g}. {why}".strip())

    def ask(self, version: str, action: str, *, who: str, why: str = "", **details: Any) -> Request:
        """Request a promotion or rollout, for those who may not make it themselves.

        Raises:
            NotFound, BundleError, DeclarationError, MalformedEvent: it is not possible.
        """
        found = self._fitting(version, details.get("of") if action == "rollout" else None)
        return self.trials.ask(found, action, who=who, why=why, **details)

    def approve(self, id: str, *, who: str, why: str = "") -> Request:
        """Approve a request and apply it.

        Raises:
            NotFound, Conflict: there is no such request, it was settled before, or the approver is its author.
            BundleError: the version no longer fits the detector.
        """
        self._fitting(self.trials.approvals.one(id).name, None)
        settled = self.trials.approve(id, champion=self.champion, who=who, why=why, then=self._make_champion)
        self._point()
        return settled

    def rollback(self, version: str | None = None, *, who: str, why: str = "") -> Ended:
        """End the trial of a version. Without one, undo the last step: end the rollout, else what began or changed last.

        Raises:
            NotFound: there is no such version.
            Conflict: it is not in trial; or nothing is, and there was no champion before.
            BundleError: the former champion no longer fits the detector.
        """
        trial, before = self._to_end(version), self.champion
        if trial is not None and self.stop(trial, who=who, why=why):
            return Ended("rollback", trial.version, before)
        past = way_back(self._registry.changes(self._detector.name), before)
        if not past:
            raise Conflict(
                f"detector {self._detector.name!r} has had no champion before {before or 'now'}, and nothing is tried: there is"
                " nothing to return to; `penstock models list` shows what could be promoted"
            )
        self._fitting(past[-1], None)
        name = self._detector.name
        self.trials.rolled_back(
            past[-1], who=who, why=why, then=lambda: self._registry.set_champion(name, past[-1], "rolled back")
        )
        return Ended("return", str(before), past[-1])

    def stop(self, trial: ModelTrial, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; returns whether it did."""
        stopped = self.trials.stop(trial.id, who=who, why=why)
        if stopped:
            self._point()
        return stopped

    def adopt(self) -> None:
        """Start a shadow trial of a version that became challenger by its alias alone, as after a retraining."""
        version = self._registry.alias(self._detector.name, "challenger")
        if version is not None:
            self.trials.adopt(version, champion=self.champion)

    def challengers(self) -> tuple[Challenger, ...]:
        """The models in trial, loaded and warm, oldest trial first.

        Raises:
            BundleError: one is damaged, or does not fit the detector.
            RegistryError: the registry does not answer.
        """
        trials = self.trials.running()
        champion = self.champion if any(trial.version not in self._loaded for trial in trials) else None
        tried = [trial for trial in trials if trial.version != champion]
        loaded = {trial.version: self._loaded.get(trial.version) or self._load(trial.version) for trial in tried}
        self._loaded = loaded
        return tuple(Challenger(loaded[trial.version], share_of(self._detector, trial)) for trial in tried)

    # ---- inside

    def _load(self, version: str) -> Ensemble:
        ensemble = fitting(self._registry, self._detector, version)
        ensemble.warm()
        return ensemble

    def _only(self) -> str:
        """The version in trial, if it is the only one."""
        versions = [trial.version for trial in self.trials.running()]
        if len(versions) != 1:
            what = f"{len(versions)} versions" if versions else "no version"
            raise Conflict(f"{what} of {self._detector.name!r} {'are' if versions else 'is'} tried; name the one to promote")
        return versions[0]

    def _to_end(self, version: str | None) -> ModelTrial | None:
        """The trial that a rollback ends; None if it leads to the former champion."""
        trials = self.trials.running()
        if version is not None:
            found = find_version(self._registry, version, self._detector.name)
            trial = next((each for each in trials if each.version == found), None)
            if trial is None:
                raise Conflict(f"version {found} of {self._detector.name!r} is not tried, so there is nothing to roll back")
            return trial
        rolled = [trial for trial in trials if trial.state == "rollout"]
        changes = self._registry.changes(self._detector.name)
        crowned_us = to_us(datetime.fromisoformat(changes[-1].at)) if changes else 0
        began_later = [trial for trial in trials if trial.at_us >= crowned_us]
        return next(iter([*rolled, *reversed(began_later)]), None)

    def _fitting(self, version: str, share_of: str | None) -> str:
        found = find_version(self._registry, version, self._detector.name)
        detector = with_active_features(self._database, self._detector)
        ensemble = fitting(self._registry, detector, found)
        if share_of is not None:
            check_keys(detector, Challenger(ensemble, KeyShare(share_of, 0, 1)))
        return found

    def _check_thresholds(self, version: str, wanted: Mapping[str, float]) -> None:
        if version != self.champion:
            raise Conflict(
                f"version {version} does not decide; promote it first, or name the champion, {self.champion or 'of none'}"
            )
        policy = self._detector.policy.thresholds(wanted)
        if (policy.review_at, policy.block_at) != (wanted["review_at"], wanted["block_at"]):
            raise Conflict(
                f"the policy of {self._detector.name!r} declares thresholds that win over these: review from"
                f" {policy.review_at:g}, block from {policy.block_at:g} would be in force; leave them out of Policy(...)"
            )
        now = load_bundle(self._registry.fetch(self._detector.name, version)).thresholds
        if all(now.get(name) == value for name, value in wanted.items()):
            raise Conflict(f"version {version} decides by these thresholds already")

    def _make_champion(self, version: str) -> None:
        self._registry.set_champion(self._detector.name, version, "promoted")

    def _point(self) -> None:
        """Set the registry's alias to the version in rollout, else to the newest in trial; if that fails, the office counts."""
        trials = sorted(self.trials.running(), key=lambda trial: (trial.state == "rollout", trial.at_us))
        version = trials[-1].version if trials else None
        try:
            self._registry.challenge(self._detector.name, version)
        except PenstockError as error:
            _log.warning("the alias `challenger` of %s is not up to date: %s", self._detector.name, error)


def find_version(registry: Registry, version: str, detector: str) -> str:
    """The full name of a version.

    Raises:
        NotFound: there is no such version.
    """
    try:
        return find(registry, version, detector).version
    except BundleError as error:
        raise NotFound(str(error)) from error


def share_of(detector: Detector, trial: ModelTrial) -> KeyShare | None:
    """The keys that a trial's version decides for: the same ones for every version of a detector's models."""
    if trial.state != "rollout":
        return None
    return KeyShare(trial.share_of, 0.0, trial.percent, f"models of {detector.name}")


def _checked(guards: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Guards in their stored form."""
    if guards is None:
        return None
    found: list[dict[str, Any]] = msgspec.to_builtins(guards_of(list(guards)))
    return found


class ChallengerSource:
    """The challengers of a detector for engines that follow them, loaded whenever their revision has changed.

    Adopts the registry's challenger every `adopt_every_s`; one that cannot be loaded is tried again later.
    """

    def __init__(self, challengers: Challengers, adopt_every_s: float) -> None:
        self._challengers, self._adopt_every_s = challengers, adopt_every_s
        self._adopted_s = -float("inf")
        self._failed, self._failed_s = -1, 0.0

    def newer(self, revision: int) -> InTrial | None:
        """The challengers to try, all of them; None if their revision is this one."""
        now_s = time.monotonic()
        if now_s - self._adopted_s > self._adopt_every_s:
            self._adopted_s = now_s
            self._adopt()
        found = self._challengers.trials.revision()  # read first: if it changes in between, it is read once more
        if found == revision or (found == self._failed and now_s - self._failed_s < _AGAIN_S):
            return None
        try:
            return InTrial(found, self._challengers.challengers())
        except PenstockError:
            self._failed, self._failed_s = found, now_s
            raise

    def _adopt(self) -> None:
        """Adopt the registry's challenger; an unreachable registry must not keep a trial from ending."""
        try:
            self._challengers.adopt()
        except RegistryError as error:
            _log.debug("which version is the challenger cannot be had: %s", error)
