"""The pages of a review: each image with what was found, to be decided with a mouse, without a network.

The pages hold everything themselves; their script and style are pinned by a content security policy.
Decisions are saved as a file, which `review_entry.enter` takes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language, load_words
from huizhen.data.deidentify.decisions import About
from huizhen.data.deidentify.frames import passes_of, pictures_of
from huizhen.data.deidentify.inspecting import with_pixels
from huizhen.data.deidentify.opening import opened
from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.review import Item, Review
from huizhen.errors import visible

__all__ = ["PAGES", "REVIEW", "write_pages"]

PAGES = "review"
"""Folder within the state for the reviews, each in a folder of its own name: none is written over another."""
REVIEW = "review.json"
"""What a review's pages ask, to enter what is decided: it stays when they are gone."""

_ROOM = "huizhen.data.deidentify"
_ITEMS = 25
_SIDE = 1400
_PICTURES = 4
_MOST_BYTES = 1 << 40


def write_pages(review: Review, folder: Path, language: Language) -> Path:
    """Write the pages of a review into a folder of its name in `folder`, for their owner; return the first.

    The same review is written again as it was; another one's pages stay as they are. Raises `StorageError`.
    """
    folder = folder / review.name
    write_json(folder / REVIEW, review.to_json())
    parts = [review.items[i : i + _ITEMS] for i in range(0, len(review.items), _ITEMS)] or [()]
    for number, items in enumerate(parts, start=1):
        page = _page(review, items, language, number=number, pages=len(parts))
        write_text(folder / _name(number), page)
    return folder / _name(1)


def _name(number: int) -> str:
    return f"page-{number}.html"


def _page(review: Review, items: tuple[Item, ...], language: Language, *, number: int, pages: int) -> str:
    """Return one page."""
    from jinja2 import Environment, StrictUndefined

    def part(name: str) -> str:
        return (files(_ROOM) / name).read_text(encoding="utf-8").strip()

    shown = [_shown(one) for one in items]
    script, style = part("review.js"), part("review.css")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return (
        environment.from_string(part("review.html")).render(
            review=review,
            items=shown,
            how=_how(review, shown),
            w=load_words(_ROOM, language),
            language=language.value,
            number=number,
            pages=pages,
            script=script,
            style=style,
            script_hash=_pin(script),
            style_hash=_pin(style),
        )
        + "\n"
    )


def _how(review: Review, shown: list[Mapping[str, Any]]) -> str:
    """Return which words tell how boxes are drawn on a page: by whether it has any, or can."""
    if review.audit:
        return "how_audit"
    if any(one["boxes"] for one in shown):
        return "how"
    drawn = any(one["pictures"] and one["about"] != About.HEAD.value for one in shown)
    return "how_draw" if drawn else ""


def _pin(text: str) -> str:
    """Return a source expression of a content security policy for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _shown(item: Item) -> Mapping[str, Any]:
    """Return an item as the page needs it: with pictures as data addresses."""
    pictures: list[str] = []
    rows = columns = 0
    for path in item.shown:
        try:
            rows, columns, found = _pictures(path)
            pictures += found
        except Exception:  # what nobody can decode is said on the page, and can be refused
            continue
    return {
        "number": item.number,
        "about": item.about.value,
        "reason": item.reason,
        "label": visible(item.label),
        "files": len(item.files),
        "pictures": pictures[:_PICTURES],
        "rows": rows,
        "columns": columns,
        "boxes": [one.within(rows, columns).to_json() for one in _proposed(item)] if rows else [],
    }


def _proposed(item: Item) -> tuple[Region, ...]:
    """Return the boxes that a page shows: of a released image none, since they are black already."""
    return () if item.reason == "audit" else item.regions


def _pictures(path: Path) -> tuple[int, int, list[str]]:
    """Return an image's size, and its pictures; dim text is shown by ranks too. Raises what decoders do."""
    with opened(path, most_bytes=_MOST_BYTES) as found:
        whole = with_pixels(found)
    pictures = pictures_of(whole)
    if not pictures:
        raise Refused(Reason.UNREADABLE)
    shown = [one for i, picture in enumerate(pictures) for one in passes_of(picture, second=i == 0)]
    return int(whole.Rows), int(whole.Columns), [_address(one) for one in shown]


def _address(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data address, reduced to `_SIDE` pixels."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE))
    body = BytesIO()
    image.convert("RGB" if picture.ndim == 3 else "L").save(body, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(body.getvalue()).decode()
