"""TLS contexts, of the service and of commands that call one, and the reading of its connections."""

import asyncio
import ssl
from functools import partial
from pathlib import Path

from penstock.config import Settings
from penstock.errors import ConfigurationError

_READ_BYTES = 64 * 1024
_ENCRYPTED = "is protected by a passphrase, which a service cannot type; write it without: openssl pkey -in {} -out FILE"


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context in the settings: 1.3, or 1.2 for clients that know no more; None where the service speaks plain HTTP.

    Raises:
        ConfigurationError: a file is missing, unreadable or not what it should be; names it and the remedy.
    """
    if settings.tls_cert is None:
        for name, file in (("tls_key", settings.tls_key), ("tls_client_ca", settings.tls_client_ca)):
            if file is not None:
                raise ConfigurationError(f"{name} = {file} is of no use without a certificate; name its file in tls_cert")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _show(context, settings.tls_cert, settings.tls_key)
    if settings.tls_client_ca is not None:
        _trust(context, settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context of a command that calls a service: who signs services is as the system knows it, or `SSL_CERT_FILE`.

    Raises:
        ConfigurationError: as `server_context`, for the certificate that the command shows.
    """
    context = ssl.create_default_context()
    if settings.tls_cert is not None:
        _show(context, settings.tls_cert, settings.tls_key)
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Let a context show a certificate. key: its private key, unless the same file holds it.

    Raises:
        ConfigurationError: as `server_context`.
    """
    _readable("tls_cert", certificate)
    name, file = ("tls_cert", certificate) if key is None else ("tls_key", key)
    _readable(name, file)
    try:
        context.load_cert_chain(certificate, key, password=partial(_no_passphrase, name, file))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            said = f"{name} = {file} is not the private key of the certificate in tls_cert = {certificate}; name the pair"
        elif not _holds_certificate(certificate):
            said = f"tls_cert = {certificate} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----): {error.reason}"
        else:
            said = f"{name} = {file} holds no usable private key in PEM form; tls_key names its file: {error.reason}"
        raise ConfigurationError(said) from error


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    _readable("tls_client_ca", authorities)
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"tls_client_ca = {authorities} holds no certificate in PEM form; it names the authorities that sign the"
            f" certificates of clients: {error.reason}"
        ) from error


def _readable(name: str, file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{name} = {file} cannot be read: {error.strerror}; name a file in PEM form that this process may read"
        ) from error


def _no_passphrase(name: str, file: Path) -> str:
    raise ConfigurationError(f"{name} = {file} {_ENCRYPTED.format(file)}")


def _holds_certificate(file: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True


def read_buffer() -> memoryview:
    """The buffer that the connections of one loop share for what they read."""
    return memoryview(bytearray(_READ_BYTES))


class Buffered(asyncio.BufferedProtocol):
    """Reads for a protocol into its own buffer: without one, a loop takes and frees 256 KB for each read of TLS.

    buffer: of any number of connections of one loop.
    """

    def __init__(self, protocol: asyncio.Protocol, buffer: memoryview) -> None:
        self._received = protocol.data_received
        self._buffer = buffer
        self.connection_made = protocol.connection_made  # type: ignore[method-assign]
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's signature
        """Part of asyncio.BufferedProtocol."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of asyncio.BufferedProtocol."""
        self._received(bytes(self._buffer[:nbytes]))
