"""Who meets a question, exactly: masks over the index's series, studies and subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.catalogue.criteria import Combined, Criterion, Operand, Query, Within
from huizhen.data.catalogue.index import Index

__all__ = ["Matched", "match"]

Mask = NDArray[np.bool_]

_SERIES, _STUDIES, _SUBJECTS = range(3)
_OF_SERIES = ("modality", "manufacturer", "body_part")
_OF_STUDY = ("age", "year")


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
    finest = list(Within).index(query.within)
    level, mask = _evaluated(index, query.tree, finest)
    mask = _spread(index, mask, level, finest)
    match query.within:
        case Within.SERIES:
            studies = _any(mask, index.study_ends)
            return Matched(subjects=_any(studies, index.subject_ends), studies=studies, series=mask)
        case Within.STUDY:
            series = _spread(index, mask, _STUDIES, _SERIES)
            return Matched(subjects=_any(mask, index.subject_ends), studies=mask, series=series)
        case Within.SUBJECT:
            studies = _spread(index, mask, _SUBJECTS, _STUDIES)
            return Matched(subjects=mask, studies=studies, series=_spread(index, studies, _STUDIES, _SERIES))


def _evaluated(index: Index, node: Criterion | Combined, finest: int) -> tuple[int, Mask]:
    """Return a node's mask, and over what it is: the coarsest level that it can be said of."""
    if isinstance(node, Criterion):
        return _leaf(index, node, finest)
    if not node.children:
        return _SUBJECTS, np.ones(index.subjects, np.bool_)
    parts = sorted((_evaluated(index, child, finest) for child in node.children), key=lambda one: -one[0])
    level, found = parts[0]
    if node.operand is Operand.NOT:
        return level, ~found
    both = np.logical_and if node.operand is Operand.AND else np.logical_or
    for finer, part in parts[1:]:  # what is of subjects is put together before it is spread over series
        found = both(_spread(index, found, level, finer), part)
        level = finer
    return level, found


def _leaf(index: Index, leaf: Criterion, finest: int) -> tuple[int, Mask]:
    """Return a criterion's mask at its own level, or at the question's where that is coarser."""
    if leaf.key in _OF_SERIES:
        level, mask = _SERIES, _coded(index, leaf, getattr(index.columns, leaf.key))
    elif leaf.key in _OF_STUDY:
        level, mask = _STUDIES, _between(getattr(index.columns, leaf.key), leaf)
    else:
        return _SUBJECTS, _of_subjects(index, leaf)
    for ends in (index.study_ends, index.subject_ends)[level:finest]:
        level, mask = level + 1, _any(mask, ends)
    return level, mask


def _spread(index: Index, mask: Mask, level: int, finer: int) -> Mask:
    """Return the mask of a level over a finer one: whatever is of the study is of its series."""
    if level == finer:
        return mask
    if level == _STUDIES:
        return mask.take(index.columns.study)
    return mask.take(index.columns.subject if finer == _STUDIES else index.subject_of_series)


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
    found = np.zeros(len(column), np.bool_)
    for code in codes:
        found |= column == code
    return found


def _between(column: NDArray[np.int16], leaf: Criterion) -> Mask:
    return np.asarray((column >= leaf.low) & (column <= leaf.high))


def _any(mask: Mask, ends: NDArray[np.int64]) -> Mask:
    """Tell of each group of neighbours, by its last place, whether any of it is in the mask."""
    if not len(mask):
        return np.zeros(len(ends), np.bool_)
    upto = np.cumsum(mask, dtype=np.int32).take(ends)
    return np.asarray(np.diff(upto, prepend=np.int32(0)) > 0)
