"""Kafka as the broker (extra `kafka`): `KafkaBroker` is the interface for the other packages.

address    kafka://HOST:PORT/PREFIX as settings           inbox    an owner's reads and transactional commits of a shard
broker     topics, and the parts below                    journal  committed entries, for followers
candidate  election by a consumer group                   outlet   sends messages to the inbox
"""

from penstock.adapters.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
