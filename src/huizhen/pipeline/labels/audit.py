"""One audit of labels: which are suspect, in which order, and how many are estimated to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence, Interval
from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.pipeline.labels.table import AuditInput
from huizhen.validate.label_audit.confident import ConfidentJoint, NoiseRate, confident_joint, noise_rate
from huizhen.validate.label_audit.labelled import Doubt, Labelled, doubts_of
from huizhen.validate.label_audit.ranking import Order, order_of, suspected, suspicion
from huizhen.validate.label_audit.readers import ReaderAudit, reader_audit, witnessed

__all__ = ["FAMILY", "SMALLEST", "LabelAudit", "audit_evidence", "audit_labels", "shown_count"]

FAMILY = "label_audit"
SMALLEST = 5
"""A count of one to below this is not shown in what may leave the site."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAudit:
    """What an audit found. `order` (n,) are the cases, the most suspect first; `suspect` (n,) those that the
    rule takes for wrong; `likely` (n,) the likeliest other class, `belief` (n, K) what it rests on.

    `joint` and `rate` are of the model's probabilities, `readers` of the readings; each may be missing, and
    `unread` says why there is no agreement of readers.
    """

    given: AuditInput
    rule: Order
    seed: int
    order: Ints
    score: Floats
    suspect: Bools
    likely: Ints
    belief: Floats
    doubts: tuple[Doubt, ...]
    joint: ConfidentJoint | None
    rate: NoiseRate | None
    readers: ReaderAudit | None
    unread: str = ""

    @property
    def suspects(self) -> int:
        """How many labels the rule takes for wrong."""
        return int(self.suspect.sum())


def audit_labels(given: AuditInput, *, rule: Order = Order.CLASS, seed: int = 0) -> LabelAudit:
    """Return the audit of `given`; `seed` names the draws of the bootstrap.

    With a model's probabilities alone they are the belief; with readers alone theirs is; with both, readers
    and model are independent witnesses. Raises as `Labelled.of`, and `NotEstimableError` where readers alone
    are given and too few cases were read twice.
    """
    model = None
    if given.probability is not None:
        model = Labelled.of(given.label, given.probability, np.array(given.patient))
    readers, unread = _readers(given, seed, needed=model is None)
    belief = model
    if readers is not None:
        seen = witnessed(readers.truth, None if model is None else model.probability)
        belief = Labelled.of(given.label, seen, np.array(given.patient))
    assert belief is not None  # a table has probabilities, or readers who are needed
    others = belief.probability.copy()
    others[np.arange(len(belief)), belief.label] = -1.0
    return LabelAudit(
        given=given,
        rule=rule,
        seed=seed,
        order=order_of(belief, rule),
        score=suspicion(belief, rule),
        suspect=suspected(belief, rule),
        likely=others.argmax(axis=1).astype(np.int64),
        belief=belief.probability,
        doubts=doubts_of(model) if model is not None else (),
        joint=None if model is None else confident_joint(model),
        rate=None if model is None else noise_rate(model, stream(seed, FAMILY, "noise rate")),
        readers=readers,
        unread=unread,
    )


def _readers(given: AuditInput, seed: int, *, needed: bool) -> tuple[ReaderAudit | None, str]:
    """Return what the readers say, or why they can't be compared."""
    if given.read is None:
        return None, ""
    try:
        found = reader_audit(
            given.label,
            given.read,
            labels=len(given.classes),
            seed=seed,
            draw=stream(seed, FAMILY, "readers"),
        )
    except NotEstimableError as error:
        if needed:
            raise
        return None, error.message
    return found, ""


def shown_count(count: float, smallest: int = SMALLEST) -> int | None:
    """Return a count as it may leave the site: None in place of one to below `smallest`.

    >>> shown_count(0), shown_count(3), shown_count(12)
    (0, None, 12)
    """
    whole = round(count)
    return None if 0 < whole < smallest else whole


def audit_evidence(audit: LabelAudit, *, smallest: int = SMALLEST, phantom: bool = False) -> list[Evidence]:
    """Return what a dossier may say of an audit: counts and rates, no case, no count below `smallest`."""
    given = audit.given
    key, shared = f"{FAMILY}/{given.name}", _shared(audit, phantom)
    found = [
        Evidence(
            key=f"{key}/label_suspects",
            metric="label_suspects",
            descriptive=True,
            n=len(given.case),
            detail=_told(audit, smallest),
            **shared,
        )
    ]
    if audit.rate is not None:
        rate, level = audit.rate, audit.rate.interval
        interval = _holding(rate.overall, level)
        found.append(
            Evidence(
                key=f"{key}/label_noise_rate",
                metric="label_noise_rate",
                estimate=rate.overall,
                interval=interval,
                n=len(given.case),
                detail={"of": "confident joint", "by_class": _by_class(audit)},
                **shared,
            )
        )
    if audit.readers is not None:
        found += _reader_evidence(audit, key, shared)
    return found


def _shared(audit: LabelAudit, phantom: bool) -> dict[str, Any]:
    given = audit.given
    return {
        "stage": FAMILY,
        "unit": given.unit,
        "seed": audit.seed,
        "inputs": (given.digest,),
        "phantom": phantom,
    }


def _holding(value: float, interval: Interval) -> Interval:
    """Return the interval, widened to hold the value that it is about."""
    return Interval(
        low=min(interval.low, value),
        high=max(interval.high, value),
        method=interval.method,
        level=interval.level,
    )


def _told(audit: LabelAudit, smallest: int) -> dict[str, Any]:
    """Return counts of an audit: suspects, classes, pairs of classes, what was left out, doubts."""
    given = audit.given
    suspect = audit.suspect
    pairs = [
        {
            "given": given.classes[i],
            "likely": given.classes[j],
            "suspects": shown_count(((given.label == i) & (audit.likely == j) & suspect).sum(), smallest),
        }
        for i in range(len(given.classes))
        for j in range(len(given.classes))
        if i != j
    ]
    classes = [
        {
            "class": name,
            "count": shown_count((given.label == k).sum(), smallest),
            "suspects": shown_count(((given.label == k) & suspect).sum(), smallest),
        }
        for k, name in enumerate(given.classes)
    ]
    return {
        "rule": audit.rule.value,
        "patients": len(set(given.patient)),
        "suspects": shown_count(audit.suspects, smallest),
        "classes": classes,
        "pairs": [row for row in pairs if row["suspects"] != 0],
        "left_out": {why: shown_count(n, smallest) for why, n in given.left_out.items()},
        "doubts": [doubt.value for doubt in audit.doubts],
        "origin": dict(given.origin),
    }


def _by_class(audit: LabelAudit) -> list[dict[str, Any]]:
    """Return the estimated share of wrong labels of each class that has labels enough."""
    assert audit.rate is not None
    counts = np.bincount(audit.given.label, minlength=len(audit.given.classes))
    return [
        {"class": name, "share": share, "low": interval.low, "high": interval.high}
        for name, share, interval, n in zip(
            audit.given.classes, audit.rate.by_class, audit.rate.class_intervals, counts, strict=True
        )
        if n >= SMALLEST
    ]


def _reader_evidence(audit: LabelAudit, key: str, shared: dict[str, Any]) -> list[Evidence]:
    readers = audit.readers
    assert readers is not None
    kappa = readers.kappa
    return [
        Evidence(
            key=f"{key}/label_contradicted",
            metric="label_contradicted",
            estimate=readers.share,
            interval=readers.interval,
            n=readers.read_twice,
            detail={"readers": len(audit.given.readers)},
            **shared,
        ),
        Evidence(
            key=f"{key}/label_agreement",
            metric="label_agreement",
            estimate=kappa.kappa,
            interval=kappa.interval,
            n=kappa.n,
            detail={"observed": kappa.observed, "expected": kappa.expected},
            **shared,
        ),
        Evidence(
            key=f"{key}/reader_alpha",
            metric="reader_alpha",
            estimate=readers.alpha.value,
            interval=_holding(readers.alpha.value, readers.alpha.interval),
            n=readers.read_twice,
            **shared,
        ),
    ]
