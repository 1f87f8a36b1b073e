"""Sidebar controls shared by several pages: detector, events and model version."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any, NamedTuple

import streamlit as st

from penstock.clock import iso, to_us
from penstock.errors import ConfigurationError, PenstockError
from penstock.lab.api import ServiceClient
from penstock.lab.bench import Bench
from penstock.lab.options import VARIABLE, LabOptions, options_of_lab
from penstock.lab.source import EventSource, RecordedFile, SimulatedEvents
from penstock.offline.registry import RegistryEntry
from penstock.offline.simulate import known

KEPT = "chosen."
"""Begins the keys of what stays chosen from one page to the next."""

FILE, SIMULATED = "A recorded file", "Simulated events"
_NONE = "none: rules alone decide"


class Chosen(NamedTuple):
    """The selection. versions: of the detector's models, the newest first."""

    source: EventSource
    versions: list[RegistryEntry]


def bench() -> Bench:
    """The workbench, shared by all users."""
    return _bench(os.environ.get(VARIABLE, ""))


@lru_cache(1)
def _bench(_asked: str) -> Bench:
    return Bench(options_of_lab().settings)


def service() -> ServiceClient:
    """The service that is looked at."""
    wanted: LabOptions = options_of_lab()
    return ServiceClient(wanted.url, wanted.settings.key)


def guarded(show: Callable[..., None]) -> Callable[..., None]:
    """Say an error that explains itself where the page would have been."""

    @wraps(show)
    def shown(*given: Any, **named: Any) -> None:
        try:
            show(*given, **named)
        except PenstockError as error:
            st.error(str(error), icon=":material/error:")

    return shown


def keep() -> None:
    """Keep a selection on the next page: Streamlit drops the state of widgets that a page does not show."""
    for name in [name for name in st.session_state if str(name).startswith(KEPT)]:
        st.session_state[name] = st.session_state[name]


# ---------------------------------------------------------------- events


def choose() -> Chosen:
    """Ask which events are looked at, through which detector.

    Raises:
        PenstockError: the detector cannot be loaded, or there is no file.
    """
    with st.sidebar:
        reference = st.selectbox("Detector", options_of_lab().offered, key=KEPT + "detector")
        what = _kind(reference)
        events = _world() if what == SIMULATED else _file()
    return Chosen(bench().source(reference, events), bench().versions(reference))


def _kind(reference: str) -> str:
    """Which kind of events: recorded ones where the simulator knows none of this detector."""
    kinds, key = [SIMULATED, FILE] if bench().can_simulate(reference) else [FILE], KEPT + "events"
    if st.session_state.get(key) not in kinds:
        st.session_state.pop(key, None)
    return st.radio("Events", kinds, key=key, horizontal=True, label_visibility="collapsed")


def choose_world() -> Chosen:
    """Ask for simulated events of a detector.

    Raises:
        PenstockError: the detector cannot be loaded.
    """
    with st.sidebar:
        reference = st.selectbox("Detector", options_of_lab().offered, key=KEPT + "detector")
        events = _world()
    return Chosen(bench().source(reference, events), bench().versions(reference))


def _file() -> RecordedFile:
    path = st.text_input(
        "File",
        key=KEPT + "file",
        placeholder="payments.parquet",
        help="A path on the machine that runs the lab, or an archive: its folder, or s3://BUCKET/PREFIX.",
    )
    return RecordedFile.at(path)


def _world() -> SimulatedEvents:
    events = st.number_input("Events", 100, 1_000_000, 20_000, 1_000, key=KEPT + "count")
    days = st.number_input("Days that they span", 1, 365, 30, key=KEPT + "days")
    rate = st.number_input("Fraud, percent", 0.0, 50.0, 2.0, 0.5, key=KEPT + "rate")
    attacks = st.multiselect("Attacks", list(known()), key=KEPT + "attacks", placeholder="all that there are")
    seed = st.number_input("Seed", 0, 1_000_000, 1, key=KEPT + "seed", help="The same seed makes the same events.")
    return SimulatedEvents(int(events), float(days), rate / 100, tuple(attacks), int(seed))


# ---------------------------------------------------------------- models


def choose_version(chosen: Chosen, *, none: bool = False) -> str | None:
    """Ask which version of the models; None where rules alone shall decide, which is offered only where that makes sense.

    Raises:
        ConfigurationError: there are none.
    """
    names = {entry.version: named(entry) for entry in chosen.versions}
    if not names and not none:
        raise ConfigurationError(no_models(chosen))
    options = [*names, *([_NONE] if none else [])]
    champion = next((at for at, entry in enumerate(chosen.versions) if "champion" in entry.aliases), 0)
    key = f"{KEPT}version.{chosen.source.detector}.{none}"
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    with st.sidebar:
        found = st.selectbox("Models", options, champion, key=key, format_func=lambda version: names.get(version, version))
    return None if found == _NONE else found


def named(entry: RegistryEntry) -> str:
    """A version for people.

    >>> named(RegistryEntry("banking", "1f2e", "2026-01-02T03:04:05Z", ("champion",)))
    '1f2e, champion'
    """
    return ", ".join([entry.version, *(entry.aliases or (entry.created_at[:10],))])


def no_models(chosen: Chosen) -> str:
    """The message for a detector without models."""
    folder = options_of_lab().settings.models_folder
    return (
        f"there are no models of {chosen.source.detector!r} in {folder}: `penstock train {chosen.source.detector} --data FILE"
        " --save` makes some, `penstock lab --models DIR` names another folder"
    )


def choose_since(chosen: Chosen, versions: Sequence[str]) -> int:
    """Ask which events count: by default those after what these versions learned from, in microseconds."""
    newest = int(bench().truth(chosen.source).time_us.max(initial=0))
    tests = [test for version in versions if (test := _tested_since(chosen, version)) is not None and test <= newest]
    if not tests:
        return 0
    everything = st.sidebar.toggle(
        "Also what they learned from",
        key=KEPT + "everything",
        help="Figures about events that models were fitted or chosen on flatter them.",
    )
    day = iso(max(tests))[:16].replace("T", " ")
    if everything:
        st.warning(
            f"Flattering: models were fitted and chosen on events before {day} UTC, which count here, too.",
            icon=":material/warning:",
        )
    else:
        st.caption(f"Events from {day} UTC on, which these models have not learned from.")
    return 0 if everything else max(tests)


def _tested_since(chosen: Chosen, version: str) -> int | None:
    """The start of a version's test; None if its bundle has none, or it was trained on other events."""
    manifest = bench().ensemble(chosen.source.detector, version).manifest
    periods = manifest.get("training", {}).get("periods") or {}
    test = periods.get("test")
    return to_us(datetime.fromisoformat(test[0])) if test else None
