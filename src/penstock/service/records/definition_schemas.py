"""Response schemas of detector definitions and model evaluations."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Roles = Literal["id", "time", "amount", "label", "key"]


class FieldDefinition(msgspec.Struct):
    """A field of the event, for a form."""

    name: Annotated[str, Meta(description="As it is sent.")]
    type: Annotated[
        Literal["number", "integer", "text", "boolean", "time"], Meta(description="What it holds; a time is ISO 8601.")
    ]
    optional: Annotated[bool, Meta(description="It may be left out, or be null.")]
    description: Annotated[str | None, Meta(description="What it means; null where nothing is written of it.")]
    example: Annotated[Any, Meta(description="A value that fits; null where none comes to mind.")]
    choices: Annotated[list[Any] | None, Meta(description="The values it may have, where it names them.")]
    minimum: Annotated[float | None, Meta(description="The least value it may have.")]
    maximum: Annotated[float | None, Meta(description="The greatest value it may have.")]
    roles: Annotated[list[Roles], Meta(description="id, time, amount, label (known only later: not for a form), key.")]
    entities: Annotated[list[str], Meta(description="The entities whose keys it holds.")]
    personal: Annotated[bool, Meta(description="It is replaced by a token on arrival.")]


class UsedBy(msgspec.Struct):
    """The readers of a feature."""

    models: Annotated[bool, Meta(description="The models that decide, or that are declared where none decides.")]
    rules: Annotated[list[str], Meta(description="Rules whose condition or reason reads it.")]
    features: Annotated[list[str], Meta(description="Features that are derived of it.")]


class FeatureDefinition(msgspec.Struct, kw_only=True):
    """A feature."""

    name: Annotated[str, Meta(description="Its name.")]
    type: Annotated[str, Meta(description="number, boolean, time or text.")]
    kind: Annotated[Literal["aggregate", "derived"], Meta(description="aggregate: over a window of a key; derived: of others.")]
    entity: Annotated[str | None, Meta(description="Of an aggregate: over whose events.")] = None
    aggregate: Annotated[str | None, Meta(description="count, sum, mean, std, min, max, distinct, last, ...")] = None
    field: Annotated[str | None, Meta(description="Of an aggregate: what is aggregated.")] = None
    window: Annotated[str | None, Meta(description="Of an aggregate: such as 1h; `ever` has no end.")] = None
    window_s: Annotated[float | None, Meta(description="The same in seconds; null where it has no end.")] = None
    where: Annotated[str | None, Meta(description="Of an aggregate: only events for which this SQL holds.")] = None
    delay: Annotated[str | None, Meta(description="Of an aggregate: the window ends so long before the event.")] = None
    role: Annotated[str | None, Meta(description="Of an aggregate: only events in which the key has this role.")] = None
    of: Annotated[list[str], Meta(description="Of an aggregate: over these event types; the transaction's where empty.")] = []
    current: Annotated[bool | None, Meta(description="Of an aggregate: whether the event itself counts.")] = None
    expression: Annotated[str | None, Meta(description="Of a derived one: the SQL, or how it is written in Python.")] = None
    usual: Annotated[Any, Meta(description="The usual value, as the models that decide learned it; null where unknown.")] = None
    made: Annotated[bool, Meta(description="People added it at run time; it is not in the detector's file.")] = False
    used_by: Annotated[UsedBy, Meta(description="Who reads it.")]


class EntityDefinition(msgspec.Struct):
    """An entity and its feature state."""

    name: Annotated[str, Meta(description="Its name.")]
    fields: Annotated[list[list[str]], Meta(description="The fields of its key, for each of its roles.")]
    features: Annotated[int, Meta(description="Aggregates over it.")]
    keys: Annotated[int, Meta(description="Keys in state.")]
    bytes: Annotated[int, Meta(description="Memory of its state.")]


class ModelDefinition(msgspec.Struct):
    """A declared model."""

    name: Annotated[str, Meta(description="Its name among the scores.")]
    kind: Annotated[str, Meta(description="Such as XGBoost.")]
    weight: Annotated[float | None, Meta(description="Its declared share of the ensemble; null: chosen by training.")]


class RuleDefinition(msgspec.Struct):
    """A rule in force."""

    name: Annotated[str, Meta(description="Its name.")]
    when: Annotated[str, Meta(description="Its condition.")]
    then: Annotated[str, Meta(description="What it asks for.")]
    hard: Annotated[bool, Meta(description="A block that no allow can lift.")]
    override: Annotated[bool, Meta(description="Lowers what the score or other rules ask for.")]
    reason: Annotated[str | None, Meta(description="The sentence it says.")]


class PolicyDefinition(msgspec.Struct):
    """The score from which each decision is made; null: never by score."""

    challenge_at: Annotated[float | None, Meta(description="Challenged from here.")]
    review_at: Annotated[float | None, Meta(description="Reviewed from here.")]
    block_at: Annotated[float | None, Meta(description="Blocked from here.")]
    on_failure: Annotated[str, Meta(description="What is decided where a part fails.")]
    order: Annotated[str, Meta(description="`severest`, or `rules_first` as in version 0.1.")]


class InformingDefinition(msgspec.Struct):
    """An informing event: it changes state and gets no decision."""

    type: Annotated[str, Meta(description="The value of its field `type`.")]
    description: Annotated[str | None, Meta(description="What it is.")]
    fields: Annotated[list[FieldDefinition], Meta(description="Its fields.")]


class VersionsDefinition(msgspec.Struct):
    """The versions that decide now."""

    detector: Annotated[str, Meta(description="Of the declaration.")]
    model: Annotated[str | None, Meta(description="Of the models; null for rules alone.")]
    rules: Annotated[str, Meta(description="Of the rules.")]
    lists: Annotated[str | None, Meta(description="Of the lists that rules ask.")]


class Freshness(msgspec.Struct):
    """How fresh the feature state is."""

    newest_event_at: Annotated[str | None, Meta(description="The newest event time in state; null before the first event.")]
    behind_s: Annotated[float | None, Meta(description="How long that is ago, in seconds.")]
    newest_decided_at: Annotated[str | None, Meta(description="When the newest decision was made.")]
    notes: Annotated[list[str], Meta(description="What is worth knowing: what was rebuilt, what is missing.")]


class Parity(msgspec.Struct):
    """The last verification of a decision in this process."""

    checked_at: Annotated[str, Meta(description="When.")]
    transaction_id: Annotated[str, Meta(description="Which.")]
    identical: Annotated[bool, Meta(description="Everything came out the same to the last bit.")]
    checked: Annotated[int, Meta(description="Decisions computed again since the service began.")]
    differing: Annotated[int, Meta(description="Of these, those that did not come out the same.")]


class ExampleEvent(msgspec.Struct):
    """An example event to send."""

    event: Annotated[dict[str, Any], Meta(description="The event.")]
    about: Annotated[str, Meta(description="What is remarkable about it.")]


class DetectorDefinition(msgspec.Struct):
    """The definition of a detector."""

    name: Annotated[str, Meta(description="Its name.")]
    description: Annotated[str | None, Meta(description="What its events are.")]
    ready: Annotated[bool, Meta(description="It decides.")]
    versions: Annotated[VersionsDefinition, Meta(description="What decides now.")]
    fields: Annotated[list[FieldDefinition], Meta(description="Of the event, in the order of declaration.")]
    examples: Annotated[list[ExampleEvent], Meta(description="Events that may be sent; at least one.")]
    entities: Annotated[list[EntityDefinition], Meta(description="What features are computed of.")]
    features: Annotated[list[FeatureDefinition], Meta(description="In the order of declaration.")]
    models: Annotated[list[ModelDefinition], Meta(description="Declared ones.")]
    rules: Annotated[list[RuleDefinition], Meta(description="In force, in their order.")]
    policy: Annotated[PolicyDefinition, Meta(description="How scores become decisions.")]
    informs: Annotated[list[InformingDefinition], Meta(description="Events that only inform.")]
    freshness: Annotated[Freshness, Meta(description="How fresh the state is.")]
    parity: Annotated[Parity | None, Meta(description="The last verification here; null where there was none.")]


# ---------------------------------------------------------------- evaluation


class Figure(msgspec.Struct):
    """A figure of the test data."""

    name: Annotated[str, Meta(description="Such as average_precision.")]
    value: Annotated[float | None, Meta(description="Its value; null where it means nothing.")]
    low: Annotated[float | None, Meta(description="Where its 95 % interval begins; null where none was made.")]
    high: Annotated[float | None, Meta(description="Where that ends.")]
    of: Annotated[
        int | None, Meta(description="Known outcomes that precision and recall are taken over, 30 at least; null of others.")
    ] = None


class MemberFigures(msgspec.Struct):
    """The figures of one ensemble member alone."""

    name: Annotated[str, Meta(description="Its name.")]
    weight: Annotated[float | None, Meta(description="Its share of the ensemble.")]
    figures: Annotated[dict[str, float | None], Meta(description="By name.")]


class CalibrationBin(msgspec.Struct):
    """Test rows with probabilities in one bin."""

    low: Annotated[float, Meta(description="Where it begins.")]
    high: Annotated[float, Meta(description="Where it ends.")]
    count: Annotated[int, Meta(description="Rows in it.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]
    predicted: Annotated[float, Meta(description="Their mean probability.")]
    observed: Annotated[float, Meta(description="The share of fraud among them.")]
    observed_low: Annotated[float, Meta(description="Where the 95 % interval of that share begins.")]
    observed_high: Annotated[float, Meta(description="Where that ends.")]


class CurvePoint(msgspec.Struct):
    """A point of the precision-recall curve."""

    recall: Annotated[float, Meta(description="Share of frauds found.")]
    precision: Annotated[float, Meta(description="Share of fraud among what is flagged.")]


class ThresholdRow(msgspec.Struct):
    """The effect on the test data of stopping everything from a score on. Between two rows only few events change."""

    at: Annotated[float, Meta(description="The threshold: scores from here are stopped.")]
    flagged: Annotated[int, Meta(description="Rows of the test from here on.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]
    precision: Annotated[float | None, Meta(description="frauds / flagged; null below 30 of these.")]
    recall: Annotated[float | None, Meta(description="frauds / all frauds of the test; null below 30 of these.")]
    false_positive_rate: Annotated[float | None, Meta(description="Share of good ones from here on; null below 30 of these.")]
    alerts_per_day: Annotated[float | None, Meta(description="flagged a day; the reviews, were nothing blocked at once.")]
    amount_stopped: Annotated[float | None, Meta(description="What the flagged ones are worth.")]
    amount_caught: Annotated[float | None, Meta(description="What the frauds among them are worth.")]
    amount_caught_share: Annotated[float | None, Meta(description="The same of the worth of all frauds.")]
    precision_low: Annotated[float | None, Meta(description="Where the precision's 95 % interval (Wilson) begins.")] = None
    precision_high: Annotated[float | None, Meta(description="Where that ends.")] = None
    recall_low: Annotated[float | None, Meta(description="Where the recall's 95 % interval (Wilson) begins.")] = None
    recall_high: Annotated[float | None, Meta(description="Where that ends.")] = None


class ModelEvaluation(msgspec.Struct):
    """The evaluation of a version on its test data."""

    detector: Annotated[str, Meta(description="Whose models.")]
    version: Annotated[str, Meta(description="Which version.")]
    created_at: Annotated[str, Meta(description="When it was trained.")]
    data: Annotated[str | None, Meta(description="The name of the data it was trained on.")]
    periods: Annotated[
        dict[str, Any], Meta(description="Training, validation and test: first and last event time; label delay.")
    ]
    rows: Annotated[dict[str, int], Meta(description="Rows by part: train, valid, test.")]
    fraud: Annotated[dict[str, int], Meta(description="Frauds by part.")]
    features: Annotated[list[str], Meta(description="What it reads.")]
    thresholds: Annotated[dict[str, float], Meta(description="As the training chose: review_at, block_at.")]
    in_force: Annotated[
        dict[str, float], Meta(description="As they are where it decides: what the detector declares wins; 1: never.")
    ]
    figures: Annotated[list[Figure], Meta(description="Of the ensemble, on the test.")]
    members: Annotated[list[MemberFigures], Meta(description="Of each member alone.")]
    calibration: Annotated[list[CalibrationBin] | None, Meta(description="Probability against truth; null: see `reason`.")]
    precision_recall: Annotated[list[CurvePoint] | None, Meta(description="The curve, thinned out; null: see `reason`.")]
    table: Annotated[list[ThresholdRow] | None, Meta(description="Thresholds, lowest first, at most 400; null: see `reason`.")]
    days: Annotated[float | None, Meta(description="How many days of traffic the test stands for; null: see `reason`.")]
    total_amount: Annotated[float | None, Meta(description="What the rows of the test are worth; null where they do not say.")]
    fraud_amount: Annotated[float | None, Meta(description="What its frauds are worth; null where they do not say.")]
    reason: Annotated[str | None, Meta(description="Why curves and table are missing; null where they are there.")]
    notes: Annotated[list[str], Meta(description="What is worth knowing before believing the figures.")]
