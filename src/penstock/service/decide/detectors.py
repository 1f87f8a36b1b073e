"""The detectors of a service, and the routing of events that name no detector."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
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


class DetectorRouter(Mapping[str, ServedDetector]):
    """All served detectors by name, in the order of declaration."""

    def __init__(self, detectors: Mapping[str, ServedDetector]) -> None:
        self._detectors = dict(detectors)
        self.only = next(iter(self._detectors.values())) if len(self._detectors) == 1 else None
        self._required: dict[str, frozenset[str]] = {}

    def __getitem__(self, name: str) -> ServedDetector:
        return self._detectors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._detectors)

    def __len__(self) -> int:
        return len(self._detectors)

    def named(self, name: str) -> ServedDetector:
        """The served detector of this name.

        Raises:
            RequestRefused: 404, with the known names.
        """
        try:
            return self._detectors[name]
        except KeyError:
            raise RequestRefused(404, f"no detector {name!r} is served here.{did_you_mean(name, self._detectors)}") from None

    def chosen(self, name: str | None) -> list[ServedDetector]:
        """The named detector, or all of them."""
        return list(self._detectors.values()) if name is None else [self.named(name)]

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
        missing = {name: sorted(self._required_by(name) - fields) for name in self._detectors}
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
