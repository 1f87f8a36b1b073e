"""HTML fragments of the report: tables, pictures and formatted numbers."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

ABSENT = "\N{EN DASH}"
"""Where the data could not say."""


def document(title: str, lead: str, cards: str, sections: Mapping[str, str]) -> str:
    """A whole page: its title, a first sentence and cards, then sections by their names; all but the title are HTML."""
    links = "".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name in sections)
    body = "".join(f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2>{html}</section>' for name, html in sections.items())
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p class=soft>{lead}</p><nav>{links}</nav>"
        f"<div class=cards>{cards}</div>{body}</main></body></html>\n"
    )


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def card(value: str, name: str, more: str) -> str:
    """One figure of those that stand on top."""
    return f"<div class=card><b>{value}</b>{escape(name)}<br><span>{escape(more)}</span></div>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, raw: bool = False, caption: str = "") -> str:
    """A table that scrolls by itself where the page is narrow; raw: cells are HTML already."""
    shown = (lambda text: text) if raw else escape
    top = "".join(f"<th scope=col>{escape(each)}</th>" for each in head)
    lines = "".join(
        f"<tr><th scope=row>{shown(first)}</th>{''.join(f'<td>{shown(each)}</td>' for each in rest)}</tr>"
        for first, *rest in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<div class=wide tabindex=0><table>{said}<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def number(value: float | None) -> str:
    """A figure with four digits."""
    return ABSENT if value is None else f"{value:.4f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share."""
    return ABSENT if value is None else f"{100 * value:.{digits}f} %"


def interval(ends: tuple[float, float] | None) -> str:
    """From where to where."""
    return ABSENT if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"


def money_of(value: float | None) -> str:
    """A sum of money as text, without decimals if it is large."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def figure(svg: str, caption: str, kind: str = "") -> str:
    """A picture with its caption; kind: its class."""
    return f'<figure class="{kind}">{svg}<figcaption>{escape(caption)}</figcaption></figure>'
