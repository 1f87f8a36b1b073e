"""The service in a thread of the test process."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from penstock.config import Settings
from penstock.service.server import Server, acceptors_of, bind, url_of


@contextlib.contextmanager
def serving(app: Any, settings: Settings | None = None) -> Iterator[str]:
    """Its address on a free port. settings: of its connections."""
    sock = bind("127.0.0.1", 0)
    acceptors = acceptors_of(settings or Settings(), sock)
    server = Server(app, settings, acceptors)
    thread = threading.Thread(target=lambda: server.run(sockets=[sock if acceptors is None else acceptors.socket]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield url_of(settings or Settings(), sock)
    finally:
        server.should_exit = True
        thread.join(120)
        assert not thread.is_alive(), "the server did not stop"
