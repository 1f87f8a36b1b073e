"""Conversion of declared metrics to prometheus-client's metric families."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from penstock.metrics.declared import METRICS, Metric, Source
from penstock.metrics.histogram import Histogram

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_KINDS: dict[str, type[Family]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Families:
    """The metric families of some sources, to be filled and exported. Undeclared metrics are refused.

    sharded: whether one shard of several tells it.

    >>> families = Families("worker", sharded=True)
    >>> families.add("penstock_sink_up", ["card", "0", "redis"], 1)
    """

    def __init__(self, *sources: Source, sharded: bool = False) -> None:
        self._families = {each.name: _family(each, sharded=sharded) for each in METRICS if each.source in sources}

    def add(self, name: str, labels: Sequence[str], value: float | Histogram) -> None:
        """One series.

        Raises:
            KeyError: no metric of this name is declared for these sources.
        """
        family = self._families[name]
        if isinstance(family, HistogramMetricFamily):
            assert isinstance(value, Histogram)
            family.add_metric(list(labels), buckets=value.cumulative(), sum_value=value.sum)
        else:
            assert not isinstance(value, Histogram)
            family.add_metric(list(labels), value)

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families.values())


def _family(metric: Metric, *, sharded: bool) -> Family:
    return _KINDS[metric.kind](metric.name, metric.text, labels=metric.labels_of(sharded=sharded))
