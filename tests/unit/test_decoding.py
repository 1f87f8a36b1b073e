"""Types that several threads decode into first at the same time."""

import subprocess
import sys

TOGETHER = """
import sys, threading
import msgspec
from penstock.decoding import prepared

sys.setswitchinterval(1e-6)

def nested(number):
    inner = [msgspec.defstruct(f"I{number}_{k}", [(f"f{j}", "int | None", None) for j in range(8)]) for k in range(6)]
    return msgspec.defstruct(f"O{number}", [(f"g{k}", each | None, None) for k, each in enumerate(inner)])

WAYS = [
    lambda kind: msgspec.json.Decoder(prepared(kind)).decode(b'{"g1": {"f1": 3}}'),
    lambda kind: msgspec.json.decode(b'{"g1": {"f1": 3}}', type=prepared(kind)),
    lambda kind: msgspec.convert({"g1": {"f1": 3}}, prepared(kind)),
]
right = 0
for number in range(600):
    kind, together, found = nested(number), threading.Barrier(2), []
    def decode():
        together.wait()
        found.append(WAYS[number % 3](kind))
    threads = [threading.Thread(target=decode) for _ in range(2)]
    for each in threads: each.start()
    for each in threads: each.join()
    right += found[0] == found[1] and found[0].g1.f1 == 3
print(right)
"""


def test_threads_that_first_decode_into_a_type_at_once_get_what_it_says():
    done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "600"), done.stderr
