"""What Penstock counts and times for Prometheus: one declaration, from which `/metrics` and the page about it are made."""

from penstock.metrics.declared import METRICS, Metric
from penstock.metrics.families import Families
from penstock.metrics.histogram import EVENTS, SECONDS, Histogram

__all__ = ["EVENTS", "METRICS", "SECONDS", "Families", "Histogram", "Metric"]
