"""The ring of a customer over HTTP: 300 keys out of the newest 200,000 decisions, as the console asks for it.

Every customer has some four devices, every device some three customers, and merchants are hubs. Customers are chosen at random;
the answer is that of `GET /entities/customer_id/KEY/ring?limit=300`. `--quick` has 50,000 decisions.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from _report import Row, main, percentile
from _workload import NINE, detector, stream

from penstock import Engine, Entity
from penstock.config import Settings
from penstock.service import MicroBatcher, create_app

ASKED, LIMIT = 100, 300
_GROUP = 1_000
"""Events that are decided together, and stand in one record of the log."""


def run(quick: bool) -> list[Row]:
    count = 50_000 if quick else 200_000
    shared = [Entity("device_id").count("1d"), Entity("merchant_id").count("1d")]
    declared = detector([*NINE, *shared])
    frame = stream(count, customers=count // 5, devices=count // 4, merchants=count // 1_000, days=25, seed=1)
    with tempfile.TemporaryDirectory() as folder, Engine(declared, data=folder) as engine:
        for group in frame.iter_slices(_GROUP):
            engine.decide_many(group)
        rng = np.random.default_rng(2)
        chosen = rng.choice(frame["customer_id"].to_numpy(), ASKED + 3)
        took_ms, sizes = asyncio.run(_asked(engine, declared.name, Path(folder), chosen.tolist()))
    about = f"of {count:,} decisions"
    return [
        Row.at_most(f"a ring of {LIMIT} keys, p95 ({about})", percentile(took_ms, 95), "ms", 300),
        Row.figure(f"a ring of {LIMIT} keys, p50 ({about})", percentile(took_ms, 50), "ms"),
        Row.figure("keys of a ring, mean", float(np.mean(sizes)), "keys"),
    ]


async def _asked(engine: Engine, name: str, folder: Path, keys: list[str]) -> tuple[list[float], list[int]]:
    """Milliseconds and keys of each ring; the first three are not counted, while older decisions are read."""
    settings = Settings(data=folder)
    app = create_app({name: MicroBatcher.of(engine, settings)}, settings)
    took_ms, sizes = [], []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        for key in keys:
            began = time.perf_counter()
            answer = await client.get(f"/entities/customer/{key}/ring", params={"limit": LIMIT})
            took_ms.append((time.perf_counter() - began) * 1e3)
            assert answer.status_code == 200, answer.text
            sizes.append(len(answer.json()["nodes"]))
    return took_ms[3:], sizes[3:]


if __name__ == "__main__":
    main(run)
