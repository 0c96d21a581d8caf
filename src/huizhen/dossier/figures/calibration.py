"""Calibration: observed share of events against predicted risk, with intervals and how many patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import say

STRIP = 44.0
"""Height of the strip under the plot that shows the patients per group."""


def draw_calibration(detail: Mapping[str, Any]) -> Markup:
    """Return the chart of `detail`: predicted, observed, low, high, n (a value a group; n may be absent)."""
    frame = Frame.of((0, 1), (0, 1), say("axis.predicted"), say("axis.observed"))
    ideal = svg.line(*frame.at(0, 0), *frame.at(1, 1), "chance")
    groups = sorted(zip(*(detail[k] for k in ("predicted", "observed", "low", "high")), strict=True))
    marks = [
        svg.bar_up(frame.x(p), frame.y(low), frame.y(high), "whisker s0")
        + svg.dot(*frame.at(p, o), 4.5, "point s0")
        for p, o, low, high in groups
    ]
    return frame.draw(ideal, _counts(frame, detail["predicted"], detail.get("n") or []), *marks)


def _counts(frame: Frame, predicted: Sequence[float], n: Sequence[int]) -> Markup:
    """Return bars along the bottom, as high as the groups are large."""
    if not n or not isinstance(n, list) or max(n) <= 0:
        return Markup()
    bars = Markup()
    for p, count in zip(predicted, n, strict=True):
        height = STRIP * count / max(n)
        bars += svg.rectangle(frame.x(p) - 4, frame.y.start - height, 8, height, "count")
    return bars
