"""The parts of a service, from the settings, for `penstock serve` and `penstock demo`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.governance.administration import RuleAdministration, newer_rules
from penstock.governance.feature_activation import FeatureActivation, feature_activation
from penstock.governance.trials import TrialWork
from penstock.models import Ensemble
from penstock.privacy.vault import Vault
from penstock.rules import NewerRules
from penstock.stream.cases import CaseWork
from penstock.stream.parts import Parts
from penstock.webhooks.delivery import Webhooks
from penstock.wiring.alert_channels import FollowedChannels
from penstock.wiring.alerts import Alerting
from penstock.wiring.database import office_of
from penstock.wiring.engines import openers
from penstock.wiring.governance import rule_administration, trial_work
from penstock.wiring.health import ServiceHealth
from penstock.wiring.personal import keeping
from penstock.wiring.registries import champions
from penstock.wiring.reports.drift import DriftWork
from penstock.wiring.stores import EmbeddedStores
from penstock.wiring.streams import broker_parts
from penstock.wiring.traffic.replays import RecordedReplays
from penstock.wiring.webhooks import failing, open_webhooks


@dataclass(frozen=True)
class ServedParts:
    """The parts of a service, by detector name if there is one for each.

    openers: load the models and recover the state of engines in this process. brokered: the parts of broker clients, for
    detectors decided by a worker. replays: sources for `POST /stream`. champions, rules, features: sources of newer ones
    while it serves. administrations: rule and list administration. cases: the case store. webhooks: their endpoints and
    delivery. trials: running trials. drift: drift measurements. alerting: alerts, if the settings name rules for them. vault:
    original values of personal fields. operating: the status of all parts.
    """

    openers: Mapping[str, Callable[[], Engine]]
    brokered: Mapping[str, Parts]
    replays: RecordedReplays
    champions: Mapping[str, Callable[[str | None], Ensemble | None]]
    rules: Mapping[str, NewerRules]
    features: Mapping[str, FeatureActivation]
    administrations: Mapping[str, RuleAdministration]
    cases: Cases
    webhooks: Webhooks
    trials: TrialWork
    drift: DriftWork
    alerting: Alerting | None
    vault: Vault | None
    operating: ServiceHealth


@contextmanager
def served_parts(
    detectors: Mapping[str, Detector], settings: Settings, replays: RecordedReplays | None = None
) -> Iterator[ServedParts]:
    """The parts of a service of these detectors, by the names in their references; closed at the end.

    replays: sources for `POST /stream`, unless it has its own simulator.

    Raises:
        PenstockError: as the parts do, naming the setting and the remedy.
    """
    loaded = list(detectors.values())
    drift = DriftWork(settings)
    with office_of(settings) as office, keeping(loaded, settings, office) as kept:
        channels = FollowedChannels(office, settings)
        alerting = Alerting.of(loaded, settings, channels.read)
        trials = _trials(office, loaded, settings, alerting)
        webhooks = open_webhooks(settings, office, on_failing=lambda endpoint: trials.announce(failing(endpoint, loaded)))
        work = CaseWork(loaded, settings, office, webhooks)
        brokered = broker_parts(loaded, settings, alerting, work) if settings.stream is not None else {}
        if alerting is not None:
            alerting.also(drift.figures)
        stores = None if brokered else EmbeddedStores(settings)
        yield ServedParts(
            openers={} if brokered else openers(loaded, settings, alerting=alerting, work=work, keeping=kept, stores=stores),
            brokered=brokered,
            replays=replays or RecordedReplays(dict(detectors), settings),
            champions=champions(loaded, settings),
            rules=newer_rules(office, loaded),
            features=feature_activation(office, loaded, settings, decides=not brokered),
            administrations={detector.name: rule_administration(office, detector, settings) for detector in loaded},
            cases=work.cases,
            webhooks=webhooks,
            trials=trials,
            drift=drift,
            alerting=alerting,
            vault=None if kept is None else kept.vault,
            operating=ServiceHealth(settings, office, alerting, work, stores, drift, webhooks=webhooks, followed=channels),
        )


def _trials(office: Database, loaded: list[Detector], settings: Settings, alerting: Alerting | None) -> TrialWork:
    trials = trial_work(office, loaded, settings, alerted=lambda: alerting is not None and alerting.raises)
    if alerting is not None:
        alerting.others(trials.announcements.take)
    return trials
