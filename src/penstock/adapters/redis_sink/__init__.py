"""Redis, or Valkey, beside the path: the latest decisions, and what is known of every key, for other services to read.

connection  the server, and what its errors mean       profiles    which features of which keys
sink        what is written, and how often             kernel      their values as text, compiled
sink.lua    one write: fenced, whole, and once
"""

from penstock.errors import MissingExtra

try:
    import redis as redis
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("redis", "Redis beside the path") from error

from penstock.adapters.redis_sink.sink import RedisSink

__all__ = ["RedisSink"]
