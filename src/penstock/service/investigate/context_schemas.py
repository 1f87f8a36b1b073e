"""Response schemas of transaction context and link graph."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from penstock.service.insights.insight_schemas import Count, Outcomes
from penstock.service.investigate.cases import CaseForm
from penstock.service.records.profiles import KeyDecisions, KnownLabel, LookedThrough

# ---------------------------------------------------------------- context


class SaidLabels(msgspec.Struct):
    """Labels of a transaction."""

    counts: Annotated[KnownLabel | None, Meta(description="The statement that counts; null while nobody has said anything.")]
    history: Annotated[list[KnownLabel], Meta(description="All of them, in the order they were received.")]


class Sparkline(msgspec.Struct):
    """Decisions about a key over time, by when they were decided."""

    step: Annotated[int, Meta(description="Length of a bucket, in seconds.")]
    since: Annotated[str, Meta(description="The instant with which the first bucket begins.")] = msgspec.field(name="from")
    counts: Annotated[list[Count], Meta(description="Decisions in each bucket, oldest first, that of now the last.")]
    stopped: Annotated[list[Count], Meta(description="Of these, those that were not approved.")]


class ContextEntity(msgspec.Struct):
    """One key of the transaction: a customer, card, device or merchant, as the detector names it."""

    entity: Annotated[str, Meta(description="What it is.")]
    fields: Annotated[list[str], Meta(description="The fields of the event that hold the key.")]
    key: Annotated[str, Meta(description="The key as it is kept, for `/entities`, `/links` and filters; a personal one is "
                                         "a token.")]  # fmt: skip
    shown: Annotated[str, Meta(description="The key as it is to be shown to whoever asks.")]
    personal: Annotated[bool, Meta(description="A field of it is personal.")]
    as_of: Annotated[str | None, Meta(description="The instant of the features: the newest event's.")]
    features: Annotated[dict[str, Any] | None, Meta(description="As of now, by name; null where no event of it is in state.")]
    decisions: Annotated[KeyDecisions, Meta(description="What was decided about it, as far as `counted` says.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]
    good: Annotated[Count, Meta(description="Of these, known to be good.")]
    sparkline: Annotated[Sparkline, Meta(description="The last 24 hours, by the hour.")]


class Place(msgspec.Struct):
    """A place in the event."""

    name: Annotated[str, Meta(description="What is there: `transaction`, or as the fields are called, such as `home`.")]
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")]
    fields: Annotated[list[str], Meta(description="The two fields that say so.")]


class Neighbour(msgspec.Struct):
    """A transaction of the same customer."""

    transaction_id: Annotated[str, Meta(description="Its id.")]
    event_time: Annotated[str, Meta(description="When it took place.")]
    decision: Annotated[str, Meta(description="APPROVE, CHALLENGE, REVIEW or BLOCK.")]
    fraud_probability: Annotated[float | None, Meta(description="Its score; null where there was none.")]
    amount: Annotated[float | None, Meta(description="What it was worth; null where it does not say.")]
    fraud: Annotated[bool | None, Meta(description="What is known of it; null while nothing is.")]
    place: Annotated[Place | None, Meta(description="Where it took place, if it says.")]
    this: Annotated[bool, Meta(description="It is the transaction that was asked about.")]


class Timeline(msgspec.Struct):
    """Transactions of a customer before and after one."""

    entity: Annotated[str, Meta(description="The entity whose transactions these are: the first that the event has a key of.")]
    key: Annotated[str, Meta(description="Its key, as it is kept.")]
    transactions: Annotated[list[Neighbour], Meta(description="In the order in which they were decided, at most 41.")]
    earlier: Annotated[bool, Meta(description="There are more before these.")]
    later: Annotated[bool, Meta(description="There are more after these.")]


class TransactionContext(msgspec.Struct):
    """The context of a transaction."""

    transaction_id: Annotated[str, Meta(description="Its id.")]
    detector: Annotated[str, Meta(description="Who decided.")]
    event_time: Annotated[str, Meta(description="When it took place.")]
    event: Annotated[dict[str, Any], Meta(description="The fields of the event, personal ones as they are to be shown.")]
    labels: Annotated[SaidLabels, Meta(description="What was said about it.")]
    case: Annotated[CaseForm | None, Meta(description="Its case; null where it has none.")]
    entities: Annotated[list[ContextEntity], Meta(description="Its keys, in the order of declaration.")]
    places: Annotated[list[Place], Meta(description="Its places; none where the detector has no coordinates.")]
    timeline: Annotated[Timeline | None, Meta(description="Its neighbours; null where it has no key.")]
    counted: Annotated[LookedThrough, Meta(description="Over which decisions was looked for keys and neighbours.")]


# ---------------------------------------------------------------- links


class LinkNode(msgspec.Struct):
    """A key."""

    id: Annotated[str, Meta(description="`ENTITY:KEY`, unique in the graph.")]
    entity: Annotated[str, Meta(description="What it is.")]
    key: Annotated[str, Meta(description="The key as it is kept.")]
    shown: Annotated[str, Meta(description="The key as it is to be shown to whoever asks.")]
    distance: Annotated[int, Meta(description="0: the key that was asked about; 1: shares a transaction with it; 2: with one "
                                              "of those.")]  # fmt: skip
    transactions: Annotated[Count, Meta(description="Of it, among those that were looked at.")]
    outcomes: Annotated[Outcomes, Meta(description="How these were decided.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]
    good: Annotated[Count, Meta(description="Of these, known to be good.")]
    lists: Annotated[list[str], Meta(description="Names of the lists that hold it now.")]


class LinkEdge(msgspec.Struct):
    """Two keys that occur in the same transactions."""

    source: Annotated[str, Meta(description="The id of one.")]
    target: Annotated[str, Meta(description="The id of the other.")]
    transactions: Annotated[Count, Meta(description="In how many.")]
    stopped: Annotated[Count, Meta(description="Of these, not approved.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]


class LinkGraph(msgspec.Struct):
    """Keys that share transactions with a key, from recorded decisions; bounded."""

    detector: Annotated[str, Meta(description="Whose decisions.")]
    entity: Annotated[str, Meta(description="What the key in the middle is.")]
    key: Annotated[str, Meta(description="The key in the middle, as it is kept.")]
    nodes: Annotated[list[LinkNode], Meta(description="The key in the middle first, then by distance, the busiest first.")]
    edges: Annotated[list[LinkEdge], Meta(description="Between these, the busiest first.")]
    truncated: Annotated[bool, Meta(description="There are more keys than `limit`, or more transactions than were looked at.")]
    counted: Annotated[LookedThrough, Meta(description="Over which decisions was looked.")]
