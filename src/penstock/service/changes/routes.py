"""All routes of rules, lists, features, models and approvals."""

from collections.abc import Mapping

from fastapi import FastAPI

from penstock.config import Settings
from penstock.service.changes import approvals, features, lists, rules
from penstock.service.changes.administration import Administration
from penstock.service.changes.backtests import Backtests
from penstock.service.decide.detectors import DetectorRouter
from penstock.wiring.changes.approvals import ApprovalService
from penstock.wiring.changes.challengers import Challengers
from penstock.wiring.changes.feature_activation import FeatureActivation


def add_routes(
    routes: FastAPI,
    shelf: Administration,
    settings: Settings,
    growing: Mapping[str, FeatureActivation],
    challengers: Mapping[str, Challengers],
    desks: DetectorRouter,
    backtests: Backtests,
) -> None:
    """Add the routes of rules, lists and features, and of approvals, those of models included."""

    def approving(name: str) -> ApprovalService:
        grown = growing.get(name)
        return ApprovalService(shelf.of(name), challengers.get(name), None if grown is None else grown.book)

    rules.add_routes(routes, shelf, settings, backtests)
    lists.add_routes(routes, shelf, settings)
    approvals.add_routes(routes, shelf, settings, approving)
    features.add_routes(routes, growing, desks, settings)
