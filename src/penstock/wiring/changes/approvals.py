"""Approval of requests of every kind: rules and lists, models, features."""

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import Conflict
from penstock.governance.features import FeatureStore
from penstock.wiring.changes.challengers import Challengers
from penstock.wiring.changes.feature_activation import feature_store
from penstock.wiring.changes.rule_administration import RuleAdministration, rule_administration
from penstock.wiring.database import office_of
from penstock.wiring.registries import open_registry


class ApprovalService:
    """Approves requests about one detector.

    Args:
        books: its rules and lists, and the requests.
        challengers: its models, if they are managed here.
        features: its run-time features, if they are managed here.
    """

    def __init__(
        self, books: RuleAdministration, challengers: Challengers | None = None, features: FeatureStore | None = None
    ) -> None:
        self._books, self._challengers, self._features = books, challengers, features

    def approve(self, id: str, *, who: str, why: str = "") -> None:
        """Approve a request and apply it.

        Raises:
            NotFound, Conflict: no such request, it was settled before, the approver is its author, or it cannot be done here.
            DeclarationError, BundleError: it does not fit the detector any more.
        """
        kind = self._books.approvals.one(id).kind
        if kind == "model" and self._challengers is not None:
            self._challengers.approve(id, who=who, why=why)
        elif kind == "feature" and self._features is not None:
            self._features.approve(id, who=who, why=why)
        elif kind in ("rule", "list"):
            self._books.approve(id, who=who, why=why)
        else:
            raise Conflict(f"request {id} is about a {kind}, and none of {self._books.detector.name!r} is looked after here")


@contextmanager
def open_approving(detector: Detector, settings: Settings) -> Iterator[ApprovalService]:
    """The approval service for the office in the settings."""
    with office_of(settings) as database:
        challengers = Challengers(database, detector, open_registry(settings), four_eyes=settings.four_eyes)
        books, features = rule_administration(database, detector, settings), feature_store(database, detector, settings)
        yield ApprovalService(books, challengers if detector.models else None, features)
