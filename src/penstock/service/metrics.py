"""Prometheus: what the desks, the front and the engines count, read only when somebody asks for `/metrics`."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from penstock.service.desks import Desks
from penstock.service.front import Front
from penstock.service.measures import Histogram
from penstock.service.port import Serving

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServiceCollector(Collector):
    """Collects from the desks and from the front."""

    def __init__(self, desks: Desks, front: Front) -> None:
        self._desks = desks
        self._front = front

    def collect(self) -> Iterator[Metric]:
        """Every metric of the service."""
        yield self._requests()
        yield self._decisions()
        yield self._gauge("penstock_ready", "1 where the detector can decide.", lambda desk: desk.not_ready is None)
        yield self._gauge("penstock_queue_events", "Events that wait to be decided.", lambda desk: desk.queued_events)
        yield self._counter("penstock_refused", "Malformed events refused.", lambda desk: desk.feed.refused)
        yield self._counter(
            "penstock_turned_away", "Requests answered 503: the queue was full.", lambda desk: desk.measures.turned_away
        )
        yield self._counter(
            "penstock_late_answers", "Callers told something in place of a late decision.", lambda desk: desk.measures.late
        )
        yield self._batches()
        yield self._stages()
        yield from self._engines()

    def _requests(self) -> Metric:
        family = CounterMetricFamily("penstock_requests", "Requests answered.", labels=["route", "status"])
        for (route, status), count in sorted(self._front.requests.items()):
            family.add_metric([route, str(status)], count)
        return family

    def _decisions(self) -> Metric:
        family = CounterMetricFamily("penstock_decisions", "Decisions answered.", labels=["detector", "decision"])
        for name, desk in self._desks.items():
            for outcome, count in sorted(desk.feed.outcomes.items()):
                family.add_metric([name, outcome.lower()], count)
        return family

    def _gauge(self, name: str, text: str, value: Callable[[Serving], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["detector"])
        for detector, desk in self._desks.items():
            family.add_metric([detector], value(desk))
        return family

    def _counter(self, name: str, text: str, value: Callable[[Serving], float]) -> Metric:
        family = CounterMetricFamily(name, text, labels=["detector"])
        for detector, desk in self._desks.items():
            family.add_metric([detector], value(desk))
        return family

    def _batches(self) -> Metric:
        family = HistogramMetricFamily("penstock_batch_events", "Events decided together.", labels=["detector"])
        for name, desk in self._desks.items():
            _add(family, [name], desk.measures.batch_events)
        return family

    def _stages(self) -> Metric:
        text = "Seconds by stage: queue (per request), decide and durable (per batch), total (per request)."
        family = HistogramMetricFamily("penstock_stage_seconds", text, labels=["detector", "stage"])
        for name, desk in self._desks.items():
            for stage, histogram in desk.measures.stages.items():
                _add(family, [name, stage], histogram)
        return family

    def _engines(self) -> Iterator[Metric]:
        """What each engine counts on its own: one family per counter, whichever engines have it."""
        families: dict[str, CounterMetricFamily] = {}
        for name, desk in self._desks.items():
            counters = {} if desk.not_ready is not None else desk.engine.metrics
            for counter, value in counters.items():
                if counter not in families:
                    text = f"{counter.replace('_', ' ').capitalize()}, counted by the engine."
                    families[counter] = CounterMetricFamily(f"penstock_{counter}", text, labels=["detector"])
                families[counter].add_metric([name], value)
        yield from families.values()


class Exposition:
    """The text of `/metrics`."""

    def __init__(self, desks: Desks, front: Front, *others: Collector) -> None:
        self._registry = CollectorRegistry()
        for each in (ServiceCollector(desks, front), *others):
            self._registry.register(each)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self._registry)


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    family.add_metric(labels, buckets=histogram.cumulative(), sum_value=histogram.sum)
