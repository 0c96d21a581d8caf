"""A table of predictions that were made elsewhere, read as its study says: patients, scores, classes.

What is left out is counted; what would make every number wrong (a patient twice, scores that are no risks) is
refused with its remedy.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from huizhen.core.study import Study
from huizhen.core.study_predictions import PredictionTable, key_name
from huizhen.errors import DataError, StageError
from huizhen.pipeline.table_columns import (
    MISSING,
    Columns,
    classes_of,
    numbers_of,
    read_columns,
    refuse_formulas,
)
from huizhen.validate.grouping import groups_of

__all__ = ["GivenPredictions", "Score", "given_of", "pseudonyms", "read_predictions_of"]

MOST_SITES = 200
PSEUDONYM_DIGITS = 16
"""So many hexadecimal digits that two of a million patients have the same one in 3 of 100 million tables."""
ONLY_SITE = "all"
UNKNOWN_SITE = "unknown"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score (n,) as the table has it, NaN where it gives none, and its scale."""

    name: str
    raw: Floats
    scale: str

    @property
    def risk(self) -> Floats:
        """The score within [0, 1] (n,): a risk, or with scale rank the share of scores below (ties: half)."""
        if self.scale == "logit":
            return np.asarray(expit(self.raw), dtype=np.float64)
        if self.scale == "rank":
            known = ~np.isnan(self.raw)
            found = np.full(self.raw.shape, np.nan)
            found[known] = (rankdata(self.raw[known]) - 0.5) / max(1, int(known.sum()))
            return found
        return self.raw


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPredictions:
    """A table's rows that count (n,), with what was left out: reason -> rows."""

    patient: NDArray[np.str_]
    cluster: NDArray[np.str_] | None
    site: NDArray[np.str_]
    groups: Mapping[str, NDArray[np.str_]]
    scores: Sequence[Score]
    outcome: NDArray[np.bool_]
    rows: int
    left_out: Mapping[str, int]


def given_of(study: Study) -> PredictionTable:
    """Return a study's [predictions]. Raises `StageError` without one."""
    if study.predictions is None:
        raise StageError("the study has no [predictions]", remedy="add the section to the study file")
    return study.predictions


def read_predictions_of(study: Study, path: Path, *, secret: bytes) -> GivenPredictions:
    """Return the table at `path` as `study` reads it; pseudonyms come from `secret`.

    Raises `DataError` on what is said in the module, `UnreadableFileError` on a broken table.
    """
    given = given_of(study)
    groups = [one.column for one in study.subgroup if one.source == "table"]
    if study.triage is not None and study.triage.readers.columns is not None:
        groups += [name for name in study.triage.readers.columns.named if name not in groups]
    named = [given.patient, given.outcome, given.score, *given.compare, given.site, *groups]
    columns = read_columns(path, [name for name in named if name], encoding=given.encoding)
    scores = _scores(columns, given)
    refuse = given.other_outcomes == "refuse"
    classes = classes_of(columns, given.outcome, study.task, refuse_others=refuse)
    patients = _patients(columns, given)
    nameless = np.array([not name for name in patients])
    _check_repeats(columns, given, patients, nameless)
    kept = ~nameless & (classes >= 0)
    rows = np.flatnonzero(kept)
    names = pseudonyms([patients[row] for row in rows.tolist()], secret)
    return GivenPredictions(
        patient=_row_names(names) if given.clustered else np.array(names),
        cluster=np.array(names) if given.clustered else None,
        site=_sites(columns, given, rows),
        groups={name: _grouped(study, name, _texts(columns, name, rows)) for name in groups},
        scores=[Score(name=one.name, raw=one.raw[rows], scale=one.scale) for one in scores],
        outcome=classes[rows] == 1,
        rows=len(columns.line),
        left_out=_left_out(nameless, classes),
    )


def _grouped(study: Study, column: str, texts: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the groups (n,) that a subgroup makes of a column's cells (n,): the cells themselves stay here.

    Cells are kept as they are where readers' ratings are among them, or two subgroups cut them differently.
    """
    cutting = [one for one in study.subgroup if one.column == column]
    readers = study.triage.readers.columns if study.triage is not None else None
    if len(cutting) != 1 or (readers is not None and column in readers.named):
        return texts
    return groups_of(texts, cutting[0])


def _left_out(nameless: NDArray[np.bool_], classes: NDArray[np.int8]) -> dict[str, int]:
    counts = {
        "missing_patient": int(nameless.sum()),
        "missing_label": int((~nameless & (classes == -1)).sum()),
        "other_class": int((~nameless & (classes == -2)).sum()),
    }
    return {reason: count for reason, count in counts.items() if count}


# --- scores --------------------------------------------------------------------------------------------


def _scores(columns: Columns, given: PredictionTable) -> list[Score]:
    """Return the model's score, then those that it is compared with."""
    raw = numbers_of(columns, given.score)
    if given.scale == "probability":
        _check_risks(columns, given.score, raw)
    found = [Score(name=given.model, raw=raw, scale=given.scale)]
    for name in given.compare:
        other = numbers_of(columns, name)
        scale = "probability" if _are_risks(other) else "rank"
        found.append(Score(name=key_name(name), raw=other, scale=scale))
    return found


def _are_risks(raw: Floats) -> bool:
    known = raw[~np.isnan(raw)]
    return bool(known.min() >= 0 and known.max() <= 1)


def _check_risks(columns: Columns, name: str, raw: Floats) -> None:
    """Refuse scores outside [0, 1], with the likely remedy."""
    if _are_risks(raw):
        return
    outside = np.flatnonzero((raw < 0) | (raw > 1))
    known = raw[~np.isnan(raw)]
    remedy = "say --scale logit if they are log-odds, or --scale rank if they only order patients"
    if known.min() >= 0 and known.max() <= 100:
        remedy = "divide percentages by 100, or say --scale rank if the scores only order patients"
    raise DataError(
        f"{outside.size} scores are outside [0, 1], the first on line {columns.line[int(outside[0])]}",
        remedy=remedy,
        field=name,
        file=columns.file,
    )


# --- patients, sites, groups ---------------------------------------------------------------------------


def _patients(columns: Columns, given: PredictionTable) -> Sequence[str]:
    """Return each row's patient as the table names it; without such a column, its line."""
    if given.patient is None:
        return [str(line) for line in columns.line]
    return columns.cells[given.patient]


def _check_repeats(
    columns: Columns, given: PredictionTable, patients: Sequence[str], nameless: NDArray[np.bool_]
) -> None:
    """Refuse patients with several rows, unless the study says that they may have them."""
    if given.clustered:
        if given.patient is None:
            raise DataError(
                "rows are clustered by patients, but no column names them",
                remedy="name it with --patient",
                file=columns.file,
            )
        return
    first: dict[str, int] = {}
    for row, name in enumerate(patients):
        if not nameless[row] and first.setdefault(name, row) != row:
            count = int((~nameless).sum())
            whole = len({name for name in patients if name})
            raise DataError(
                f"{count} rows are of {whole} patients: lines {columns.line[first[name]]} and "
                f"{columns.line[row]}, to begin with, are of one",
                remedy="say --cluster if a row is a lesion or an image; otherwise keep one row a patient",
                field=str(given.patient),
                file=columns.file,
            )


def pseudonyms(patients: Sequence[str], secret: bytes) -> list[str]:
    """Return "P-" and the first digits of HMAC-SHA256(secret, patient). Raises `DataError` on a collision."""
    if not secret:
        raise StageError("the pseudonym secret is empty", remedy="make one with secrets.token_bytes(32)")
    found: dict[str, str] = {}
    for name in patients:
        if name not in found:
            code = hmac.digest(secret, name.encode("utf-8", "surrogateescape"), "sha256")
            found[name] = f"P-{code.hex()[:PSEUDONYM_DIGITS]}"
    if len(set(found.values())) < len(found):
        raise DataError(
            "two patients get the same pseudonym", remedy="use another pseudonym secret and run again"
        )
    return [found[name] for name in patients]


def _row_names(clusters: Sequence[str]) -> NDArray[np.str_]:
    """Return a name for each row: its patient's, and which of the patient's rows it is.

    >>> _row_names(["P-1", "P-2", "P-1"]).tolist()
    ['P-1.1', 'P-2.1', 'P-1.2']
    """
    seen: dict[str, int] = {}
    names: list[str] = []
    for name in clusters:
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name}.{seen[name]}")
    return np.array(names)


def _sites(columns: Columns, given: PredictionTable, rows: NDArray[np.intp]) -> NDArray[np.str_]:
    """Return each row's site as keys of evidence have it."""
    if given.site is None:
        return np.full(rows.size, ONLY_SITE)
    found = _texts(columns, given.site, rows)
    if (many := np.unique(found).size) > MOST_SITES:
        raise DataError(
            f"{many} different sites are more than {MOST_SITES}",
            remedy="name the column of hospitals",
            field=given.site,
            file=columns.file,
        )
    names = {name: key_name(name) or UNKNOWN_SITE for name in np.unique(found).tolist()}
    return np.array([names[name] for name in found.tolist()])


def _texts(columns: Columns, name: str, rows: NDArray[np.intp]) -> NDArray[np.str_]:
    """Return a column's texts (n,), empty where a cell is missing."""
    refuse_formulas(columns, [name])
    cells = columns.cells[name]
    meant = {cell: "" if cell.lower() in MISSING else cell for cell in set(cells)}
    return np.array([meant[cells[row]] for row in rows.tolist()], dtype=np.str_)
