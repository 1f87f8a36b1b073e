"""Webhooks from the settings."""

from penstock.adapters.webhook_post import WebhookPost
from penstock.config import Settings
from penstock.database import Database
from penstock.webhooks.delivery import Timing, Webhooks


def open_webhooks(settings: Settings, office: Database) -> Webhooks:
    """The endpoints of an office, and their delivery once it is started.

    Raises:
        LedgerError: the database cannot be used.
    """
    post = WebhookPost(private=settings.webhook_private)
    timing = Timing(failing_days=settings.webhook_failing_days)
    return Webhooks(office, post, plain=settings.webhook_private, timing=timing)
