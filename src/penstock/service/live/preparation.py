"""The progress of what a service makes before its first decision, and the page that shows it meanwhile."""

import html

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="1"></noscript>
<script src="./assets/preparing.js"></script>
<title>Preparing, {percent} % · Penstock</title>
<link rel="icon" href="./icon.svg">
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif }}
body {{ max-width: 32rem; margin: 20vh auto 0; padding: 0 1rem; line-height: 1.5 }}
progress {{ width: 100%; height: .75rem }}
</style>
</head>
<body>
<h1>Preparing, {percent} %</h1>
<p><progress max="100" value="{percent}" aria-label="Preparing">{percent} %</progress></p>
<p>{step}. The console opens here when this is done.</p>
</body>
</html>
"""

# A refresh of the markup leaves a page alone whose address has a fragment: it would wait forever.
SCRIPT = "setTimeout(() => location.reload(), 1000);\n"
"""The script of the page, `assets/preparing.js`: it loads the page again."""


class Preparation:
    """The progress of a preparation. One thread advances it; any thread reads it.

    >>> preparation = Preparation("Training models")
    >>> preparation.advance(0.345)
    >>> str(preparation)
    'preparing, 34 %'
    """

    def __init__(self, step: str) -> None:
        self.step = step
        self.done = False
        self.share = 0.0

    def advance(self, share: float, step: str | None = None) -> None:
        """Tell the share that is done, from 0 to 1, and the step that follows, if it is another one."""
        self.share = share
        self.step = step or self.step

    def __str__(self) -> str:
        return f"preparing, {self._percent} %"

    @property
    def _percent(self) -> int:
        return int(100 * min(max(self.share, 0.0), 0.99))

    def page(self) -> str:
        """The progress as a page that loads itself again every second."""
        return _PAGE.format(percent=self._percent, step=html.escape(self.step))
