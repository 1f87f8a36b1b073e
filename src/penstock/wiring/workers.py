"""The status of workers behind a broker, and of their stores, from their HTTP addresses in the settings."""

from collections.abc import Iterator, Sequence

from penstock.adapters.worker_health import NoWorker, Shard, ask
from penstock.wiring.health_part import PartHealth


def parts_of_workers(addresses: Sequence[str]) -> list[PartHealth]:
    """A part for each shard of each worker, for each standby, and for each store; waits for answers."""
    parts: list[PartHealth] = []
    standing_by: list[str] = []
    for address in addresses:
        try:
            shards = ask(address)
        except NoWorker as error:
            parts.append(PartHealth(name=f"worker: {address}", status="failed", text=str(error)))
            continue
        for shard in shards:
            parts.append(_worker(address, shard))
            parts += _stores(shard)
            if not shard.owner and shard.trouble is None:
                standing_by.append(address)
    return [*parts, _standby(standing_by)]


def _worker(address: str, shard: Shard) -> PartHealth:
    name = f"worker: {address}"
    if shard.trouble is not None:
        return PartHealth(name=name, status="failed", text=f"shard {shard.shard}: {shard.trouble}")
    if not shard.owner:
        return PartHealth(
            name=name, status="ok", text=f"it stands by for shard {shard.shard}, {shard.position:,} records followed"
        )
    text = f"it decides for shard {shard.shard}, as owner {shard.fence}"
    return PartHealth(name=name, status="ok", text=text, lag_events=shard.lag)


def _stores(shard: Shard) -> Iterator[PartHealth]:
    for store, found in sorted(shard.sinks.items()):
        trouble, behind = found.get("trouble"), int(found.get("behind", 0))
        name = f"store: {store}" if shard.shard == 0 else f"store: {store}, shard {shard.shard}"
        if trouble is not None:
            yield PartHealth(name=name, status="failed", text=f"{trouble}; {behind:,} records wait on the worker's disk")
        else:
            yield PartHealth(name=name, status="ok", text=f"{behind:,} records are not there yet")


def _standby(addresses: Sequence[str]) -> PartHealth:
    if not addresses:
        return PartHealth(name="standby", status="absent", text="no worker stands by: nobody takes over where one ends")
    return PartHealth(name="standby", status="ok", text=f"{', '.join(addresses)} would take over")
