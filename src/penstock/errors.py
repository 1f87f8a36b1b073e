"""All errors that Penstock raises deliberately.

    PenstockError
    |-- DeclarationError          a detector, feature, rule or policy that cannot work
    |   `-- ExpressionError       an SQL condition or derived feature that cannot be read
    |-- ConfigurationError        a setting, a flag or a file that cannot be used
    |   |-- MissingExtra          an optional part of the package is not installed
    |   `-- FolderInUse           another process owns this data folder
    |-- DataError                 a recorded file or frame that does not fit the detector
    |   `-- RowsRefused           ... because more of its rows than allowed are no events
    |-- MalformedEvent            one event (or label) that is refused, with its cause
    |-- BundleError               a model bundle that is damaged or fits another detector
    |-- CapacityError             a declared memory budget or a number's range is exhausted
    |-- RegistryError             the registry of models does not answer, or refuses
    |-- NotReady                  a request for a decision before models and state are loaded
    |-- BrokerError               the broker does not answer, or refuses
    |   `-- BrokerUnavailable     ... because it cannot answer for now; the same may be asked again
    |-- SinkUnavailable           an external store does not answer; the write is repeated later
    |-- Fenced                    another owner has taken over; nothing more may be written
    |-- Forbidden                 the caller lacks the required right
    |-- Conflict                  somebody else holds or has changed the object
    |-- NotFound                  the object does not exist
    `-- LedgerError               decisions cannot be made durable
        |-- LedgerFull            ... because no room is left on the device
        `-- LedgerDamaged         ... because stored bytes fail their checksum

A message says what happened, with which value, what was allowed, and what to do. It is written for the person who
reads it, so the command line prints it as it is and HTTP puts it into `detail`.
"""

import difflib
import re
from collections.abc import Iterable


class PenstockError(Exception):
    """The base of all errors that Penstock explains; the message is for people."""


class DeclarationError(PenstockError):
    """A detector, feature, rule or policy is declared in a way that cannot work."""


class ExpressionError(DeclarationError):
    """An SQL expression cannot be parsed, or uses a name or a type that does not fit."""


class ConfigurationError(PenstockError):
    """A setting, a flag or a file named by one cannot be used."""


class MissingExtra(ConfigurationError):
    """Optional parts of the package are needed and not installed.

    >>> print(MissingExtra("train", "training")), print(MissingExtra("kafka,s3", "this command"))
    training needs an optional part: pip install 'penstock[train]'
    this command needs optional parts: pip install 'penstock[kafka,s3]'
    (None, None)
    """

    def __init__(self, extra: str, purpose: str) -> None:
        parts = "optional parts" if "," in extra else "an optional part"
        super().__init__(f"{purpose} needs {parts}: pip install 'penstock[{extra}]'")
        self.extra = extra


class FolderInUse(ConfigurationError):
    """Another process owns this data folder; one folder has one owner."""


class DataError(PenstockError):
    """A recorded file or frame does not fit the detector."""


class RowsRefused(DataError):
    """More rows of recorded data than allowed are no events; the message says how many, in which columns, and why."""


class MalformedEvent(PenstockError):
    """One event or label is refused; `field` names where, the message says why."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class BundleError(PenstockError):
    """A model bundle is damaged, incomplete, or was made for other features."""


class RegistryError(PenstockError):
    """The registry of models does not answer, or refuses what was asked of it."""


class CapacityError(PenstockError):
    """A memory budget or a number's range is exhausted; nothing was changed."""


class NotReady(PenstockError):
    """A decision was requested before models and state were loaded."""


class BrokerError(PenstockError):
    """The broker does not answer, or refuses what was asked of it; nothing was lost."""


class BrokerUnavailable(BrokerError):
    """The broker does not answer, or cannot for now; the same may be asked again."""


class SinkUnavailable(PenstockError):
    """An external store does not answer; the write is repeated when it does."""


class Fenced(PenstockError):
    """Another owner has taken over, so this one may write nothing more."""


class Forbidden(PenstockError):
    """The caller lacks the right to a change; nothing was changed."""


class Conflict(PenstockError):
    """Somebody else holds or has changed the object; nothing was changed."""


class NotFound(PenstockError):
    """There is no such thing to look at or to change."""


class LedgerError(PenstockError):
    """Decisions cannot be made durable, so they are not acknowledged."""


class LedgerFull(LedgerError):
    """No room is left on the device that holds the ledger."""


class LedgerDamaged(LedgerError):
    """Stored bytes fail their checksum in a place where no crash can explain it."""


def shown_url(url: str) -> str:
    """A URL for messages, without what it may hold of secrets.

    >>> shown_url("postgresql://penstock:secret@db/penstock"), shown_url("kafka://a:9092?sasl.password=secret&prefix=p.")
    ('postgresql://***@db/penstock', 'kafka://a:9092?sasl.password=***&prefix=p.')
    """
    plain = re.sub(r"://.*@", "://***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token|key|credential)[^=&]*=)[^&]*", r"\1***", plain)


_LONGEST_NAME = 200
"""A longer text is like no name, and looking for one would take as long as the text and the name multiplied."""


def resembling(name: str, known: Iterable[str]) -> str | None:
    """The known name that an unknown one resembles most, if any.

    >>> resembling("amuont", ["amount", "customer_id"])
    'amount'
    """
    close = difflib.get_close_matches(name, sorted(known), n=1) if len(name) <= _LONGEST_NAME else []
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that ends an error about an unknown name.

    >>> did_you_mean("amuont", ["amount", "customer_id"])
    ' Did you mean amount?'
    >>> did_you_mean("zzz", ["amount", "customer_id"])
    ' Known: amount, customer_id.'
    """
    names = sorted(known)
    if (meant := resembling(name, names)) is not None:
        return f" Did you mean {meant}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Known: {shown}." if names else ""
