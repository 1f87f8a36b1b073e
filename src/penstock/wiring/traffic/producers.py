"""Producers: send simulated and recorded events to a service or a broker."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

from penstock.adapters.http import ServiceAddress
from penstock.adapters.label_rows import post_labels
from penstock.adapters.producer import produce
from penstock.adapters.traffic import Item, SentCounts
from penstock.adapters.traffic import send as send_http
from penstock.config import Settings
from penstock.errors import BrokerError, shown_url
from penstock.stream.port import Topics
from penstock.wiring.detectors import load_detector
from penstock.wiring.streams import BROKERS, open_broker
from penstock.wiring.traces import SentSpans, spans_of

_MAIN = "transactions"


def send(
    url: str,
    events: Iterator[Item],
    reference: str,
    *,
    settings: Settings,
    tps: float | None,
    on_sent: Callable[[SentCounts], None],
) -> SentCounts:
    """Send events of a detector to a URL: a service, or the topics of a broker.

    settings: key and certificate for a service; the shard key for a broker, and the share of traced events.

    Raises:
        BrokerError: the broker does not answer, or has no such topics.
        PenstockError: the service does not answer, or refuses.
    """
    scheme = url.partition("://")[0]
    if scheme not in BROKERS:
        return send_http(ServiceAddress.of(url, settings), events, tps=tps, on_sent=on_sent)
    broker = open_broker(broker_url(url), load_detector(reference).name)
    try:
        if not broker.shards():
            raise BrokerError(
                f"there is no topic {broker.topics.transactions!r} at {shown_url(url)}: a URL to send to names the topic"
                f" itself, such as {scheme}://HOST:PORT/banking.{_MAIN}; create it with:"
                f" penstock topics create {reference} --stream URL"
            )
        with closing(broker.outlet()) as outlet, tracing(settings) as trace:
            return produce(outlet, events, key=settings.shard_key, tps=tps, on_sent=on_sent, trace=trace)
    finally:
        broker.close()


@contextmanager
def tracing(settings: Settings) -> Iterator[Callable[[], bytes]]:
    """The tracer of sent events, if the settings enable traces."""
    spans = spans_of(settings)
    if spans is None:
        yield bytes
        return
    with closing(spans):
        yield SentSpans(spans, settings.trace_share)


def broker_url(to: str) -> str:
    """A URL whose path names the topic of transactions, as one that names all topics; a Redis database may come before it.

    The prefix before `transactions` is also that of the other topics.

    >>> broker_url("kafka://localhost:9092/banking.transactions").split("&")[:2]
    ['kafka://localhost:9092?transactions=banking.transactions', 'labels=banking.labels']
    >>> broker_url("redis://localhost/2")
    'redis://localhost/2'
    """
    parts = urlsplit(to)
    *before, topic = parts.path.strip("/").split("/")
    if not topic or (topic.isdecimal() and not before):
        return to
    prefix = topic.removesuffix(_MAIN) if topic.endswith(_MAIN) else ""
    names = {role: prefix + role for role in Topics.__struct_fields__} | {_MAIN: topic}
    query = "&".join(filter(None, [urlencode(names), parts.query]))
    return urlunsplit((parts.scheme, parts.netloc, "/".join(["", *before]), query, ""))


def post_label_file(
    settings: Settings, url: str, file: Path, advance: Callable[[float], None]
) -> tuple[int, list[tuple[int, str]]]:
    """Post a CSV table of labels to a running service: (number accepted, refused rows with their causes)."""
    return post_labels(ServiceAddress.of(url, settings), file.read_bytes(), advance)
