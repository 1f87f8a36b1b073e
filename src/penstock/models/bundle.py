"""A bundle: one trained ensemble as a folder of open files, verified whenever it is read.

    MODELS/<detector>/<version>/manifest.json        what it is and how it came about; see docs/reference/bundles.md
                               /members/<name>/...   each member's numbers: JSON and .npy, no pickle
    MODELS/<detector>/champion                       one line: the version that decides

A bundle is written beside its place and renamed into it, so it is there as a whole or not at all, and never changes
afterwards. Its version is a digest of its content without the time it was made: the same training gives the same one.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from penstock.errors import BundleError, did_you_mean
from penstock.models.calibration import Calibration
from penstock.models.categories import Encoding
from penstock.models.ensemble import Ensemble, Part
from penstock.models.linear import LinearMember
from penstock.models.onnx import OnnxMember
from penstock.models.port import Member
from penstock.models.trees import TreeMember

FORMAT = 1
"""The manifest's form. A newer one is refused; an older one that can no longer be read would be, too."""

FORMS: dict[str, type[Member]] = {LinearMember.form: LinearMember, TreeMember.form: TreeMember, OnnxMember.form: OnnxMember}
"""How members are served, by the word the manifest uses."""

_MANIFEST = "manifest.json"
_CHAMPION = "champion"
_RETRAIN = "train it again with `penstock train {detector} --data FILE --save`"


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest says beside the ensemble. Plain values that JSON can hold; NaN becomes null.

    created_at: ISO 8601. fingerprint: of the features it reads, as the engine computes it. schema: the detector's event
    as it was. training: period, rows, frauds, data. metrics: the figures of `penstock.models.metrics`.
    """

    detector: str
    created_at: str
    fingerprint: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Version(NamedTuple):
    """One bundle of a detector."""

    version: str
    created_at: str
    path: Path
    champion: bool


# ---------------------------------------------------------------- writing


def save(ensemble: Ensemble, models_dir: Path, about: About) -> Ensemble:
    """Write the ensemble into its place under `models_dir` and return it as a reader will load it.

    A version that is already there is left as it is. Who decides does not change: see `promote`.
    """
    home = Path(models_dir) / about.detector
    home.mkdir(parents=True, exist_ok=True)
    writing = Path(tempfile.mkdtemp(prefix=".writing-", dir=home))
    try:
        version = save_bundle(writing, ensemble, about)
        writing.chmod(0o755)
        if not (home / version / _MANIFEST).exists():
            writing.replace(home / version)
            _sync(home)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return load_bundle(home / version)


def save_bundle(folder: Path, ensemble: Ensemble, about: About) -> str:
    """Write the bundle's files into an empty folder, made durable; the version it got."""
    members = [_export(folder, part) for part in ensemble.parts]
    content = _plain(
        {
            "format": FORMAT,
            "detector": about.detector,
            "fingerprint": about.fingerprint,
            "features": list(ensemble.features),
            "schema": about.schema,
            "members": members,
            "thresholds": ensemble.thresholds,
            "base_rate": ensemble.base_rate,
            "usual": dict(zip(ensemble.features, ensemble.usual.tolist(), strict=True)),
            "training": about.training,
            "metrics": about.metrics,
            "notes": list(ensemble.notes),
            **_encodings(ensemble),
            "files": {str(path.relative_to(folder)): _seal(path) for path in sorted(folder.rglob("*")) if path.is_file()},
        }
    )
    version = _version_of(content)
    _write(
        folder / _MANIFEST, json.dumps(content | {"version": version, "created_at": about.created_at}, indent=1, sort_keys=True)
    )
    return version


def promote(models_dir: Path, detector: str, version: str) -> None:
    """Make a version the champion: the one that decides. Readers see the old one or the new one.

    Raises:
        BundleError: there is no such version.
    """
    home = Path(models_dir) / detector
    if not (home / version / _MANIFEST).is_file():
        known = did_you_mean(version, [each.version for each in versions(models_dir, detector)])
        raise BundleError(f"detector {detector!r} has no model version {version!r} in {models_dir}.{known}")
    descriptor, name = tempfile.mkstemp(prefix=".champion-", dir=home)
    os.close(descriptor)
    _write(Path(name), version)
    Path(name).chmod(0o644)
    Path(name).replace(home / _CHAMPION)
    _sync(home)


def _encodings(ensemble: Ensemble) -> dict[str, Any]:
    """Nothing where there are none: the manifest, and so the version, of a bundle of numbers does not know of texts."""
    found = {name: encoding.to_json() for name, encoding in ensemble.encodings.items()}
    return {"encodings": found} if found else {}


def _export(folder: Path, part: Part) -> dict[str, Any]:
    place = folder / "members" / part.name
    place.mkdir(parents=True)
    return {
        "name": part.name,
        "form": part.member.form,
        "weight": part.weight,
        "declared": dict(part.declared),
        "calibration": part.calibration.to_json(),
        "served": part.member.export(place),
    }


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _seal(path: Path) -> dict[str, Any]:
    _sync(path)
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n")
    _sync(path)


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- reading


def load_bundle(folder: Path, *, expect_fingerprint: str | None = None) -> Ensemble:
    """The ensemble in a folder, every checksum verified.

    Raises:
        BundleError: a file is missing or was changed, the form is newer than this Penstock, or the bundle was made for
            features other than those of `expect_fingerprint`. Names the file and the remedy.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    again = _RETRAIN.format(detector=manifest["detector"])
    for name, seal in manifest["files"].items():
        _check_seal(folder / name, seal, again)
    if expect_fingerprint is not None and manifest["fingerprint"] != expect_fingerprint:
        raise BundleError(
            f"the models in {folder} were trained on features with fingerprint {manifest['fingerprint']}, but the detector "
            f"{manifest['detector']!r} now computes {expect_fingerprint}: a feature they read has changed; {again}"
        )
    usual = [manifest["usual"][name] for name in manifest["features"]]
    return Ensemble(
        [_part(folder, described) for described in manifest["members"]],
        manifest["features"],
        usual=np.array([np.nan if value is None else value for value in usual], np.float64),
        base_rate=manifest["base_rate"],
        thresholds=manifest["thresholds"],
        notes=manifest["notes"],
        encodings={name: Encoding.from_json(each) for name, each in manifest.get("encodings", {}).items()},
        version=manifest["version"],
        fingerprint=manifest["fingerprint"],
        manifest=manifest,
    )


def load_champion(models_dir: Path, detector: str, *, expect_fingerprint: str | None = None) -> Ensemble:
    """The ensemble that decides for a detector.

    Raises:
        BundleError: there is none, or as for `load_bundle`.
    """
    version = champion(models_dir, detector)
    if version is None:
        raise BundleError(
            f"there is no trained model for detector {detector!r} in {models_dir}; {_RETRAIN.format(detector=detector)}"
        )
    return load_bundle(Path(models_dir) / detector / version, expect_fingerprint=expect_fingerprint)


def champion(models_dir: Path, detector: str) -> str | None:
    """The version that decides, None while there is none. Cheap enough to ask every second."""
    try:
        return (Path(models_dir) / detector / _CHAMPION).read_text().strip() or None
    except FileNotFoundError:
        return None


def versions(models_dir: Path, detector: str) -> list[Version]:
    """Every bundle of a detector, oldest first."""
    home = Path(models_dir) / detector
    current = champion(models_dir, detector)
    found = [
        Version(path.parent.name, _manifest(path.parent)["created_at"], path.parent, path.parent.name == current)
        for path in home.glob(f"[!.]*/{_MANIFEST}")
    ]
    return sorted(found, key=lambda each: (each.created_at, each.version))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        form = manifest["format"]
    except FileNotFoundError:
        raise BundleError(
            f"{path} is missing: {folder} is not a model bundle, or it was copied in part; copy the whole folder"
        ) from None
    except (ValueError, KeyError, TypeError) as cause:
        raise BundleError(f"{path} cannot be read as a manifest ({cause}); restore it from a copy, or train again") from None
    if form != FORMAT:
        raise BundleError(
            f"{path} has format {form}, this Penstock reads format {FORMAT}; upgrade Penstock, or train again with this one"
        )
    content = {key: value for key, value in manifest.items() if key not in ("version", "created_at")}
    if _version_of(content) != manifest.get("version"):
        raise BundleError(
            f"{path} was changed by hand or damaged: its checksum is {_version_of(content)}, but it says version "
            f"{manifest.get('version')}; restore it from a copy, or train again"
        )
    return manifest


def _check_seal(path: Path, seal: Mapping[str, Any], again: str) -> None:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise BundleError(f"{path} is missing from the model bundle; restore it from a copy, or {again}") from None
    if digest != seal["sha256"]:
        raise BundleError(
            f"{path} has checksum {digest[:12]}..., but the manifest says {seal['sha256'][:12]}...: it was changed or damaged; "
            f"restore it from a copy, or {again}"
        )


def _part(folder: Path, described: Mapping[str, Any]) -> Part:
    form = FORMS.get(described["form"])
    if form is None:
        raise BundleError(
            f"{folder / _MANIFEST}: member {described['name']!r} has form {described['form']!r}; upgrade Penstock"
        )
    member = form.load(folder / "members" / described["name"], described["served"])
    return Part(
        described["name"], described["weight"], member, Calibration.from_json(described["calibration"]), described["declared"]
    )
