"""Evidence: one claim, what was measured for it, and everything needed to trace it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from huizhen.core.digests import Digest
from huizhen.errors import InvalidInputError


class Verdict(StrEnum):
    """What the measurement says of the claim."""

    PASS = "pass"
    FAIL = "fail"
    REPORTED = "reported"
    """Measured, but the study set no acceptance bound beforehand."""
    NOT_ASSESSED = "not assessed"
    """Not measured; `Evidence.reason` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval: `low` <= `high`, its `level` (0.95) and the `method` that gave it ("DeLong")."""

    low: float
    high: float
    method: str
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InvalidInputError(
                f"interval [{self.low}, {self.high}] is upside down or not a number", remedy="swap the bounds"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An acceptance bound fixed beforehand: the lower limit (or the estimate) must be at least `at_least`."""

    at_least: float
    on: str = "lower"
    """"lower" (the interval's lower limit) or "estimate"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One claim and its measurement.

    `key` names it uniquely within a run: slash-separated, e.g. "auc/cman/test/all". `metric` is a word
    key of the report ("auc"). An `estimate` needs `n` and `unit` ("patient"), and an `interval` unless
    `descriptive` (a count, a setting). `detail` holds plain JSON: curve points, tables, file digests.
    Raises `InvalidInputError` when a number lacks what would let a reader judge it.
    """

    key: str
    metric: str
    stage: str
    estimate: float | None = None
    interval: Interval | None = None
    n: int | None = None
    n_events: int | None = None
    unit: str = "patient"
    bound: Bound | None = None
    verdict: Verdict = Verdict.REPORTED
    reason: str = ""
    descriptive: bool = False
    phantom: bool = False
    seed: int | None = None
    inputs: tuple[Digest, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def refuse(why: str, remedy: str) -> InvalidInputError:
            return InvalidInputError(f"evidence {self.key!r} {why}", remedy=remedy)

        if self.verdict is Verdict.NOT_ASSESSED:
            if not self.reason:
                raise refuse("is not assessed without a reason", "say why it was not measured")
            return
        if self.estimate is not None and not self.descriptive and (self.interval is None or not self.n):
            raise refuse("has a number without an interval and an n", "give both, or mark it descriptive")
        if self.verdict in (Verdict.PASS, Verdict.FAIL) and self.bound is None and not self.reason:
            raise refuse("has a verdict without a bound or a reason", "give one of them")

    @classmethod
    def not_assessed(
        cls,
        *,
        key: str,
        metric: str,
        stage: str,
        reason: str,
        phantom: bool = False,
        bound: Bound | None = None,
        inputs: tuple[Digest, ...] = (),
    ) -> Evidence:
        """Return the evidence of a claim that wasn't measured. Raises `InvalidInputError` without a reason.

        >>> Evidence.not_assessed(key="auc/cman", metric="auc", stage="validate", reason="no site").verdict
        <Verdict.NOT_ASSESSED: 'not assessed'>
        """
        return cls(
            key=key,
            metric=metric,
            stage=stage,
            bound=bound,
            verdict=Verdict.NOT_ASSESSED,
            reason=reason,
            phantom=phantom,
            inputs=inputs,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as plain JSON values, without empty fields."""
        record: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Interval):
                value = {"low": value.low, "high": value.high, "level": value.level, "method": value.method}
            elif isinstance(value, Bound):
                value = {"at_least": value.at_least, "on": value.on}
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Verdict):
                value = value.value
            if value not in (None, "", [], {}) and value is not False:
                record[item.name] = value
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Evidence:
        """Return the evidence that `to_json` wrote. Raises `InvalidInputError` on a field that it lacks."""
        values = dict(record)
        try:
            if "interval" in values:
                values["interval"] = Interval(**values["interval"])
            if "bound" in values:
                values["bound"] = Bound(**values["bound"])
            values["inputs"] = tuple(values.get("inputs", ()))
            values["verdict"] = Verdict(values.get("verdict", "reported"))
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"not an evidence record ({error})", remedy="write it with to_json"
            ) from error


def judge(estimate: float, interval: Interval, bound: Bound | None) -> Verdict:
    """Return the verdict of `estimate` with `interval` against `bound`, or REPORTED without one."""
    if bound is None:
        return Verdict.REPORTED
    value = interval.low if bound.on == "lower" else estimate
    return Verdict.PASS if value >= bound.at_least else Verdict.FAIL
