"""A model bundle: one trained ensemble as a folder of open files, verified whenever it is read.

    MODELS/<detector>/<version>/manifest.json        metadata of the model and its training; see docs/reference/bundles.md
                               /members/<name>/...   each member's numbers: JSON and .npy, no pickle
                               /reference.json       binned training distributions; see `penstock.models.reference`
                               /evaluation.json      test results at many thresholds; see `penstock.offline.evaluation`
                               /card.json            the model card; see `penstock.offline.stages.card`

A bundle is written under a temporary name and renamed, so it appears atomically, and never changes afterwards. Its version
is a digest of its content without the time it was made: the same training gives the same one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import BundleError

if TYPE_CHECKING:  # imported where a bundle is written or loaded: reading a manifest needs no kernels
    from penstock.models.ensemble import Ensemble, EnsembleMember
    from penstock.models.port import Member
    from penstock.models.reference import Reference

FORMAT = 1
"""The manifest's form. A newer one is refused; an older one that can no longer be read would be, too."""

CARD = "card.json"
"""The model card; bundles that were made before 2026-11-25 have none."""

EVALUATION = "evaluation.json"
"""What is kept of the test; bundles that were made before 2026-11-22 have none."""

MANIFEST = "manifest.json"
"""The file that makes a folder a bundle."""

RETRAIN = "train it again with `penstock train {detector} --data FILE --save`"
"""The remedy for whatever is wrong with a bundle."""


@dataclass(frozen=True, slots=True)
class About:
    """The metadata in a manifest. Plain values that JSON can hold; NaN becomes null.

    created_at: ISO 8601. fingerprint: of the features it reads, as the engine computes it. schema: the detector's event as
    it was. training: period, rows, frauds, data. metrics: the figures of `penstock.models.metrics`. reference: what later
    traffic is compared with; evaluation: what is kept of the test; card: for people; files of their own. lookups: the
    columns that the detector looked up in files, and the names of these.
    """

    detector: str
    created_at: str
    fingerprint: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = None
    evaluation: Mapping[str, Any] | None = None
    card: Mapping[str, Any] | None = None
    lookups: Mapping[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------- writing


def save(ensemble: Ensemble, models_dir: Path, about: About) -> Ensemble:
    """Write the ensemble into its folder under `models_dir`, and return it as loaded from there.

    An existing version stays unchanged, and so does the champion: see `penstock.models.bundle_store.promote`.
    """
    home = Path(models_dir) / about.detector
    home.mkdir(parents=True, exist_ok=True)
    writing = Path(tempfile.mkdtemp(prefix=".writing-", dir=home))
    try:
        version = save_bundle(writing, ensemble, about)
        writing.chmod(0o755)
        if not (home / version / MANIFEST).exists():
            writing.replace(home / version)
            sync(home)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return load_bundle(home / version)


def save_bundle(folder: Path, ensemble: Ensemble, about: About) -> str:
    """Write the bundle's files into an empty folder, made durable; the version it got."""
    from penstock.models.reference import REFERENCE

    members = [_export(folder, part) for part in ensemble.parts]
    if about.reference is not None:
        (folder / REFERENCE).write_bytes(about.reference.as_bytes())
    for name, kept in ((EVALUATION, about.evaluation), (CARD, about.card)):
        if kept is not None:
            (folder / name).write_text(json.dumps(_plain(kept)))
    content = _plain(
        {
            "format": FORMAT,
            "detector": about.detector,
            "fingerprint": about.fingerprint,
            "features": list(ensemble.features),
            "schema": about.schema,
            **({"lookups": dict(about.lookups)} if about.lookups else {}),
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
    write_line(
        folder / MANIFEST, json.dumps(content | {"version": version, "created_at": about.created_at}, indent=1, sort_keys=True)
    )
    return version


def _encodings(ensemble: Ensemble) -> dict[str, Any]:
    """The encodings; empty without any, so that the version of a bundle of numbers does not depend on them."""
    found = {name: encoding.to_json() for name, encoding in ensemble.encodings.items()}
    return {"encodings": found} if found else {}


def _export(folder: Path, part: EnsembleMember) -> dict[str, Any]:
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
    import numpy as np

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
    sync(path)
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}


def write_line(path: Path, text: str) -> None:
    """Write a small text and make it durable."""
    path.write_text(text + "\n")
    sync(path)


def sync(path: Path) -> None:
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
    import numpy as np

    from penstock.models.categories import Encoding
    from penstock.models.ensemble import Ensemble

    folder = Path(folder)
    manifest = read_manifest(folder)
    again = RETRAIN.format(detector=manifest["detector"])
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, verified; other files are not read.

    Raises:
        BundleError: it does not exist, it was changed, or this Penstock cannot read it.
    """
    path = folder / MANIFEST
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


def read_evaluation(folder: Path) -> bytes | None:
    """The stored evaluation of a bundle, as JSON, or None.

    Raises:
        BundleError: there is no bundle, or it was changed.
    """
    return _read_kept(folder, EVALUATION)


def read_card_bytes(folder: Path) -> bytes | None:
    """The model card of a bundle, as JSON, or None; `penstock.offline.stages.card` reads it.

    Raises:
        BundleError: there is no bundle, or it was changed.
    """
    return _read_kept(folder, CARD)


def _read_kept(folder: Path, name: str) -> bytes | None:
    manifest = read_manifest(folder)
    if name not in manifest["files"]:
        return None
    _check_seal(folder / name, manifest["files"][name], RETRAIN.format(detector=manifest["detector"]))
    return (folder / name).read_bytes()


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


def _part(folder: Path, described: Mapping[str, Any]) -> EnsembleMember:
    from penstock.models.calibration import Calibration
    from penstock.models.ensemble import EnsembleMember

    form = forms().get(described["form"])
    if form is None:
        raise BundleError(f"{folder / MANIFEST}: member {described['name']!r} has form {described['form']!r}; upgrade Penstock")
    member = form.load(folder / "members" / described["name"], described["served"])
    return EnsembleMember(
        described["name"], described["weight"], member, Calibration.from_json(described["calibration"]), described["declared"]
    )


def forms() -> dict[str, type[Member]]:
    """How members are served, by the word the manifest uses."""
    from penstock.models.linear import LinearMember
    from penstock.models.onnx import OnnxMember
    from penstock.models.trees import TreeMember

    return {member.form: member for member in (LinearMember, TreeMember, OnnxMember)}
