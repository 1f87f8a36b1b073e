"""The alert channels of an office: validated, opened, and followed while a process runs."""

import logging
from collections.abc import Sequence
from typing import Any

from penstock.adapters.mail import Mail
from penstock.adapters.webhook import Webhook
from penstock.alerts import Alert, Channel, Severity
from penstock.config import Settings
from penstock.database import Database
from penstock.errors import ConfigurationError, LedgerError
from penstock.governance.alert_channels import AlertChannels, StoredChannel
from penstock.wiring.alerts import open_channel

_log = logging.getLogger("penstock.alerts")


class OfficeChannel:
    """A channel of the office, which sends to public addresses alone unless private ones are allowed."""

    def __init__(self, channel: Webhook | Mail, *, private: bool) -> None:
        self._channel, self._private = channel, private
        self.name, self.kind = channel.name, channel.kind
        self.severity: Severity = channel.severity

    def send(self, alert: Alert) -> str:
        """Deliver; see `penstock.alerts.Channel`."""
        return self._channel.send(alert, private=self._private)


def alert_channels(office: Database, settings: Settings) -> AlertChannels:
    """The alert channels of an office.

    Raises:
        LedgerError: the database cannot be used.
    """
    return AlertChannels(office, open_channel, plain=settings.webhook_private)


def opened(stored: StoredChannel, settings: Settings) -> OfficeChannel:
    """A stored channel, to send through.

    Raises:
        ConfigurationError: this version of Penstock does not understand it.
    """
    return OfficeChannel(open_channel(stored.name, stored.table), private=settings.webhook_private)


class FollowedChannels:
    """The channels of an office that are in use, as of the last call of `read`. Thread-safe.

    A channel that has not changed is the same object each time.
    """

    def __init__(self, office: Database, settings: Settings) -> None:
        self._store, self._settings = alert_channels(office, settings), settings
        self._opened: dict[str, tuple[StoredChannel, Channel]] = {}

    @property
    def latest(self) -> Sequence[Channel]:
        """The channels at the last read."""
        return [channel for _, channel in self._opened.values()]

    def read(self) -> Sequence[Channel]:
        """The channels now; those of before where the office does not answer."""
        try:
            stored = self._store.all()
        except LedgerError as error:
            _log.warning("the channels of alerts are not read anew: %s", error)
            return self.latest
        before, found = self._opened, dict[str, Any]()
        for each in stored:
            if each.enabled:
                try:
                    known = before.get(each.name)
                    found[each.name] = known if known and known[0] == each else (each, opened(each, self._settings))
                except ConfigurationError as error:
                    _log.warning("%s", error)
        self._opened = found
        return self.latest
