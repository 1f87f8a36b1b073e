"""Kafka as the broker (extra `kafka`): `KafkaBroker` is everything that others use.

address    kafka://HOST:PORT/PREFIX as settings           inbox    an owner's hold on a shard: reads, commits in transactions
broker     topics, and the parts below                    journal  what is committed, for followers
candidate  election by a consumer group                   outlet   a way in for producers
"""

from penstock.adapters.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
