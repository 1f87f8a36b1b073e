"""Webhooks from the settings."""

from collections.abc import Sequence

from penstock.adapters.webhook_post import WebhookPost
from penstock.alerts import Alert
from penstock.clock import iso, system_clock
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.webhooks.delivery import DeliveryTiming, OnFailing, Webhooks
from penstock.webhooks.endpoints import Endpoint

RULE = "webhook_failing"
"""The rule in alerts about webhooks."""


def open_webhooks(settings: Settings, office: Database, on_failing: OnFailing = lambda _endpoint: None) -> Webhooks:
    """The endpoints of an office, and their delivery once it is started.

    on_failing: called once for an endpoint that has failed for `webhook_failing_days`.

    Raises:
        LedgerError: the database cannot be used.
    """
    post = WebhookPost(private=settings.webhook_private)
    timing = DeliveryTiming(failing_days=settings.webhook_failing_days)
    return Webhooks(
        office, post, plain=settings.webhook_private, timing=timing, on_failing=on_failing, held=not settings.deliver
    )


def failing(endpoint: Endpoint, detectors: Sequence[Detector]) -> Alert:
    """The alert about an endpoint that has failed for days, under the name of the first detector that it selects."""
    names = [detector.name for detector in detectors]
    chosen = [name for name in names if name in endpoint.selector.detectors] or names
    since = iso(endpoint.failing_since_us or 0)
    return Alert(
        key=f"{RULE}:{endpoint.id}:{since}",
        rule=RULE,
        detector=chosen[0],
        severity="critical",
        at=iso(system_clock()),
        text=f"webhook {endpoint.id} to {endpoint.host} has failed since {since}: {endpoint.error}",
        about={"webhook": endpoint.id},
    )
