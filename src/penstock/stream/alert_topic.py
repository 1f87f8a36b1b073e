"""The alert channel that publishes alerts to a topic of the broker."""

import threading

from penstock.alerts import Alert, Severity, Undelivered, alert_json
from penstock.errors import BrokerError
from penstock.stream.port import Outlet

_WITHIN_S = 10.0


class AlertTopic:
    """Publishes every alert to the topic `alerts`, under its key."""

    name = "topic"
    severity: Severity = "info"

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def send(self, alert: Alert) -> str:
        """Publish; returns when the broker has it. See `penstock.alerts.Channel`.

        Raises:
            Undelivered: the broker does not have it.
        """
        settled = threading.Event()
        errors: list[BaseException] = []

        def done(error: BaseException | None) -> None:
            if error is not None:
                errors.append(error)
            settled.set()

        try:
            self._outlet.put("alerts", alert.key, alert_json(alert), done)
            self._outlet.flush(_WITHIN_S)
        except BrokerError as error:
            raise Undelivered(str(error), again=True) from error
        if not settled.wait(_WITHIN_S):
            raise Undelivered("the broker does not answer", again=True)
        if errors:
            raise Undelivered(str(errors[0]), again=True)
        return "published"
