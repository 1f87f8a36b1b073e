"""Suggested features as lines of Python, with the gain and the cost of each in a comment."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from penstock.features.definitions import Described
from penstock.features.vocabulary import REMEMBERED

if TYPE_CHECKING:
    from penstock.offline.suggest.candidates import CandidateFeature
    from penstock.offline.suggest.suggest import Suggestion, Suggestions

_WIDTH = 118
_INDENT = "    "


def source(found: "Suggestions") -> str:
    """The declarations of suggested features, to paste into the file of a detector."""
    return "\n".join([*_head(found), "", *entity_lines(found), "", *_list(found), "", *_inputs(found)]) + "\n"


def _head(found: "Suggestions") -> Iterator[str]:
    yield from comment(f"Features that `penstock features suggest {found.detector}` found in {found.data}.")
    yield from comment(figures(found))
    for note in found.notes:
        yield from comment(f"Note: {note}.")
    for leak in found.refused:
        yield from comment(f"Refused: {leak.text}.")
    yield "from penstock import Entity, derive"


def figures(found: "Suggestions") -> str:
    """What was tried, and what it gains, in sentences."""
    first, last = (each[:10] for each in found.period)
    said = (
        f"{len(found.chosen)} of {found.tried:,} candidates add something from {first} to {last}: average precision"
        f" {found.before:.4f} without them, {found.after:.4f} with them (mean of the folds)."
    )
    if found.later is None:
        return said
    later = found.later
    return (
        f"{said} From {later['from'][:10]} to {later['to'][:10]}, which the search did not look at:"
        f" {later['without']:.4f} without, {later['with']:.4f} with them ({later['frauds']:,} frauds)."
    )


def entity_lines(found: "Suggestions") -> Iterator[str]:
    """The entities of the features, one line each."""
    made = {}
    for each in found.features:
        described = each.described
        if described.entity is not None and described.entity not in made:
            made[described.entity] = _entity(described)
    yield from (f"{name} = {text}" for name, text in made.items())


def _entity(described: Described) -> str:
    if described.roles:
        roles = ", ".join(f'"{role}": "{name}"' for role, name in described.roles.items())
        return f'Entity(roles={{{roles}}}, name="{described.entity}")'
    fields = ", ".join(f'"{name}"' for name in described.keys)
    usual = "_".join(name.removesuffix("_id") for name in described.keys)
    return f"Entity({fields})" if described.entity == usual else f'Entity({fields}, name="{described.entity}")'


def _list(found: "Suggestions") -> Iterator[str]:
    yield "suggested = ["
    yield from (f"{_INDENT}{line}" for line in feature_lines(found))
    yield "]"


def feature_lines(found: "Suggestions") -> Iterator[str]:
    """The features, one line each below a comment on what it gains, and what others are made of at the end."""
    gains = {each.name: each for each in found.chosen}
    for each in found.features:
        if each.name in gains:
            yield from comment(worth(gains[each.name]))
        else:
            readers = [other.name for other in found.features if each.name in _reads(other)]
            yield from comment(f"read by {', '.join(readers)}")
        yield f"{declaration(each)},"


def _reads(candidate: "CandidateFeature") -> set[str]:
    described = candidate.described
    return {*candidate.needs, *described.keys, described.field or ""}


def worth(suggestion: "Suggestion") -> str:
    """The gain and the cost of a feature, for a comment."""
    beyond, of = suggestion.folds
    cost = suggestion.cost
    equal = f"; as good as {', '.join(suggestion.equals[:3])}" if suggestion.equals else ""
    return (
        f"gain {suggestion.gain:.4f}, more than noise in {beyond} of {of} folds;"
        f" {cost.ns:.0f} ns an event, {cost.bytes:.0f} bytes a key{equal}"
    )


def declaration(candidate: "CandidateFeature") -> str:
    """A feature as it stands in the file of a detector."""
    described = candidate.described
    if described.derive is not None:
        return f'derive("{candidate.name}", "{described.derive}")'
    taken = [f'"{described.field}"'] if described.field else []
    if described.window is not None:
        taken.append(f'"{described.window}"')
    taken += [f"{name}={value!r}".replace("'", '"') for name, value in _options(described).items()]
    return f'{described.entity}.{described.kind}({", ".join(taken)}).named("{candidate.name}")'


def _options(described: Described) -> Mapping[str, object]:
    texts = {name: getattr(described, name) for name in ("q", "delay", "where", "role", "at")}
    found = {name: value for name, value in texts.items() if value is not None}
    if not described.current and described.kind not in REMEMBERED:
        found["current"] = False
    return found


def _inputs(found: "Suggestions") -> Iterator[str]:
    yield from comment("What models shall read, Detector(inputs=...):")
    yield "inputs = ["
    text = "".join(f'"{name}", ' for name in found.inputs)
    yield from textwrap.wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    yield "]"


def comment(text: str) -> Iterator[str]:
    """A comment, wrapped."""
    yield from (f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2 - len(_INDENT), break_long_words=False))
