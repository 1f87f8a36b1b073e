"""Options and helpers that the commands for models share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.cli.changes.lifecycle import with_who
from penstock.cli.options import as_json, settings, settings_from

if TYPE_CHECKING:
    from penstock.governance.challengers import Challengers
    from penstock.offline.registry import Registry, RegistryEntry

F = TypeVar("F", bound=Callable[..., Any])


def where(function: F) -> F:
    """Add the common options: registry, detector, author."""
    named = click.option("--detector", metavar="DETECTOR", help="Whose versions: a name or a file; needed where several have.")
    return settings("data", "models", "registry", "office")(named(as_json(function)))


who = with_who
why = click.option("--note", "why", default="", help="Why.")


def open_models(flags: dict[str, str | None]) -> "Registry":
    """The registry in the settings."""
    from penstock.wiring.registries import open_registry

    return open_registry(settings_from(**flags))


def found_version(
    version: str, detector: str | None, flags: dict[str, str | None]
) -> "tuple[Registry, RegistryEntry, dict[str, Any]]":
    """The registry, the chosen version, and its manifest."""
    from penstock.models.bundle import read_manifest
    from penstock.offline.registry import find
    from penstock.wiring.registries import name_of

    registry = open_models(flags)
    entry = find(registry, version, name_of(detector))
    return registry, entry, read_manifest(registry.fetch(entry.detector, entry.version))


def file_of(detector: str | None) -> str | None:
    """The file of the detector, if one was named; a name alone is resolved by the version's manifest."""
    return detector if detector is not None and detector.partition(":")[0].endswith(".py") else None


@contextmanager
def challengers(
    name: str, detector: str | None, flags: dict[str, str | None], *, begin: bool = False
) -> "Iterator[Challengers | None]":
    """The trials of a detector's models; None if the data folder is empty, unless `begin`."""
    from penstock.governance.challengers import Challengers
    from penstock.wiring.database import has_office, office_of
    from penstock.wiring.registries import detector_named, open_registry

    settings = settings_from(**flags)
    if not begin and not has_office(settings):
        yield None
        return
    with office_of(settings) as database:
        loaded = detector_named(name, file_of(detector))
        yield Challengers(database, loaded, open_registry(settings), four_eyes=settings.four_eyes)
