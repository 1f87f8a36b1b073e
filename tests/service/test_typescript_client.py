"""The TypeScript client, generated and compiled as its page says, in Node against a real service."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.adapters.webhook import signature
from penstock.webhooks import signing

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "console" / "node_modules" / ".bin"
PATH = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, env=os.environ | {"PATH": PATH}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def compiled(tmp_path):
    """The compiled client."""
    if not TOOLS.exists() and os.environ.get("CI") != "true":
        pytest.skip("the console's packages are not installed: make client")
    folder = tmp_path / "clients" / "typescript"
    shutil.copytree(ROOT / "clients" / "typescript", folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    scripts = json.loads((folder / "package.json").read_text())["scripts"]
    generate = scripts["generate"].replace("../../console", str(ROOT / "console")).split()
    run(str(TOOLS / generate[0]), *generate[1:], cwd=folder)
    run(str(TOOLS / "tsc"), cwd=folder)
    return folder / "dist" / "index.js"


@pytest.mark.slow
def test_the_receiver_of_the_page_about_webhooks_compiles_and_takes_what_is_signed(compiled):
    page = (ROOT / "docs" / "guide" / "webhooks.md").read_text("utf-8")
    [code] = re.findall(r"^```typescript\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = compiled.parent.parent
    (folder / "src" / "receiver.ts").write_text(code.replace('"penstock-client"', '"./index.js"'))
    run(str(TOOLS / "tsc"), cwd=folder)
    secret, now_s = signing.new_secret(), int(time.time())
    data = {"transaction_id": "tx1", "verdict": "good", "transactions": ["tx1"]}
    body = json.dumps({"id": "evt_1", "type": "penstock.case.decided", "data": data})
    signed = [signing.headers([each], "evt_1", now_s, body.encode()) for each in (secret, secret, signing.new_secret())]
    script = f"""
        import {{ receive }} from "./receiver.js";
        for (const headers of {json.dumps(signed)}) {{
          const request = new Request("http://here/", {{ method: "POST", headers, body: {json.dumps(body)} }});
          console.log((await receive(request, {json.dumps(secret)})).status);
        }}"""
    (folder / "dist" / "receive.mjs").write_text(script)
    assert run("node", "receive.mjs", cwd=folder / "dist").split("\n")[:4] == ["tx1 good", "204", "204", "401"]


@pytest.mark.slow
def test_the_checkout_of_the_tutorial_compiles_asks_and_holds_what_has_no_answer(compiled, real):
    page = (ROOT / "docs" / "tutorials" / "integrate.md").read_text("utf-8")
    [code] = re.findall(r"^```typescript\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = compiled.parent.parent
    (folder / "src" / "checkout.ts").write_text(code.replace('"penstock-client"', '"./index.js"'))
    run(str(TOOLS / "tsc"), cwd=folder)
    event = {"transaction_id": "tx1", "timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "amount": 20.0}
    script = f"""
        import {{ ask }} from "./checkout.js";
        import {{ Client }} from "./index.js";
        for (const url of ["http://127.0.0.1:9", {json.dumps(real)}])
          console.log(await ask(new Client(url, {{ timeoutMs: 2_000 }}), {json.dumps(event)}));
        console.log(await ask(new Client({json.dumps(real)}), {{ transaction_id: "tx2" }}));"""
    (folder / "dist" / "ask.mjs").write_text(script)
    assert run("node", "ask.mjs", cwd=folder / "dist").split() == ["held", "paid", "held"]


@pytest.mark.slow
def test_the_client_decides_once_tells_refusals_apart_and_verifies_webhooks(compiled, real):
    body = '{"key": "ä"}'
    signed = {"timestamp": "1000", "signature": signature("secret", "1000", body.encode()), "body": body}
    signed["secrets"] = [signing.new_secret(), signing.new_secret()]
    signed["standard"] = signing.headers(signed["secrets"], "evt_1", 1000, body.encode())
    script = str(Path(__file__).with_name("typescript_client.mjs"))
    found = json.loads(run("node", script, str(compiled), real, json.dumps(signed), cwd=compiled.parent))
    assert found == {
        "decided": ["APPROVE", 1, 3, 1],
        "status": ["processed", "APPROVE", None],
        "unknown": [404, "unknown_transaction"],
        "label": True,
        "short": ["APPROVE", True],
        "strict": ["Refused", 422, "amout"],
        "conflict": "a/b?",
        "refused": [422, "invalid_event", "amount"],
        "unavailable": True,
        "later": "given up after 1 attempt: the next is asked for in 60000 ms, not within 5000 ms: 503",
        "soon": "given up after 1 attempt: the next is asked for in 1000 ms, not within 900 ms: 503",
        "forged": True,
    }
