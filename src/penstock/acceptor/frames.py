"""Frames between an acceptor and the writer: requests one way, whole responses the other.

A frame is a length, a number, and a payload. The payload of a request is the length of its head, its head and its body, as they
came from the client. The answer has the same number; without a payload it means that the acceptor must pass the connection
through. Number 0 is none: from the writer it asks the acceptor to stop; from the acceptor it says that no request follows.
"""

import asyncio
import struct
from collections.abc import Iterator

STOP = 0
"""The number of the frames that end a link."""

LARGEST = 64 << 20
"""Bytes of a frame; more means that the other side is not an acceptor or a writer."""

_HEADER = struct.Struct("<II")
_HEAD = struct.Struct("<I")


def pack(number: int, payload: bytes = b"") -> bytes:
    """A frame.

    >>> Frames().feed(pack(1, b"one") + pack(2)[:3])
    [(1, b'one')]
    """
    return _HEADER.pack(len(payload), number) + payload


def pack_request(number: int, head: int, request: bytes) -> bytes:
    """The frame of a request whose head has so many bytes.

    >>> [(_, payload)] = Frames().feed(pack_request(7, 4, b"headbody"))
    >>> split_request(payload)
    (b'head', b'body')
    """
    return _HEADER.pack(len(request) + _HEAD.size, number) + _HEAD.pack(head) + request


def split_request(payload: bytes) -> tuple[bytes, bytes]:
    """Head and body of a request."""
    end = _HEAD.size + _HEAD.unpack_from(payload)[0]
    return payload[_HEAD.size : end], payload[end:]


class Frames:
    """The frames in a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete, in order.

        Raises:
            ValueError: a frame is longer than any that is sent.
        """
        if self._rest:
            data = self._rest + data
        return list(self._complete(data))

    def _complete(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while len(data) - at >= _HEADER.size:
            length, number = _HEADER.unpack_from(data, at)
            if length > LARGEST:
                raise ValueError(f"a frame of {length:,} bytes")
            end = at + _HEADER.size + length
            if end > len(data):
                break
            yield number, data[at + _HEADER.size : end]
            at = end
        self._rest = data[at:]


class FrameWriter:
    """Sends frames over a transport; those of one turn of the event loop go together."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Send a frame at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(frame)

    def flush(self) -> None:
        """Send what waits, now."""
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))

    def close(self) -> None:
        """Send what waits, then close the transport."""
        self.flush()
        self._transport.close()
