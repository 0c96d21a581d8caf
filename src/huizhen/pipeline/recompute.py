"""Every number of the validation made again from the predictions that a dossier holds, and compared.

    found = recompute(Path("dossier-..."))
    found.differing == ()

The dossier is to be verified before: then the study, the predictions and the numbers are those that were
signed. What is compared is what follows from the tables: thresholds from the tuning table, decisions from
locked thresholds, and all evidence of the validation, resampling included, since its draws are seeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import DossierError, VerificationError
from huizhen.ledger.reading import read_log
from huizhen.ledger.records import Entry
from huizhen.pipeline.assess_stage import assessed
from huizhen.pipeline.federated_again import federated_again
from huizhen.pipeline.predictions_file import read_predictions
from huizhen.pipeline.robustness_again import robustness_again
from huizhen.pipeline.table_thresholds import tuned_again
from huizhen.pipeline.tuned import decided
from huizhen.pipeline.tuning_file import TUNING, read_tuning
from huizhen.pipeline.unlearning_check import UNLEARNED, check_certificate

__all__ = ["Difference", "Recomputed", "recompute"]

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""How far numbers may lie apart: other processors and versions of numpy round the last digits otherwise."""

TOLD = ("estimate", "interval", "n", "n_events", "unit", "verdict", "reason", "bound", "detail")
"""What is compared of an evidence."""


STAGES = ("validate", "lock", "robustness", "conformal", "harmonise")
"""The stages whose evidence is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A value of an evidence that isn't what the tables give: where it is, as signed and as recomputed."""

    key: str
    field: str
    signed: Any
    again: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """How many claims and values agreed, what differs, and which claims don't follow from the tables."""

    claims: int
    values: int
    differing: tuple[Difference, ...]
    left: tuple[str, ...]


def recompute(dossier: Path) -> Recomputed:
    """Return the comparison of a verified dossier with what its own tables give.

    Of a federated one they are the sums that its sites told. Certificates of approximate unlearning are
    reckoned again from their steps. Raises `DossierError` where it holds no predictions, or a study of
    another version; `VerificationError` for a certificate that doesn't hold.
    """
    entries = read_log(dossier / "ledger").entries
    study = _study(entries)
    again = {item.key: item for item in _again(dossier / "files", entries, study)}
    signed = {str(e.body["key"]): e.body for e in entries if e.kind == "evidence"}
    wanted = {key: body for key, body in signed.items() if body.get("stage") in STAGES}
    found: list[Difference] = []
    values = 0
    for key, item in again.items():
        if key not in wanted:
            found.append(Difference(key=key, field="", signed=None, again="recomputed"))
            continue
        made = item.to_json()
        for name in TOLD:
            for place, one, other in _pairs(name, wanted[key].get(name), made.get(name)):
                values += 1
                if not _agree(one, other):
                    found.append(Difference(key=key, field=place, signed=one, again=other))
    certified = [body for key, body in signed.items() if _family(key) == UNLEARNED]
    for body in certified:
        check_certificate(body, study)
    families = {_family(key) for key in again}
    left = sorted(key for key, body in wanted.items() if key not in again and _measured(body))
    extra = [key for key in left if _family(key) in families]
    found += [Difference(key=key, field="", signed="signed", again=None) for key in extra]
    others = tuple(key for key in left if key not in extra)
    return Recomputed(claims=len(again) + len(certified), values=values, differing=tuple(found), left=others)


def _study(entries: Iterable[Entry]) -> Study:
    """Return the study as it was signed."""
    body = [entry.body["study"] for entry in entries if entry.kind == "study"][-1]
    try:
        return Study.model_validate(body)
    except ValueError as error:
        raise DossierError(
            "the signed study can't be read by this version",
            remedy="recompute with the version of huizhen that the entries name",
            field="study",
        ) from error


def _measured(body: Mapping[str, Any]) -> bool:
    """Tell whether a claim holds a number that was measured: none that the plan fixed, no reason alone."""
    return "estimate" in body and not str(body["key"]).endswith("/fixed")


def _family(key: str) -> str:
    return key.partition("/")[0]


def _again(files: Path, entries: Iterable[Entry], study: Study) -> list[Evidence]:
    """Return all evidence that the tables give."""
    found: list[Evidence] = []
    if (files / TUNING).exists():
        found += _thresholds(files / TUNING, study)
    if study.reads is not None:
        from huizhen.pipeline.reader_stage import readers_again

        return [*found, *readers_again(files, study)]
    predictions = {
        part: read_predictions(files / name, part)
        for part in (Part.TEST, Part.EXTERNAL)
        if (files / (name := f"predictions_{part.value}.csv")).exists()
    }
    if not predictions and (told := federated_again(files, entries, study)) is not None:
        return told
    if not predictions:
        raise DossierError(
            "holds no table of predictions",
            remedy="recompute at the sites: a federated study's predictions stay there",
            file="files",
        )
    if study.predictions is not None:
        _check_decisions(entries, predictions, scales_of(entries))
    return [*found, *assessed(study, predictions), *robustness_again(files, study, predictions)]


def _thresholds(path: Path, study: Study) -> list[Evidence]:
    """Return the thresholds that the tuning table gives."""
    if study.predictions is not None:
        return tuned_again(study, read_tuning(path, column="score"))
    return decided(study, read_tuning(path))[1]


def scales_of(entries: Iterable[Entry]) -> Mapping[str, str]:
    """Return model -> the scale of its scores in a table that was made elsewhere."""
    found = [entry.body.get("scales") for entry in entries if entry.kind == "intake"]
    return found[-1] if found and isinstance(found[-1], Mapping) else {}


def _check_decisions(
    entries: Iterable[Entry], predictions: Mapping[Part, Predictions], scales: Mapping[str, str]
) -> None:
    """Check that decisions follow from risks and locked thresholds.

    Of scores that only order patients the table holds no scores, so that of them it is checked that one
    threshold makes the decisions, not which. Raises `VerificationError`.
    """
    locks = [entry.body.get("thresholds") for entry in entries if entry.kind == "lock"]
    cuts = locks[-1] if locks and isinstance(locks[-1], Mapping) else {}
    for table in predictions.values():
        for model, called in table.decision.items():
            order = np.argsort(table.risk[model], kind="stable")
            rises = np.all(np.diff(called[order][~np.isnan(table.risk[model][order])].astype(int)) >= 0)
            if model not in cuts or not rises or not _by_cut(table, model, cuts[model], scales.get(model)):
                raise VerificationError(
                    f"the decisions of {model} are not those of one threshold",
                    remedy="don't rely on this copy: ask whoever signed the dossier for the original",
                    file=f"predictions_{table.part.value}.csv",
                )


def _by_cut(table: Predictions, model: str, cut: float, scale: str | None) -> bool:
    """Tell whether exactly the risks from the cut on are called positive; ranks have no cut of their own.

    Log-odds were written as risks, so that those within rounding of the cut may fall on either side.
    """
    if scale == "rank" or model in table.ranked:
        return True
    at = float(expit(cut)) if scale == "logit" else float(cut)
    risk = table.risk[model]
    clear = ~np.isnan(risk) & (np.abs(risk - at) > (ABSOLUTE if scale == "logit" else 0.0))
    exact = ~np.isnan(risk) if scale != "logit" else clear
    with np.errstate(invalid="ignore"):
        return bool(np.array_equal(table.decision[model][exact], (risk >= at)[exact]))


def _pairs(place: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what stands in both at each place, down to single values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            yield from _pairs(f"{place}.{key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _pairs(f"{place}[{index}]", *pair)
    elif one is not None or other is not None:
        yield place, one, other


def _agree(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, numbers within rounding.

    >>> _agree(0.1 + 0.2, 0.3), _agree(1, 1.0), _agree("a", None)
    (True, True, False)
    """
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers) and bool not in (type(one), type(other)):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(one == other)
