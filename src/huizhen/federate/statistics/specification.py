"""Statistics as plain JSON values, so that a site can build the one that a signed study asks for.

The list of kinds is closed: nothing is imported by name, and every setting is checked by type and by the
statistic itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.batch import Batch, Fold
from huizhen.federate.statistics.calibration import Recalibration
from huizhen.federate.statistics.combat import Combat
from huizhen.federate.statistics.components import Components
from huizhen.federate.statistics.counts import Categories, Histogram
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.cox_likelihood import CoxLikelihood
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.event_times import EventGrid, EventTimes
from huizhen.federate.statistics.interface import Statistic
from huizhen.federate.statistics.kaplan_meier import KaplanMeier
from huizhen.federate.statistics.logistic import Logistic, LogisticLikelihood
from huizhen.federate.statistics.moments import Moments
from huizhen.federate.statistics.quantiles import Quantiles
from huizhen.federate.statistics.risks import Risks
from huizhen.federate.statistics.stratified_cox import StratifiedCox

__all__ = ["KINDS", "from_specification", "to_specification"]

KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Batch,
        Categories,
        Combat,
        Components,
        Cox,
        CoxLikelihood,
        DeLong,
        EventTimes,
        Fold,
        Histogram,
        KaplanMeier,
        Logistic,
        LogisticLikelihood,
        Moments,
        Quantiles,
        Recalibration,
        Risks,
        StratifiedCox,
    )
}
"""Every statistic by the name that a specification gives it."""
_PARTS: Mapping[str, type[Any]] = {**KINDS, "EventGrid": EventGrid}
_INNER = ("statistic", "model", "grid")
_DEEPEST = 4


def to_specification(statistic: Statistic[Any, Any]) -> dict[str, Any]:
    """Return a statistic as JSON values. Raises `InvalidInputError` if it isn't one of `KINDS`.

    >>> to_specification(DeLong(models=2))
    {'kind': 'DeLong', 'models': 2, 'name': 'delong'}
    """
    if type(statistic) not in KINDS.values():
        raise InvalidInputError("is no known statistic", remedy=f"use one of {', '.join(KINDS)}")
    return dict(_plain(statistic))


def _plain(value: Any) -> Any:
    """Return a setting as JSON values."""
    if is_dataclass(value):
        settings = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **settings}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def from_specification(specification: Mapping[str, Any]) -> Statistic[Any, Any]:
    """Return the statistic of a specification. Raises `MessageError` if there is none such.

    >>> from_specification({"kind": "DeLong", "models": 2}).models
    2
    """
    if str(specification.get("kind")) not in KINDS:
        raise _refused("an unknown kind of statistic")
    built: Statistic[Any, Any] = _built(specification, 0)
    return built


def _built(value: Any, depth: int) -> Any:
    """Return what one level of a specification describes."""
    kind = _PARTS.get(str(value.get("kind"))) if isinstance(value, Mapping) else None
    if kind is None or depth > _DEEPEST:
        raise _refused("a part of a statistic of no known kind, or too deep")
    hints, settings = get_type_hints(kind), {}
    for name, given in value.items():
        if name != "kind":
            settings[name] = _setting(name, given, hints, depth)
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise _refused(f"settings of {kind.__name__} that don't fit") from error


def _setting(name: str, given: Any, hints: Mapping[str, Any], depth: int) -> Any:
    """Return one setting, checked against its type."""
    if name not in hints:
        raise _refused("an unknown setting")
    if name in _INNER:
        return _built(given, depth + 1)
    if name == "parts":
        return tuple(_built(part, depth + 1) for part in (given if isinstance(given, list) else [given]))
    try:
        return TypeAdapter(hints[name]).validate_json(json.dumps(given), strict=True)
    except (TypeError, ValueError, ValidationError) as error:
        raise _refused(f"a setting {name} of the wrong type") from error


def _refused(what: str) -> MessageError:
    """Return the error for a specification that isn't one."""
    return MessageError(f"{what} was asked for", remedy="use one version of huizhen everywhere")
