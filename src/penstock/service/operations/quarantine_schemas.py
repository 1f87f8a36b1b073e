"""Request and response schemas of the quarantine API."""

from typing import Annotated

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.governance.quarantine_actions import QuarantineAction, event_id
from penstock.ingest.quarantine import LONGEST_KEPT
from penstock.ledger import Quarantined
from penstock.messages import Decision

Reason = Annotated[str, Meta(min_length=1, max_length=1000, description="For the log of changes.")]


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event that was refused for its content."""

    id: Annotated[str, Meta(description="The same on every process.")]
    detector: Annotated[str | None, Meta(description="For which it was meant; null where none served here could be found.")]
    received_at: Annotated[str, Meta(description="When it was refused.")]
    cause: Annotated[str, Meta(description="Why, in words for whoever sent it.")]
    field: Annotated[str | None, Meta(description="The first field at fault; null where it is the whole event.")]
    body: Annotated[str, Meta(description="What was sent: personal fields and what looks like a card number are masked.")]
    cut: Annotated[bool, Meta(description="The body was longer than what is kept of it, 4096 bytes.")]
    masked: Annotated[bool, Meta(description="Something in the body is masked: put it in again before sending it.")]
    state: Annotated[str, Meta(description="waiting, resubmitted or dismissed.")]
    handled_by: Annotated[str | None, Meta(description="Who resubmitted or dismissed it.")]
    handled_at: Annotated[str | None, Meta(description="When.")]
    reason: Annotated[str | None, Meta(description="Why it was dismissed.")]
    transaction_id: Annotated[str | None, Meta(description="Of the event that was sent in its place.")]


class QuarantinePage(msgspec.Struct, frozen=True):
    """One page of refused events, newest first."""

    events: Annotated[list[RefusedEvent], Meta(description="Newest first.")]
    next: Annotated[str | None, Meta(description="`before` of the next page; null where there is none.")]
    kept: Annotated[int, Meta(description="How many are kept, also those that were handled; of each detector the newest.")]
    lost: Annotated[int, Meta(description="Since the start of this process refused and not kept: they came too fast.")]


class DismissEvent(msgspec.Struct, forbid_unknown_fields=True):
    """The reason for dismissing an event."""

    reason: Reason


class Resubmitted(msgspec.Struct, frozen=True):
    """The result of sending a corrected event."""

    event: Annotated[RefusedEvent, Meta(description="The refused event, as it is now.")]
    outcome: Annotated[str, Meta(description="decided, informed (an event without a decision) or labelled.")]
    transaction_id: Annotated[str | None, Meta(description="The id of the corrected event.")]
    decision: Annotated[Decision | None, Meta(description="The decision, where there is one.")]


FORMS = (QuarantinePage, RefusedEvent, DismissEvent, Resubmitted)
"""Schemas for the OpenAPI document."""

_CUT, _MASKS = b"...[cut]", (b"[personal]", b"****")


def id_of(event: Quarantined) -> str:
    """The id of a refused event."""
    return event_id(event.detector, event.received_us, event.cause, event.body)


def refused_form(event: Quarantined, handled: QuarantineAction | None) -> RefusedEvent:
    """The response form of a refused event."""
    return RefusedEvent(
        id=id_of(event),
        detector=event.detector or None,
        received_at=iso(event.received_us),
        cause=event.cause,
        field=event.field,
        body=event.body.decode(errors="replace"),
        cut=len(event.body) >= LONGEST_KEPT and event.body.endswith(_CUT),
        masked=any(mask in event.body for mask in _MASKS),
        state="waiting" if handled is None else handled.outcome,
        handled_by=None if handled is None else handled.who,
        handled_at=None if handled is None else iso(handled.at_us),
        reason=None if handled is None else handled.reason,
        transaction_id=None if handled is None else handled.transaction_id,
    )
