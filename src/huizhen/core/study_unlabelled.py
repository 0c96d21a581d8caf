"""A study file over new patients, whose outcome nobody knows: what a locked model predicts for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huizhen.core.study import ReaderKind, Site, Source, Study
from huizhen.core.study_file import study_error, study_text
from huizhen.core.study_problems import parse_study

__all__ = ["load_unlabelled"]

NONE = "(unknown)"
"""Stands where a study needs a column, to be taken out again."""


def load_unlabelled(path: Path) -> Study:
    """Return the study of a file whose sites need not have outcomes; columns.outcome is taken out.

    It stays at sites where patients = "listed" asks whom an outcome column lists. Raises `StudyError` that
    lists every other problem of its text.
    """
    study, _, problems = parse_study(study_text(path), prepare=_fill_in)
    if study is None:
        raise study_error(path, problems)
    return study.model_copy(update={"site": [_without_outcomes(site) for site in study.site]})


def _fill_in(raw: dict[str, Any]) -> None:
    """Give each site a column of outcomes that has none."""
    for site in _tables(raw.get("site")):
        sources = _tables(site.get("source"))
        columns = [source.get("columns") for source in sources]
        if sources and not any(isinstance(one, dict) and "outcome" in one for one in columns):
            first = sources[0].setdefault("columns", {"patient": NONE})
            if isinstance(first, dict):
                first["outcome"] = NONE


def _tables(value: Any) -> list[dict[str, Any]]:
    """Return the tables of a list of tables, whatever else stands there."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _without_outcomes(site: Site) -> Site:
    """Return a site whose outcomes aren't asked for."""
    listed = any(source.patients == "listed" for source in site.source)
    return site.model_copy(update={"source": [_asking(source, listed) for source in site.source]})


def _asking(source: Source, listed: bool) -> Source:
    """Return a source without what was filled in and, unless patients must be `listed`, without outcomes."""
    columns = source.columns
    if columns is None or (listed and columns.outcome != NONE):
        return source
    without_table = source.labels is None and source.reader is not ReaderKind.TABLE
    kept = None if without_table and columns.patient == NONE else columns.model_copy(update={"outcome": None})
    return source.model_copy(update={"columns": kept})
