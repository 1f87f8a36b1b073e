"""The model registry in MLflow: a run for each version, a registered model for each detector, aliases for the roles.

    experiment  penstock-<detector>
    run         parameters, figures, `report.html`, `plots/`, `bundle/`, and each member alone: `lr_model/`, `xgb_model/`
    model       <detector>: a version for each bundle, the aliases `champion` and `challenger`, the history as a tag

Without `MLFLOW_TRACKING_URI` it is a SQLite file and a folder of artefacts next to the bundles; no server is needed. This
is the only module that imports mlflow, and it does so when a registry is opened.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.adapters.runs import about_alone, alone_of, artefact_of, figures_of, parameters
from penstock.clock import Clock, iso, system_clock
from penstock.decoding import prepared
from penstock.errors import BundleError, MissingExtra, RegistryError, did_you_mean
from penstock.models import Ensemble, load_bundle, save_bundle
from penstock.models.bundle import MANIFEST
from penstock.models.bundle_store import Alias, Change, Why
from penstock.offline.registry import RegistryEntry

VERSION, CREATED, DETECTOR, HISTORY = "penstock.version", "penstock.created_at", "penstock.detector", "penstock.history"
"""Tags."""

_REMEMBERED = 40
"""Changes of the champion that a tag has room for."""

_AT_ONCE = 100
"""Parameters that one request may carry."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # what is decided here is nobody else's business
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # a service must not wait for minutes to learn that a server is down
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


class MlflowRegistry:
    """The registry in MLflow; requested versions are copied into the folder of bundles.

    Args:
        folder: of bundles; the embedded store lies in it, too.
        uri: of a tracking server; that of MLFLOW_TRACKING_URI unless given, and without either the embedded store.
        clock: for the history.

    Raises:
        MissingExtra: mlflow is not installed.
    """

    def __init__(self, folder: Path, *, uri: str | None = None, clock: Clock = system_clock) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtra("mlflow", "a registry in MLflow") from error
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._mlflow = mlflow
        self._folder, self._clock = Path(folder), clock
        server = uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._file = None if server else self._folder.resolve() / "mlflow.db"
        self.uri = server or f"sqlite:///{self._file}"
        self._made: Any = None
        self._versions: dict[tuple[str, int], str] = {}

    @property
    def folder(self) -> Path:
        """The folder of bundles."""
        return self._folder

    # ---- looking

    def detectors(self) -> list[str]:
        """The registered models that Penstock made."""
        if self._empty:
            return []
        with self._asking():
            return sorted(model.name for model in self.client.search_registered_models() if DETECTOR in model.tags)

    def entries(self, detector: str) -> list[RegistryEntry]:
        """Every version, oldest first."""
        model = self._model(detector)
        if model is None:
            return []
        with self._asking():
            found = self.client.search_model_versions(f"name='{detector}'")
            return sorted(
                (self._entry(model, each) for each in found if VERSION in each.tags), key=lambda each: each.number or 0
            )

    def alias(self, detector: str, name: Alias) -> str | None:
        """The version that the registered model's alias stands for."""
        model = self._model(detector)
        number = None if model is None else model.aliases.get(name)
        if number is None:
            return None
        with self._asking():
            return self._version_of(detector, int(number))

    def changes(self, detector: str) -> list[Change]:
        """The newest changes, as the model's tag remembers them."""
        model = self._model(detector)
        return msgspec.json.decode(model.tags.get(HISTORY, "[]") if model else "[]", type=prepared(list[Change]))

    # ---- bundles

    def fetch(self, detector: str, version: str) -> Path:
        """Download the bundle, unless it lies in the folder already."""
        home = self.folder / detector
        if (home / version / MANIFEST).is_file():
            return home / version
        entry = self._known(detector, version)
        home.mkdir(parents=True, exist_ok=True)
        writing = Path(tempfile.mkdtemp(prefix=".fetching-", dir=home))
        try:
            with self._asking():
                run = self.client.get_model_version(detector, str(entry.number)).run_id
                got = Path(self.client.download_artifacts(run, "bundle", str(writing)))
            if load_bundle(got).version != version:
                raise BundleError(f"version {entry.number} of {detector!r} in {self.uri} holds another bundle than {version}")
            got.replace(home / version)
        finally:
            shutil.rmtree(writing, ignore_errors=True)
        return home / version

    def publish(self, detector: str, version: str, attached: Mapping[str, str] | None = None) -> None:
        """Log a run with everything about the bundle, and register it as a version of the detector's model."""
        if any(entry.version == version for entry in self.entries(detector)):
            return
        ensemble = load_bundle(self.folder / detector / version)
        with self._asking():
            run = self.client.create_run(self._experiment(detector), run_name=version).info.run_id
            try:
                self._log(run, ensemble, attached or {})
            except BaseException:
                self.client.set_terminated(run, "FAILED")
                raise
            self.client.set_terminated(run)
            if self._model(detector) is None:
                about = f"Decides for the detector {detector}: bundles made by Penstock."
                self.client.create_registered_model(detector, tags={DETECTOR: detector}, description=about)
            tags = {VERSION: version, CREATED: ensemble.manifest["created_at"]}
            self.client.create_model_version(detector, f"runs:/{run}/bundle", run_id=run, tags=tags)

    # ---- who decides

    def set_champion(self, detector: str, version: str, why: Why) -> None:
        """Move the alias `champion`, then remember it."""
        if version == self.alias(detector, "champion"):
            return
        number = str(self._known(detector, version).number)
        changes = [*self.changes(detector), Change(iso(self._clock()), version, why)]
        with self._asking():
            self.client.set_registered_model_alias(detector, "champion", number)
            kept = msgspec.json.encode(changes[-_REMEMBERED:]).decode()
            self.client.set_registered_model_tag(detector, HISTORY, kept)
        if self.alias(detector, "challenger") == version:
            self.challenge(detector, None)

    def challenge(self, detector: str, version: str | None) -> None:
        """Move the alias `challenger`, or remove it."""
        number = None if version is None else str(self._known(detector, version).number)
        with self._asking():
            if number is not None:
                self.client.set_registered_model_alias(detector, "challenger", number)
            elif self.alias(detector, "challenger") is not None:
                self.client.delete_registered_model_alias(detector, "challenger")

    # ---- inside

    @property
    def _empty(self) -> bool:
        """Nobody has written into the embedded store yet: looking does not make it."""
        return self._file is not None and not self._file.exists()

    @property
    def client(self) -> Any:
        """The client of MLflow, made at first use."""
        if self._made is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".mlflow.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the first one makes the tables, which takes seconds
                made = self._mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                if self._file is not None:
                    made.search_registered_models(max_results=1)
            self._made = made
        return self._made

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except self._mlflow.exceptions.MlflowException as error:
            said = str(error).split("\n", 1)[0][:300]
            raise RegistryError(f"the registry at {self.uri} does not do what was asked: {said}") from error

    def _model(self, detector: str) -> Any:
        """The registered model, or None."""
        if self._empty:
            return None
        with self._asking():
            try:
                return self.client.get_registered_model(detector)
            except self._mlflow.exceptions.MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise

    def _version_of(self, detector: str, number: int) -> str | None:
        """The bundle's version behind a number, which never changes."""
        if (detector, number) not in self._versions:
            tags = self.client.get_model_version(detector, str(number)).tags
            if VERSION not in tags:
                raise RegistryError(
                    f"version {number} of {detector!r} at {self.uri} was not registered by Penstock; let the alias stand for "
                    "one that `penstock models list --registry mlflow` shows"
                )
            self._versions[detector, number] = tags[VERSION]
        return self._versions[detector, number]

    def _known(self, detector: str, version: str) -> RegistryEntry:
        entries = self.entries(detector)
        for entry in entries:
            if entry.version == version:
                return entry
        known = did_you_mean(version, [entry.version for entry in entries])
        raise BundleError(f"detector {detector!r} has no model version {version!r} at {self.uri}.{known}")

    def _entry(self, model: Any, found: Any) -> RegistryEntry:
        number = int(found.version)
        aliases = tuple(sorted(name for name, of in model.aliases.items() if int(of) == number))
        figures = self.client.get_run(found.run_id).data.metrics if found.run_id else {}
        own = {name: value for name, value in figures.items() if "/" not in name}
        return RegistryEntry(found.name, found.tags[VERSION], found.tags.get(CREATED, ""), aliases, number, own)

    def _experiment(self, detector: str) -> str:
        name = f"penstock-{detector}"
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._file is None else (self._file.parent / "mlflow-artifacts" / detector).as_uri()
        return str(self.client.create_experiment(name, artifact_location=place))

    def _log(self, run: str, ensemble: Ensemble, attached: Mapping[str, str]) -> None:
        manifest = ensemble.manifest
        entities, now_ms = self._mlflow.entities, self._clock() // 1000
        tags = [
            entities.RunTag(VERSION, str(ensemble.version)),
            entities.RunTag(DETECTOR, manifest["detector"]),
        ]
        figures = [entities.Metric(name, value, now_ms, 0) for name, value in figures_of(manifest).items()]
        self.client.log_batch(run, metrics=figures, tags=tags)
        params = [entities.Param(name, value) for name, value in parameters(manifest).items()]
        for start in range(0, len(params), _AT_ONCE):
            self.client.log_batch(run, params=params[start : start + _AT_ONCE])
        for name, text in attached.items():
            self.client.log_text(run, text, name)
        with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
            whole = Path(scratch) / "bundle"
            shutil.copytree(self.folder / manifest["detector"] / str(ensemble.version), whole)
            self._log_model(run, whole)
            for name in ensemble.names:
                alone = Path(scratch) / artefact_of(name)
                alone.mkdir()
                save_bundle(alone, alone_of(ensemble, name), about_alone(manifest, name))
                self._log_model(run, alone)

    def _log_model(self, run: str, folder: Path) -> None:
        """Log a bundle as an artefact of its folder's name that MLflow knows how to load."""
        from mlflow.models import Model

        model = Model(artifact_path=folder.name, run_id=run)
        model.add_flavor("python_function", loader_module="penstock.adapters.pyfunc")
        model.save(str(folder / "MLmodel"))
        self.client.log_artifacts(run, str(folder), folder.name)
