"""The key numbers of a dossier or run: read from its verified log, newest of each claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huizhen.core.words import Language
from huizhen.errors import DossierError

__all__ = ["claim_text", "find_page", "headline_of", "key_numbers"]

READERS = ("reader_auc", "reader_auc_difference")
FAMILIES = (
    *("auc", "auc_difference", "share_of_best", "sensitivity", "specificity", "endpoint"),
    *READERS,
)
"""The families of claims that are shown, by the first piece of their key."""

LEDGERS = ("ledger", ".")
"""Where a dossier or a run keeps its log."""

PAGES = ("index.html", "dossier*/index.html")
"""The page of a dossier, and those of a run's dossiers, of which the newest counts."""


def headline_of(path: Path) -> list[dict[str, Any]]:
    """Return the key numbers of a dossier or run as evidence records.

    The log is verified while it is read. Raises `DossierError` if there is none, `VerificationError` if
    it was altered.
    """
    from huizhen.ledger.reading import ENTRIES_FILE, read_log

    folder = next((path / name for name in LEDGERS if (path / name / ENTRIES_FILE).is_file()), None)
    if folder is None:
        raise DossierError("holds no log", remedy="name the folder of a dossier or of a run", file=str(path))
    entries = read_log(folder).entries
    return key_numbers(entry.body for entry in entries if entry.kind == "evidence")


def key_numbers(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest record of each key number, endpoints first, in the order of the log.

    Those are the claims of `FAMILIES` about all patients of a cohort.

    >>> [record["key"] for record in key_numbers([{"key": "auc/cman/internal/all"}, {"key": "flow"}])]
    ['auc/cman/internal/all']
    """
    newest = {str(record["key"]): dict(record) for record in records}
    shown = [record for key, record in newest.items() if _is_shown(key)]
    return sorted(shown, key=lambda record: not str(record["key"]).startswith("endpoint/"))


def _is_shown(key: str) -> bool:
    """Tell whether a claim is a key number."""
    family, *parts = key.split("/")
    if family in ("endpoint", "reader_auc_difference"):
        return True
    return family in FAMILIES and parts[-1:] == ["all"] and "|" not in key


def find_page(path: Path) -> Path:
    """Return the page of a dossier, or of a run's newest. Raises `DossierError` if there is none."""
    pages = [page for pattern in PAGES for page in path.glob(pattern)]
    if not pages:
        raise DossierError("holds no page", remedy="name the folder of a dossier or of a run", file=str(path))
    return max(pages, key=lambda page: page.stat().st_mtime_ns)


def claim_text(key: str, language: Language) -> str:
    """Return the key of a claim about all patients of a cohort in the words of the dossier.

    >>> claim_text("auc/cman/internal/all", Language.EN)
    'AUC, CMAN, internal test set'
    """
    family, *parts = key.split("/")
    pieces = [family, *(part for part in parts if part != "all")]
    texts = [_piece(piece, language) for piece in pieces]
    return (", " if language is Language.EN else "，").join(texts)


def _piece(piece: str, language: Language) -> str:
    """Return one piece of a key in words: a measure, a cohort, a model, or two models compared."""
    from huizhen.dossier import labels
    from huizhen.dossier.wording import say

    first, second = labels.split_difference(piece)
    if second:
        text = say("model.versus", first=labels.model_name(first), second=labels.model_name(second))
    elif piece in FAMILIES:
        text = labels.metric_name(piece)
    else:
        text = labels.part_name(piece)
    return text.en if language is Language.EN else text.zh
