"""Redis Streams as the broker, on Redis 7 or Valkey (extra `redis`): `RedisBroker` is the interface for other packages.

address    redis://HOST:PORT as settings                   inbox    an owner's reads, and commits by one script
broker     streams, and the parts below                    journal  committed entries, for followers
candidate  election by a lease                             outlet   sends messages to the inbox
line       calls to Redis, with retries and errors         *.lua    the atomic steps, run inside Redis
"""

from penstock.adapters.redis_stream.broker import RedisBroker

__all__ = ["RedisBroker"]
