"""Opening an engine: its ledger, its models, and the key of personal fields."""

import logging
import re
import secrets
from contextlib import suppress
from pathlib import Path
from shutil import copytree

from penstock.clock import Clock, system_clock
from penstock.compilation import PACKAGE
from penstock.decision import TEXT
from penstock.detector import Detector
from penstock.engine.pipeline import check_fits
from penstock.errors import BundleError, ConfigurationError
from penstock.ledger import FileLedger, Ledger, MemoryLedger
from penstock.models import Ensemble, champion, load_champion
from penstock.models.bundle_store import promote, versions
from penstock.private_files import keep_private, make_private, write_private

SHIPPED = PACKAGE / "trained"
"""The folder of bundles shipped in the wheel."""

_log = logging.getLogger(__name__)


def ledger_of(folder: Path | None, segment_mb: int, clock: Clock) -> Ledger:
    """Open the ledger of a data folder; one in memory without a folder."""
    if folder is None:
        return MemoryLedger()
    keep_private(folder)
    return FileLedger(folder / "ledger", segment_bytes=segment_mb << 20, clock=clock)


def ensemble_of(
    detector: Detector, models: "Path | str | Ensemble | None", folder: Path | None, *, wait: bool
) -> Ensemble | None:
    """The models that decide at first: the champion of the folder; where none was named, else those that came along.

    Raises:
        BundleError: declared models have no bundle, or one that does not fit; unless the engine waits for them.
    """
    if isinstance(models, Ensemble) or not detector.models:
        return models if isinstance(models, Ensemble) else None
    place = Path(models) if models is not None else folder / "models" if folder is not None else None
    found = place is not None and champion(place, detector.name) is not None
    try:
        ensemble = load_champion(place, detector.name) if place is not None and found else None
        if ensemble is not None:
            check_fits(detector, ensemble)
    except BundleError as error:
        if not wait:
            raise
        _log.error("%s is not ready: %s", detector.name, error)
        ensemble = None
    if not found and models is None:
        ensemble = shipped_ensemble(detector, place)
    if ensemble is None and not wait:
        where = f"in {place}" if place is not None else "given"
        names = ", ".join(model.name for model in detector.models)
        raise BundleError(
            f"detector {detector.name!r} declares models ({names}), but no trained bundle is {where}; "
            f"train one with: penstock train {detector.reference} --data FILE --save, or declare models=[]"
        )
    return ensemble


def shipped_ensemble(detector: Detector, keep_in: Path | None = None) -> Ensemble | None:
    """The models of a detector of the package that a wheel brings along; None if there are none, or they do not fit.

    keep_in: the folder of bundles that gets a copy, from which decisions can be verified later. It does not become champion:
    the first training of one's own does.
    """
    version = champion(SHIPPED, detector.name)
    if version is None:
        return None
    ensemble = load_champion(SHIPPED, detector.name)
    try:
        check_fits(detector, ensemble)
    except BundleError:  # a detector of one's own with the name of one of ours
        return None
    if keep_in is not None and not (keep_in / detector.name / version).exists():
        with suppress(OSError):
            copytree(SHIPPED / detector.name / version, keep_in / detector.name / version)
    _log.warning(
        "detector %r decides with the models that came with Penstock, trained on simulated events; train it on your own: "
        "penstock train %s --data FILE --save",
        detector.name,
        detector.name,
    )
    return ensemble


def keep_shipped(detector: Detector, folder: Path, *, clock: Clock = system_clock) -> bool:
    """Copy the models that came along into a folder of bundles, all versions, and make their champion its champion.

    Returns:
        whether there are any that fit.
    """
    version = champion(SHIPPED, detector.name)
    if version is None:
        return False
    try:
        check_fits(detector, load_champion(SHIPPED, detector.name))
    except BundleError:
        return False
    for bundle in (each.path for each in versions(SHIPPED, detector.name)):
        copytree(bundle, folder / detector.name / bundle.name, dirs_exist_ok=True)
    promote(folder, detector.name, version, clock=clock)
    return True


PERSONAL_KEY = "personal.key"
"""The file in the data folder with the key of personal fields."""


MAKE_PERSONAL_KEY = (
    "make one with `python3 -c 'import secrets; print(secrets.token_hex(32))' > personal.key`, keep it with the backups, and "
    "name it with the setting personal_key_file (PENSTOCK_PERSONAL_KEY_FILE)"
)
"""How a key that several processes share is made."""

_SHORTEST_KEY = 16
_TOKEN = re.compile(r"tok_[0-9a-f]{32}")
_LOOKED_AT = 256
"""The newest records of a log that are looked at for tokens where the key is missing."""


def personal_key_of(folder: Path | None, ledger: Ledger | None = None) -> bytes:
    """The secret behind the tokens of personal fields: made once, and kept with the data it protects.

    ledger: holds what was decided with it; that of the folder unless given.

    Raises:
        ConfigurationError: it is missing or cut short, and something was made with it.
    """
    if folder is None:
        return secrets.token_bytes(32)
    path = folder / PERSONAL_KEY
    if not path.exists():
        if _holds_tokens(folder, ledger):
            raise personal_key_lost(path, "the ledger holds tokens that were made with it")
        make_private(folder)
        write_private(path, secrets.token_bytes(32))
    key = path.read_bytes()
    if len(key) < _SHORTEST_KEY:
        raise personal_key_lost(path, f"it holds {len(key)} bytes instead of at least {_SHORTEST_KEY}")
    return key


def personal_key_lost(path: Path, why: str) -> ConfigurationError:
    """The error for a lost key, with the remedy."""
    return ConfigurationError(
        f"the key of personal fields {path} is missing or damaged: {why}. Restore it from a backup; or, to begin anew so that "
        f"nothing personal that was kept can ever be read again, make another one: openssl rand -out {path} 32"
    )


def _holds_tokens(folder: Path, ledger: Ledger | None) -> bool:
    if ledger is None:
        if not (folder / "ledger" / "log").is_dir():
            return False
        with FileLedger(folder / "ledger", read_only=True) as found:
            return _holds_tokens(folder, found)
    newest = max(ledger.first_position, ledger.durable_position - _LOOKED_AT)
    return any(
        isinstance(text, str) and _TOKEN.fullmatch(text)
        for _, record in ledger.read(newest)
        for name, texts in record.columns.items()
        if name.startswith(TEXT)
        for text in texts
    )
