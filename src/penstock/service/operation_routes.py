"""The routes of operations: how parts fare, what was refused, what people were told, who is let in and who changed what."""

from fastapi import FastAPI

from penstock.assemble.operations import Operating
from penstock.service import administration, audit, deliveries, operations, quarantine, reports
from penstock.service.access import Access
from penstock.service.desks import Desks
from penstock.service.operations import Board


def add_routes(routes: FastAPI, board: Board, desks: Desks, operating: Operating, access: Access | None) -> None:
    """Add all of them; the board is looked at while the service runs."""
    operations.add_routes(routes, board)
    quarantine.add_routes(routes, desks, operating.office, operating.settings)
    deliveries.add_routes(routes, desks, operating)
    reports.add_routes(routes, desks, operating.settings)
    administration.add_routes(routes, operating.office, access)
    audit.add_routes(routes, operating.office)
