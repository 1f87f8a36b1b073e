"""The model registry: versions of bundles, the champion, and rollback.

A port and its reference implementation, the folder of bundles. A remote registry hands out a local folder with the
requested bundle, so serving needs no client of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from penstock.clock import Clock, system_clock
from penstock.errors import BundleError, did_you_mean
from penstock.models.bundle import MANIFEST, load_bundle, read_manifest
from penstock.models.bundle_store import Alias, Change, Why, alias, history, point, promote, versions, way_back

if TYPE_CHECKING:
    from penstock.detector import Detector
    from penstock.models import Ensemble
    from penstock.offline.trained import Trained

SHORTEST = 4
"""So many characters of a version must be given at least."""


class RegistryEntry(msgspec.Struct, frozen=True):
    """One version of a detector's models. number: the registry's own count, where it counts. figures: of its test."""

    detector: str
    version: str
    created_at: str
    aliases: tuple[str, ...] = ()
    number: int | None = None
    figures: Mapping[str, float | None] = {}


class Registry(Protocol):
    """Keeps versions and aliases. Methods may wait for a disk or a network, and raise `RegistryError` where that fails."""

    @property
    def folder(self) -> Path:
        """The folder of bundles that `fetch` fills: `<folder>/<detector>/<version>/`."""
        ...

    def detectors(self) -> list[str]:
        """The names of the detectors that have versions, sorted."""
        ...

    def entries(self, detector: str) -> list[RegistryEntry]:
        """Every version of a detector, oldest first; [] where the detector is not known."""
        ...

    def alias(self, detector: str, name: Alias) -> str | None:
        """The version that an alias stands for, None where it stands for none. Cheap enough to ask every few seconds."""
        ...

    def fetch(self, detector: str, version: str) -> Path:
        """The folder with this bundle, which is there as a whole when this returns.

        Raises:
            BundleError: there is no such version, or it was damaged on its way.
        """
        ...

    def publish(self, detector: str, version: str, attached: Mapping[str, str] | None = None) -> None:
        """Add the bundle in `folder`; an existing version stays unchanged.

        attached: texts to store with it, by file name, such as the report's page; a registry may have no place for them.
        """
        ...

    def set_champion(self, detector: str, version: str, why: Why) -> None:
        """Make a published version the champion, and record the change. A concurrent reader sees the old one or the new."""
        ...

    def challenge(self, detector: str, version: str | None) -> None:
        """Let `challenger` stand for a published version, or for none."""
        ...

    def changes(self, detector: str) -> list[Change]:
        """Every change of the champion, oldest first."""
        ...


class FolderRegistry:
    """A folder of bundles, as `penstock train --save` writes it: the reference, and the default."""

    def __init__(self, folder: Path, *, clock: Clock = system_clock) -> None:
        self._folder, self._clock = Path(folder), clock

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._folder

    def detectors(self) -> list[str]:
        """Those with a bundle."""
        return sorted({path.parent.parent.name for path in self.folder.glob(f"[!.]*/[!.]*/{MANIFEST}")})

    def entries(self, detector: str) -> list[RegistryEntry]:
        """Every bundle, oldest first."""
        named: dict[str, list[str]] = {}
        for name in ("champion", "challenger"):
            named.setdefault(alias(self.folder, detector, name) or "", []).append(name)
        found = []
        for each in versions(self.folder, detector):
            figures = read_manifest(each.path)["metrics"].get("test", {})
            found.append(
                RegistryEntry(detector, each.version, each.created_at, tuple(named.get(each.version, ())), figures=figures)
            )
        return found

    def alias(self, detector: str, name: Alias) -> str | None:
        """The version in the file of this name."""
        return alias(self.folder, detector, name)

    def fetch(self, detector: str, version: str) -> Path:
        """The folder in which the bundle lies."""
        if not (self.folder / detector / version / MANIFEST).is_file():
            known = did_you_mean(version, [each.version for each in versions(self.folder, detector)])
            raise BundleError(f"detector {detector!r} has no model version {version!r} in {self.folder}.{known}")
        return self.folder / detector / version

    def publish(self, detector: str, version: str, attached: Mapping[str, str] | None = None) -> None:
        """Nothing: it lies there already."""

    def set_champion(self, detector: str, version: str, why: Why) -> None:
        """Write the file `champion`, and a line of history."""
        promote(self.folder, detector, version, why=why, clock=self._clock)

    def challenge(self, detector: str, version: str | None) -> None:
        """Write the file `challenger`."""
        point(self.folder, detector, "challenger", version)

    def changes(self, detector: str) -> list[Change]:
        """The lines of history."""
        return history(self.folder, detector)


# ---------------------------------------------------------------- what one does with a registry


def register(
    registry: Registry,
    detector: Detector,
    trained: Trained,
    *,
    make_champion: bool = False,
    attached: Callable[[Trained], Mapping[str, str]] | None = None,
    clock: Clock = system_clock,
) -> Trained:
    """Store the trained models as a version; the first one that fits the detector becomes its champion.

    No version becomes champion while one of its inputs alone separates the classes and is not confirmed to be known in
    time.

    attached: makes the texts that are stored with it, by file name, once its version is known.
    """
    from penstock.offline.trained import bundled

    kept = bundled(detector, trained, registry.folder, clock=clock)
    version = kept.report.model_version
    assert version is not None
    registry.publish(detector.name, version, attached(kept) if attached is not None else None)
    if not kept.report.unconfirmed and (make_champion or champion_of(registry, detector) is None):
        registry.set_champion(detector.name, version, "promoted")
    return replace(kept, report=replace(kept.report, champion=registry.alias(detector.name, "champion")))


def champion_of(registry: Registry, detector: Detector) -> Ensemble | None:
    """The champion's models if they fit the detector, or None."""
    version = registry.alias(detector.name, "champion")
    if version is None:
        return None
    try:
        return fitting(registry, detector, version)
    except BundleError:
        return None


def fitting(registry: Registry, detector: Detector, version: str) -> Ensemble:
    """The ensemble of a version.

    Raises:
        BundleError: it does not exist, it is damaged, or it reads other features than the detector computes.
    """
    from penstock.engine.pipeline import check_fits

    ensemble = load_bundle(registry.fetch(detector.name, version))
    check_fits(detector, ensemble)
    return ensemble


def promote_to(registry: Registry, detector: Detector, version: str, name: Alias = "champion") -> None:
    """Make a version the champion or the challenger.

    Raises:
        BundleError: there is no such version, or it does not fit the detector; the champion stays.
    """
    fitting(registry, detector, version)
    if name == "champion":
        registry.set_champion(detector.name, version, "promoted")
    else:
        registry.challenge(detector.name, version)


def roll_back(registry: Registry, detector: Detector) -> str:
    """Return to the champion before this one; the version that decides now.

    Raises:
        BundleError: there was none before, or it no longer fits the detector.
    """
    current = registry.alias(detector.name, "champion")
    past = way_back(registry.changes(detector.name), current)
    if not past:
        raise BundleError(
            f"detector {detector.name!r} has had no champion before {current or 'now'}: there is nothing to return to; "
            "`penstock models list` shows what could be promoted"
        )
    fitting(registry, detector, past[-1])
    registry.set_champion(detector.name, past[-1], "rolled back")
    return past[-1]


def find(registry: Registry, text: str, detector: str | None = None) -> RegistryEntry:
    """The version named in full, by its first characters, by the registry's number, or by an alias.

    Raises:
        BundleError: it does not exist, or several.
    """
    names = [detector] if detector is not None else registry.detectors()
    every = [entry for name in names for entry in registry.entries(name)]
    found = [entry for entry in every if _means(text, entry)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BundleError(f"there is no model version {text!r}.{did_you_mean(text, [entry.version for entry in every])}")
    said = ", ".join(f"{entry.version} of {entry.detector}" for entry in found)
    raise BundleError(f"{text!r} could be {said}; give more of it, or name the detector: --detector NAME")


def _means(text: str, entry: RegistryEntry) -> bool:
    prefix = len(text) >= SHORTEST and entry.version.startswith(text)
    return prefix or text in entry.aliases or text == str(entry.number)


def compare(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of two manifests side by side, and whether they were measured on the same events."""
    figures = [manifest["metrics"].get("test", {}) for manifest in (left, right)]
    names = list(dict.fromkeys(name for each in figures for name in each))
    same = all(left["training"].get(what) == right["training"].get(what) for what in ("data", "rows", "fraud")) and (
        _test_of(left) == _test_of(right)
    )
    return {
        "versions": [left["version"], right["version"]],
        "same_test": same,
        "figures": {name: [each.get(name) for each in figures] for name in names},
        "weights": [_weights(manifest["members"]) for manifest in (left, right)],
        "thresholds": [left["thresholds"], right["thresholds"]],
        "features": {
            "only_first": sorted(set(left["features"]) - set(right["features"])),
            "only_second": sorted(set(right["features"]) - set(left["features"])),
        },
    }


def _test_of(manifest: Mapping[str, Any]) -> Any:
    return manifest["training"].get("periods", {}).get("test")


def _weights(members: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    total = sum(member["weight"] for member in members)
    return {member["name"]: member["weight"] / total for member in members}
