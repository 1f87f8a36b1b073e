"""The lab's server: Streamlit in this process, without telemetry or external requests."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from penstock.errors import MissingExtra

try:
    from streamlit.web import cli
except ImportError as error:
    raise MissingExtra("lab", "the lab") from error

from penstock.lab.options import LabOptions, hand_over

_LOOK_AGAIN_S, _ANSWER_S = 0.1, 5.0
APP = Path(__file__).with_name("app.py")

OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "type",
    "client.showErrorLinks": "false",
    "global.developmentMode": "false",
    "global.disableWidgetStateDuplicationWarning": "true",
    "runner.magicEnabled": "false",
    "logger.hideWelcomeMessage": "true",
    "logger.level": "warning",
    "theme.light.primaryColor": "#0f6b62",
    "theme.dark.primaryColor": "#4fc3b4",
    "theme.metricValueFontSize": "1.6rem",
    "theme.headingFontSizes": '["1.7rem", "1.35rem", "1.1rem"]',
    "theme.baseRadius": "10px",
    "theme.paddingTop": "2.6rem",
    "theme.paddingBottom": "2rem",
}
"""How Streamlit is set up, whatever a configuration file of the user's says."""


def run(options: LabOptions, *, host: str, port: int, on_ready: Callable[[], None] = lambda: None) -> None:
    """Show the pages at this address until SIGINT or SIGTERM; `on_ready` is called once they are there."""
    hand_over(options)
    threading.Thread(target=_when_ready, args=(host, port, on_ready), daemon=True).start()
    given = {**OPTIONS, "server.address": host, "server.port": str(port)}
    flags = [text for name, value in given.items() for text in (f"--{name}", value)]
    cli.main(["run", str(APP), *flags], prog_name="streamlit", standalone_mode=False)


def _when_ready(host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Call it as soon as the server answers; Streamlit has no callback for that.

    It listens before it handles signals, so a connection alone is too early: Ctrl-C would end it with a traceback.
    """
    while not _answers(host, port):
        time.sleep(_LOOK_AGAIN_S)
    on_ready()


def _answers(host: str, port: int) -> bool:
    asking = HTTPConnection(host, port, timeout=_ANSWER_S)
    try:
        asking.request("GET", "/_stcore/health")
        return asking.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()
