"""A child process that serves is waited for until it is ready, but not for ever, and not without a word."""

import subprocess
import sys

import pytest

from penstock.adapters.http import Unreachable
from penstock.errors import NotReady
from penstock.wiring.traffic import child
from penstock.wiring.traffic.child import free_port, serving

SERVICE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        {answer}
        body = b'{{"detail": "mine: no model has been trained yet"}}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
print("starting", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
READY = SERVICE.format(answer="self.send_response(200)")
NOT_READY = SERVICE.format(answer="self.send_response(503)")
SILENT = SERVICE.format(answer="import time; time.sleep(600)")
DYING = "import sys; print('the port is taken', file=sys.stderr); sys.exit(3)"


def serve(program, *, within_s=60.0, said=None, port=None):
    port = port or free_port()
    command = [sys.executable, "-c", program, str(port)]
    return serving(command, f"http://127.0.0.1:{port}", within_s=within_s, say=(said if said is not None else []).append)


def test_the_block_begins_when_the_service_is_ready_and_the_process_ends_with_it(monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(child.subprocess, "Popen", lambda *given, **more: started.append(popen(*given, **more)) or started[0])
    with serve(READY):
        assert started[0].poll() is None
    assert started[0].returncode is not None


def test_the_reason_of_a_service_that_is_not_ready_is_repeated_and_in_the_end_raised(monkeypatch):
    monkeypatch.setattr(child, "_SAY_EVERY_S", 0.2)
    said = []
    with pytest.raises(NotReady, match=r"not ready within 10 s: mine: no model has been trained yet; .* last:\nstarting"):
        serve(NOT_READY, within_s=10.0, said=said).__enter__()
    assert len([text for text in said if "no model has been trained yet" in text]) > 1


def test_a_service_that_takes_a_connection_and_says_nothing_is_not_waited_for_longer(monkeypatch):
    monkeypatch.setattr(child, "_SAY_EVERY_S", 0.2)
    with pytest.raises(NotReady, match="not ready within 2 s: it does not answer yet"):
        serve(SILENT, within_s=2.0).__enter__()


def test_the_last_words_of_a_process_that_ended_are_shown():
    with pytest.raises(NotReady, match=r"did not start: it ended with exit code 3; it printed last:\nthe port is taken"):
        serve(DYING).__enter__()


def test_a_service_that_dies_later_is_shown_to_have_died():
    dying = READY.replace(
        "def do_GET(self):", "def do_GET(self):\n        if self.path == '/die': print('no memory', flush=True); os._exit(9)"
    )
    port = free_port()
    died = pytest.raises(NotReady, match=r"ended with exit code 9; it printed last:\nstarting\nno memory")
    with died, serve(dying, port=port):
        _die(port)


def _die(port):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/die")
        connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable("it went away") from error
    finally:
        connection.close()
