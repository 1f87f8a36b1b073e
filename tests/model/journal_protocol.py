"""A model of the journal on Kafka: every order of events in which two processes claim, decide, publish, stop and come back.

It follows `penstock/adapters/kafka` step by step: `Process.claim` and `follow` are `JournalWriter`, `publish` is
`KafkaPublisher`, `counting` is `Claims`. What a model leaves out cannot be found with it: here an entry decides one event, a
process has one message on its way, and a reader is at any place of the log. What it has: messages that arrive late, or after
their sender is gone; acknowledgements that are never seen; a broker whose successor lacks what was not acknowledged; processes
that stand still anywhere and go on; a transactional owner of version 0.1 that is still writing.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Message(NamedTuple):
    """A message of the journal. claim: under which an entry was written; None for one of version 0.1. event: -1 for a claim."""

    uid: tuple[int, int]
    claim: int | None
    event: int

    @property
    def claims(self) -> bool:
        return self.event < 0


Decision = tuple[int, int | None]
"""An event, and the claim that it was decided under: two owners would decide it differently."""


class Process(NamedTuple):
    """A process. at: following, preparing, claiming, claimed, owning or appending. sent: messages that it has sent.

    claim, expected: its claim's offset and the offset it expects next. decided: events that the state it has contains.
    epoch: of its publisher. published: the offset behind which its publisher goes on. queue: its acknowledged entries.
    """

    at: str = "following"
    sent: int = 0
    claim: int = -1
    expected: int = -1
    decided: int = 0
    epoch: int = 0
    published: int = -1
    queue: tuple[int, ...] = ()

    def stopped(self) -> "Process":
        return Process(sent=self.sent)


@dataclass(frozen=True)
class Protocol:
    """Which safeguards are there; without any one of them the explorer must find a fault."""

    readers_heed_claims: bool = True
    gaps_are_read: bool = True
    publishers_are_fenced: bool = True
    position_with_messages: bool = True


@dataclass(frozen=True)
class State:
    """log: acknowledged messages. tail: those that only the leader has. flying: sent, and not arrived. epoch: of the newest
    publisher. position: up to which offset everything is published. shown: what callers were told. starts, stops, failovers:
    how many may still happen.
    """

    log: tuple[Message, ...] = ()
    tail: tuple[Message, ...] = ()
    flying: frozenset[Message] = frozenset()
    processes: tuple[Process, ...] = (Process(), Process())
    epoch: int = 0
    position: int | None = None
    published: tuple[Decision, ...] = ()
    shown: frozenset[Decision] = frozenset()
    starts: int = 2
    stops: int = 1
    failovers: int = 1
    protocol: Protocol = field(default=Protocol(), compare=False)


EVENTS = 2


def counting(state: State) -> Iterator[tuple[int, Decision]]:
    """The entries of the log that count, with their offsets."""
    newest = None
    for offset, message in enumerate(state.log):
        if message.claims:
            newest = offset
        elif message.claim == newest or not state.protocol.readers_heed_claims:
            yield offset, (message.event, message.claim)


def following(state: State) -> Iterator[State]:
    """Every state that can come next."""
    yield from _broker(state)
    for number, process in enumerate(state.processes):
        yield from _process(state, number, process)
        if state.stops and process.at != "following":
            yield replace(_with(state, number, process.stopped()), stops=state.stops - 1)


def _with(state: State, number: int, process: Process) -> State:
    processes = list(state.processes)
    processes[number] = process
    return replace(state, processes=tuple(processes))


def _broker(state: State) -> Iterator[State]:
    """Messages arrive in any order, are acknowledged in the order of the log, and are sent again after a fail-over."""
    for message in state.flying:
        if message.claim is None and not message.claims and state.epoch:
            continue  # a transaction of version 0.1, which the broker refuses
        yield replace(state, flying=state.flying - {message}, tail=(*state.tail, message))
    if state.tail:
        first, *rest = state.tail
        if first.claim is None and not first.claims:
            if not state.epoch:
                shown = (*state.published, (first.event, None))
                yield replace(state, tail=tuple(rest), log=(*state.log, first), published=shown)
            else:
                yield replace(state, tail=tuple(rest))
        else:
            yield replace(state, tail=tuple(rest), log=(*state.log, first))
        if state.failovers:
            yield replace(state, tail=(), flying=state.flying | set(state.tail), failovers=state.failovers - 1)


def _process(state: State, number: int, process: Process) -> Iterator[State]:
    match process.at:
        case "following":
            if state.starts:
                epoch = state.epoch + 1
                yield replace(
                    _with(state, number, process._replace(at="preparing", epoch=epoch)), epoch=epoch, starts=state.starts - 1
                )
        case "preparing":
            yield _send(state, number, process, None, -1, "claiming")
        case "claiming":
            offset = _offset_of(state, number, process)
            if offset is not None:
                yield _with(state, number, process._replace(at="claimed", claim=offset, expected=offset + 1))
        case "claimed":
            yield from _begin(state, number, process)
        case "owning":
            if _newest(state) != process.claim:  # which its next sign of life tells it
                yield _with(state, number, process.stopped())
            if process.decided < EVENTS:
                yield _send(state, number, process, process.claim, process.decided, "appending")
            yield from _publish(state, number, process)
        case "appending":
            offset = _offset_of(state, number, process)
            if offset is not None:
                yield _acknowledged(state, number, process, offset)
            yield from _publish(state, number, process)


def _newest(state: State) -> int | None:
    return max((offset for offset, message in enumerate(state.log) if message.claims), default=None)


def _send(state: State, number: int, process: Process, claim: int | None, event: int, at: str) -> State:
    message = Message((number, process.sent), claim, event)
    sent = process._replace(at=at, sent=process.sent + 1)
    return replace(_with(state, number, sent), flying=state.flying | {message})


def _offset_of(state: State, number: int, process: Process) -> int | None:
    uid = (number, process.sent - 1)
    return next((offset for offset, message in enumerate(state.log) if message.uid == uid), None)


def _begin(state: State, number: int, process: Process) -> Iterator[State]:
    """Catch up with the log, and find out how far it is published; if nothing is, say so before anything is decided."""
    if state.position is None and process.epoch != state.epoch:
        yield _with(state, number, process.stopped())
        return
    position = process.claim if state.position is None else state.position
    decided = len({event for _, (event, _) in counting(state)})
    yield replace(_with(state, number, process._replace(at="owning", decided=decided, published=position)), position=position)


def _acknowledged(state: State, number: int, process: Process, offset: int) -> State:
    between = state.log[process.expected : offset]
    if state.protocol.gaps_are_read and any(message.claims for message in between):
        return _with(state, number, process.stopped())
    shown = state.shown | {(process.decided, process.claim)}
    owner = process._replace(at="owning", decided=process.decided + 1, expected=offset + 1, queue=(*process.queue, offset))
    return replace(_with(state, number, owner), shown=shown)


def _publish(state: State, number: int, process: Process) -> Iterator[State]:
    """Publish what follows from the next entry: one of a predecessor, or an acknowledged one of its own."""
    waiting = [offset for offset, _ in counting(state) if process.published < offset < process.claim]
    waiting += [offset for offset in process.queue if offset > process.published]
    if not waiting:
        return
    if process.epoch != state.epoch and state.protocol.publishers_are_fenced:
        yield _with(state, number, process.stopped())
        return
    message = state.log[waiting[0]]
    published = (*state.published, (message.event, message.claim))
    after = replace(_with(state, number, process._replace(published=waiting[0])), published=published)
    if state.protocol.position_with_messages:
        yield replace(after, position=waiting[0])
    else:  # the position in a write of its own, which a stop may prevent
        yield after
        yield replace(after, position=waiting[0])


def fault(state: State) -> str | None:
    """What must never be; None if all is well."""
    decisions = [decision for _, decision in counting(state)]
    if len({event for event, _ in decisions}) < len(decisions):
        return "an event is decided twice"
    if not state.shown <= set(decisions):
        return "a decision that was shown does not count"
    if list(state.published) != decisions[: len(state.published)]:
        return "what is published is not what counts, in its order"
    return None


def unfinished(state: State) -> bool:
    """Whether nothing can happen any more although an owner is there, and something is undecided or unpublished."""
    owned = any(each.at == "owning" for each in state.processes)
    return owned and len(state.published) < EVENTS


def explore(protocol: Protocol, start: State) -> tuple[int, str | None, list[State]]:
    """Visit every state that can be reached: their number, the first fault, and the way to it."""
    first = replace(start, protocol=protocol)
    came: dict[State, State | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        wrong = fault(state)
        if wrong is None:
            nexts = list(following(state))
            if not nexts and unfinished(state):
                wrong = "an owner is there, and nothing goes on"
            for each in nexts:
                if each not in came:
                    came[each] = state
                    waiting.append(each)
        if wrong is not None:
            return len(came), wrong, _way(came, state)
    return len(came), None, []


def _way(came: dict[State, State | None], state: State) -> list[State]:
    way = [state]
    while (before := came[way[-1]]) is not None:
        way.append(before)
    return way[::-1]
