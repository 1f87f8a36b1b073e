"""Secrets in no output: commands and a service with every secret there is, at the most talkative level."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from deploy.infra.server import free_port
from penstock.cli import run
from penstock.config import describe, load_settings
from penstock.errors import shown_url
from tests.integration.openid import openid
from tests.waiting import wait_until

PASSWORD = "hunter2-marked"
URLS = {
    "ledger": f"postgresql://penstock:{PASSWORD}@127.0.0.1:1/penstock",
    "office": f"postgresql://penstock:{PASSWORD}@127.0.0.1:1/penstock",
    "redis": f"redis://:{PASSWORD}@127.0.0.1:1",
    "stream": f"kafka://127.0.0.1:1?sasl.password={PASSWORD}&security.protocol=PLAINTEXT",
}
SECRETS = {setting.name: f"{PASSWORD}-{setting.name}" for setting in describe() if setting.secret}


def test_settings_show_no_secret():
    settings = load_settings(URLS | SECRETS, environment={})
    assert PASSWORD not in repr(settings)
    assert "127.0.0.1:1" in repr(settings)
    assert set(SECRETS) >= {"key", "oidc_client_secret"}


@pytest.mark.parametrize(
    "url", [*URLS.values(), f"redi://{PASSWORD}@h", f"kafka://h?ssl.key.password={PASSWORD}", f"://x:{PASSWORD}@"]
)
def test_a_url_in_a_message_has_no_password(url):
    assert PASSWORD not in shown_url(url)


@pytest.mark.parametrize(
    "arguments",
    [
        ["users", "list", "--office", URLS["office"]],
        ["users", "list", "--office", f"mysql://u:{PASSWORD}@h/d"],
        ["ledger", "status", "--ledger", URLS["ledger"]],
        ["ledger", "status", "--ledger", f"mysql://u:{PASSWORD}@h/d"],
        ["topics", "create", "banking", "--stream", f"amqp://u:{PASSWORD}@h"],
        ["topics", "create", "banking", "--stream", f"kafka://h:1?password={PASSWORD}"],
        ["topics", "create", "banking", "--stream", f"redis://:{PASSWORD}@127.0.0.1:1/none"],
        ["simulate", "banking", "--events", "1", "--to", f"ftp://u:{PASSWORD}@h", "--key", PASSWORD],
        ["simulate", "banking", "--events", "1", "--to", "http://127.0.0.1:1", "--key", PASSWORD],
        ["serve", "banking", "--ledger", URLS["ledger"], "--port", "0"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_command_that_fails_tells_no_secret(arguments, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, secret in SECRETS.items():
        monkeypatch.setenv(f"PENSTOCK_{name.upper()}", secret)
    monkeypatch.setenv("PENSTOCK_LOG_LEVEL", "debug")
    assert run(arguments) in {1, 2}
    said = "".join(capfd.readouterr())
    assert said
    assert PASSWORD not in said


def wait_until_ready(url, process, log):
    def healthy():
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(url + "/health").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(healthy, 240)


@pytest.mark.slow
def test_a_service_with_every_secret_writes_none_of_them(tmp_path):
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    password = f"{PASSWORD} of ana"
    with openid() as provider:
        environment = os.environ | {f"PENSTOCK_{name.upper()}": secret for name, secret in SECRETS.items()}
        environment |= {"PENSTOCK_LOG_LEVEL": "debug", "PENSTOCK_LOG_FORMAT": "json", "PENSTOCK_DATA": str(tmp_path / "data")}
        environment |= {"PENSTOCK_OIDC_ISSUER": provider.issuer, "PENSTOCK_OIDC_CLIENT_ID": "penstock"}
        penstock = [sys.executable, "-m", "penstock.cli"]
        add = [*penstock, "users", "add", "ana", "--role", "administrator", "--password-stdin"]
        subprocess.run(add, input=password, text=True, env=environment, check=True, capture_output=True)
        made = [*penstock, "keys", "add", "x", "--role", "viewer", "--json"]
        key = json.loads(subprocess.run(made, env=environment, check=True, capture_output=True).stdout)["secret"]
        with log.open("wb") as said:
            command = [*penstock, "serve", "banking", "--port", str(port)]
            process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            wait_until_ready(url, process, log)
            token = provider.token(roles=["viewer"])
            for secret in (key, key + "x", token, token + "x", f"psk_{PASSWORD}"):
                httpx.get(url + "/stats", headers={"authorization": f"Bearer {secret}"}, timeout=60)
            client = httpx.Client(follow_redirects=True, timeout=60)
            client.get(url + "/session/oidc")  # its client secret is not the one that the provider knows
            client.post(url + "/session", json={"name": "ana", "password": f"{PASSWORD} but wrong"})
            signed_in = client.post(url + "/session", json={"name": "ana", "password": password})
            assert signed_in.status_code == 200
            session = client.cookies["penstock_session"]
            client.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    text = log.read_text()
    assert '"level":"warning"' in text
    assert text.count("sign_in_failed") == 2  # one by the provider, one by password
    for secret in (PASSWORD, key, token, session):
        assert secret not in text
