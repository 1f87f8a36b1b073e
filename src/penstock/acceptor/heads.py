"""Heads of requests, read as the protocol of a connection reads them."""

import httptools


class RequestHead:
    r"""The head of a request. headers: names in lower case, and values. keeps_alive: whether its connection goes on after it.

    Raises:
        httptools.HttpParserError, httptools.HttpParserUpgrade: it is malformed, or asks for another protocol.

    >>> head = RequestHead(b"POST /predict HTTP/1.1\r\nHost: h\r\n\r\n")
    >>> head.headers, head.keeps_alive
    ([(b'host', b'h')], True)
    """

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.keeps_alive = bool(parser.should_keep_alive())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self.headers.append((name.lower(), value))
