"""After people looked again: the corrected labels, and how many labels were wrong.

The answers count in two strata, the listed cases and the random sample of the others, so that the estimate
holds for all labels and not for suspects alone. That a model agrees more with labels that were corrected
where it disagreed is no evidence that anything improved, and is not reported as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from huizhen.core.digests import Digest, digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_text
from huizhen.core.table_cells import as_meant, csv_text
from huizhen.errors import DataError
from huizhen.pipeline.labels.audit import FAMILY, SMALLEST, shown_count
from huizhen.pipeline.labels.suspects import Sheet
from huizhen.pipeline.table_columns import MISSING, read_columns
from huizhen.validate.estimates import Estimate
from huizhen.validate.label_audit.review import Stratum, share_wrong
from huizhen.validate.proportions import wilson

__all__ = ["CORRECTED", "UNSURE", "Reviewed", "read_decisions", "review_evidence", "write_corrected"]


class Column(StrEnum):
    """The columns that answers are read from."""

    CASE = "case"
    DECISION = "decision"


CORRECTED = "labels.corrected.csv"
UNSURE = "unsure"
"""The answer of somebody who can't tell: the label stays, and is counted by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """The answers of a second reading: case -> class, who were unsure, and the strata of what they say."""

    sheet: Sheet
    decision: Mapping[str, str]
    unsure: frozenset[str]
    listed: Stratum
    rest: Stratum
    digest: Digest

    @property
    def changed(self) -> tuple[str, ...]:
        """The cases whose label was wrong."""
        return tuple(case for case, found in self.decision.items() if found != self.sheet.label[case])

    def share(self) -> Estimate:
        """Return the share of all labels that are wrong. Raises `NotEstimableError` without controls read."""
        return share_wrong([self.listed, self.rest])

    def share_if_unsure_were_wrong(self) -> float:
        """Return the share, had every answer that was unsure been that the label is wrong."""
        sides = ((self.listed, self.sheet.listed), (self.rest, self.sheet.controls))
        moved = [
            Stratum(size=part.size, read=part.read, wrong=part.wrong + len(self.unsure.intersection(cases)))
            for part, cases in sides
        ]
        return share_wrong(moved).value


def read_decisions(path: Path, sheet: Sheet) -> Reviewed:
    """Return the answers in the table at `path` (columns case and decision) to a sheet.

    An empty decision was not read yet. Raises `DataError` on a case that is not on the sheet or stands twice,
    a decision that is neither a class nor "unsure", and when nothing was decided.
    """
    table = read_columns(path, list(Column), encoding=None)
    cases = [as_meant(cell) for cell in table.cells[Column.CASE]]
    said = table.cells[Column.DECISION]
    if twice := [name for name, n in Counter(cases).items() if n > 1]:
        raise DataError(
            f"{len(twice)} cases stand in several rows",
            remedy="keep one answer a case",
            field=Column.CASE,
            file=table.file,
        )
    asked = {*sheet.listed, *sheet.controls}
    if unknown := set(cases) - asked:
        raise DataError(
            f"{len(unknown)} cases were not on the sheet",
            remedy="answer in the sheet that the audit wrote, and add no rows",
            field=Column.CASE,
            file=table.file,
        )
    known = {name.casefold(): name for name in sheet.classes}
    wrong, line = table.first(
        Column.DECISION, lambda c: c.lower() not in MISSING and c.casefold() not in {*known, UNSURE}
    )
    if wrong:
        raise DataError(
            f"{wrong} decisions are no class, the first on line {line}",
            remedy=f"write one of: {', '.join(sheet.classes)}, {UNSURE}; or leave it empty",
            field=Column.DECISION,
            file=table.file,
        )
    given = {
        case: text.casefold() for case, text in zip(cases, said, strict=True) if text.lower() not in MISSING
    }
    if not given:
        raise DataError(
            "nothing was decided yet",
            remedy="fill in the column decision",
            field=Column.DECISION,
            file=table.file,
        )
    decision = {case: known[text] for case, text in given.items() if text in known}
    unsure = frozenset(case for case in given if case not in decision)
    return Reviewed(
        sheet=sheet,
        decision=decision,
        unsure=unsure,
        listed=_stratum(len(sheet.listed), sheet.listed, sheet, decision, given),
        rest=_stratum(len(sheet.label) - len(sheet.listed), sheet.controls, sheet, decision, given),
        digest=digest_file(path),
    )


def _stratum(
    size: int,
    cases: tuple[str, ...],
    sheet: Sheet,
    decision: Mapping[str, str],
    given: Mapping[str, str],
) -> Stratum:
    """Return how many of some cases were read, and how many were found wrong."""
    wrong = sum(case in decision and decision[case] != sheet.label[case] for case in cases)
    return Stratum(size=size, read=sum(case in given for case in cases), wrong=wrong)


def write_corrected(reviewed: Reviewed, folder: Path) -> Path:
    """Write every case with its label before and after to `folder`, for its owner alone; return the file."""
    sheet = reviewed.sheet
    read = {*reviewed.decision, *reviewed.unsure}
    rows = [
        (case, label, reviewed.decision.get(case, label), "yes" if case in read else "no")
        for case, label in sheet.label.items()
    ]
    write_text(folder / CORRECTED, csv_text([("case", "label_before", "label", "read_again"), *rows]))
    return folder / CORRECTED


def review_evidence(reviewed: Reviewed, *, smallest: int = SMALLEST, phantom: bool = False) -> list[Evidence]:
    """Return what a dossier may say of a second reading: the share of wrong labels, and counts."""
    sheet = reviewed.sheet
    key = f"{FAMILY}/{sheet.name}"
    shared: dict[str, Any] = {
        "stage": FAMILY,
        "unit": sheet.unit,
        "seed": sheet.seed,
        "inputs": (Digest(sheet.digest), reviewed.digest),
        "phantom": phantom,
    }
    strata = {"listed": reviewed.listed, "others": reviewed.rest}
    parts = [
        {
            "stratum": name,
            "count": shown_count(part.size, smallest),
            "read": shown_count(part.read, smallest),
            "wrong": shown_count(part.wrong, smallest),
        }
        for name, part in strata.items()
    ]
    detail: dict[str, Any] = {"strata": parts, "unsure": shown_count(len(reviewed.unsure), smallest)}
    found: list[Evidence] = []
    if reviewed.listed.read and shown_count(reviewed.listed.wrong, smallest) is not None:
        part = reviewed.listed
        found.append(
            Evidence(
                key=f"{key}/label_wrong_listed",
                metric="label_wrong_listed",
                estimate=part.wrong / part.read,
                interval=wilson(part.wrong, part.read),
                n=part.read,
                **shared,
            )
        )
    if not (reviewed.listed.read and (reviewed.rest.read or not reviewed.rest.size)):
        reason = "no random sample of the labels that were not listed has been looked at again"
        said = {name: shared[name] for name in ("stage", "inputs", "phantom")}
        return [
            *found,
            Evidence.not_assessed(key=f"{key}/label_wrong", metric="label_wrong", reason=reason, **said),
        ]
    share = reviewed.share()
    detail["if_unsure_wrong"] = reviewed.share_if_unsure_were_wrong()
    whole = Evidence(
        key=f"{key}/label_wrong",
        metric="label_wrong",
        estimate=share.value,
        interval=share.interval,
        n=len(sheet.label),
        detail={**detail, **_classes(reviewed, smallest)},
        **shared,
    )
    return [whole, *found]


def _classes(reviewed: Reviewed, smallest: int) -> dict[str, Any]:
    """Return the labels of each class before and after the second reading."""
    sheet = reviewed.sheet
    before = Counter(sheet.label.values())
    after = Counter(reviewed.decision.get(case, label) for case, label in sheet.label.items())
    hidden = {name: 0 < abs(after[name] - before[name]) < smallest for name in sheet.classes}
    return {
        "classes": [
            {
                "class": name,
                "before": shown_count(before[name], smallest),
                "after": None if hidden[name] else shown_count(after[name], smallest),
            }
            for name in sheet.classes
        ]
    }
