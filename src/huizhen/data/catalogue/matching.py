"""Who meets a question, exactly: masks over the index's series, studies and subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.catalogue.criteria import Combined, Criterion, Operand, Query, Within
from huizhen.data.catalogue.index import Index

__all__ = ["Matched", "match"]

Mask = NDArray[np.bool_]

_SERIES = ("modality", "manufacturer", "body_part")
_STUDY = ("age", "year")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The subjects (p,), studies (s,) and series (n,) that meet a question."""

    subjects: Mask
    studies: Mask
    series: Mask

    @property
    def counts(self) -> tuple[int, int, int]:
        """Exact counts of subjects, studies and series."""
        masks = (self.subjects, self.studies, self.series)
        return tuple(int(np.count_nonzero(mask)) for mask in masks)  # type: ignore[return-value]  # three of them


def match(index: Index, query: Query) -> Matched:
    """Return who meets `query`.

    Within series: criteria are met by one series, with what its study and subject are. Within study or
    subject: each criterion is met by any of the study's or subject's series, and NOT by none of them.
    """
    mask = _evaluated(index, query.tree, query.within)
    match query.within:
        case Within.SERIES:
            studies = _any_series(index, mask)
            return Matched(subjects=_any_study(index, studies), studies=studies, series=mask)
        case Within.STUDY:
            return Matched(subjects=_any_study(index, mask), studies=mask, series=mask[index.columns.study])
        case Within.SUBJECT:
            studies = mask[index.columns.subject]
            return Matched(subjects=mask, studies=studies, series=studies[index.columns.study])


def _evaluated(index: Index, node: Criterion | Combined, within: Within) -> Mask:
    """Return the mask of a node over the series, studies or subjects."""
    if isinstance(node, Criterion):
        return _leaf(index, node, within)
    parts = [_evaluated(index, child, within) for child in node.children]
    if not parts:
        size = {"series": index.series, "study": index.studies, "subject": index.subjects}[within]
        return np.ones(size, np.bool_)
    if node.operand is Operand.NOT:
        return ~parts[0]
    both = np.logical_and if node.operand is Operand.AND else np.logical_or
    found = parts[0].copy()
    for part in parts[1:]:
        both(found, part, out=found)
    return found


def _leaf(index: Index, leaf: Criterion, within: Within) -> Mask:
    """Return a criterion's mask, lifted or spread to the level of the question."""
    if leaf.key in _SERIES:
        series = _coded(index, leaf, getattr(index.columns, leaf.key))
        if within is Within.SERIES:
            return series
        studies = _any_series(index, series)
        return studies if within is Within.STUDY else _any_study(index, studies)
    if leaf.key in _STUDY:
        studies = _between(getattr(index.columns, leaf.key), leaf)
        if within is Within.SUBJECT:
            return _any_study(index, studies)
        return studies if within is Within.STUDY else studies[index.columns.study]
    subjects = _of_subjects(index, leaf)
    if within is Within.SUBJECT:
        return subjects
    return subjects[index.columns.subject if within is Within.STUDY else index.subject_of_series]


def _of_subjects(index: Index, leaf: Criterion) -> Mask:
    """Return the subjects of a criterion of sex or diagnosis."""
    columns = index.columns
    if leaf.key == "sex":
        return _coded(index, leaf, columns.sex)
    if leaf.key == "diagnosis":
        rows = _coded(index, leaf, columns.diagnosis)
    else:
        rows = _between(getattr(columns, leaf.key), leaf)
    found = np.zeros(index.subjects, np.bool_)
    found[columns.diagnosis_subject[rows]] = True
    return found


def _coded(index: Index, leaf: Criterion, column: NDArray[np.uint16]) -> Mask:
    codes = [code for value in leaf.values if (code := index.code(leaf.key, value)) >= 0]
    if len(codes) == 1:
        return np.asarray(column == codes[0])
    wanted = np.zeros(len(index.words[leaf.key]), np.bool_)
    wanted[codes] = True
    return wanted[column]


def _between(column: NDArray[np.int16], leaf: Criterion) -> Mask:
    return np.asarray((column >= leaf.low) & (column <= leaf.high))


def _any_series(index: Index, series: Mask) -> Mask:
    """Return the studies with any of the series."""
    return _any(series, index.study_ends)


def _any_study(index: Index, studies: Mask) -> Mask:
    """Return the subjects with any of the studies."""
    return _any(studies, index.subject_ends)


def _any(mask: Mask, ends: NDArray[np.int64]) -> Mask:
    """Tell of each group of neighbours, by its last place, whether any of it is in the mask."""
    if not len(mask):
        return np.zeros(len(ends), np.bool_)
    return np.asarray(np.diff(np.cumsum(mask, dtype=np.int32)[ends], prepend=0) > 0)
