"""After the warm-up nothing is compiled any more: what comes first is answered as fast as what comes later."""

import os
import subprocess
import sys

PROGRAM = """
import json, sys
from numba.core.dispatcher import Dispatcher
from penstock import Engine
from penstock.engine import warm_up
from tests.service import mine

def compiled():
    modules = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("penstock")]
    kernels = [value for names in modules for value in list(names.values()) if isinstance(value, Dispatcher)]
    return {(kernel.py_func.__qualname__, str(signature)) for kernel in kernels for signature in kernel.overloads}

def body(name, customer, at="2026-01-05T10:00:00Z"):
    return json.dumps({"transaction_id": name, "timestamp": at, "customer_id": customer, "amount": 5.0}).encode()

engine = Engine(mine.detector)
warm_up(engine)
before = compiled()
engine.decide_json([body("a", "c")])
engine.decide_json([body("a", "c")], dry_run=True)
engine.decide_json([body("a", "c"), body("a", "d"), b"{}"])
for part in range(30):
    engine.decide_json([body(f"{part}-{k}", f"{part}-{k}") for k in range(500)])
engine.decide_json([body(f"late {k}", "c", "2026-09-05T10:00:00Z") for k in range(500)])
engine.label_json(b'{"transaction_id": "a", "fraud": true}')
engine.decide_json([body("b", "c")])
for ask in (engine.queries.transaction, engine.history.outcome):
    ask("a"), ask("nobody")
engine.entity("customer", "c"), engine.history.of_key("customer", "c"), engine.stats()
with Engine(mine.detector) as follower:
    for _, record in engine.ledger.read():
        follower.recovery.follow(record)
print(json.dumps(sorted(compiled() - before)))
"""


def test_nothing_is_compiled_after_the_warm_up():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
