"""What a call raises."""

from collections.abc import Sequence

from penstock_client.forms import Decision, FieldError


class ClientError(Exception):
    """The base of this package's errors."""


class Unavailable(ClientError):
    """The service did not answer, or refused for the moment, until the time of the call was over."""


class Refused(ClientError):
    """The service refused the request.

    status: of HTTP. code: for programs, stable. errors: by field. request_id: finds the request in the service's log.
    """

    def __init__(self, status: int, detail: str, code: str, errors: Sequence[FieldError], request_id: str | None) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.detail, self.code, self.errors, self.request_id = status, detail, code, tuple(errors), request_id


class Conflict(ClientError):
    """The transaction id was decided before, for an event with other content. decision: that of the first event."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"{decision.transaction_id!r} was decided before, for an event with other content")
        self.decision = decision


class InvalidSignature(ClientError):
    """A webhook is not from the service, was changed on the way, or is too old."""
