"""Redis Streams as the broker, on Redis 7 or Valkey (extra `redis`): `RedisBroker` is everything that others use.

address    redis://HOST:PORT as settings                   inbox    an owner's hold: reads, commits by one script
broker     streams, and the parts below                    journal  what is committed, for followers
candidate  election by a lease                             outlet   a way in for producers
line       asking Redis, and knowing how that went         *.lua    what happens as a whole, inside Redis
"""

from penstock.adapters.redis_stream.broker import RedisBroker

__all__ = ["RedisBroker"]
