"""A folder of bundles: the versions, the champion and the challenger, and the history of champions.

MODELS/<detector>/<version>/...      bundles; see `penstock.models.bundle`
MODELS/<detector>/champion           one line: the version that decides
MODELS/<detector>/challenger         one line, where there is one: the version compared with it
MODELS/<detector>/history.ndjson     a line for every champion there was: since when, which, and why
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from penstock.clock import Clock, iso, system_clock
from penstock.decoding import prepared
from penstock.errors import BundleError, did_you_mean
from penstock.models.bundle import MANIFEST, RETRAIN, load_bundle, read_manifest, sync, write_line

if TYPE_CHECKING:
    from penstock.models.ensemble import Ensemble

Alias = Literal["champion", "challenger"]
"""Aliases of versions: the deciding one, and the one compared with it."""

Why = Literal["promoted", "rolled back"]
"""How a version became the champion."""

_HISTORY = "history.ndjson"


class Version(NamedTuple):
    """One bundle of a detector."""

    version: str
    created_at: str
    path: Path
    champion: bool


class Change(msgspec.Struct, frozen=True):
    """When which version became the champion, and how."""

    at: str
    version: str
    why: Why


# ---------------------------------------------------------------- who decides


def promote(models_dir: Path, detector: str, version: str, *, why: Why = "promoted", clock: Clock = system_clock) -> None:
    """Make a version the champion: the one that decides. Readers see the old one or the new one.

    Raises:
        BundleError: there is no such version.
    """
    before = champion(models_dir, detector)
    if version == before:
        return
    point(models_dir, detector, "champion", version)
    known = history(models_dir, detector)
    changes = [Change(iso(clock()), version, why)]
    if before is not None and (not known or known[-1].version != before):  # it became champion by hand
        changes.insert(0, Change(changes[0].at, before, "promoted"))
    with (Path(models_dir) / detector / _HISTORY).open("ab") as file:
        file.writelines(msgspec.json.encode(change) + b"\n" for change in changes)
        file.flush()
        os.fsync(file.fileno())
    if alias(models_dir, detector, "challenger") == version:
        point(models_dir, detector, "challenger", None)


def point(models_dir: Path, detector: str, name: Alias, version: str | None) -> None:
    """Let an alias stand for a version, or for none.

    Raises:
        BundleError: there is no such version.
    """
    home = Path(models_dir) / detector
    if version is None:
        (home / name).unlink(missing_ok=True)
        return
    if not (home / version / MANIFEST).is_file():
        known = did_you_mean(version, [each.version for each in versions(models_dir, detector)])
        raise BundleError(f"detector {detector!r} has no model version {version!r} in {models_dir}.{known}")
    descriptor, fresh = tempfile.mkstemp(prefix=f".{name}-", dir=home)
    os.close(descriptor)
    write_line(Path(fresh), version)
    Path(fresh).chmod(0o644)
    Path(fresh).replace(home / name)
    sync(home)


def alias(models_dir: Path, detector: str, name: Alias) -> str | None:
    """The version that an alias stands for. Cheap enough to ask every second."""
    try:
        return (Path(models_dir) / detector / name).read_text().strip() or None
    except FileNotFoundError:
        return None


def champion(models_dir: Path, detector: str) -> str | None:
    """The version that decides, or None. Cheap enough to call every second."""
    return alias(models_dir, detector, "champion")


def load_champion(models_dir: Path, detector: str, *, expect_fingerprint: str | None = None) -> Ensemble:
    """The champion's ensemble of a detector.

    Raises:
        BundleError: it does not exist, or as for `load_bundle`.
    """
    version = champion(models_dir, detector)
    if version is None:
        raise BundleError(
            f"there is no trained model for detector {detector!r} in {models_dir}; {RETRAIN.format(detector=detector)}"
        )
    return load_bundle(Path(models_dir) / detector / version, expect_fingerprint=expect_fingerprint)


# ---------------------------------------------------------------- what there is


def versions(models_dir: Path, detector: str) -> list[Version]:
    """Every bundle of a detector, oldest first."""
    home = Path(models_dir) / detector
    current = champion(models_dir, detector)
    found = [
        Version(path.parent.name, read_manifest(path.parent)["created_at"], path.parent, path.parent.name == current)
        for path in home.glob(f"[!.]*/{MANIFEST}")
    ]
    return sorted(found, key=lambda each: (each.created_at, each.version))


def history(models_dir: Path, detector: str) -> list[Change]:
    """Every change of the champion, oldest first."""
    try:
        lines = (Path(models_dir) / detector / _HISTORY).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=prepared(Change)))
        except msgspec.MsgspecError:  # the line that a power cut left behind
            continue
    return found


def way_back(changes: Sequence[Change], current: str | None) -> list[str]:
    """The champions available for a rollback, oldest first; those rolled back are left out.

    >>> seen = [Change("t1", "a", "promoted"), Change("t2", "b", "promoted"), Change("t3", "c", "promoted")]
    >>> way_back(seen, "c")
    ['a', 'b']
    >>> way_back([*seen, Change("t4", "b", "rolled back")], "b")
    ['a']
    """
    past: list[str] = []
    for change in changes:
        if change.why == "rolled back" and change.version in past:
            del past[past.index(change.version) + 1 :]
        else:
            past = [version for version in past if version != change.version] + [change.version]
    return [version for version in past if version != current]
