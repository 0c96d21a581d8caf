"""A sample of released documents, original beside result, for a person at the site. It never leaves."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huizhen.core.files import write_text
from huizhen.core.words import Language
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.apart import Cleaner
from huizhen.data.deidentify_text.cleaning import Replaced
from huizhen.data.deidentify_text.known_table import KnownPatients
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.prepare import ACTIONS
from huizhen.data.deidentify_text.report import page_of
from huizhen.data.deidentify_text.sources import Document, Source
from huizhen.data.deidentify_text.unreadable import Unreadable

__all__ = ["REVIEW", "marked", "write_review"]

REVIEW = "texts-review.html"
"""In the site's folder."""


def write_review(
    source: Source,
    out: Path,
    *,
    state: Path,
    policy: TextPolicy,
    who: Pseudonymiser,
    known: KnownPatients,
    language: Language,
) -> Path:
    """Write the page of a sample that the key draws from the released documents; return its path.

    The same documents come out of every run over the same source. Raises what cleaning and writing raise.
    """
    released = _released(out)
    drawn = heapq.nsmallest(
        policy.sample,
        (document for document in source.documents() if _is_released(document, who, released)),
        key=lambda document: who.digest("text-sample", document.name),
    )
    with Cleaner(policy=policy, who=who) as cleaner:
        shown = [one for document in drawn for one in _shown(document, cleaner, who, known)]
    write_text(state / REVIEW, page_of("review.html", language, documents=shown))
    return state / REVIEW


def _released(out: Path) -> set[str]:
    """Return the keyed names of the documents that were released."""
    with (out / ACTIONS).open(encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    return {Path(line["file"]).stem for line in lines if "fate" not in line}


def _is_released(document: Document, who: Pseudonymiser, released: set[str]) -> bool:
    return document.reason is None and who.file(document.name) in released


def _shown(
    document: Document, cleaner: Cleaner, who: Pseudonymiser, known: KnownPatients
) -> Iterator[dict[str, Any]]:
    """Yield each text of a document as the page shows it."""
    try:
        texts = cleaner.done(document, known.of(document.patient))
    except Unreadable:
        return
    for one in texts:
        done = one.cleaned
        yield {
            "name": document.name,
            "place": f"{who.patient(document.patient)}/{who.file(document.name)}",
            "before": marked(one.text, done.actions, new=False),
            "after": marked(done.text, done.actions, new=True),
        }


def marked(text: str, actions: tuple[Replaced, ...], *, new: bool) -> list[tuple[str, str]]:
    """Return a text in pieces, each with the kind of identifier that it is, "" for what stayed.

    >>> from huizhen.data.deidentify_text.kinds import Kind
    >>> one = Replaced(kind=Kind.NAME, recogniser="x", offset=3, length=2, new_offset=3, new_length=6)
    >>> marked("Dr Li.", (one,), new=False)
    [('Dr ', ''), ('Li', 'name'), ('.', '')]
    """
    pieces, at = [], 0
    for one in actions:
        start, length = (one.new_offset, one.new_length) if new else (one.offset, one.length)
        pieces += [(text[at:start], ""), (text[start : start + length], one.kind.value)]
        at = start + length
    return [piece for piece in [*pieces, (text[at:], "")] if piece[0]]
