"""Pages in HTML as the text that they show.

>>> shown_by("<p>Dr. <b>Oko</b>nkwo</p><script>1</script>")
'Dr. Okonkwo\\n'
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

__all__ = ["shown_by"]

_MOST_OPEN = 100
"""Tags that no ">" ends, at the end of a page."""

_HIDDEN = ("script", "style", "template", "head")
_BLOCKS = frozenset(
    """p div br tr li h1 h2 h3 h4 h5 h6 table section article header footer dt dd pre blockquote ul ol option
    title address figure nav aside main form fieldset hr""".split()  # noqa: SIM905  # shorter to read
)


def shown_by(page: str) -> str:
    """Return what a page shows. Raises `Unreadable` where many tags are open at its end: time is squared."""
    if page.count("<", page.rfind(">") + 1) > _MOST_OPEN:
        raise Unreadable(TextReason.DAMAGED)
    reader = _Html()
    reader.feed(page)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(reader.parts)).strip() + "\n"


class _Html(HTMLParser):
    """Collects what a page shows: blocks end lines, scripts, styles and comments go."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append("  ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in _HIDDEN))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))
