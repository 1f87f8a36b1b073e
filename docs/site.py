"""Builds the documentation as a site in build/site, and fails where a link leads nowhere: `make docs`.

Zensical makes the pages as zensical.toml says. Beside them stand llms.txt, a list of the pages for language models
(https://llmstxt.org), and llms-full.txt, the pages in one file.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DOCS, SITE, CONFIG = ROOT / "docs", ROOT / "build" / "site", ROOT / "zensical.toml"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY = "A fraud decision engine in Python: it decides about every transaction while it happens, approve, review or block."


class Page(NamedTuple):
    """A page of the navigation. section: the titles above it."""

    section: tuple[str, ...]
    path: str

    @property
    def text(self) -> str:
        return (DOCS / self.path).read_text("utf-8")

    @property
    def title(self) -> str:
        return self.text.split("\n", 1)[0].removeprefix("# ")

    @property
    def summary(self) -> str:
        """The first sentence below the title, without marks."""
        prose = re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)
        body = re.sub(r"^(#.*|<!--.*-->|!\[.*|    .*)$", "", prose, flags=re.MULTILINE)
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", body)
        stated = re.sub(r"^(Accepted|Decided)(: \w+ \d{4})?[.;]?\s*", "", plain, flags=re.MULTILINE)
        paragraphs = (" ".join(each.split()) for each in re.split(r"\n\s*\n", stated))
        paragraph = next(each for each in paragraphs if each and not each.startswith("|"))
        return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph, maxsplit=1)[0].rstrip(":")


def pages() -> list[Page]:
    """The pages of the navigation, in its order."""
    return list(_pages(tomllib.loads(CONFIG.read_text("utf-8"))["project"]["nav"], ()))


def _pages(entries: list[Any], section: tuple[str, ...]) -> Iterator[Page]:
    for entry in entries:
        if isinstance(entry, str):
            yield Page(section, entry)
            continue
        [(title, inner)] = entry.items()
        if isinstance(inner, str):
            yield Page(section, inner)
        else:
            yield from _pages(inner, (*section, title))


def llms(found: list[Page]) -> str:
    """The list of all pages: titles, addresses and first sentences, in sections."""
    lines, section = ["# Penstock", "", f"> {SUMMARY}", "", "All pages in one file: [llms-full.txt](llms-full.txt)."], None
    for page in found:
        above = page.section[0] if page.section else "Start"
        if above != section:
            lines += ["", f"## {above}", ""]
            section = above
        lines.append(f"- [{page.title}]({page.path}): {page.summary}")
    return "\n".join(lines) + "\n"


def full(found: list[Page]) -> str:
    """All pages in one text, each behind its path."""
    return "\n\n".join(f"<!-- {page.path} -->\n\n{page.text.strip()}" for page in found) + "\n"


def unrendered(page: Path) -> list[str]:
    """What stands in a page as it was written: the fence of a code block, an item of a list, a row of a table."""
    article = re.search(r"<article.*?</article>", page.read_text("utf-8"), re.DOTALL)
    prose = re.sub(r"<(pre|code)\b.*?</\1>", "", article[0] if article else "", flags=re.DOTALL)
    return [found[0][:100].strip() for found in re.finditer(r"(?:<p>|\n) *(?:[*-] |\|).*|.*```.*", prose)]


def main() -> int:
    built = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict", "--config-file", CONFIG],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        print(COLOURS.sub("", built.stdout + built.stderr))
        return 1
    if wrong := [f"{page.relative_to(SITE)}: {text}" for page in sorted(SITE.rglob("*.html")) for text in unrendered(page)]:
        print("Markdown that was not rendered:", *wrong, sep="\n  ")
        return 1
    found = pages()
    (SITE / "llms.txt").write_text(llms(found), "utf-8")
    (SITE / "llms-full.txt").write_text(full(found), "utf-8")
    for page in found:
        (SITE / page.path).write_text(page.text, "utf-8")  # llms.txt links to the source of each page
    for tool in SITE.glob("*.py"):
        tool.unlink()
    print(f"{len(found)} pages in {SITE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
