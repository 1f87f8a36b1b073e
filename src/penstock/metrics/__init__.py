"""Prometheus metrics: one declaration, from which `/metrics` and its reference page are generated."""

from penstock.metrics.declared import METRICS, Metric
from penstock.metrics.families import Families
from penstock.metrics.histogram import EVENTS, SECONDS, Histogram

__all__ = ["EVENTS", "METRICS", "SECONDS", "Families", "Histogram", "Metric"]
