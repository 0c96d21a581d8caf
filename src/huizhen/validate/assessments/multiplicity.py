"""Several endpoints: each with the p-value of its bound, and which are met together at one error rate.

The p-value is that of the hypothesis that the truth is no better than the bound. It turns the endpoint's own
interval round: it is at most 0.025 exactly where the lower limit of the 95 % interval reaches the bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from scipy.special import logit, ndtr

from huizhen.core.evidence import Evidence, Interval, Verdict
from huizhen.core.study import Study
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.multiplicity import gatekeeping, holm

ALPHA = 0.025
"""One-sided."""


def with_multiplicity(found: Iterable[Evidence], study: Study) -> list[Evidence]:
    """Return the evidence with the endpoints judged together, as the study's `evaluation.multiplicity` says.

    "all": nothing changes, since a claim that all of them hold needs no correction. "holm" and "gatekeeping":
    an endpoint is met where its adjusted p-value is at most 0.025. One that wasn't assessed counts as not met
    in the adjustment, whose `detail` then holds p, p_adjusted, alpha and family.
    """
    lines = list(found)
    how = study.evaluation.multiplicity
    places = {_number(e): k for k, e in enumerate(lines) if _number(e)}
    if how == "all" or not places or not study.endpoint:
        return lines
    families: dict[int, list[int]] = {}
    for number, endpoint in enumerate(study.endpoint, start=1):
        family = endpoint.family if how == "gatekeeping" else 1
        families.setdefault(family, []).append(number)
    p = {
        number: _p_of(lines[places[number]]) if number in places else 1.0
        for n in families.values()
        for number in n
    }
    ordered = [families[family] for family in sorted(families)]
    values = [[p[number] for number in numbers] for numbers in ordered]
    adjusted = gatekeeping(values) if how == "gatekeeping" else (holm(values[0]),)
    for numbers, ps in zip(ordered, adjusted, strict=True):
        for number, value in zip(numbers, ps.tolist(), strict=True):
            if number in places:
                family = study.endpoint[number - 1].family
                lines[places[number]] = _judged(lines[places[number]], p[number], value, family)
    return lines


def _number(evidence: Evidence) -> int:
    """Return an endpoint's number from 1, or 0 of other evidence."""
    parts = evidence.key.split("/")
    return int(parts[1]) if parts[0] == "endpoint" and parts[1].isdigit() else 0


def _p_of(evidence: Evidence) -> float:
    """Return the p-value of an endpoint's bound; 1 where it wasn't measured."""
    if evidence.estimate is None or evidence.interval is None or evidence.bound is None:
        return 1.0
    return one_sided_p(evidence.estimate, evidence.interval, evidence.bound.at_least, n=evidence.n or 0)


def one_sided_p(estimate: float, interval: Interval, bound: float, *, n: int) -> float:
    """Return the p-value of the hypothesis that the truth is at most `bound`, on the interval's own scale.

    Wilson's interval of a share of `n` is that of the score test; an exact bound of k disjoint pairs that all
    fell the same way gives bound^k; logit intervals are normal there, all others as they stand. Where nothing
    varies it is 0 or 1.

    >>> found = Interval(low=0.8, high=0.95, method="DeLong, logit")
    >>> round(one_sided_p(0.9, found, 0.8, n=0), 4)
    0.025
    """
    if interval.method == "Wilson" and n:
        return _share_p(estimate, bound, n)
    if interval.method.startswith("exact bound"):
        return _unanimous_p(estimate, interval, bound)
    if "logit" in interval.method and 0 < interval.low < estimate < 1:
        return _normal_p(float(logit(estimate)), float(logit(interval.low)), _logit(bound), interval.level)
    return _normal_p(estimate, interval.low, bound, interval.level)


def _logit(share: float) -> float:
    return float(logit(share)) if 0 < share < 1 else math.copysign(math.inf, share - 0.5)


def _share_p(share: float, bound: float, n: int) -> float:
    """Return the score test's p-value."""
    if not 0 < bound < 1:
        return 0.0 if bound <= 0 and share > bound else 1.0
    return float(ndtr(-(share - bound) / math.sqrt(bound * (1 - bound) / n)))


def _unanimous_p(estimate: float, interval: Interval, bound: float) -> float:
    """Return the chance that k pairs all fall the right way, where each does so with the chance `bound`."""
    if estimate < 1 or not 0 < interval.low < 1 or bound >= 1:
        return 1.0
    pairs = math.log((1 - interval.level) / 2) / math.log(interval.low)
    return bound**pairs if bound > 0 else 0.0


def _normal_p(estimate: float, low: float, bound: float, level: float) -> float:
    """Return the p-value from the distance between an estimate and its lower limit."""
    error = (estimate - low) / normal_quantile(level)
    if error <= 0:
        return 0.0 if estimate > bound else 1.0
    return float(ndtr(-(estimate - bound) / error))


def _judged(evidence: Evidence, p: float, adjusted: float, family: int) -> Evidence:
    """Return an endpoint judged by its adjusted p-value."""
    detail = {**evidence.detail, "p": p, "p_adjusted": adjusted, "alpha": ALPHA, "family": family}
    if evidence.verdict is Verdict.NOT_ASSESSED:
        return evidence
    verdict = Verdict.PASS if adjusted <= ALPHA else Verdict.FAIL
    return replace(evidence, verdict=verdict, detail=detail)
