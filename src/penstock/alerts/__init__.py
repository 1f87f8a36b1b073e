"""Alerts: rules as data, evaluated over ledger records, delivered to people asynchronously.

rule       the four kinds of rules              evaluator        records in, alerts out
declared   the file that holds them             sink             feeds the evaluator from the ledger, stores alerts
alert      the message to people                delivery_queue   one channel's queue, with retries
channel    the port of a channel                windows          exact sliding windows
throttle   cool-downs and hourly limits         gauges           figures of the running process
"""

from penstock.alerts.alert import SEVERITIES, Alert, Severity, alert_json, alert_of, sample
from penstock.alerts.channel import Channel, Undelivered
from penstock.alerts.declared import DEFAULTS, AlertDeclarations, read_alerts
from penstock.alerts.delivery_queue import DeliveryQueue
from penstock.alerts.evaluator import LIMIT, Evaluator, evaluators
from penstock.alerts.rule import Burst, Condition, Gauge, Kind, RateRule, rule_of
from penstock.alerts.sink import AlertSink

__all__ = [
    "DEFAULTS",
    "LIMIT",
    "SEVERITIES",
    "Alert",
    "AlertDeclarations",
    "AlertSink",
    "Burst",
    "Channel",
    "Condition",
    "DeliveryQueue",
    "Evaluator",
    "Gauge",
    "Kind",
    "RateRule",
    "Severity",
    "Undelivered",
    "alert_json",
    "alert_of",
    "evaluators",
    "read_alerts",
    "rule_of",
    "sample",
]
