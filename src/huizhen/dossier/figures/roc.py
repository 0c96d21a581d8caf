"""The receiver operating characteristic: one line a model, a band around the first, operating points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """Where a locked threshold puts a model: sensitivity and specificity with their intervals."""

    sensitivity: tuple[float, float, float]
    specificity: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RocLine:
    """One model's curve: `detail` has fpr, tpr and perhaps band_fpr, band_low, band_high (tpr's limits).

    `style` is its colour number.
    """

    detail: Mapping[str, Any]
    style: int
    operating: Operating | None = None


def draw_roc(lines: Sequence[RocLine]) -> Markup:
    """Return the chart; later lines lie under earlier ones, so the first is the model in question."""
    frame = Frame.of((0, 1), (0, 1), say("axis.fpr"), say("axis.tpr"))
    chance = svg.line(*frame.at(0, 0), *frame.at(1, 1), "chance")
    drawn = [_line(frame, one) for one in reversed(lines)]
    points = [_operating(frame, one) for one in reversed(lines) if one.operating]
    return frame.draw(chance, *drawn, *points)


def _line(frame: Frame, one: RocLine) -> Markup:
    fpr, tpr = one.detail["fpr"], one.detail["tpr"]
    curve = svg.path([frame.at(x, y) for x, y in zip(fpr, tpr, strict=True)], f"line s{one.style}")
    return _band(frame, one.detail) + curve if one.style == 0 else curve


def _band(frame: Frame, detail: Mapping[str, Any]) -> Markup:
    """Return the band of the true positive rate, where the detail has one."""
    if not all(isinstance(detail.get(name), list) for name in ("band_fpr", "band_low", "band_high")):
        return Markup()
    upper = [frame.at(x, y) for x, y in zip(detail["band_fpr"], detail["band_high"], strict=True)]
    lower = [frame.at(x, y) for x, y in zip(detail["band_fpr"], detail["band_low"], strict=True)]
    return svg.path(upper + lower[::-1], "band s0", closed=True)


def _operating(frame: Frame, one: RocLine) -> Markup:
    if one.operating is None:
        return Markup()
    se, se_low, se_high = one.operating.sensitivity
    sp, sp_low, sp_high = one.operating.specificity
    x, y = frame.at(1 - sp, se)
    if one.style != 0:
        return svg.dot(x, y, 3.5, f"point s{one.style}")
    across = svg.whisker(frame.x(1 - sp_high), frame.x(1 - sp_low), y, "whisker s0")
    return (
        across + svg.bar_up(x, frame.y(se_low), frame.y(se_high), "whisker s0") + svg.dot(x, y, 5, "point s0")
    )
