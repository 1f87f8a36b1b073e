"""A client of the Penstock service: decisions, statuses, labels, and the verification of webhooks."""

from penstock_client.client import AsyncClient, Client
from penstock_client.errors import ClientError, Conflict, InvalidSignature, Refused, Unavailable
from penstock_client.forms import Decision, FieldError, LabelAnswer, Reason, Review, Status
from penstock_client.webhooks import verify_webhook

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Decision",
    "FieldError",
    "InvalidSignature",
    "LabelAnswer",
    "Reason",
    "Refused",
    "Review",
    "Status",
    "Unavailable",
    "verify_webhook",
]
