"""What watching and hiding cost: a shadow model beside the one that decides, and personal fields made into tokens.

JSON in, JSON out, in memory, on one thread: 9 features, LR + 200-tree XGBoost, 10 rules. An engine and the one it is compared
with take turns at the same stretches of events, and seconds are those of the processor, so that a slow moment of the machine,
or whatever else it does, is in both or in neither.
"""

import contextlib
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _report import Row, main
from _workload import scoring_detector, stream, trained
from path import bodies_of

from penstock import Detector, Engine
from penstock.database import open_office
from penstock.engine.trials.shadow import Challenger
from penstock.models import Ensemble
from penstock.privacy.vault import PersonalValue, Vault

BATCHES = {1: "one by one", 256: "in batches of 256"}
STRETCH = 1024
SECRET = b"a key for the benchmark alone"

Decide = Callable[[list[bytes]], None]


def run(quick: bool) -> list[Row]:
    """The costs, each for single events and for batches."""
    declared = scoring_detector()
    champion, shadow = (trained(declared, stream(40_000, seed=seed), seed=seed) for seed in (5, 6))
    bodies = bodies_of(stream(40_000 if quick else 200_000))
    rows = []
    with contextlib.ExitStack() as stack:
        for size, how in BATCHES.items():
            some = bodies if size > 1 else bodies[: len(bodies) // 4]
            for what, other in others(stack, declared, champion, shadow, size).items():
                mine, plain = rates(some, other, decider(Engine(declared, models=champion), size))
                rows.append(Row.faster(f"with {what}, {how}", mine, "events/CPU s", "the same engine without", plain))
    return rows


def others(
    stack: contextlib.ExitStack, declared: Detector, champion: Ensemble, shadow: Ensemble, size: int
) -> dict[str, Decide]:
    """What is held against the plain engine."""
    challenged = Engine(declared, models=champion)
    challenged.challenge(Challenger(shadow))
    hidden = Engine(hiding(declared), models=champion, personal_key=SECRET)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-"))
    vault = Vault(stack.enter_context(open_office(Path(folder))), SECRET)
    said: list[PersonalValue] = []
    told = decider(Engine(hiding(declared), models=champion, personal_key=SECRET, on_personal=said.extend), size)

    def kept(bodies: list[bytes]) -> None:
        told(bodies)
        vault.keep(declared.name, said)
        said.clear()

    return {
        "a shadow model": decider(challenged, size),
        "a personal field": decider(hidden, size),
        "a personal field, and the vault that keeps it": kept,
    }


def hiding(declared: Detector) -> Detector:
    """The detector, for which customers are personal."""
    return Detector(
        declared.name,
        event=declared.event,
        id=declared.id,
        time=declared.time,
        features=declared.features,
        models=declared.models,
        rules=declared.rules,
        policy=declared.policy,
        naive_times="UTC",
        personal=["customer_id"],
    )


def decider(engine: Engine, size: int) -> Decide:
    """Decides a stretch of events, so many at a time."""

    def decide(bodies: list[bytes]) -> None:
        for start in range(0, len(bodies), size):
            engine.decide_json(bodies[start : start + size])

    return decide


def rates(bodies: list[bytes], *deciders: Decide) -> list[float]:
    """Events a second of the processor, of each; the first stretches compile what has to be compiled, and do not count."""
    seconds = [0.0 for _ in deciders]
    counted = 0
    gc.collect()
    gc.freeze()  # as the service does: a collection of what others made would count for whoever it happens to
    for start in range(0, len(bodies), STRETCH):
        stretch = bodies[start : start + STRETCH]
        spent = [timed(decide, stretch) for decide in deciders]
        if start >= 2 * STRETCH:
            counted += len(stretch)
            seconds = [total + new for total, new in zip(seconds, spent, strict=True)]
    gc.unfreeze()
    return [counted / total for total in seconds]


def timed(decide: Decide, bodies: list[bytes]) -> float:
    """Seconds of the processor, in all threads."""
    began = time.process_time()
    decide(bodies)
    return time.process_time() - began


if __name__ == "__main__":
    main(run)
