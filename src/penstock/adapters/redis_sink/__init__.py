"""The Redis (or Valkey) sink: the latest decisions and current features of each key, for other services to read.

connection  connections, and mapping of errors         profiles    features of each key
sink        what is written, and how often             kernel      encoding of values, compiled
sink.lua    one write: fenced, whole, and once
"""

from penstock.errors import MissingExtra

try:
    import redis as redis
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("redis", "Redis as a store") from error

from penstock.adapters.redis_sink.sink import RedisSink

__all__ = ["RedisSink"]
