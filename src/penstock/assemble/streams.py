"""Streams: which broker a URL names, and what a worker behind it is made of."""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from penstock.assemble.engines import open_engine
from penstock.assemble.registries import champions
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError, did_you_mean
from penstock.ledger import FileLedger
from penstock.stream.parts import Parts
from penstock.stream.port import Broker, Sink
from penstock.stream.replica import Replica


def open_broker(url: str, detector: str) -> Broker:
    """The broker that a URL names.

    Raises:
        ConfigurationError: no broker is written like this.
        MissingExtra: the part of the package for it is not installed.
    """
    scheme = url.partition("://")[0]
    if scheme not in _BROKERS:
        raise ConfigurationError(
            f"{url!r} names no stream.{did_you_mean(scheme, _BROKERS)} Write kafka://HOST:PORT or redis://HOST:PORT"
        )
    return _BROKERS[scheme](url, detector)


def _kafka(url: str, detector: str) -> Broker:
    from penstock.adapters.kafka import KafkaBroker

    return KafkaBroker(url, detector)


def _redis(url: str, detector: str) -> Broker:
    from penstock.adapters.redis_stream import RedisBroker

    return RedisBroker(url, detector)


_BROKERS: dict[str, Callable[[str, str], Broker]] = {
    "kafka": _kafka,
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), _redis),
}


def shards_of(broker: Broker, detector: Detector, settings: Settings) -> int:
    """How many shards the inbox has; topics that are not there are created.

    Raises:
        ConfigurationError: the detector cannot be split like this; says which entity is in the way.
    """
    broker.create()
    shards = broker.shards()
    if shards > 1:
        check_shard_key(detector, settings.shard_key, shards)
    return shards


def check_shard_key(detector: Detector, key: str | None, shards: int) -> None:
    """Refuse to split what belongs together: every entity's events must all be in one shard.

    Raises:
        ConfigurationError: naming the entity whose events would be spread over shards.
    """
    if key is None:
        raise ConfigurationError(
            f"the inbox has {shards} partitions, and nothing says what they are split by: name the field that is the key of "
            "its messages (shard_key), or create the topics with one partition"
        )
    if key not in detector.schema.columns:
        raise ConfigurationError(
            f"detector {detector.name!r} has no field {key!r} to be split by.{did_you_mean(key, detector.schema.columns)}"
        )
    for plan in detector.plan.entities:
        for fields in ([column.name for column in columns] for columns in plan.keys):
            if key not in fields:
                raise ConfigurationError(
                    f"detector {detector.name!r} cannot be split by {key!r}: entity {plan.entity.name!r} is keyed by "
                    f"{', '.join(fields)}, so its events would be spread over {shards} owners and its features would be wrong; "
                    "create the topics with one partition"
                )


def open_replica(detector: Detector, settings: Settings, shard: int, shards: int) -> Replica:
    """The replica of a shard over this machine's data folder; shards of one process have folders of their own.

    Raises:
        FolderInUse: another process has the folder.
    """
    data = settings.data if shards == 1 else settings.data / f"shard-{shard}"
    placed = msgspec.structs.replace(settings, data=data, models=settings.models_folder)
    local = FileLedger(data / "ledger", segment_bytes=settings.ledger_segment_mb << 20)
    try:
        return Replica(local, lambda ledger: open_engine(detector, placed, wait_for_models=True, ledger=ledger))
    except BaseException:
        local.close()
        raise


def parts_of(broker: Broker, detector: Detector, settings: Settings, shards: int) -> Parts:
    """What a worker of this detector is made of.

    Raises:
        ConfigurationError: several processes must know the key of personal fields, and none is named.
    """
    if detector.schema.personal and settings.personal_key_file is None:
        raise ConfigurationError(
            f"detector {detector.name!r} hides personal fields ({', '.join(detector.schema.personal)}) with a key that every "
            "process behind the broker must share: name it with personal_key_file"
        )
    newer = champions([detector], settings).get(detector.name)
    return Parts(
        broker=broker,
        open_replica=lambda shard: open_replica(detector, settings, shard, shards),
        open_sinks=partial(open_sinks, settings),
        newer=newer,
        follow_every_s=settings.follow_every_s,
    )


def open_sinks(settings: Settings, replica: Replica) -> Sequence[Sink]:
    """The stores that the settings name."""
    return []
