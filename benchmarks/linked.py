"""One linked feature, or one ring, in the kernel: events per second of processor time, and what an event with a hub costs."""

import time
from datetime import datetime

import msgspec
import numpy as np
from _report import Row, main

from penstock.detector import Detector
from penstock.features import Entity
from penstock.features.kernel.hash_tables import mix
from penstock.messages import Batch


class Payment(msgspec.Struct):
    """A payment from a device."""

    id: str
    at: datetime
    customer: str
    device: str
    amount: float = 0.0


CUSTOMER = Entity("customer")
_TOGETHER = 1024
_START = 1_700_000_000_000_000


def _detector(*features) -> Detector:
    return Detector("linked", event=Payment, id="id", time="at", features=features)


def _batches(declared: Detector, customers: np.ndarray, devices: np.ndarray, days: float) -> list[Batch]:
    """Events over so many days; one in fifty comes up to a day late."""
    n, rng, layout = len(customers), np.random.default_rng(2), declared.plan.layout
    arrived = _START + (np.arange(n) * (days * 86_400_000_000 / n)).astype(np.int64)
    times = arrived - np.where(rng.random(n) < 0.02, rng.integers(0, 86_000_000_000, n), 0)
    codes = np.zeros((n, layout.text_width), np.int64)
    codes[:, layout["customer"].index] = [mix(np.int64(2 * key + 1), np.int64(11)) for key in customers]
    codes[:, layout["device"].index] = [mix(np.int64(2 * key + 2), np.int64(13)) for key in devices]
    x = np.full((n, layout.width), 1.0)
    cuts = [slice(at, min(at + _TOGETHER, n)) for at in range(0, n, _TOGETHER)]
    return [
        Batch([""] * len(times[s]), np.zeros(len(times[s]), np.uint8), times[s], arrived[s], x[s], codes[s], {}) for s in cuts
    ]


def _seconds(state, batches: list[Batch]) -> float:
    """Processor seconds for these batches."""
    begun = time.process_time()
    for number, batch in enumerate(batches):
        state.apply(batch, number * _TOGETHER)
    return time.process_time() - begun


def run(quick: bool) -> list[Row]:
    n = 200_000 if quick else 1_000_000
    rng = np.random.default_rng(1)
    linked, plain = _detector(CUSTOMER.linked("device", window="30d")), _detector(CUSTOMER.count("30d"))
    ring = _detector(CUSTOMER.ring("device", window="30d"))
    customers = rng.zipf(1.3, n) % (n // 10)
    devices = np.where(rng.random(n) < 0.8, customers, rng.integers(0, n // 10, n))
    small = slice(0, 2000)
    _seconds(linked.state(), _batches(linked, customers[small], devices[small], 1))  # compiles
    _seconds(plain.state(), _batches(plain, customers[small], devices[small], 1))
    _seconds(ring.state(), _batches(ring, customers[small], devices[small], 1))
    of_ring = n / _seconds(ring.state(), _batches(ring, customers, devices, 60))
    rate = n / _seconds(linked.state(), _batches(linked, customers, devices, 60))
    reference = n / _seconds(plain.state(), _batches(plain, customers, devices, 60))
    hub, quiet = linked.state(), linked.state()
    visitors = _batches(linked, np.arange(n), np.zeros(n, np.int64), 20)
    lonely = _batches(linked, np.arange(n), np.arange(n), 20)
    last = -(len(visitors) // 4)
    _seconds(hub, visitors[:last])
    _seconds(quiet, lonely[:last])
    shared = alone = 0.0
    for one, other in zip(visitors[last:], lonely[last:], strict=True):  # in turn, so that a noisy machine disturbs both alike
        shared += _seconds(hub, [one])
        alone += _seconds(quiet, [other])
    events = sum(map(len, visitors[last:]))
    return [
        Row.at_least("one linked feature", rate, "events/s of one core", 300_000),
        Row.at_least("one ring", of_ring, "events/s of one core", 300_000),
        Row.figure("one count", reference, "events/s of one core"),
        Row(
            f"a new customer at a device that {n:,} customers share",
            shared / events * 1e6,
            "us",
            "a new customer at a new device",
            alone / events * 1e6,
            shared / alone,
            "<= 1.2x",
            shared <= 1.2 * alone,
        ),
    ]


if __name__ == "__main__":
    main(run)
