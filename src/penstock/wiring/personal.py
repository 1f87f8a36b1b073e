"""Personal fields: the vault from the settings, and erasure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.quarantine import forget_person
from penstock.engine.startup import PERSONAL_KEY, personal_key_lost, personal_key_of
from penstock.errors import ConfigurationError
from penstock.identity.roles import LOCAL
from penstock.ledger import Ledger
from penstock.offline.recorded_decisions import Shown
from penstock.privacy.erasure import ErasureResult, erase_person
from penstock.privacy.vault import Erasure, Vault, is_used
from penstock.privacy.vault_writer import VaultWriter
from penstock.private_files import personal_key
from penstock.wiring.database import office_of
from penstock.wiring.detectors import load_detector
from penstock.wiring.stores import ledger_to_read


@contextmanager
def keeping(detectors: Sequence[Detector], settings: Settings, office: Database) -> Iterator[VaultWriter | None]:
    """A context with the vault writer of these detectors; None if they have no personal fields.

    Raises:
        ConfigurationError: the key of personal fields cannot be read.
    """
    if not any(detector.schema.personal for detector in detectors):
        yield None
        return
    kept = VaultWriter(vault_of(settings, office))
    try:
        yield kept
    finally:
        kept.close()


def vault_of(settings: Settings, office: Database) -> Vault:
    """The vault in an office, opened with the key of personal fields in the settings, or in the data folder.

    Raises:
        ConfigurationError: the key is missing, and values are encrypted with it.
    """
    path = settings.data / PERSONAL_KEY
    if settings.personal_key_file is None and not path.exists() and is_used(office):
        raise personal_key_lost(path, "the office holds personal values that are sealed with it")
    return Vault(office, _secret(settings))


def _secret(settings: Settings) -> bytes:
    return personal_key(settings.personal_key_file) or personal_key_of(settings.data)


def erase(reference: str, entity: str, key: str, settings: Settings, *, reason: str | None = None) -> ErasureResult:
    """Erase one person of a detector, also while a service runs over the same office.

    Raises:
        DeclarationError: the entity is no person of this detector.
        NotFound: nothing was ever kept about such a person.
    """
    detector = load_detector(reference)
    with Engine(detector, wait_for_models=True, personal_key=_secret(settings)) as engine:
        whose = engine.personal.whose(entity, key)
    with office_of(settings) as office:
        vault = vault_of(settings, office)
        erased = erase_person(office, vault, detector.name, *whose, who=LOCAL.name, reason=reason)
    with suppress(ConfigurationError), ledger_to_read(settings, detector.name) as ledger:  # no ledger before any decision
        forget_person(ledger.tables, detector.name, detector.schema, key)
    return erased


def erasure_of(transaction_id: str, detector: Detector, ledger: Ledger, settings: Settings) -> Erasure | None:
    """When and by whom the personal fields of a recorded transaction were erased; None if they were not."""
    if not detector.schema.personal or detector.person is None:
        return None
    with Engine(detector, wait_for_models=True, ledger=Shown(ledger), personal_key=_secret(settings)) as engine:
        sealed = engine.personal.of(transaction_id)
    if sealed is None or sealed.person is None:
        return None
    with office_of(settings) as office:
        return vault_of(settings, office).erasure(detector.name, sealed.person)
