"""The declarations of all metrics, from which `/metrics`, docs/reference/metrics.md and the test comparing them are made."""

from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Source = Literal["engine", "service", "drift", "worker"]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric.

    name: as PromQL knows it, of a histogram without `_bucket`, `_sum` and `_count`. source: who counts it; what an engine
    counts is told by services and by workers, there with the label `shard`. watch: what to alert on, or to look at.

    >>> Metric(name="penstock_x_total", kind="counter", source="engine", text="X.", unit="events").labels_of(sharded=True)
    ('detector', 'shard')
    """

    name: str
    kind: Kind
    source: Source
    text: str
    unit: str
    labels: tuple[str, ...] = ("detector",)
    watch: str = ""

    def labels_of(self, *, sharded: bool) -> tuple[str, ...]:
        """Its labels, as exported by a shard of a worker or by a service."""
        if not sharded or self.labels[:1] != ("detector",) or "shard" in self.labels:
            return self.labels
        return ("detector", "shard", *self.labels[1:])


METRICS: tuple[Metric, ...] = (
    Metric(
        name="penstock_decisions_total",
        kind="counter",
        source="engine",
        labels=("detector", "decision"),
        unit="decisions",
        text="Decisions by outcome: those that a service answered or, beside a worker, followed; those that the owner made.",
        watch="none for minutes where there always are some; a share of blocks far from that of the day before",
    ),
    Metric(
        name="penstock_engine_seconds",
        kind="histogram",
        source="engine",
        labels=("detector", "stage"),
        unit="seconds",
        text="Time of each micro-batch in each stage: decode, features, models, challenger, rules, explain.",
        watch="a p99 that grows with the same traffic",
    ),
    Metric(
        name="penstock_rule_fires_total",
        kind="counter",
        source="engine",
        labels=("detector", "rule"),
        unit="events",
        text="Events on which each rule fired and acted, whatever decided; beyond 500 rules in one process, `other`.",
        watch="a rule that fires many times as often as the day before, or not any more",
    ),
    Metric(
        name="penstock_rollbacks_total",
        kind="counter",
        source="engine",
        labels=("detector", "kind"),
        unit="rollbacks",
        text="Candidates that a guard has rolled back: kind `model` or `rule`.",
        watch="any",
    ),
    Metric(
        name="penstock_duplicates_total",
        kind="counter",
        source="engine",
        unit="events",
        text="Events that came again, and got the decision of the first time.",
    ),
    Metric(
        name="penstock_conflicts_total",
        kind="counter",
        source="engine",
        unit="events",
        text="Events that came again under the same id with other contents.",
        watch="a rise: somebody reuses ids",
    ),
    Metric(
        name="penstock_quarantined_total",
        kind="counter",
        source="engine",
        unit="events",
        text="Malformed events, and labels of unknown transactions behind a broker, kept for people to look at.",
        watch="a rise: a producer has changed",
    ),
    Metric(
        name="penstock_degraded_total",
        kind="counter",
        source="engine",
        unit="decisions",
        text="Decisions that the policy's `on_failure` made because features, models or rules failed.",
        watch="any",
    ),
    Metric(
        name="penstock_state_bytes",
        kind="gauge",
        source="engine",
        unit="bytes",
        text="Memory that the state of features takes.",
        watch="near `memory_limit_gb`",
    ),
    Metric(
        name="penstock_ledger_cut_bytes_total",
        kind="counter",
        source="engine",
        unit="bytes",
        text="What was cut off the end of the log at the start: the rest of a write that nobody was told about, or, with"
        " `accept_loss`, what was damaged.",
        watch="any that no crash explains",
    ),
    Metric(
        name="penstock_webhook_attempts_total",
        kind="counter",
        source="service",
        labels=("outcome",),
        unit="attempts",
        text="Attempts to deliver an event by webhook: delivered, failed, or expired (given up).",
        watch="any expired",
    ),
    Metric(
        name="penstock_webhook_waiting_events",
        kind="gauge",
        source="service",
        labels=("webhook",),
        unit="events",
        text="Events that an endpoint has not been delivered yet.",
        watch="growth",
    ),
    Metric(
        name="penstock_webhook_waiting_seconds",
        kind="gauge",
        source="service",
        labels=("webhook",),
        unit="seconds",
        text="How long the oldest of them has been waiting.",
        watch="more than minutes: the receiver is away, or too slow",
    ),
    Metric(
        name="penstock_positions_discarded_total",
        kind="counter",
        source="service",
        labels=("reader",),
        unit="positions",
        text="Snapshots and positions that did not belong to the log and were discarded: `snapshot`, `ids`, `cases`, `alerts`,"
        " `archive`.",
        watch="any, unless a ledger was restored from an older copy",
    ),
    Metric(
        name="penstock_state_refused_total",
        kind="counter",
        source="engine",
        unit="events",
        text="Events that an entity left out of its state because `memory_limit_gb` is used up, counted by entity.",
        watch="any: raise the limit, or shorten windows or lateness",
    ),
    Metric(
        name="penstock_requests_total",
        kind="counter",
        source="service",
        labels=("route", "status"),
        unit="requests",
        text="HTTP requests answered, by the route's pattern (`other` where there is none) and status.",
        watch="any of status 5xx",
    ),
    Metric(
        name="penstock_sign_ins_total",
        kind="counter",
        source="service",
        labels=("way", "outcome"),
        unit="attempts",
        text="Attempts to sign in, by way (`password`, `oidc`) and outcome: `succeeded`, `failed`, or `limited` (429).",
        watch="many that failed or were limited: somebody tries passwords; the logger `penstock.security` names addresses",
    ),
    Metric(
        name="penstock_http_connections",
        kind="gauge",
        source="service",
        labels=(),
        unit="connections",
        text="Open connections of clients.",
        watch="near `max_connections`",
    ),
    Metric(
        name="penstock_http_rejected_total",
        kind="counter",
        source="service",
        labels=("reason",),
        unit="requests",
        text="Requests and connections that a bound refused, by reason: request_line, header_line, header_count, head, "
        "head_timeout, body_size, body_timeout, waiting_requests, connections, tls_handshake; malformed where it was no HTTP; "
        "host and origin while the service is open.",
        watch="a rise: somebody floods the service, or a client needs a wider bound",
    ),
    Metric(
        name="penstock_ready",
        kind="gauge",
        source="service",
        unit="0 or 1",
        text="1 where the detector can decide.",
        watch="0 for longer than a start takes",
    ),
    Metric(
        name="penstock_queue_events",
        kind="gauge",
        source="service",
        unit="events",
        text="Events that wait to be decided.",
        watch="near `queue_limit`",
    ),
    Metric(
        name="penstock_refused_total",
        kind="counter",
        source="service",
        unit="events",
        text="Malformed events refused.",
        watch="a rise: a caller has changed",
    ),
    Metric(
        name="penstock_turned_away_total",
        kind="counter",
        source="service",
        unit="requests",
        text="Requests answered 503 because the queue was full.",
        watch="any",
    ),
    Metric(
        name="penstock_late_answers_total",
        kind="counter",
        source="service",
        unit="answers",
        text="Callers told what the policy says in place of a decision that came too late.",
        watch="a rise: the worker or the broker is slow",
    ),
    Metric(
        name="penstock_alerts_total",
        kind="counter",
        source="service",
        unit="alerts",
        text="Alerts that live pages were told of, up to 100 of earlier runs among them.",
    ),
    Metric(
        name="penstock_batch_events",
        kind="histogram",
        source="service",
        unit="events",
        text="Events decided together.",
    ),
    Metric(
        name="penstock_stage_seconds",
        kind="histogram",
        source="service",
        labels=("detector", "stage"),
        unit="seconds",
        text="Time as callers see it: queue (per request), decide and durable (per batch), total (per request).",
        watch="p99 of `total` beyond what callers wait for",
    ),
    Metric(
        name="penstock_drift_psi",
        kind="gauge",
        source="drift",
        labels=("detector", "column"),
        unit="index",
        text="Population stability index of a feature or score against training.",
        watch="above `penstock_drift_limit`",
    ),
    Metric(
        name="penstock_drift_limit",
        kind="gauge",
        source="drift",
        labels=("detector", "column"),
        unit="index",
        text="The index above which a column has drifted.",
    ),
    Metric(
        name="penstock_drift_missing_share",
        kind="gauge",
        source="drift",
        labels=("detector", "column"),
        unit="share",
        text="Share of decisions without a value.",
    ),
    Metric(
        name="penstock_drift_alarms",
        kind="gauge",
        source="drift",
        unit="findings",
        text="Findings worth an alarm at the newest look.",
        watch="above 0",
    ),
    Metric(
        name="penstock_drift_looked_at",
        kind="gauge",
        source="drift",
        unit="seconds since 1970",
        text="Time of the newest look.",
        watch="older than three times `drift_every_s`",
    ),
    Metric(
        name="penstock_estimated",
        kind="gauge",
        source="drift",
        labels=("detector", "figure"),
        unit="share",
        text="Worth of the models as their calibrated scores say, without labels: fraud_rate, precision, recall, roc_auc.",
    ),
    Metric(
        name="penstock_worker_owner",
        kind="gauge",
        source="worker",
        labels=("detector", "shard"),
        unit="0 or 1",
        text="1 where this process decides for the shard, 0 where it stands by.",
        watch="a sum over all workers other than 1",
    ),
    Metric(
        name="penstock_worker_ready",
        kind="gauge",
        source="worker",
        labels=("detector", "shard"),
        unit="0 or 1",
        text="1 where nothing troubles the shard; /ready says what does.",
        watch="0 for longer than a start takes",
    ),
    Metric(
        name="penstock_worker_fence",
        kind="gauge",
        source="worker",
        labels=("detector", "shard"),
        unit="number",
        text="The number of the shard's newest owner.",
        watch="one that keeps rising: workers take over from one another",
    ),
    Metric(
        name="penstock_worker_lag_messages",
        kind="gauge",
        source="worker",
        labels=("detector", "shard"),
        unit="messages",
        text="Messages that wait in the inbox, as the owner sees it.",
        watch="one that grows for minutes",
    ),
    Metric(
        name="penstock_worker_position",
        kind="gauge",
        source="worker",
        labels=("detector", "shard"),
        unit="records",
        text="Records in this process's copy of the journal.",
        watch="a standby far behind the owner",
    ),
    Metric(
        name="penstock_worker_messages_total",
        kind="counter",
        source="worker",
        labels=("detector", "shard"),
        unit="messages",
        text="Messages taken in for good by this owner.",
    ),
    Metric(
        name="penstock_sink_behind_records",
        kind="gauge",
        source="worker",
        labels=("detector", "shard", "sink"),
        unit="records",
        text="Records that a store does not have yet.",
        watch="one that grows for minutes",
    ),
    Metric(
        name="penstock_sink_behind_seconds",
        kind="gauge",
        source="worker",
        labels=("detector", "shard", "sink"),
        unit="seconds",
        text="How long the oldest record that a store does not have has waited, at most.",
        watch="minutes",
    ),
    Metric(
        name="penstock_sink_up",
        kind="gauge",
        source="worker",
        labels=("detector", "shard", "sink"),
        unit="0 or 1",
        text="1 where a store takes records.",
        watch="0 for minutes",
    ),
)
"""All of them, in the order in which they are told. Nothing that callers send becomes a label."""
