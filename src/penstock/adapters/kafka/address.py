"""Kafka connection settings: address, topic names and client configuration."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from penstock.errors import ConfigurationError, shown_url
from penstock.stream.port import Topics

Properties = dict[str, Any]


class KafkaAddress(msgspec.Struct, frozen=True):
    """A cluster and the topics of one detector on it.

    servers: `host:port`, separated by commas. properties: further ones of librdkafka, such as `security.protocol`.

    >>> KafkaAddress.of("kafka://a:9092,b:9092/banking?decisions=outcomes").topics.labels
    'banking.labels'
    """

    servers: str
    topics: Topics
    properties: Properties

    @classmethod
    def of(cls, url: str) -> "KafkaAddress":
        """`kafka://HOST:PORT[,HOST:PORT][/PREFIX][?ROLE=TOPIC&properties=FILE&librdkafka.property=VALUE]`.

        Raises:
            ConfigurationError: the text has another form.
        """
        parts = urlsplit(url)
        if not parts.netloc:
            raise ConfigurationError(
                f"{shown_url(url)!r} names no Kafka; it is written kafka://HOST:PORT or kafka://HOST:PORT/PREFIX"
            )
        properties: Properties = {}
        named: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name == "properties":
                properties |= _from_file(Path(value))
            elif "." in name:
                properties[name] = value
            elif name in Topics.__struct_fields__:
                named[name] = value
            else:
                roles = ", ".join(Topics.__struct_fields__)
                raise ConfigurationError(
                    f"{shown_url(url)!r}: {name!r} is no topic and no property of the client; topics are {roles}; "
                    "a property has a dot"
                )
        prefix = unquote(parts.path.strip("/"))
        return cls(parts.netloc, Topics.under(f"{prefix}." if prefix else "", **named), properties)

    @property
    def published(self) -> str:
        """The topic of positions: how far the journal's entries have been published."""
        return f"{self.topics.journal}.published"

    def client(self, on_error: Any = None, **more: Any) -> Properties:
        """The settings of one client; names are written with _ for the dots. heard: called with errors of its connections."""
        return {
            "bootstrap.servers": self.servers,
            "client.id": "penstock",
            "log_level": 2,
            "socket.nagle.disable": True,  # a small request behind another would wait 40 ms for the broker's acknowledgement
            **({"error_cb": on_error} if on_error is not None else {}),
            **{name.replace("_", "."): value for name, value in more.items()},
            **self.properties,
        }


def _from_file(path: Path) -> Properties:
    """Properties as Kafka's own tools read them: `name=value` lines, so that secrets stay out of command lines."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"the Kafka properties cannot be read from {path}: {error.strerror}") from error
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#")]
    return {name.strip(): value.strip() for name, value in pairs}
