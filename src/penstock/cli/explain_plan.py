"""`penstock explain-plan`: what is kept for each entity of a detector, and the functions that are compiled from it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from penstock.cli.options import detector_argument
from penstock.clock import SECOND_US

if TYPE_CHECKING:
    from penstock.detector import Detector
    from penstock.features.plan import EntityPlan


@click.command()
@detector_argument
def command(detector: str) -> None:
    """Show a detector's plan of features, and its functions.

    For each entity: its aggregates, the bounds of its windows, the memory of a key, and the source of the function that
    computes them. Entities of the same shape share a function; it is shown once.
    """
    from penstock.features.compiled.source import function_of
    from penstock.wiring.detectors import load_detector

    loaded, shown = load_detector(detector), dict[str, str]()
    for entity in loaded.plan.entities:
        text = function_of(entity.plan)
        for line in _about(loaded, entity):
            click.echo(f"# {line}")
        click.echo(f"# function: that of {shown[text]}\n" if text in shown else f"\n{text}\n")
        shown.setdefault(text, entity.entity.name)


def _about(detector: "Detector", plan: "EntityPlan") -> Iterator[str]:
    """What is kept for an entity, in lines."""
    from penstock.features import Aggregate

    names = [f.name for f in detector.features if isinstance(f, Aggregate) and f.entity.name == plan.entity.name]
    yield f"{plan.entity.name} ({', '.join(plan.entity.fields)}): {len(names)} aggregates"
    yield from (f"    {name}" for name in names)
    bounds = [_duration(int(offset)) for offset in plan.plan.offsets[1:]]
    yield f"bounds of windows: {', '.join(bounds) or 'none'}"
    yield f"memory: {8 * plan.plan.sizes.row_width} bytes a key, {8 * plan.plan.sizes.ring_width} an event in its windows"


def _duration(microseconds: int) -> str:
    """A duration in the largest unit that it is a whole number of."""
    units = {"d": 86_400 * SECOND_US, "h": 3_600 * SECOND_US, "m": 60 * SECOND_US}
    unit = next((unit for unit, size in units.items() if microseconds % size == 0), None)
    return f"{microseconds / SECOND_US:g}s" if unit is None else f"{microseconds // units[unit]}{unit}"
