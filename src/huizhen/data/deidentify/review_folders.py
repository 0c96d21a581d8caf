"""The folders of reviews at a site: found by name, kept while anything in them is open, cleared after.

A review's pages show patients, so they go as soon as all of it is decided. What it asked (`review.json`)
holds no path and no picture, and stays: a decision may be entered again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from huizhen.core.files import storage_error
from huizhen.data.deidentify.decisions import DECISIONS, About, Decision, DecisionLog
from huizhen.data.deidentify.review_page import PAGES, REVIEW
from huizhen.errors import DataError, StorageError

__all__ = ["clear_decided", "open_reviews", "review_of"]

_NAME = re.compile(r"[0-9a-f]{16}")


def review_of(state: Path, name: str, *, file: str) -> Mapping[str, Any]:
    """Return what the review `name` asked, of which `file` has decisions.

    Raises `DataError` where there is none of that name, and `StorageError` where it is damaged.
    """
    path = state / PAGES / name / REVIEW
    if not _NAME.fullmatch(name) or not path.is_file():
        raise DataError(
            "is of no review of this site",
            remedy="decide on the pages that huizhen site review wrote here",
            file=file,
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["items"], list) or found["review"] != name:
            raise ValueError
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            "a review is damaged: its decisions can't be entered",
            remedy="run huizhen site review again, and decide on the new pages",
            file=REVIEW,
        ) from error
    return found


def open_reviews(state: Path, *, but: str = "") -> list[Path]:
    """Return the folders of reviews with pages that aren't decided wholly, without the one named `but`."""
    folders = sorted(path for path in (state / PAGES).glob("*") if path.is_dir() and path.name != but)
    return [folder for folder in folders if any(folder.glob("page-*.html"))]


def clear_decided(state: Path, *, audited: Collection[str] = ()) -> None:
    """Remove the pages of reviews in which everything is decided, and of the audits named `audited`.

    Raises `StorageError` where they can't be removed, or what people decided can't be read.
    """
    log = DecisionLog(path=state / DECISIONS).last()
    for folder in open_reviews(state):
        if folder.name in audited or _is_decided(folder / REVIEW, log):
            for page in folder.glob("page-*.html"):
                try:
                    page.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(page, error) from error


def _is_decided(path: Path, log: Mapping[str, Mapping[About, Decision]]) -> bool:
    """Tell whether every item of a review of what waits has a decision; of what is damaged nothing has."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        wanted = [
            (str(name), About(item["about"]), str(digest))
            for item in found["items"]
            for name, digest in item["files"]
        ]
        audit = bool(found["audit"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    said = {(name, about, str(one.digest)) for name, by in log.items() for about, one in by.items()}
    return bool(wanted) and not audit and said.issuperset(wanted)
