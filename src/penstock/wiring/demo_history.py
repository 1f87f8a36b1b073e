"""The month before a demo: a simulated bank whose payments are decided, labelled and reviewed on a simulated clock.

Payments, and what becomes known of them, come from the simulator. Everything that follows from them is made by what serves
them later: the engine decides, the case sink opens cases, and simulated employees use the stores of the console. They give
verdicts that are sometimes wrong, put on lists what was confirmed, and try a rule and a challenger.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import polars as pl

from penstock.cases.case import REVIEW, SOURCE, Case
from penstock.cases.store import Cases
from penstock.clock import SECOND_US, from_us
from penstock.config import Settings
from penstock.database import Database
from penstock.database.sqlite import DatabaseTransaction, TableSchema, Values
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.labels.store import Statement
from penstock.governance.administration import RuleSource
from penstock.governance.challengers import Challengers
from penstock.governance.list_reader import names
from penstock.governance.lists import ListStore, NewEntry
from penstock.governance.model_trials import ModelTrials
from penstock.governance.rules import RuleBody, RuleStore
from penstock.governance.stored_detector import RuleChecker, adopt
from penstock.ledger import FileLedger
from penstock.ledger.port import Done
from penstock.messages import Action, Record
from penstock.offline.registry import Registry
from penstock.offline.simulate import Profile, submitted
from penstock.stream.cases import CaseSink
from penstock.stream.sinks import name_of
from penstock.wiring.database import office_of
from penstock.wiring.engines import models_of
from penstock.wiring.governance import with_stored_features
from penstock.wiring.registries import open_registry

_MINUTE_US = 60 * SECOND_US
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
_DECIDED_EVERY_US = 15 * _MINUTE_US

ANALYSTS, MANAGER = ("amara", "jonas", "mei"), "rosa"
_AT_WORK = range(7, 19)  # hours, UTC
_CASES_AN_HOUR = 1.6
_RIGHT_ABOUT_FRAUD, _RIGHT_ABOUT_GOOD, _UNSURE = 0.93, 0.97, 0.03
_CUSTOMERS_WHO_CALL = 0.75  # of those whose honest payment was blocked
_CALLED_WITHIN_US = 2 * _DAY_US
_WATCHED_FROM = 2  # confirmed frauds of a merchant

COMPROMISED, WATCHED = "compromised_customers", "watched_merchants"
_COMPROMISED_FOR_US = 14 * _DAY_US
_LISTS_ON, _RULE_TRIED_ON, _MODEL_TRIED_ON = 1, 10, 16  # days of the history

_KINDS = {
    "account_takeover": "account_takeover",
    "card_testing": "card_testing",
    "merchant_collusion": "merchant_fraud",
    "mule_chain": "money_mule",
    "collecting_scam": "scam",
}
"""The reason code of a verdict, by the attack that an analyst has seen through; others are stolen cards."""


class SimulatedClock:
    """A clock that the simulation sets."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        """Tell the instant."""
        return self.now_us


class RecentLedger(FileLedger):
    """A ledger that keeps in memory what is appended, until it is taken."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._recent: list[tuple[int, Record]] = []

    def append(self, record: Record, done: Done | None = None) -> int:
        """See `Ledger.append`."""
        position = super().append(record, done)
        self._recent.append((position, record))
        return position

    def take_recent(self) -> list[tuple[int, Record]]:
        """The records since the last call, with their positions."""
        taken, self._recent = self._recent, []
        return taken


class OneTransaction:
    """A database whose changes within `together` are one transaction: one write to the disk, where there would be hundreds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: DatabaseTransaction | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything within is one transaction."""
        with self._database.write() as transaction:
            self._open = transaction
            try:
                yield
            finally:
                self._open = None

    def read(self, sql: str, values: Values | None = None) -> Any:
        """See `Database.read`."""
        return self._database.read(sql, values or {}) if self._open is None else self._open.run(sql, values or {})

    @contextmanager
    def write(self) -> Iterator[DatabaseTransaction]:
        """See `Database.write`."""
        if self._open is not None:
            yield self._open
        else:
            with self._database.write() as transaction:
                yield transaction

    def prepare(self, schema: TableSchema) -> None:
        """See `Database.prepare`."""
        self._database.prepare(schema)

    def scrub(self, *tables: str) -> None:
        """See `Database.scrub`."""
        self._database.scrub(*tables)

    def close(self) -> None:
        """See `Database.close`."""


class HistoryStretch:
    """A stretch of history: its payments, in order of arrival, and what will be known of them.

    Args:
        profile: of the simulator.
        frame: the payments, as it makes them.
        until_us: the end of the stretch.
        began_us: when the history began, of which this is a part; None where lists and trials are not to be made.
    """

    def __init__(self, profile: Profile, frame: pl.DataFrame, until_us: int, began_us: int | None) -> None:
        self.until_us, self.began_us = until_us, began_us
        self.bodies = [msgspec.json.encode(event) for event in submitted(profile, frame)]
        self.arrived_us = frame["arrived_at"].dt.timestamp("us").to_numpy()
        self.ids: list[str] = frame[profile.id].to_list()
        self.attacks: list[str | None] = frame["attack"].to_list()
        self.reported: list[bool] = frame[profile.label].to_list()
        self.known_us: list[int | None] = frame["label_known_at"].dt.timestamp("us").to_list()
        self.row_of = {name: row for row, name in enumerate(self.ids)}

    def windows(self) -> Iterator[tuple[int, int]]:
        """First row and end of the payments that are decided together: those of some minutes."""
        window = self.arrived_us // _DECIDED_EVERY_US
        cuts = [0, *(np.flatnonzero(np.diff(window)) + 1).tolist(), len(window)]
        return pairwise(cuts)


class Rulebook:
    """Rules, lists and trials of the simulated bank: what the manager changes, and what decides at an instant."""

    def __init__(self, database: Database, detector: Detector, registry: Registry, clock: SimulatedClock) -> None:
        checker = RuleChecker(database, detector)
        self.rules = RuleStore(database, detector.name, checker, clock)
        self.lists = ListStore(database, detector.name, checker, clock)
        self._trials = ModelTrials(database, detector.name, clock)
        self._database, self._registry, self._name = database, registry, detector.name
        self._source = RuleSource(self.rules, self.lists, detector)
        self._challengers = Challengers(database, detector, registry)
        self._in_force = 0

    def follow(self, engine: Engine) -> None:
        """Let the rules and lists of now decide."""
        found = self._source.newer(self._in_force)
        if found is not None:
            engine.use_rules(found.rules, found.lists)
            self._in_force = found.revision

    def add_lists(self) -> None:
        """Make two lists, and a rule for each."""
        add_list, who = self.lists.create, MANAGER
        add_list(COMPROMISED, "watch", about="Customers with a confirmed fraud, for two weeks", who=who)
        add_list(WATCHED, "watch", about="Merchants with several confirmed frauds", who=who)
        self._activate(
            "compromised_customer",
            RuleBody(when=f"customer_id IN list('{COMPROMISED}')", reason="{customer_id} had a confirmed fraud in two weeks"),
            why="Payments after an account takeover were let through",
        )
        self._activate(
            "watched_merchant",
            RuleBody(
                when=f"merchant_id IN list('{WATCHED}') AND amount > 100", reason="{merchant_id} had several confirmed frauds"
            ),
            why="Losses came back to the same merchants",
        )

    def _activate(self, name: str, body: RuleBody, why: str) -> None:
        self.rules.add(name, body, who=MANAGER, why=why)
        self.rules.promote(name, 1, who=MANAGER, why=why)

    def try_rule(self) -> None:
        """Let a rule watch."""
        body = RuleBody(when="count_last_1h >= 3 AND amount_last_1h > 500", reason="{amount_last_1h:.2f} within an hour")
        self.rules.add("fast_spender", body, who=ANALYSTS[0], why="Several small frauds in a row add up")
        self.rules.shadow("fast_spender", 1, who=MANAGER, why="What would it cost in reviews?")

    def try_model(self) -> None:
        """Let the newest version that is not the champion score the same events, if there is one."""
        champion = self._registry.alias(self._name, "champion")
        others = [entry.version for entry in self._registry.entries(self._name) if entry.version != champion]
        if others:
            self._trials.shadow(others[-1], champion=champion, who=MANAGER, why="Trained on newer payments")
            self._registry.challenge(self._name, others[-1])

    def challenge(self, engine: Engine) -> None:
        """Let the challengers in trial score what the engine decides."""
        engine.challenge(*self._challengers.challengers())

    def list(self, name: str, values: Sequence[NewEntry], who: str) -> None:
        """Put values on a list, unless somebody has removed the list."""
        if values and name in names(self._database.read, self._name):
            self.lists.add(name, values, who=who)


class Analysts:
    """The people who decide cases."""

    def __init__(self, cases: Cases, clock: SimulatedClock, events: HistoryStretch, rng: np.random.Generator) -> None:
        self._cases, self._clock, self._events, self._rng = cases, clock, events, rng
        self.confirmed: list[Case] = []
        """Cases that were found to be fraud, and are on no list yet."""

    def work(self, *, few: bool) -> None:
        """Decide some cases of the hour that begins now. few: one analyst alone is there."""
        hour_us = self._clock.now_us
        there = ANALYSTS[:1] if few else ANALYSTS
        for who in there if from_us(hour_us).hour in _AT_WORK else ():
            for minute in np.sort(self._rng.uniform(1, 50, self._rng.poisson(_CASES_AN_HOUR))):
                self._clock.now_us = hour_us + int(minute * _MINUTE_US)
                case = self._cases.take_next(who)
                if case is not None:
                    self._clock.now_us += int(self._rng.uniform(1, 8) * _MINUTE_US)
                    self._decide(case, who)

    def leave(self) -> None:
        """Hold a case each, and escalate one."""
        for who in ANALYSTS:
            case = self._cases.take_next(who, REVIEW)
            if case is not None and who == ANALYSTS[-1]:
                self._cases.escalate(case.id, who, "senior", "Same device as in a case of last week?")

    def _decide(self, case: Case, who: str) -> None:
        row = self._events.row_of.get(case.transaction_id)
        attack = None if row is None else self._events.attacks[row]
        if self._rng.random() < _UNSURE:
            self._cases.decide(case.id, who, "unsure", reason="no_answer")
            return
        right = self._rng.random() < (_RIGHT_ABOUT_GOOD if attack is None else _RIGHT_ABOUT_FRAUD)
        if right == (attack is not None):
            self._cases.decide(case.id, who, "fraud", reason=_KINDS.get(attack or "", "card_stolen"))
            self.confirmed.append(case)
        else:
            reason = str(self._rng.choice(["customer_confirmed", "known_behaviour", "false_alarm"]))
            self._cases.decide(case.id, who, "good", reason=reason)


class Bank:
    """The simulated bank: decides a stretch of its history.

    Args:
        detector: of the demo.
        settings: name its data folder.
        office: its database.
        events: the payments.
    """

    def __init__(self, detector: Detector, settings: Settings, office: Database, events: HistoryStretch) -> None:
        first_us = int(events.arrived_us[0])
        self._engine_clock, self._clock = SimulatedClock(first_us), SimulatedClock(first_us)
        self._office, self._events = OneTransaction(office), events
        self.ledger = RecentLedger(
            settings.data / "ledger", segment_bytes=settings.ledger_segment_mb << 20, clock=self._engine_clock
        )
        extended = with_stored_features(detector, settings)
        self.engine = Engine(
            extended,
            models=models_of(extended, settings, keep_in=settings.models_folder),
            data=settings.data,
            ledger=self.ledger,
            clock=self._engine_clock,
        )
        rng = np.random.default_rng(first_us // _DAY_US)
        self._cases = Cases(self._office, lock_minutes=settings.case_lock_minutes, clock=self._clock)
        self._rulebook = Rulebook(self._office, detector, open_registry(settings), self._clock)
        self._analysts = Analysts(self._cases, self._clock, events, rng)
        engines = {detector.name: self.engine}
        self._sink = CaseSink(self._cases, name_of(self.ledger), engines.get, sample=settings.case_sample)
        self._rng, self._name = rng, detector.name
        self._due: list[tuple[int, str, bool, str]] = []
        self._frauds_of: Counter[str] = Counter()
        book = self._rulebook
        changes = {_LISTS_ON: book.add_lists, _RULE_TRIED_ON: book.try_rule, _MODEL_TRIED_ON: book.try_model}
        began_us = -_DAY_US * 365 if events.began_us is None else events.began_us
        days = [(began_us + day * _DAY_US, change) for day, change in changes.items()]
        self._changes = [(at_us, change) for at_us, change in days if at_us >= first_us]

    def decide(self, progress: Callable[[float, int], None]) -> None:
        """Decide all payments, an hour after the other. progress: gets the share that is done, and the instant reached."""
        until_us = self._events.until_us
        self._rulebook.follow(self.engine)
        self._rulebook.challenge(self.engine)
        hour_us = int(self._events.arrived_us[0]) // _HOUR_US * _HOUR_US + _HOUR_US
        windows = iter([*self._events.windows(), (len(self._events.ids), 0)])
        start, end = next(windows)
        while start < len(self._events.ids):
            day_us = min((hour_us // _DAY_US + 1) * _DAY_US, until_us)
            with self._office.together():
                while start < len(self._events.ids) and self._events.arrived_us[start] < day_us:
                    while self._events.arrived_us[start] >= hour_us:
                        self._hour_ends(hour_us, until_us)
                        hour_us += _HOUR_US
                    self._decide(start, end)
                    start, end = next(windows)
            progress(start / len(self._events.ids), day_us)
        with self._office.together():
            self._hour_ends(until_us, until_us)
            self._analysts.leave()

    def close(self) -> None:
        """Save the state, and release the data folder."""
        try:
            self.engine.close()
        finally:
            self.ledger.close()

    def _decide(self, start: int, end: int) -> None:
        """Decide the payments of one window when the last of them has arrived."""
        events = self._events
        self._engine_clock.now_us = int(events.arrived_us[end - 1])
        self.engine.decide_json(events.bodies[start:end])
        for row in range(start, end):
            known_us = events.known_us[row]
            if known_us is not None:
                heapq.heappush(self._due, (known_us, events.ids[row], events.reported[row], "simulated"))

    def _hour_ends(self, now_us: int, until_us: int) -> None:
        """Everything but decisions: labels, cases, and what employees do until the next hour."""
        self._engine_clock.now_us = self._clock.now_us = now_us
        self._label(now_us)
        recent = self.ledger.take_recent()
        if recent:
            self._label_calls([record for _, record in recent if record.kind == "decisions"])
            self._sink.write(recent)
        if now_us + _HOUR_US <= until_us:
            self._analysts.work(few=now_us > until_us - _DAY_US)
            self._submit_verdicts()
            if from_us(now_us).hour == _AT_WORK[-1]:
                self._put_on_lists()
        while self._changes and self._changes[0][0] <= now_us:
            self._clock.now_us, change = self._changes.pop(0)
            change()
            self._rulebook.challenge(self.engine)
        self._rulebook.follow(self.engine)

    def _label(self, now_us: int) -> None:
        """Submit the labels that have become known."""
        due = []
        while self._due and self._due[0][0] <= now_us:
            known_us, name, fraud, source = heapq.heappop(self._due)
            due.append(Statement(name, fraud, known_us=known_us, source=source))
        if due:
            self.engine.label_store.submit(due)

    def _label_calls(self, decided: Sequence[Record]) -> None:
        """Customers whose honest payment was blocked call, some of them, and their bank notes that it was good."""
        for record in decided:
            for row in np.flatnonzero(np.asarray(record.columns["action"]) == Action.BLOCK.value).tolist():
                honest = self._events.attacks[self._events.row_of[record.ids[row]]] is None
                if honest and self._rng.random() < _CUSTOMERS_WHO_CALL:
                    called_us = int(record.arrived_us[row]) + int(self._rng.uniform(0.1, 1) * _CALLED_WITHIN_US)
                    heapq.heappush(self._due, (called_us, record.ids[row], False, "customer"))

    def _submit_verdicts(self) -> None:
        pending = self._cases.pending_verdicts(self._name)
        if pending:
            labels = [Statement(each.transaction_id, each.fraud, kind=each.kind, source=SOURCE) for each in pending]
            self.engine.label_store.submit(labels)
            self._cases.mark_submitted(pending)

    def _put_on_lists(self) -> None:
        """Put the customers of confirmed frauds on a list, and merchants that come up again and again on another."""
        customers: dict[str, NewEntry] = {}
        merchants: dict[str, NewEntry] = {}
        for case in self._analysts.confirmed:
            keys = {key.entity: key.key for key in self._cases.keys(case.id)}
            reason = f"case {case.id}"
            if customer := keys.get("customer"):
                customers[customer] = NewEntry(customer, reason, self._clock.now_us + _COMPROMISED_FOR_US)
            if merchant := keys.get("merchant"):
                self._frauds_of[merchant] += 1
                if self._frauds_of[merchant] >= _WATCHED_FROM:
                    merchants[merchant] = NewEntry(merchant, reason)
        self._analysts.confirmed.clear()
        self._rulebook.list(COMPROMISED, list(customers.values()), ANALYSTS[0])
        self._rulebook.list(WATCHED, list(merchants.values()), MANAGER)


def adopt_detector(detector: Detector, settings: Settings, since_us: int) -> None:
    """Adopt the rules and lists of the detector's file, as of the beginning of its history; once they are adopted, nothing."""
    clock = SimulatedClock(since_us)
    with office_of(settings) as office:
        checker = RuleChecker(office, detector)
        adopt(RuleStore(office, detector.name, checker, clock), ListStore(office, detector.name, checker, clock), detector)


def decide_history(
    detector: Detector, settings: Settings, events: HistoryStretch, progress: Callable[[float, int], None]
) -> None:
    """Decide the payments of a stretch of history, with all that follows from them.

    Args:
        detector: of the demo.
        settings: name its data folder.
        events: the payments.
        progress: gets the share that is done, and the instant reached.

    Raises:
        FolderInUse: another process owns the data folder.
    """
    with office_of(settings) as office:
        bank = Bank(detector, settings, office, events)
        try:
            bank.decide(progress)
        finally:
            bank.close()
