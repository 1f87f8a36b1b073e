"""What an engine opens before its first event: its ledger, its models, and the secret of its data folder."""

import secrets
from pathlib import Path as FilePath

from penstock.clock import Clock
from penstock.detector import Detector
from penstock.errors import BundleError
from penstock.ledger import FileLedger, Ledger, MemoryLedger
from penstock.models import Ensemble, champion, load_champion
from penstock.private_files import keep_private, make_private


def ledger_of(folder: FilePath | None, segment_mb: int, clock: Clock) -> Ledger:
    """The ledger of a data folder; one in memory where there is none."""
    if folder is None:
        return MemoryLedger()
    keep_private(folder)
    return FileLedger(folder / "ledger", segment_bytes=segment_mb << 20, clock=clock)


def ensemble_of(
    detector: Detector, models: "FilePath | str | Ensemble | None", folder: FilePath | None, *, wait: bool
) -> Ensemble | None:
    """The models that decide at first.

    Raises:
        BundleError: declared models have no bundle, or one that does not fit; unless the engine waits for them.
    """
    if isinstance(models, Ensemble) or not detector.models:
        return models if isinstance(models, Ensemble) else None
    place = FilePath(models) if models is not None else folder / "models" if folder is not None else None
    found = place is not None and champion(place, detector.name) is not None
    ensemble = load_champion(place, detector.name) if place is not None and found else None
    if ensemble is None and not wait:
        where = f"in {place}" if place is not None else "given"
        names = ", ".join(model.name for model in detector.models)
        raise BundleError(
            f"detector {detector.name!r} declares models ({names}), but no trained bundle is {where}; "
            f"train one with: penstock train {detector.name} --data FILE --save, or declare models=[]"
        )
    return ensemble


PERSONAL_KEY = "personal.key"
"""The file of a data folder that holds the secret behind the tokens of personal fields."""


def personal_key_of(folder: FilePath | None) -> bytes:
    """The secret behind the tokens of personal fields: made once, and kept beside the data it protects."""
    if folder is None:
        return secrets.token_bytes(32)
    path = folder / PERSONAL_KEY
    if not path.exists():
        make_private(folder)
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
