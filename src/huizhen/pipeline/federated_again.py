"""A federated validation made again from what a dossier holds: what sites told, and what was locked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.errors import DossierError
from huizhen.federate.statistics.delong import Aucs
from huizhen.ledger.records import Entry
from huizhen.pipeline.conformal_cuts import POOLED
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.federated_evidence import Fixed, told_evidence
from huizhen.pipeline.federated_told import Told, file_of
from huizhen.validate.assess import with_multiplicity
from huizhen.validate.conformal import Cuts

__all__ = ["cuts_of", "federated_again"]


def cuts_of(record: Mapping[str, Mapping[str, Any]]) -> dict[int, Cuts]:
    """Return fold -> the cuts of all sites' tuning patients together, as the lock holds them.

    >>> cuts_of({"0": {"pooled": {"event_from": 0.5, "other_to": None, "n_pos": 9, "n_neg": 2}}})[0].n_pos
    9
    """
    return {int(fold): Cuts.from_json(by_site[POOLED]) for fold, by_site in record.items()}


def federated_again(files: Path, entries: Iterable[Entry], study: Study) -> list[Evidence] | None:
    """Return the evidence that follows from the sums in `files`; None where there are none.

    Raises `DossierError` when they are of another version.
    """
    parts = [part for part in (Part.TEST, Part.EXTERNAL) if (files / file_of(part)).exists()]
    if study.federation is None or not parts:
        return None
    lock = [entry.body for entry in entries if entry.kind == "lock"][-1]
    decisions = {
        model: {int(fold): Decision.from_json(own) for fold, own in by_fold.items()}
        for model, by_fold in lock["decisions"].items()
    }
    fixed = Fixed(decisions=decisions, cuts=cuts_of(lock.get("conformal", {})))
    found: list[Evidence] = []
    for part in parts:
        found += told_evidence(study, fixed, _read(files / file_of(part), study), _not_noted)
    return [item for item in with_multiplicity(found, study) if item.stage != "assess"]


def _not_noted(one: str, other: str) -> Aucs | str:
    return f"the sites' sums hold no comparison of {one} and {other}"


def _read(path: Path, study: Study) -> Told:
    """Return what sites told of one part. Raises `DossierError` for a file of another form."""
    try:
        return Told.from_json(json.loads(path.read_text(encoding="utf-8")), study)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DossierError(
            "the sums that sites told can't be read by this version",
            remedy="recompute with the version of huizhen that the entries name",
            file=path.name,
        ) from error
