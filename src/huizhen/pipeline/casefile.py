"""Cases and folds as plain JSON inside a run's folder, which stays with whoever may see the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from huizhen.core.cohort import Case, ImageRecord, Part
from huizhen.core.digests import Digest
from huizhen.data.splits import Fold


def case_to_json(case: Case, *, outcome: bool) -> dict[str, Any]:
    """Return `case` as plain values, with its outcome only when `outcome`."""
    return {
        "pseudonym": case.pseudonym,
        "patient_id": case.patient_id,
        "site": case.site,
        "outcome": case.outcome if outcome else None,
        "images": {name: [asdict(record) for record in bag] for name, bag in case.images.items()},
        "covariates": {name: dict(row) for name, row in case.covariates.items()},
        "groups": dict(case.groups),
    }


def case_from_json(record: Mapping[str, Any], outcomes: Mapping[str, int]) -> Case:
    """Return the case that `case_to_json` wrote; an outcome it lacks comes from `outcomes` by pseudonym."""
    own = record["outcome"]
    return Case(
        pseudonym=record["pseudonym"],
        patient_id=record["patient_id"],
        site=record["site"],
        outcome=outcomes.get(record["pseudonym"]) if own is None else own,
        images={
            name: tuple(ImageRecord(**{**one, "digest": Digest(one["digest"])}) for one in bag)
            for name, bag in record["images"].items()
        },
        covariates=record["covariates"],
        groups=record.get("groups", {}),
    )


def folds_to_json(folds: Iterable[Fold]) -> list[dict[str, Any]]:
    """Return folds as plain values."""
    return [{"index": f.index, "parts": {p: part.value for p, part in f.parts.items()}} for f in folds]


def folds_from_json(records: Iterable[Mapping[str, Any]]) -> tuple[Fold, ...]:
    """Return what `folds_to_json` wrote."""
    return tuple(
        Fold(index=r["index"], parts={p: Part(part) for p, part in r["parts"].items()}) for r in records
    )
