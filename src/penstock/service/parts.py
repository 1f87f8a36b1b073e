"""What a service may have beside its desks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.cases.store import Cases
from penstock.rules import NewerRules
from penstock.service.access.authorize import Access
from penstock.service.changes.followers import Newer
from penstock.service.http.tracing import Tracing
from penstock.service.live.replay_jobs import Replays
from penstock.service.live.traffic import Traffic
from penstock.service.records.personal import Unmasking
from penstock.wiring.drift import DriftWork
from penstock.wiring.feature_activation import FeatureActivation
from penstock.wiring.health import ServiceHealth
from penstock.wiring.rule_administration import RuleAdministration
from penstock.wiring.trial_work import TrialWork


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """The parts of one service; what is not given is not there, and neither are its routes.

    Args:
        traffic: simulated traffic to send through one of the desks.
        replays: where `POST /stream` takes transactions from; nowhere unless given.
        champions: by detector, where newer models come from; without it those of the start decide for ever.
        rules: by detector, where newer rules come from; without it those of its file decide for ever.
        access: who is let in; everybody unless given, so that whoever embeds the service guards it.
        cases: what people work on.
        drift: looks at the drift of what is served; one of the settings unless given.
        trials: what is tried beside what decides.
        books: by detector, the rules and lists that people change.
        features: by detector, the features that people make; no routes for them without books.
        personal: what personal fields said, for those who may see it; nothing is known of that unless given.
        operating: what runs beside the detectors, and with it users and keys.
        tracing: traces requests for decisions.
    """

    traffic: Traffic | None = None
    replays: Replays | None = None
    champions: Mapping[str, Newer] = field(default_factory=dict)
    rules: Mapping[str, NewerRules] = field(default_factory=dict)
    access: Access | None = None
    cases: Cases | None = None
    drift: DriftWork | None = None
    trials: TrialWork | None = None
    books: Mapping[str, RuleAdministration] | None = None
    features: Mapping[str, FeatureActivation] = field(default_factory=dict)
    personal: Unmasking | None = None
    operating: ServiceHealth | None = None
    tracing: Tracing | None = None
