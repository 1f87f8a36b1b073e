"""Writes console/openapi.json, which the console's client is generated from: `make client`; with --check it only compares.

The document is what a real service answers, without what belongs to the one detector that it serves here.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE / "openapi.json"
SERVED = "mine"
PATIENCE_S = 120

DETECTOR = f"""
from datetime import datetime
import msgspec
from penstock import Detector, Policy

class ServedEvent(msgspec.Struct):
    transaction_id: str
    timestamp: datetime

detector = Detector(name="{SERVED}", event=ServedEvent, id="transaction_id", time="timestamp", features=[], models=[], rules=[],
                    policy=Policy(review_at=0.5, block_at=0.8))
"""


def main() -> int:
    made = json.dumps(generic(served()), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        KEPT.write_text(made)
        return 0
    if KEPT.exists() and KEPT.read_text() == made:
        return 0
    print("console/openapi.json is not what the service answers: run `make client` and commit what it writes", file=sys.stderr)
    return 1


def served() -> dict[str, Any]:
    """The document of a service that was started for this."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "served.py"
        file.write_text(DETECTOR)
        command = [sys.executable, "-m", "penstock.cli", "serve", str(file), "--data", f"{folder}/data", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder) as service:
            try:
                return asked(address(service))
            finally:
                service.terminate()


def address(service: subprocess.Popen[str]) -> str:
    """Where it listens, as it says itself."""
    said = []
    for line in service.stdout or ():
        said.append(line)
        for word in line.split():
            if word.startswith("http://127.0.0.1:"):
                return word.rstrip("/,.;")
    raise SystemExit("the service did not start:\n" + "".join(said))


def asked(url: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/openapi.json") as answer:
                found: dict[str, Any] = json.load(answer)
            return found
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def generic(found: dict[str, Any]) -> dict[str, Any]:
    """Without the paths and the schema of the one detector that was served."""
    for path in [path for path in found["paths"] if f"/detectors/{SERVED}/" in path]:
        del found["paths"][path]
    found["components"]["schemas"]["ServedEvent"] = {"type": "object", "description": "An event of the detector."}
    found["info"]["version"] = ""
    return found


if __name__ == "__main__":
    sys.exit(main())
