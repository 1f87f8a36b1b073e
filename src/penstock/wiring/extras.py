"""The optional parts of the package that the settings need."""

from collections.abc import Iterator

from penstock.config import Settings
from penstock.extras import require

_BROKERS = {"kafka": "kafka", "redis": "redis", "rediss": "redis", "valkey": "redis", "valkeys": "redis"}


def check_extras(settings: Settings) -> None:
    """Refuse to start without what the settings need.

    Raises:
        MissingExtra: naming every extra that is missing.
    """
    require(*needed(settings), purpose="what the settings name")


def needed(settings: Settings) -> Iterator[str]:
    """The extras that the broker, the stores, the registry and the database of these settings need."""
    broker = _BROKERS.get((settings.stream or "").partition("://")[0])
    if broker is not None:
        yield broker
    if any(str(url or "").startswith("postgres") for url in (settings.ledger, settings.office)):
        yield "postgres"
    if settings.redis:
        yield "redis"
    if settings.archive:
        yield "s3"
    if settings.registry == "mlflow":
        yield "mlflow"
