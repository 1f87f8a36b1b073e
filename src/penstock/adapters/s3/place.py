"""Object stores by URL, and the mapping of their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from penstock.errors import ConfigurationError, SinkUnavailable, shown_url

Store = S3Store | LocalStore

_KNOWN = {"endpoint", "region"}
_METADATA = "169.254.169.254"  # where keys are asked for that nobody has given
_ANSWER_WITHIN = timedelta(seconds=60)  # a part of a large file on a slow line


class StoreLocation:
    """A store and where in it things lie.

    Args:
        url: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, with keys from the usual AWS variables; `file://` or a folder.
        make: make a folder that is not there.

    Raises:
        ConfigurationError: the URL names no store, or the folder is not there.
    """

    def __init__(self, url: str, *, make: bool = False) -> None:
        parts = urlsplit(url)
        self.folder: Path | None = None
        if parts.scheme == "s3":
            self.name = f"s3://{parts.netloc}{parts.path.rstrip('/')}"
            self.store: Store = _bucket(url)
            return
        if parts.scheme not in ("", "file"):
            raise ConfigurationError(
                f"{shown_url(url)!r} names no archive; write s3://BUCKET/PREFIX?endpoint=URL&region=NAME, or a folder"
            )
        self.folder = Path(parts.path if parts.scheme == "file" else url).absolute()
        self.name = str(self.folder)
        if not self.folder.is_dir() and not make:
            raise ConfigurationError(f"there is no folder {self.folder}; name the folder or bucket of an archive")
        self.store = LocalStore(self.folder, mkdir=make)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Map errors of the store to those of a sink.

        Raises:
            SinkUnavailable: the store does not answer, or refuses.
        """
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise SinkUnavailable(f"{self.name} refuses: {_said(error)}; check AWS_ACCESS_KEY_ID and its rights") from error
        except (BaseError, OSError) as error:
            said = _said(error)
            if _METADATA in said:
                said = "no keys are given; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise SinkUnavailable(f"{self.name} does not answer: {said}") from error


def _bucket(url: str) -> S3Store:
    parts = urlsplit(url)
    wanted = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if not parts.netloc or set(wanted) - _KNOWN:
        unknown = ", ".join(sorted(set(wanted) - _KNOWN)) or "no bucket"
        raise ConfigurationError(
            f"{shown_url(url)!r} names no archive ({unknown}); write s3://BUCKET/PREFIX?endpoint=URL&region=NAME"
        )
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        client_options={"allow_http": True, "timeout": _ANSWER_WITHIN, "connect_timeout": timedelta(seconds=3)},
        retry_config={"max_retries": 2, "retry_timeout": _ANSWER_WITHIN},
        **wanted,  # type: ignore[arg-type]  # endpoint and region are texts
    )


def _said(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
