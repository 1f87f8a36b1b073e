"""Alerts: rules, channels and the alert sink from the settings."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import msgspec

from penstock.adapters.mail import Mail
from penstock.adapters.webhook import Slack, Webhook
from penstock.alerts import (
    DEFAULTS,
    SEVERITIES,
    Alert,
    AlertDeclarations,
    AlertSink,
    Channel,
    Evaluator,
    alert_json,
    evaluators,
    read_alerts,
)
from penstock.alerts.sink import FENCE, LOOK_EVERY_S, SNAPSHOT
from penstock.config import Settings
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.labels.known_rates import KnownRates
from penstock.errors import ConfigurationError, PenstockError, did_you_mean
from penstock.ledger import Ledger
from penstock.ledger.tables import ArchiveField
from penstock.stream.alert_topic import AlertTopic
from penstock.stream.port import Outlet
from penstock.stream.sinks import Feeding, start_feeding

OnAlert = Callable[[str, bytes], None]
"""Called with the detector's name and an alert as JSON, from any thread."""

Others = Callable[[], Sequence[Alert]]
"""Returns alerts raised elsewhere since the last call."""

Channels = Callable[[], Sequence[Channel]]
"""Returns the channels of the office that are in use now."""

_CHANNELS: dict[str, type[Webhook | Mail]] = {kind.kind: kind for kind in (Slack, Webhook, Mail)}

_AGAIN_S = 60.0
"""How far back a new owner raises alerts that the former one may not have delivered: longer than a takeover."""

_SHOWN = 1000
"""Earlier alerts that live viewers get at the start."""

_log = logging.getLogger("penstock.alerts")


def declared_alerts(settings: Settings, detectors: Sequence[Detector]) -> AlertDeclarations | None:
    """The alert rules and channels in the settings; None if there are none.

    Raises:
        ConfigurationError, DeclarationError: naming the file, the place in it and the remedy.
    """
    if settings.alerts is None:
        return None
    return read_alerts(settings.alerts, [detector.folder for detector in detectors])


def about_others(declared: AlertDeclarations, detectors: Sequence[Detector]) -> list[str]:
    """A sentence for each rule about a detector that is not among these: a rule of another process, or a misspelt name."""
    names = [detector.name for detector in detectors]
    return [
        f"{rule.place} is left out: detector {rule.detector!r} is not served here.{did_you_mean(rule.detector, names)}"
        for rule in declared.rules
        if not rule.off and rule.detector is not None and rule.detector not in names
    ]


def open_channels(declared: AlertDeclarations) -> list[Channel]:
    """Open the channels in the file.

    Raises:
        ConfigurationError: one is invalid; names it, the key and what is allowed.
    """
    try:
        return [open_channel(name, table) for name, table in declared.channels.items()]
    except ConfigurationError as error:
        raise ConfigurationError(f"{declared.file}: {error}") from None


def open_channel(name: str, table: Mapping[str, Any]) -> Webhook | Mail:
    """Open a channel from its table.

    Raises:
        ConfigurationError: it is invalid; names it, the key and what is allowed.
    """
    kind, severity = table.get("kind"), table.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise ConfigurationError(
            f"channel {name!r}: there is no severity {severity!r}.{did_you_mean(str(severity), SEVERITIES)}"
        )
    if kind not in _CHANNELS:
        raise ConfigurationError(f"channel {name!r}: kind = {kind!r} is not known.{did_you_mean(str(kind), _CHANNELS)}")
    struct = _CHANNELS[kind]
    known = [field.encode_name for field in msgspec.structs.fields(struct) if field.name != "name"]
    for key in table:
        if key not in (*known, "kind"):
            raise ConfigurationError(f"channel {name!r}: a channel of kind {kind} has no {key!r}.{did_you_mean(key, known)}")
    try:
        return msgspec.convert({key: value for key, value in table.items() if key != "kind"} | {"name": name}, prepared(struct))
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ConfigurationError):
            raise error.__cause__ from None
        raise ConfigurationError(f"channel {name!r}: {error}") from None


def alert_sink(
    engine: Engine,
    settings: Settings,
    ledger: Ledger,
    *,
    log: str | None = None,
    outlet: Callable[[], Outlet] | None = None,
    metrics: Callable[[], Mapping[str, float]] = dict,
    others: Others = list,
    further: Channels = tuple,
) -> AlertSink | None:
    """The alert sink of a worker; None if the settings name no rules.

    log: identifies this ledger among those of other shards. outlet: opens a producer for the topic of alerts, which gets
    every alert in addition to the channels of the file. metrics: figures beside those of the engine, such as `lag`.
    others: alerts raised elsewhere; polled. further: channels that change while it runs; polled.
    """
    detector = engine.detector
    declared = declared_alerts(settings, [detector])
    if declared is None:
        return None
    channels = open_channels(declared)
    way = None if outlet is None else outlet()
    evaluator = Evaluator(detector, declared.rules, ledger.layouts, limit=declared.limit, log=log)
    own = EngineFigures(engine, evaluator.metrics)
    return AlertSink(
        {detector.name: evaluator},
        ledger.tables,
        [*([] if way is None else [AlertTopic(way)]), *channels],
        held=lambda channel: not (settings.deliver or isinstance(channel, AlertTopic)),
        ledger=ledger,
        again_s=_AGAIN_S,
        on_close=(lambda: None) if way is None else way.close,
        metrics=lambda: {detector.name: {**own.read(), **metrics()}},
        others=others,
        further=further,
    )


class Alerting:
    """Alerts of a service: follows the ledger that its engines write, or the replica of one behind a broker.

    Invalid rules and channels are found by the constructor, before the service starts.

    delivered_elsewhere: the worker delivers alerts; those found here are for the viewers of this service alone. held:
    nothing is delivered; alerts wait for their channels. further: channels that change while it runs. on_demand: alerts
    are raised once there is one of those.

    Raises:
        ConfigurationError, DeclarationError: as `declared_alerts` and `open_channels`.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        declared: AlertDeclarations,
        *,
        delivered_elsewhere: bool = False,
        held: bool = False,
        further: Channels = tuple,
        on_demand: bool = False,
    ) -> None:
        self._ledger: Ledger | None = None
        self._further: Channels = tuple if delivered_elsewhere else further
        self.declared, self.on_demand = declared, on_demand
        self._closing = threading.Event()
        self._waiting: threading.Thread | None = None
        self._figures: dict[str, EngineFigures] = {}
        channels = open_channels(declared)
        self._channels: list[Channel] = [] if delivered_elsewhere else channels
        self._held = held
        self._evaluators = evaluators(detectors, declared.rules, self._layouts, limit=declared.limit)
        self._on_alert: OnAlert = lambda _detector, _body: None
        self._more: Callable[[], Mapping[str, Mapping[str, float]]] = dict
        self._others: Others = list
        self._feeding: Feeding | None = None
        self._sink: AlertSink | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, detectors: Sequence[Detector], settings: Settings, further: Channels | None = None) -> "Alerting | None":
        """Alerting from the settings; without rules in them the default rules, once there is a further channel.

        further: channels that change while it runs. None is returned if neither they nor rules are given, or if the settings
        name no rules and a worker delivers.
        """
        declared, elsewhere, held = declared_alerts(settings, detectors), settings.stream is not None, not settings.deliver
        if declared is not None:
            for left_out in about_others(declared, detectors):
                _log.warning("%s", left_out)
            return cls(detectors, declared, delivered_elsewhere=elsewhere, held=held, further=further or tuple)
        if further is None or elsewhere:
            return None
        try:
            defaults = read_alerts(Path(DEFAULTS), [detector.folder for detector in detectors])
            return cls(detectors, defaults, held=held, further=further, on_demand=True)
        except PenstockError as error:
            _log.warning("no alerts are raised: the default rules do not fit: %s", error)
            return None

    @property
    def raises(self) -> bool:
        """Whether alerts are raised, or will be once an engine is open: there are rules, or a channel that wants them."""
        return not self.on_demand or self._feeding is not None

    @property
    def feeding(self) -> Feeding | None:
        """The running sink; None before an engine is open."""
        return self._feeding

    @property
    def channels(self) -> Sequence[Channel]:
        """The channels of this process."""
        return self._channels

    def on_the_way(self, channel: str) -> tuple[int, str | None]:
        """Number of alerts waiting for a channel, and why the last attempt failed; None if it succeeded."""
        return (0, None) if self._sink is None else self._sink.on_the_way(channel)

    def listen(self, on_alert: OnAlert) -> None:
        """Register a callback for every new alert, for live viewers."""
        self._on_alert = on_alert

    def start(self, ledger: Ledger) -> None:
        """Follow a ledger from the stored position; once. On demand, wait for a channel first."""
        if self._feeding is not None or self._waiting is not None:
            return
        self._ledger = ledger
        for raised in reversed(ledger.tables.alerts(limit=_SHOWN)):
            if raised.detector in self._evaluators:
                self._on_alert(raised.detector, raised.body)
        if self.on_demand and not self._further():
            self._closing.clear()
            self._waiting = threading.Thread(target=self._await_channel, args=(ledger,), name="penstock-alerts", daemon=True)
            self._waiting.start()
        else:
            self._follow(ledger)

    def _await_channel(self, ledger: Ledger) -> None:
        """Begin with the first channel, at the ledger's end: what was decided before concerns nobody."""
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                if self._further():
                    ledger.tables.put_setting(SNAPSHOT, None)
                    self._follow(ledger)
                    return
            except PenstockError as error:
                _log.warning("alerts do not begin yet: %s", error)

    def _follow(self, ledger: Ledger) -> None:
        self._sink = sink = AlertSink(
            self._evaluators,
            ledger.tables,
            self._channels,
            held=lambda _channel: self._held,
            ledger=ledger,
            since=ledger.durable_position,
            on_alert=lambda alert: self._on_alert(alert.detector, alert_json(alert)),
            metrics=self._metrics,
            others=self._others,
            further=self._further,
        )
        fence = int(ledger.tables.setting(FENCE, 0))  # the owner of the folder is in charge, also after a worker had it
        self._feeding = start_feeding(sink, ledger, fence, _fenced)

    def watch(self, engine: Engine) -> None:
        """Add an engine's figures."""
        with self._lock:
            name = engine.detector.name
            self._figures[name] = EngineFigures(engine, self._evaluators[name].metrics)

    def also(self, more: Callable[[], Mapping[str, Mapping[str, float]]]) -> None:
        """Add further figures by detector, such as that of drift; read from a separate thread."""
        self._more = more

    def others(self, others: Others) -> None:
        """Add a source of alerts raised elsewhere, such as by guards."""
        self._others = others

    def close(self) -> None:
        """Evaluate durable records, and stop."""
        self._closing.set()
        if self._waiting is not None:
            self._waiting.join()
            self._waiting = None
        if self._feeding is not None:
            self._feeding.finish(5.0)
            self._feeding.close()
            self._feeding = None

    def _metrics(self) -> Mapping[str, Mapping[str, float]]:
        more = self._more()
        with self._lock:
            engines = dict(self._figures)
        return {name: {**own.read(), **more.get(name, {})} for name, own in engines.items()}

    def _layouts(self) -> Mapping[str, Mapping[str, Sequence[ArchiveField]]]:
        return {} if self._ledger is None else self._ledger.layouts()


class EngineFigures:
    """The figures of one engine for gauges: plain counters, and rates of known outcomes if they are asked for.

    asked: the names that rules ask for.
    """

    def __init__(self, engine: Engine, asked: Set[str]) -> None:
        self._engine = engine
        self._rates = KnownRates(engine.label_outcomes, engine.clock) if asked & KnownRates.names else None

    def read(self) -> dict[str, float]:
        """The figures of now, from one thread at a time, which is not the one that decides; may wait for the disk."""
        totals, state = self._engine.totals, self._engine.pipeline.state
        names = ("quarantined", "quarantine_lost", "duplicates", "conflicts", "degraded")
        counted = {name: float(getattr(totals, name)) for name in names} | {"memory_refused": float(state.refused)}
        return counted | dict(self._rates.figures() if self._rates is not None else {})


def _fenced(error: PenstockError) -> None:
    _log.warning("alerts are no longer raised here: %s", error)
