"""The receiver that the page about webhooks shows, run as it is printed."""

import json
import re
from pathlib import Path

import pytest

from penstock.clock import SECOND_US, system_clock
from penstock.webhooks import signing

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "webhooks.md"


@pytest.fixture
def documented(monkeypatch):
    """The names that the Python block of the page defines."""
    secret = signing.new_secret()
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names = {}
    exec(code, names)
    return names | {"secret": secret}


def test_the_documented_receiver_takes_an_event_once_and_refuses_a_forged_one(documented, capsys):
    body = re.search(r"^```json\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)[1].encode()
    number, now_s = json.loads(body)["id"], system_clock() // SECOND_US
    headers = signing.headers([documented["secret"]], number, now_s, body)
    assert [documented["receive"](headers, body) for _ in range(2)] == [204, 204]
    assert capsys.readouterr().out == "tx1 released\ntx2 released\n"
    assert documented["receive"](signing.headers(["other"], number, now_s, body), body) == 401
