"""The Redis streams of one detector, with their readers and writers."""

import logging

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.errors import BrokerError, ConfigurationError, MissingExtra
from penstock.stream.port import INBOX

try:
    import redis  # noqa: F401  only to say so where it is missing
except ImportError as error:
    raise MissingExtra("redis", "a stream on Redis") from error

from penstock.adapters.redis_stream.candidate import RedisCandidate
from penstock.adapters.redis_stream.inbox import ordered
from penstock.adapters.redis_stream.journal import RedisJournal
from penstock.adapters.redis_stream.line import Line
from penstock.adapters.redis_stream.outlet import RedisOutlet

_OLDEST = 7
_START = "0-0"

_log = logging.getLogger(__name__)


class RedisBroker:
    """`Broker` on Redis Streams.

    Args:
        url: see `RedisAddress.of`.
        detector: whose streams these are: names the consumer group.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str, detector: str) -> None:
        self.address = RedisAddress.of(url)
        self.topics = self.address.topics
        self.group = f"penstock.{self.topics.journal}.{detector}"
        self.line = Line.to(self.address)

    def create(self, shards: int | None = None) -> list[str]:
        """See `Broker.create`."""
        if shards is not None and shards > 1:
            raise ConfigurationError(
                f"a stream on Redis has one shard, not {shards}; a detector that needs several owners needs Kafka"
            )
        self._check_server()
        made = []
        for role in self.topics.__struct_fields__:
            name = self.topics.named(role)
            if not self.line.ask("EXISTS", name):
                made.append(name)
            if role in INBOX:
                self._add_group(name)
            elif name in made:  # a stream comes into being with a group
                self._add_group(name)
                self.line.ask("XGROUP DESTROY", name, self.group)
        return made

    def _add_group(self, name: str) -> None:
        try:
            self.line.ask("XGROUP CREATE", name, self.group, "0", "MKSTREAM")
        except BrokerError as error:
            if "BUSYGROUP" not in str(error):
                raise BrokerError(f"stream {name!r} cannot be created: {error}") from error

    def _check_server(self) -> None:
        """Refuse a server that cannot do it or would throw streams away; warn about one that forgets."""
        server = self.line.ask("INFO", "server")
        version = str(server.get("redis_version", _OLDEST))
        if int(version.partition(".")[0]) < _OLDEST:
            raise BrokerError(f"Redis at {self.address.server} is version {version}; streams need Redis {_OLDEST} or Valkey")
        policy = str(self.line.ask("INFO", "memory").get("maxmemory_policy", "noeviction"))
        if policy.startswith("allkeys"):
            raise BrokerError(
                f"Redis at {self.address.server} throws away keys when its memory is full (maxmemory-policy {policy}), and the "
                "journal is one: set maxmemory-policy noeviction"
            )
        if not self.line.ask("INFO", "persistence").get("aof_enabled"):
            _log.warning(
                "Redis at %s does not write changes to disk: what it holds is lost when it ends; set appendonly yes",
                self.address.server,
            )

    def shards(self) -> int:
        """See `Broker.shards`."""
        return int(self.line.ask("EXISTS", self.topics.transactions))

    def candidate(self, name: str) -> RedisCandidate:
        """See `Broker.candidate`."""
        return RedisCandidate(self.address, self.line, self.group, name)

    def journal(self, shard: int, after: str | None) -> RedisJournal:  # noqa: ARG002  there is one
        """See `Broker.journal`."""
        return RedisJournal(self.address, self.line, after)

    def outlet(self) -> RedisOutlet:
        """See `Broker.outlet`."""
        return RedisOutlet(self.address, self.line)

    def inbox_mark(self) -> str:
        """See `Broker.inbox_mark`."""
        name = self.topics.transactions
        if not self.line.ask("EXISTS", name):
            return _START
        found = self.line.ask("XINFO STREAM", name)["last-generated-id"]
        return found.decode() if isinstance(found, bytes) else str(found)

    def covers(self, place: str | None, mark: str) -> bool:
        """See `Broker.covers`."""
        return ordered(place or _START) >= ordered(mark)

    def close(self) -> None:
        """Close the connections of all parts."""
        self.line.close()
