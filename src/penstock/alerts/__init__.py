"""Alerts: rules as data, evaluated over the ledger's records, told to people beside the path.

rule       the four kinds of rules              evaluator   records in, alerts out
declared   the file that holds them             sink        drives it from the ledger, keeps what it raised
alert      what people are told                 courier     one channel's queue, with retries
channel    what a way to people owes            windows     exact sliding windows
"""

from penstock.alerts.alert import SEVERITIES, Alert, Severity, alert_json, alert_of, sample
from penstock.alerts.channel import Channel, Undelivered
from penstock.alerts.declared import DEFAULTS, Declared, read_alerts
from penstock.alerts.delivery_queue import DeliveryQueue
from penstock.alerts.evaluator import LIMIT, Evaluator, evaluators
from penstock.alerts.rule import Burst, Condition, Gauge, Kind, Rate, rule_of
from penstock.alerts.sink import AlertSink

__all__ = [
    "DEFAULTS",
    "LIMIT",
    "SEVERITIES",
    "Alert",
    "AlertSink",
    "Burst",
    "Channel",
    "Condition",
    "Declared",
    "DeliveryQueue",
    "Evaluator",
    "Gauge",
    "Kind",
    "Rate",
    "Severity",
    "Undelivered",
    "alert_json",
    "alert_of",
    "evaluators",
    "read_alerts",
    "rule_of",
    "sample",
]
