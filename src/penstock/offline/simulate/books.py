"""Account balances, for worlds in which money moves between accounts.

Payments become movements of five types, as in the public PaySim set: PAYMENT to a merchant, TRANSFER to another account,
CASH_OUT and CASH_IN at an agent, DEBIT to a bank. Money is counted in cents, so that in every movement the new balance is
the old one less (for CASH_IN, plus) the amount, exactly. Who has too little left for what they want goes to an agent and
cashes in first. A thief who finds nothing waits until money has come in by a way that is not seen here.

An account keeps what it holds from one movement to the next, in `World.balances`; a world entered anew in the middle
begins with opening balances, which are a function of the account.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.payments import HONEST, Payments
from penstock.offline.simulate.people import STRANGERS
from penstock.offline.simulate.world import World

KINDS = ("PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN")
"""The types of movement; their index is the `kind` of a payment."""
PAYMENT, TRANSFER, CASH_OUT, DEBIT, CASH_IN = range(len(KINDS))

AGENTS = 2_000_000_000
"""Account numbers from here on belong to agents and banks; below are people."""

_SHARES = np.cumsum([0.46, 0.14, 0.26, 0.02, 0.12])
_FACTORS = np.array([1.0, 14.0, 8.0, 0.5, 12.0])  # how much larger than a payment the usual movement of a type is
_SIGMAS = np.array([0.0, 0.9, 0.8, 0.5, 0.5])
_CONTACTS = 6
_TO_CONTACT, _TO_SOMEBODY = 0.78, 0.96  # beyond: an account nobody has paid before
_HUB_SKEW = 2.2
_PEOPLE_PER_AGENT = 150
_TAKES_ALL = np.array([0.0, 0.06, 0.2, 0.0, 0.0])
_FLAGGED_FRAUDS, _FLAGGED_OTHERS = 0.25, 0.0005
_FLAGGED_FROM = 60.0  # times the usual payment


@dataclass(frozen=True)
class Booked:
    """Movements as they went through the books: arrays of one length, money in units.

    kind: index into KINDS. payee: account number, for PAYMENT the merchant's. flagged: an upstream system noticed it.
    """

    kind: NDArray[np.int8]
    payee: Numbers
    amount: Floats
    old: Floats
    new: Floats
    payee_old: Floats
    payee_new: Floats
    flagged: NDArray[np.bool_]


def book(world: World, stretch: Payments) -> Booked:
    """Put a stretch of payments through the books, in its order; each must be booked once."""
    wishes = _wishes(world, stretch)
    kind, amount, old, payee, payee_old = _run(world.balances, stretch, wishes)
    sign = np.where(kind == CASH_IN, 1, -1)
    merchant = kind == PAYMENT
    money = amount / 100.0
    return Booked(
        kind=kind,
        payee=np.where(merchant, stretch["merchant"], payee),
        amount=money,
        old=old / 100.0,
        new=(old + sign * amount) / 100.0,
        payee_old=np.where(merchant, 0.0, payee_old / 100.0),
        payee_new=np.where(merchant, 0.0, (payee_old - sign * amount) / 100.0),
        flagged=_flagged(world, stretch, kind, money),
    )


@dataclass(frozen=True)
class _Wishes:
    """The payments that people want to make, before their balances are checked: cents, and account numbers."""

    kind: NDArray[np.int8]
    amount: Numbers
    payee: Numbers
    agent: Numbers
    opening: Numbers
    payee_opening: Numbers
    keeps: Numbers
    refill: Numbers
    takes_all: NDArray[np.bool_]


def _wishes(world: World, stretch: Payments) -> _Wishes:
    purchase, person, chance = stretch["purchase"], stretch["person"], world.chance
    honest = stretch["attack"] == HONEST
    free = stretch["kind"] < 0
    drawn = np.searchsorted(_SHARES, chance.uniform("movement", purchase), side="right").astype(np.int8)
    kind = np.where(free, drawn, stretch["kind"]).astype(np.int8)
    size = _FACTORS[kind] * np.exp(_SIGMAS[kind] * chance.normal("movement's size", purchase))
    money = np.where(free, stretch["amount"] * size, stretch["amount"])
    usual = world.people.spending(person)
    payee = np.where(stretch["payee"] >= 0, stretch["payee"], _contacts(world, stretch))
    return _Wishes(
        kind=kind,
        amount=np.maximum(_cents(money), 100),
        payee=payee,
        agent=_agents(world, stretch),
        opening=_opening(world, person),
        payee_opening=_opening(world, payee),
        keeps=_cents(usual * 6.0 * chance.uniform("savings", person)),
        refill=_cents(np.ceil(usual * (6.0 + 30.0 * chance.uniform("refill", purchase) ** 2) / 100.0) * 100.0),
        takes_all=honest & (chance.uniform("takes all", purchase) < _TAKES_ALL[kind]),
    )


def _run(
    balances: dict[int, float], stretch: Payments, wishes: _Wishes
) -> tuple[NDArray[np.int8], Numbers, Numbers, Numbers, Numbers]:
    """One movement after the other: type, amount, the payer's balance before, the payee, the payee's balance before."""
    n = len(stretch)
    kinds, amounts, olds = np.empty(n, np.int8), np.empty(n, np.int64), np.empty(n, np.int64)
    payees, payee_olds = np.empty(n, np.int64), np.empty(n, np.int64)
    honest = (stretch["attack"] == HONEST).tolist()
    parts, people = stretch["part"].tolist(), stretch["person"].tolist()
    w = {name: getattr(wishes, name).tolist() for name in wishes.__dataclass_fields__}
    for i in range(n):
        payer, kind, amount = people[i], w["kind"][i], w["amount"][i]
        have = int(balances.get(payer, w["opening"][i]))
        if parts[i] > 0.0:
            amount = max(int(have * parts[i]), 100)
        elif w["takes_all"][i] and have >= amount:
            amount = have
        elif honest[i] and kind != CASH_IN and have - w["keeps"][i] < amount:
            kind, amount = CASH_IN, w["refill"][i]
        if kind != CASH_IN and have < amount:
            have = amount
        balances[payer] = have + amount if kind == CASH_IN else have - amount
        kinds[i], amounts[i], olds[i] = kind, amount, have
        payees[i], payee_olds[i] = _receive(balances, w, i, kind, amount)
    return kinds, amounts, olds, payees, payee_olds


def _receive(balances: dict[int, float], w: dict[str, list[int]], i: int, kind: int, amount: int) -> tuple[int, int]:
    """The counterparty's account, and its balance before; an agent always has enough cash."""
    if kind == PAYMENT:
        return -1, 0
    payee, opening = (w["payee"][i], w["payee_opening"][i]) if kind == TRANSFER else (w["agent"][i], 0)
    had = int(balances.get(payee, opening))
    if kind == CASH_IN:
        had = max(had, amount)
        balances[payee] = had - amount
    else:
        balances[payee] = had + amount
    return payee, had


def _contacts(world: World, stretch: Payments) -> Numbers:
    """Whom each would send money to: mostly one of a few, sometimes anybody, now and then an account new to this world."""
    chance, people, purchase, person = world.chance, world.people, stretch["purchase"], stretch["person"]
    u = chance.uniform("to whom", purchase)
    rank = (_CONTACTS * chance.uniform("which contact", purchase) ** 1.6).astype(np.int64)
    known = chance.uniform("contact", person, rank)
    wish = np.where(u < _TO_CONTACT, known, chance.uniform("anybody", purchase)) ** _HUB_SKEW
    slot = (people.residents * wish).astype(np.int64)
    slot = np.where(slot == person % people.residents, (slot + 1) % people.residents, slot)
    fresh = STRANGERS + (chance.uniform("account new here", purchase) * STRANGERS).astype(np.int64)
    return np.where(u < _TO_SOMEBODY, people.present(slot, stretch["time_us"]), fresh)


def _agents(world: World, stretch: Payments) -> Numbers:
    """An agent near each, one of three they go to."""
    person = stretch["person"]
    which = (3.0 * world.chance.uniform("which agent", stretch["purchase"]) ** 1.5).astype(np.int64)
    count = max(world.people.residents // _PEOPLE_PER_AGENT, 8)
    return AGENTS + (world.chance.uniform("agent", person, which) * count).astype(np.int64)


def _opening(world: World, account: Numbers) -> Numbers:
    """The opening balance of an account; people without a past hold little."""
    usual = world.people.spending(account) * np.where(account >= STRANGERS, 1.5, 40.0)
    return np.asarray(_cents(usual * world.chance.uniform("opening balance", account) ** 1.5) + 100)


def _flagged(world: World, stretch: Payments, kind: NDArray[np.int8], amount: Floats) -> NDArray[np.bool_]:
    """Movements that an upstream system marks: some very large transfers, most of them frauds."""
    large = (kind == TRANSFER) & (amount > _FLAGGED_FROM * world.profile.spending[0])
    share = np.where(stretch["attack"] == HONEST, _FLAGGED_OTHERS, _FLAGGED_FRAUDS)
    return np.asarray(large & (world.chance.uniform("flagged", stretch["purchase"]) < share))


def _cents(money: Floats) -> Numbers:
    return np.rint(np.asarray(money) * 100.0).astype(np.int64)
