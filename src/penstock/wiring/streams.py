"""Streams: the broker of a URL, and the parts of a worker."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine.following import Follower, ModelFollower, RulesFollower, TrialFollower
from penstock.engine.startup import MAKE_PERSONAL_KEY
from penstock.errors import ConfigurationError, FolderInUse, did_you_mean, shown_url
from penstock.governance.administration import newer_rules
from penstock.governance.feature_activation import FeatureActivation, feature_store
from penstock.governance.trials import TrialWork
from penstock.ledger import FileLedger
from penstock.privacy.vault_writer import VaultWriter
from penstock.stream.cases import CaseWork
from penstock.stream.parts import Parts
from penstock.stream.port import Broker, Outlet, Sink
from penstock.stream.replica import Replica
from penstock.wiring.alert_channels import FollowedChannels
from penstock.wiring.alerts import Alerting, Others, alert_sink
from penstock.wiring.engines import handing_on, open_engine
from penstock.wiring.governance import with_stored_features
from penstock.wiring.registries import champions
from penstock.wiring.reports.drift import DriftSink, DriftWork
from penstock.wiring.store_process import log_of, plan_of, start_stores
from penstock.wiring.stores import note_losses

_MOST_COPIES = 64
"""Processes that may share one data folder, each with its own copy."""


def open_broker(url: str, detector: str) -> Broker:
    """The broker of a URL.

    Raises:
        ConfigurationError: unknown scheme.
        MissingExtra: the part of the package for it is not installed.
    """
    scheme = url.partition("://")[0]
    if scheme not in BROKERS:
        raise ConfigurationError(
            f"{shown_url(url)!r} names no stream.{did_you_mean(scheme, BROKERS)} Write kafka://HOST:PORT or redis://HOST:PORT"
        )
    module, _, name = BROKERS[scheme].partition(":")
    broker: Broker = getattr(importlib.import_module(module), name)(url, detector)
    return broker


BROKERS = {
    "kafka": "penstock.adapters.kafka:KafkaBroker",
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "penstock.adapters.redis_stream:RedisBroker"),
}
"""The brokers by URL scheme: classes of a module, imported when one is opened."""


def shards_of(broker: Broker, detector: Detector, settings: Settings) -> int:
    """The number of shards of the inbox; missing topics are created.

    Raises:
        ConfigurationError: the detector cannot be split by this key; names the entity that prevents it.
    """
    broker.create()
    shards = broker.shards()
    if shards > 1:
        check_shard_key(detector, settings.shard_key, shards)
    return shards


def check_shard_key(detector: Detector, key: str | None, shards: int) -> None:
    """Refuse a split that separates events of one entity: they must all be in one shard.

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
    for links in detector.plan.links:
        raise ConfigurationError(
            f"detector {detector.name!r} cannot be split by {key!r}: links of its {links.entity.name} lead to keys of other "
            "shards; create the topics with one partition, or leave linked features out"
        )
    for plan in detector.plan.entities:
        for fields in ([column.name for column in columns] for columns in plan.keys):
            if key not in fields:
                raise ConfigurationError(
                    f"detector {detector.name!r} cannot be split by {key!r}: entity {plan.entity.name!r} is keyed by "
                    f"{', '.join(fields)}, so its events would be spread over {shards} owners and its features would be wrong; "
                    "create the topics with one partition"
                )


def open_replica(
    detector: Detector,
    settings: Settings,
    folders: Iterable[Path],
    alerting: Alerting | None = None,
    work: CaseWork | None = None,
    keeping: VaultWriter | None = None,
    office: Database | None = None,
) -> Replica:
    """A replica in the first of these folders that no other process uses; alerting, work: follow decisions.

    keeping: stores original personal values, if this process decides. office: audits accepted losses.

    Raises:
        FolderInUse: all of them are in use.
    """
    detector = with_stored_features(detector, settings)
    local, data = _first_free(folders, settings)
    if office is not None:
        note_losses(local, office)
    placed = msgspec.structs.replace(settings, data=data, models=settings.models_folder)

    def left() -> None:
        for follower in (alerting, work):
            if follower is not None:
                follower.close()

    try:
        replica = Replica(
            local,
            lambda ledger: open_engine(
                detector,
                placed,
                wait_for_models=True,
                ledger=ledger,
                on_personal=handing_on(keeping, detector),
                on_close=left,
            ),
        )
    except BaseException:
        local.close()
        raise
    if alerting is not None:
        alerting.start(replica.ledger)
    if work is not None:
        work.watch(replica.engine)
        work.start(replica.ledger)
    return replica


def _first_free(folders: Iterable[Path], settings: Settings) -> tuple[FileLedger, Path]:
    for folder in folders:
        try:
            segment_bytes = settings.ledger_segment_mb << 20
            return FileLedger(folder / "ledger", segment_bytes=segment_bytes, accept_loss=settings.accept_loss), folder
        except FolderInUse as error:
            taken = error
    raise taken


def _folders(data: Path, shard: int, shards: int, *, worker: bool) -> list[Path]:
    """The folders for a process's copy of the journal: a worker uses the data folder itself, others subfolders."""
    home = data if shards == 1 else data / f"shard-{shard}"
    further = [home / f"{'standby' if worker else 'replica'}-{number}" for number in range(1, _MOST_COPIES + 1)]
    return [home, *further] if worker else further


def parts_of(
    broker: Broker,
    detector: Detector,
    settings: Settings,
    shards: int,
    *,
    worker: bool = True,
    alerting: Alerting | None = None,
    office: Database | None = None,
    work: CaseWork | None = None,
    trials: TrialWork | None = None,
    keeping: VaultWriter | None = None,
) -> Parts:
    """The parts of a worker of this detector, or of a broker client in a service, whose viewers `alerting` informs.

    work: opens cases. trials: running trials and their guards. keeping: stores original values of personal fields.
    office: the source of rules and channels of alerts changed at run time; without it, those of files are in force for ever.

    Raises:
        ConfigurationError: several processes must know the key of personal fields, and none is named.
    """
    if detector.schema.personal and settings.personal_key_file is None:
        raise ConfigurationError(
            f"detector {detector.name!r} hides personal fields ({', '.join(detector.schema.personal)}) with a key that every "
            f"process behind the broker must share; {MAKE_PERSONAL_KEY}"
        )
    if worker:
        Alerting.of([detector], settings)  # errors in rules and channels are raised now, not at the first takeover
    others: Others = list if trials is None else trials.announcements.take
    return Parts(
        broker=broker,
        open_replica=lambda shard: open_replica(
            detector, settings, _folders(settings.data, shard, shards, worker=worker), alerting, work, keeping, office
        ),
        open_sinks=lambda shard, replica: open_watchers(
            settings, replica, shard if shards > 1 else None, broker.outlet, others, office
        ),
        feed_stores=lambda shard, replica, fence, on_end: start_stores(
            plan_of(replica.engine, settings, shard if shards > 1 else None), replica, fence, on_end
        ),
        followers=_followers(detector, settings, shards, office, trials),
        guard=None if trials is None else trials.guards[detector.name].look,
    )


def _followers(
    detector: Detector, settings: Settings, shards: int, office: Database | None, trials: TrialWork | None
) -> Callable[[int, Callable[[], bool]], list[Follower[Any]]]:
    """The followers of a shard, which share what they load; with several shards, features must be of the shard's keys."""
    newer = champions([detector], settings).get(detector.name)
    newer_trial = None if trials is None else trials.newer.get(detector.name)
    rules = None if office is None else newer_rules(office, [detector])[detector.name]

    def fits(changed: Detector) -> None:
        if shards > 1:
            check_shard_key(changed, settings.shard_key, shards)

    def followers(shard: int, decides: Callable[[], bool]) -> list[Follower[Any]]:
        found: list[Follower[Any]] = []
        if rules is not None:
            found.append(RulesFollower(detector.name, rules))
        if newer_trial is not None:
            found.append(TrialFollower(detector.name, newer_trial))
        if newer is not None:
            found.append(ModelFollower(detector.name, newer, settings.follow_every_s))
        if office is not None:
            store, place = feature_store(office, detector, settings), {"shard": shard, "shards": shards}
            found.append(FeatureActivation(store, detector, decides=decides, fits=fits, **place))
        return found

    return followers


def broker_parts(
    detectors: Sequence[Detector], settings: Settings, alerting: Alerting | None = None, work: CaseWork | None = None
) -> dict[str, Parts]:
    """The parts of the broker clients of these detectors, by name.

    Raises:
        ConfigurationError: a detector has several shards, or two detectors would share their topics.
    """
    assert settings.stream is not None
    if len(detectors) > 1:
        raise ConfigurationError("a service beside workers serves one detector; start one for each, with separate topics")
    found = {}
    for detector in detectors:
        broker = open_broker(settings.stream, detector.name)
        shards = shards_of(broker, detector, settings)
        if shards > 1:
            raise ConfigurationError(
                f"the inbox of {detector.name!r} has {shards} partitions; a service follows one, so let producers write to the"
                " broker directly"
            )
        found[detector.name] = parts_of(broker, detector, settings, shards, worker=False, alerting=alerting, work=work)
    return found


def open_watchers(
    settings: Settings,
    replica: Replica,
    shard: int | None = None,
    outlet: Callable[[], Outlet] | None = None,
    others: Others = list,
    office: Database | None = None,
) -> Sequence[Sink]:
    """The sinks in the settings that need the engine that decides, for the only shard or for one of several: alerts and drift.

    outlet: opens a producer. others: alerts raised outside the ledger. office: its channels get alerts as well.
    """
    engine = replica.engine
    drift = DriftWork(settings)
    alerts = alert_sink(
        engine,
        settings,
        replica.ledger,
        log=log_of(engine, shard),
        outlet=outlet,
        metrics=lambda: {
            "lag": float(replica.lag()),
            "stores_lag_s": replica.stores_lag_s(),
            **drift.figures().get(engine.detector.name, {}),
        },
        others=others,
        further=tuple if office is None else FollowedChannels(office, settings).read,
    )
    return [] if alerts is None else [alerts, DriftSink(engine, drift)]
