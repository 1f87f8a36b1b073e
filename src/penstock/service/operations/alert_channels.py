"""`/alerts/channels`: the channels of alerts, those of the file and those that are set up here."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.alerts import Channel, Severity, Undelivered, sample
from penstock.clock import iso, system_clock
from penstock.errors import Conflict, MalformedEvent
from penstock.governance.alert_channels import StoredChannel
from penstock.identity.roles import Right
from penstock.service.http.requests import who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.wiring.alert_channels import alert_channels, opened
from penstock.wiring.alerts import open_channel
from penstock.wiring.health import ServiceHealth

_MOST_BYTES = 16_384
_RENAMED = {"sender": "from", "receivers": "to"}
_SHOWN = ("url", "host", "port", "tls", "user", "sender", "receivers", "timeout_s")

Source = Literal["file", "page"]
Rules = Literal["configured", "defaults", "none"]

ChannelName = Annotated[str, Meta(min_length=1, max_length=64, description="Letters, digits, - and _.")]
ChannelKind = Annotated[Literal["slack", "webhook", "email"], Meta(description="slack, webhook or email.")]
FromSeverity = Annotated[Severity, Meta(description="The least severity that it takes: info, warning or critical.")]
Enabled = Annotated[bool, Meta(description="Whether alerts are sent; those raised while they are not are not sent later.")]
Url = Annotated[str, Meta(max_length=2000, description="Of slack (a secret) and webhook: https://HOST/PATH.")]
Secret = Annotated[str, Meta(max_length=500, description="Of webhook: what signs the alerts; never shown. Empty: none.")]
Host = Annotated[str, Meta(max_length=253, description="Of email: the server.")]
Port = Annotated[int, Meta(ge=1, le=65535, description="Of email: its port; 587 unless given.")]
Tls = Annotated[Literal["starttls", "tls", "none"], Meta(description="Of email: starttls (unless given), tls or none.")]
User = Annotated[str, Meta(max_length=320, description="Of email: the login. Empty: none.")]
Password = Annotated[str, Meta(max_length=500, description="Of email: the password of the login; never shown. Empty: none.")]
Sender = Annotated[str, Meta(max_length=320, description="Of email: the sender.")]
Receivers = Annotated[list[Annotated[str, Meta(max_length=320)]], Meta(max_length=50, description="Of email: the receivers.")]
Timeout = Annotated[float, Meta(ge=0.1, le=60, description="How long the receiver may take to answer, in seconds.")]


class AlertChannelForm(msgspec.Struct, frozen=True, rename=_RENAMED):
    """One channel, without its secrets. Settings that its kind does not have are null."""

    name: ChannelName
    kind: ChannelKind
    source: Annotated[Source, Meta(description="file: in the file of alerts, and not changed here; page: set up here.")]
    state: Annotated[
        Literal["active", "paused", "overridden"],
        Meta(description="active, paused (not enabled), or overridden by the one of the same name in the file."),
    ]
    severity: FromSeverity
    secrets: Annotated[list[str], Meta(description="The secrets that it has, by name: url, secret, password.")]
    url: Annotated[str, Meta(description="Of webhook, without what follows `?`.")] | None
    host: Host | None
    port: Port | None
    tls: Tls | None
    user: User | None
    sender: Sender | None
    receivers: Receivers | None
    timeout_s: Timeout | None
    created_at: Annotated[str | None, Meta(description="When it was set up; null of the file's.")]
    created_by: Annotated[str | None, Meta(description="The user or key; null of the file's.")]


class AlertChannelList(msgspec.Struct, frozen=True):
    """All channels: those of the file, then those set up here, by name."""

    channels: Annotated[list[AlertChannelForm], Meta(description="Without their secrets.")]
    rules: Annotated[
        Rules,
        Meta(
            description="configured by the setting alerts; defaults: there is no such setting, and the default rules are in"
            " force while there is a channel; none: there is no such setting, and none are in force."
        ),
    ]
    delivered_by: Annotated[
        Literal["service", "worker", "nobody"],
        Meta(description="service (this one), worker, or nobody: no alerts are raised now."),
    ]


class AlertChannelSettings(msgspec.Struct, forbid_unknown_fields=True, rename=_RENAMED, kw_only=True):
    """Settings of a channel; which ones there are depends on its kind."""

    severity: FromSeverity | None = None
    url: Url | None = None
    secret: Secret | None = None
    host: Host | None = None
    port: Port | None = None
    tls: Tls | None = None
    user: User | None = None
    password: Password | None = None
    sender: Sender | None = None
    receivers: Receivers | None = None
    timeout_s: Timeout | None = None

    def given(self) -> dict[str, Any]:
        """The given settings, by their names in the file of alerts."""
        names = AlertChannelSettings.__struct_fields__
        values = {_RENAMED.get(name, name): getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class NewAlertChannel(AlertChannelSettings, kw_only=True):
    """A channel to add: its kind and the settings of that kind."""

    name: ChannelName
    kind: ChannelKind
    severity: FromSeverity = "warning"
    enabled: Enabled = True


class ChangeAlertChannel(AlertChannelSettings, kw_only=True):
    """What to change of a channel; what is not given stays."""

    enabled: Enabled | None = None


class AlertChannelRemoved(msgspec.Struct, frozen=True):
    """A removed channel."""

    name: ChannelName


class AlertChannelTested(msgspec.Struct, frozen=True):
    """What became of a sample that was sent through a channel."""

    delivered: Annotated[bool, Meta(description="Whether the receiver took it.")]
    detail: Annotated[str, Meta(description="The answer, or why there was none.")]


class AlertChannelSetup:
    """Lists, changes and tests the channels of a service. Methods wait for the office, or for a receiver."""

    def __init__(self, operating: ServiceHealth) -> None:
        self.stored = alert_channels(operating.office, operating.settings)
        self._operating = operating

    @property
    def declared(self) -> Mapping[str, Mapping[str, Any]]:
        """The channels of the file: their tables by name."""
        return {} if self._operating.alerting is None else self._operating.alerting.declared.channels

    def everything(self) -> AlertChannelList:
        """All channels."""
        declared = (
            StoredChannel(name, str(table["kind"]), {key: table[key] for key in table if key != "kind"}, True, 0, "")
            for name, table in self.declared.items()
        )
        forms = [*(self.form(each, "file") for each in declared), *(self.form(each) for each in self.stored.all())]
        alerting = self._operating.alerting
        on_demand = alerting is not None and alerting.on_demand
        rules: Rules = "none" if alerting is None else "defaults" if on_demand else "configured"
        return AlertChannelList(forms, rules, self._operating.delivered_by)

    def form(self, channel: StoredChannel, source: Source = "page") -> AlertChannelForm:
        """The response form of a channel."""
        shown = {name: channel.shown.get(_RENAMED.get(name, name)) for name in _SHOWN}
        overridden = source == "page" and channel.name in self.declared
        return AlertChannelForm(
            name=channel.name,
            kind=channel.kind,  # type: ignore[arg-type]
            source=source,
            state="overridden" if overridden else "active" if channel.enabled else "paused",
            severity=open_channel(channel.name, channel.table).severity,
            secrets=channel.secrets,
            created_at=iso(channel.created_us) if source == "page" else None,
            created_by=channel.created_by if source == "page" else None,
            **shown,
        )

    def add(self, given: NewAlertChannel, who: str) -> AlertChannelForm:
        """Add a channel.

        Raises:
            Conflict: there is one of this name.
            MalformedEvent: a setting is invalid.
        """
        if given.name in self.declared:
            raise Conflict(f"the file of alerts has a channel {given.name!r}; choose another name")
        return self.form(self.stored.add(given.name, given.kind, given.given(), who=who, enabled=given.enabled))

    def test(self, name: str) -> AlertChannelTested:
        """Send a sample through a channel, of the file or set up here, also while it is paused.

        Raises:
            NotFound: there is no such channel.
            Conflict: the setting deliver is false.
        """
        if not self._operating.settings.deliver:
            raise Conflict("nothing is sent: the setting deliver is false")
        table = self.declared.get(name)
        channel: Channel = (
            opened(self.stored.get(name), self._operating.settings) if table is None else open_channel(name, table)
        )
        try:
            answer = channel.send(sample("test", iso(system_clock()), f"test:{secrets.token_hex(8)}"))
        except Undelivered as error:
            return AlertChannelTested(False, str(error))
        return AlertChannelTested(True, answer)


# ---------------------------------------------------------------- routes

route = Routes("operations")


@route("GET", "/alerts/channels", Right.ADMINISTER | Right.OPERATE | Right.AUDIT)
async def list_alert_channels(channels: AlertChannelSetup, /) -> AlertChannelList:
    """All channels of alerts, without their secrets."""
    return await asyncio.to_thread(channels.everything)


@route("POST", "/alerts/channels", Right.ADMINISTER, refuses=(400, 408, 409, 413, 415), status=201, most_bytes=_MOST_BYTES)
async def create_alert_channel(
    channels: AlertChannelSetup, /, request: Request, body: Body[NewAlertChannel]
) -> AlertChannelForm:
    """Add a channel, which gets alerts within seconds."""
    return await asyncio.to_thread(channels.add, await body, who(request))


@route("PATCH", "/alerts/channels/{name}", Right.ADMINISTER, refuses=CHANGING, most_bytes=_MOST_BYTES, required=True)
async def change_alert_channel(
    channels: AlertChannelSetup, /, name: str, request: Request, body: Body[ChangeAlertChannel]
) -> AlertChannelForm:
    """Change a channel that was set up here: all given settings, or none; what waits for it is tried again at once."""
    given, by = await body, who(request)
    if given == ChangeAlertChannel():
        raise MalformedEvent("nothing is to be changed; give severity, enabled, url, to, ...")

    def changed() -> AlertChannelForm:
        return channels.form(channels.stored.change(name, given.given(), who=by, enabled=given.enabled))

    return await asyncio.to_thread(changed)


@route("DELETE", "/alerts/channels/{name}", Right.ADMINISTER, refuses=(404,))
async def delete_alert_channel(channels: AlertChannelSetup, /, name: str, request: Request) -> AlertChannelRemoved:
    """Remove a channel that was set up here."""
    by = who(request)
    await asyncio.to_thread(lambda: channels.stored.remove(name, who=by))
    return AlertChannelRemoved(name)


@route("POST", "/alerts/channels/{name}/test", Right.ADMINISTER | Right.OPERATE, refuses=(404, 409))
async def test_alert_channel(channels: AlertChannelSetup, /, name: str) -> AlertChannelTested:
    """Send a sample through a channel now; the answer says what became of it."""
    return await asyncio.to_thread(channels.test, name)
