"""The fallback decision, returned when the worker misses the deadline."""

import msgspec

from penstock.clock import iso
from penstock.decoding import prepared
from penstock.engine import Engine
from penstock.errors import PenstockError
from penstock.messages import Action, Decision, Degraded, Explanation, Reason, Refusal

CODE = "no_decision_in_time"
PROVISIONAL = "provisional"

_decode = msgspec.json.Decoder(prepared(Decision)).decode


def fallback_decision(engine: Engine, transaction_id: str, body: bytes, cause: str, on_timeout: str) -> Decision:
    """The decision that `on_timeout` names, marked degraded with the cause; a hard block if one fires.

    A provisional answer is scored at once from the replica's state, and changes nothing. If that fails, the policy's
    `on_failure` applies.
    """
    policy = engine.detector.policy
    hard = {rule.name for rule in engine.detector.plan.rules if rule.hard}
    found = _provisional(engine, transaction_id, body, cause) if hard or on_timeout == PROVISIONAL else None
    if found is not None and (on_timeout == PROVISIONAL or any(hit.name in hard for hit in found.explanation.rules)):
        return found
    named = policy.on_failure if on_timeout == PROVISIONAL else on_timeout
    return _fixed(engine, transaction_id, body, Action.named(named), cause)


def _provisional(engine: Engine, transaction_id: str, body: bytes, cause: str) -> Decision | None:
    """A decision computed from the replica's state; None if it has none."""
    try:
        [answer] = engine.decide_json([body], dry_run=True)
    except PenstockError:  # no models, no room: the caller is answered all the same
        return None
    if isinstance(answer, Refusal):
        return None
    return msgspec.structs.replace(_decode(answer), transaction_id=transaction_id, degraded=Degraded("worker", cause))


def _fixed(engine: Engine, transaction_id: str, body: bytes, action: Action, cause: str) -> Decision:
    """An answer for which nothing was computed, marked as such."""
    now = engine.clock()
    read = engine.reader.read([body], now)
    stopped = action is not Action.APPROVE
    return Decision(
        transaction_id=transaction_id,
        detector=engine.detector.name,
        event_time=iso(int(read.batch.time_us[0])),
        decided_at=iso(now),
        decision=action.name,
        prediction="FRAUD" if stopped else "LEGIT",
        predicted_class=int(stopped),
        is_fraud=stopped,
        fraud_probability=None,
        scores={},
        explanation=Explanation(CODE, None, [Reason(CODE, cause)], [], []),
        features={},
        model_version=engine.model_version,
        versions=engine.active.format.versions,
        degraded=Degraded("worker", cause),
        latency_ms={},
    )
