"""All routes of operations: health, quarantine, alerts, users, keys and audit log."""

from fastapi import FastAPI

from penstock.service.access import users_keys
from penstock.service.access.authorize import Access
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.operations import alerts, audit, health, quarantine, reports
from penstock.service.operations.health import Board
from penstock.wiring.health import ServiceHealth


def add_routes(routes: FastAPI, board: Board, desks: DetectorRouter, operating: ServiceHealth, access: Access | None) -> None:
    """Add all routes; the health board runs while the service runs."""
    health.add_routes(routes, board)
    quarantine.add_routes(routes, desks, operating.office, operating.settings)
    alerts.add_routes(routes, desks, operating)
    reports.add_routes(routes, desks, operating.settings)
    users_keys.add_routes(routes, operating.office, access)
    audit.add_routes(routes, operating.office)
