"""TLS of an acceptor."""

import ssl
from pathlib import Path
from typing import NamedTuple

from penstock.config import Settings
from penstock.tls import server_context


class TlsFiles(NamedTuple):
    """The settings of TLS, as texts that are passed to another process."""

    cert: str | None
    key: str | None
    client_ca: str | None

    @classmethod
    def of(cls, settings: Settings) -> "TlsFiles":
        """Those in the settings."""
        return cls(
            *(None if file is None else str(file) for file in (settings.tls_cert, settings.tls_key, settings.tls_client_ca))
        )

    def context(self) -> ssl.SSLContext | None:
        """See `server_context`."""
        cert, key, client_ca = (None if file is None else Path(file) for file in self)
        return server_context(Settings(tls_cert=cert, tls_key=key, tls_client_ca=client_ca))
