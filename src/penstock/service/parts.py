"""The optional parts of a service."""

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
from penstock.wiring.changes.feature_activation import FeatureActivation
from penstock.wiring.changes.rule_administration import RuleAdministration
from penstock.wiring.changes.trial_work import TrialWork
from penstock.wiring.health import ServiceHealth
from penstock.wiring.reports.drift import DriftWork


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """The optional parts of one service; a part that is not given is absent, with its routes.

    Args:
        traffic: simulated traffic for one of the detectors.
        replays: sources for `POST /stream`; none unless given.
        champions: by detector, the source of newer models; without it those of the start decide for ever.
        rules: by detector, the source of newer rules; without it those of its file decide for ever.
        access: authorizes requests; open to everybody unless given, so programs that embed the service guard it themselves.
        cases: the case store.
        drift: measures the drift of the served models; made from the settings unless given.
        trials: running trials of candidates.
        books: by detector, the rule and list services.
        features: by detector, the feature services; their routes need `books`.
        personal: original values of personal fields, for those who may see them; unavailable unless given.
        operating: operations data, users and keys.
        tracing: traces decision requests.
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
