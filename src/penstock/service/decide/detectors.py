"""The detectors of a service, those that a request may see, and the routing of events that name no detector."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TypeVar

import msgspec

from penstock.engine import Engine
from penstock.errors import did_you_mean
from penstock.ingest import masked_event
from penstock.messages import Refusal
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused

T = TypeVar("T")

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])

_visible: ContextVar[frozenset[str] | None] = ContextVar("visible_detectors", default=None)


@contextlib.contextmanager
def limited_to(detectors: frozenset[str] | None) -> Iterator[None]:
    """The context of a request whose caller has the needed right for these detectors alone; None: for all.

    Whatever answers the request, also in other threads and tasks, finds only these in a `DetectorRouter`.
    """
    token = _visible.set(detectors)
    try:
        yield
    finally:
        _visible.reset(token)


def visible_detectors() -> frozenset[str] | None:
    """The detectors that the current request may see; None: all, and outside requests."""
    return _visible.get()


def beyond(detector: str, among: Collection[str]) -> RequestRefused:
    """The refusal of a caller whose role holds for other detectors than this one."""
    return RequestRefused(
        403,
        f"your role for this holds for {', '.join(sorted(among))} alone, not for the detector {detector[:200]!r}; "
        f"an administrator can give you a role that does (ROLE:{detector[:63]})",
    )


class DetectorRouter(Mapping[str, ServedDetector]):
    """The served detectors by name, in the order of declaration: all, or within a request those that its caller may see."""

    def __init__(self, detectors: Mapping[str, ServedDetector]) -> None:
        self._detectors = dict(detectors)
        self._required: dict[str, frozenset[str]] = {}

    def _visible(self) -> dict[str, ServedDetector]:
        among = _visible.get()
        return self._detectors if among is None else {name: each for name, each in self._detectors.items() if name in among}

    def __getitem__(self, name: str) -> ServedDetector:
        return self._visible()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._visible())

    def __len__(self) -> int:
        return len(self._visible())

    @property
    def only(self) -> ServedDetector | None:
        """The detector, if there is one alone."""
        found = self._visible()
        return next(iter(found.values())) if len(found) == 1 else None

    def named(self, name: str) -> ServedDetector:
        """The served detector of this name.

        Raises:
            RequestRefused: 404, with the known names; 403, the caller has no right for it.
        """
        found = self._visible()
        if name in found:
            return found[name]
        self.check_visible(name)
        raise RequestRefused(404, f"no detector {name!r} is served here.{did_you_mean(name, found)}")

    def check_visible(self, name: str) -> None:
        """Refuse a detector that is served here, and that the caller may not see.

        Raises:
            RequestRefused: 403, with the detectors that the caller's role holds for.
        """
        if name in self._detectors and name not in self:
            raise beyond(name, self)

    def chosen(self, name: str | None) -> list[ServedDetector]:
        """The named detector, or all of them."""
        return list(self.values()) if name is None else [self.named(name)]

    def taking(self, event: bytes) -> ServedDetector | Refusal:
        """The one detector whose required fields the event has; else a refusal that lists the fields that each detector
        requires.
        """
        if self.only is not None:
            return self.only
        try:
            fields = _fields.decode(event).keys()
        except msgspec.ValidationError:
            return Refusal(422, "an event is a JSON object")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refusal(400, f"this is not valid JSON: {error}")
        missing = {name: sorted(self._required_by(name) - fields) for name in self}
        fitting = [name for name, absent in missing.items() if not absent]
        return self._detectors[fitting[0]] if len(fitting) == 1 else _undecided(fitting, missing)

    async def each(
        self,
        events: Sequence[bytes],
        served: ServedDetector | None,
        ask: Callable[[ServedDetector, Sequence[bytes]], Awaitable[list[T | Refusal]]],
        *,
        keep: bool = True,
    ) -> list[T | Refusal]:
        """The answers to these events, in order; each detector gets its events in order, all detectors concurrently.

        keep: quarantine events that belong to no detector.
        """
        only = served or self.only
        if only is not None:
            return await ask(only, events)
        places: dict[str, list[int]] = {}
        found: dict[int, T | Refusal] = {}
        for place, event in enumerate(events):
            taking = self.taking(event)
            if isinstance(taking, Refusal):
                found[place] = taking
                if keep:
                    self.quarantine_refused(event, taking)
            else:
                places.setdefault(taking.name, []).append(place)
        for name, where in places.items():
            found |= zip(where, await ask(self._detectors[name], [events[place] for place in where]), strict=True)
        return [found[place] for place in range(len(events))]

    def quarantine_refused(self, body: bytes, refusal: Refusal, served: ServedDetector | None = None) -> None:
        """Quarantine an event refused for its content before routing; served: the detector it was addressed to."""
        meant = served or self.only
        ready = next((each for each in self._detectors.values() if each.not_ready is None), None) if meant is None else meant
        if ready is not None and ready.not_ready is None:
            ready.quarantine_refused(self._masked(body) if meant is None else body, refusal, unrouted=meant is None)

    def _masked(self, body: bytes) -> bytes:
        """An event of no detector, with the personal fields of every detector masked."""
        for each in self._detectors.values():
            if each.not_ready is None and isinstance(each.engine, Engine):
                body = masked_event(body, each.engine.detector.schema)
        return body

    def _required_by(self, name: str) -> frozenset[str]:
        """The fields that this detector requires."""
        if name not in self._required:
            fields = msgspec.structs.fields(self._detectors[name].engine.detector.event)
            self._required[name] = frozenset(field.encode_name for field in fields if field.required)
        return self._required[name]


def _undecided(fitting: list[str], missing: Mapping[str, list[str]]) -> Refusal:
    if fitting:
        detail = f"the event fits several detectors ({', '.join(fitting)}); send it to /detectors/NAME/predict"
        return Refusal(422, detail, tuple((None, f"{name} could decide this event") for name in fitting))
    errors = tuple((field, f"{name} requires this field") for name, absent in missing.items() for field in absent)
    return Refusal(422, f"the event has the required fields of no detector served here ({', '.join(missing)})", errors)
