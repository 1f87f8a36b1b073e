"""The optional parts of the package: which modules each brings, and whether they are installed."""

from collections.abc import Iterable
from importlib.util import find_spec

from penstock.errors import MissingExtra

MODULES = {
    "kafka": ("confluent_kafka",),
    "lab": ("streamlit",),
    "mlflow": ("mlflow",),
    "onnx": ("onnxruntime",),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter"),
    "postgres": ("psycopg",),
    "redis": ("redis",),
    "s3": ("obstore",),
    "spark": ("pyspark", "pyarrow", "pandas"),
    "train": ("sklearn", "xgboost", "lightgbm", "imblearn", "optuna", "matplotlib", "threadpoolctl"),
}
"""The modules by extra, as in pyproject.toml."""


def missing(extras: Iterable[str]) -> list[str]:
    """Those of these extras of which a module is not installed, in order.

    >>> missing([])
    []
    """
    return [extra for extra in dict.fromkeys(extras) if not all(map(_is_installed, MODULES[extra]))]


def require(*extras: str, purpose: str) -> None:
    """Refuse to go on without extras.

    Raises:
        MissingExtra: naming all that are missing.
    """
    if lacking := missing(extras):
        raise MissingExtra(",".join(lacking), purpose)


def require_training() -> None:
    """Refuse to go on where nothing can be trained.

    Raises:
        MissingExtra: naming the extra.
    """
    require("train", purpose="training")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
