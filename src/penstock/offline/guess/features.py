"""Windowed features, a rule and the inputs of models for what was guessed, as lines of Python."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.offline.guess.guessed import NOT_A_TIME, Guessed, GuessedKey

_WINDOW_US = {"1h": 3_600_000_000, "1d": 86_400_000_000}
_RARE = 0.999
_FEWEST_IN_A_RULE = 4


def entity_lines(guessed: Guessed) -> Iterator[str]:
    """An entity for each key, and one with the currency for those who pay where there are several."""
    for key in guessed.keys:
        named = f", name={key.name!r}" if key.name != key.column.field.removesuffix("_id") else ""
        yield f'{key.name} = Entity("{key.column.field}"{named.replace(chr(39), chr(34))})'
        if _mixed(guessed):
            assert guessed.currency is not None
            yield (
                f'{_money_entity(guessed, key)} = Entity("{key.column.field}", "{guessed.currency.field}",'
                f' name="{_money_entity(guessed, key)}")'
            )


def feature_lines(guessed: Guessed) -> Iterator[str]:
    """The features, one line each."""
    time = guessed.time
    local = f", '{time.zone}'" if time.zone != "UTC" else ""
    if not time.by_day:
        yield f'derive("hour_of_day", "hour({time.field}{local})"),'
    yield f'derive("on_weekend", "is_weekend({time.field}{local})"),'
    for other in guessed.times:
        name, expression = _since(other.column.field, time.field, birth=other.birth)
        yield f'derive("{name}", "{expression}"),'
    if guessed.places is not None:
        (a, b), (c, d) = guessed.places
        yield f'derive("km_apart", "distance_km({a.field}, {b.field}, {c.field}, {d.field})"),'
    for key in guessed.keys:
        yield from _features_of(guessed, key)


def _since(field: str, time: str, *, birth: bool) -> tuple[str, str]:
    if birth:
        return "age_years", f"({time} - {field}) / 31557600"
    return f"seconds_since_{field}", f"{time} - {field}"


def _features_of(guessed: Guessed, key: GuessedKey) -> Iterator[str]:
    entity, short, day = key.name, "1d" if guessed.time.by_day else "1h", "7d" if guessed.time.by_day else "24h"
    if key.guess.sure == "unsure":
        yield f'{entity}.count("7d"),'
        return
    yield f'{entity}.count("{short}"), {entity}.count("{day}"), {entity}.since_last(),'
    yield from _money(guessed, key, day)
    across = next((other for other in guessed.keys if other.pays != key.pays and other.guess.sure != "unsure"), None)
    if across is not None and across is not key:
        yield f'{entity}.distinct("{across.column.field}", "{day}"),'
    if guessed.label is not None and not key.pays and guessed.label.delay != "1m":
        yield f'{entity}.label_rate("30d", delay="{guessed.label.delay}"),'


def _money(guessed: Guessed, key: GuessedKey, day: str) -> Iterator[str]:
    if guessed.amount is None:
        return
    entity, name, field = _money_entity(guessed, key), key.name, guessed.amount.column.field
    if key.pays:
        yield f'{entity}.sum("{field}", "{day}").named("{name}_spent_{day}"),'
        yield f'{entity}.max("{field}", "30d", current=False).named("{name}_largest_30d"),'
    yield f'{entity}.mean("{field}", "30d", current=False).named("{name}_usual_amount"),'
    yield f'derive("amount_to_{name}_usual", "{field} / {name}_usual_amount"),'


def _mixed(guessed: Guessed) -> bool:
    return guessed.currencies > 1 and guessed.amount is not None


def _money_entity(guessed: Guessed, key: GuessedKey) -> str:
    return f"{key.name}_in_currency" if _mixed(guessed) else key.name


# ---------------------------------------------------------------- the rule


def rule_lines(guessed: Guessed, limits: Mapping[str, float] = MappingProxyType({})) -> Iterator[str]:
    """Rules on what 999 of 1,000 rows do not reach: how often one payer pays, and what the limits say.

    limits: by feature, what 999 of 1,000 rows stay below.
    """
    if limits:
        yield from _limit_rules(guessed, limits)
        return
    payer = next((key for key in guessed.keys if key.pays and key.guess.sure != "unsure"), None)
    if payer is None:
        return
    window, word = ("1d", "a day") if guessed.time.by_day else ("1h", "an hour")
    usual = int(np.quantile(within(_codes(payer), guessed.time.instants_us, _WINDOW_US[window]), _RARE))
    limit = max(usual + 1, _FEWEST_IN_A_RULE)
    yield f"# In 999 of 1,000 rows, one {payer.name} has made at most {usual} payments within {word}."
    feature = f"{payer.name}_count_{window}"
    yield f'Rule("many_by_{payer.name}", "{feature} >= {limit}", then="review",'
    yield f'     reason="{{{feature}}} payments within {word}"),'


def watched(guessed: Guessed) -> dict[str, tuple[str, str]]:
    """The features that rules watch where nothing can be learned, each with the name and the reason of its rule."""
    short, day = ("1d", "7d") if guessed.time.by_day else ("1h", "24h")
    words = {"1h": "an hour", "1d": "a day", "24h": "24 hours", "7d": "7 days"}
    found: dict[str, tuple[str, str]] = {}
    for key in guessed.keys:
        if not key.pays or key.guess.sure == "unsure":
            continue
        count, ratio = f"{key.name}_count_{short}", f"amount_to_{key.name}_usual"
        found[count] = f"many_by_{key.name}", f"{{{count}}} payments within {words[short]}"
        if guessed.amount is not None:
            found[ratio] = f"unusual_amount_of_{key.name}", f"{{{ratio}:.1f}} times what is usual for this {key.name}"
        across = next((other for other in guessed.keys if not other.pays and other.guess.sure != "unsure"), None)
        if across is not None:
            others = f"{key.name}_distinct_{across.column.field}_{day}"
            found[others] = f"many_{across.name}s_of_{key.name}", f"{{{others}}} {across.name}s within {words[day]}"
    return found


def limits_of(frame: pl.DataFrame, guessed: Guessed) -> dict[str, float]:
    """Of each watched feature in a replay of the file, what 999 of 1,000 rows do not exceed."""
    found = {name: frame[name].quantile(_RARE, "higher") for name in watched(guessed)}
    return {name: limit for name, limit in found.items() if limit is not None}


def _limit_rules(guessed: Guessed, limits: Mapping[str, float]) -> Iterator[str]:
    for feature, (name, reason) in watched(guessed).items():
        if feature not in limits:
            continue
        limit = f"{limits[feature]:.4g}"
        yield f"# In 999 of 1,000 rows, {feature} is at most {limit}."
        yield f'Rule("{name}", "{feature} > {limit}", then="review",'
        yield f'     reason="{reason}"),'


def _codes(key: GuessedKey) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = key.column.values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return codes


def within(keys: NDArray[np.int64], instants_us: NDArray[np.int64], window_us: int) -> NDArray[np.int64]:
    """For each event with a key and a time, how many events of its key lie in the window that ends with it.

    >>> within(np.array([1, 1, 2]), np.array([0, 5, 5]), 10).tolist()
    [1, 2, 1]
    """
    known = (instants_us != NOT_A_TIME) & (keys > 0)
    keys, times = keys[known], instants_us[known]
    if not len(keys):
        return np.zeros(1, np.int64)
    order = np.lexsort((times, keys))
    keys, times = keys[order], times[order] - times.min()
    stretch = int(times.max()) + window_us + 1
    if stretch > np.iinfo(np.int64).max // (int(keys.max()) + 1):  # too long to be laid end to end: in seconds it is not
        times, window_us, stretch = times // 1_000_000, window_us // 1_000_000, stretch // 1_000_000 + 1
    laid = keys * stretch + times
    counts: NDArray[np.int64] = np.arange(len(laid)) - np.searchsorted(laid, laid - window_us, "right") + 1
    return counts
