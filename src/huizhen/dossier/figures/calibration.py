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
    """Return the chart of `detail`: predicted, observed, low, high, n (a value a group; n may be absent).

    The curve without bins is drawn beneath, with its band, where the detail has smooth_predicted,
    smooth_observed, smooth_low and smooth_high.
    """
    frame = Frame.of((0, 1), (0, 1), say("axis.predicted"), say("axis.observed"))
    ideal = svg.line(*frame.at(0, 0), *frame.at(1, 1), "chance")
    groups = sorted(zip(*(detail[k] for k in ("predicted", "observed", "low", "high")), strict=True))
    marks = [
        svg.bar_up(frame.x(p), frame.y(low), frame.y(high), "whisker s0")
        + svg.dot(*frame.at(p, o), 4.5, "point s0")
        for p, o, low, high in groups
    ]
    counts = _counts(frame, detail["predicted"], detail.get("n") or [])
    return frame.draw(counts, ideal, _smooth(frame, detail), *marks)


def _smooth(frame: Frame, detail: Mapping[str, Any]) -> Markup:
    """Return the curve without bins and its band, where there is one."""
    names = [f"smooth_{name}" for name in ("predicted", "observed", "low", "high")]
    if not all(isinstance(detail.get(name), list) for name in names):
        return Markup()
    risk, observed, low, high = (detail[name] for name in names)
    upper = [frame.at(*point) for point in zip(risk, high, strict=True)]
    lower = [frame.at(*point) for point in zip(risk, low, strict=True)]
    curve = svg.path([frame.at(*point) for point in zip(risk, observed, strict=True)], "line s0 thin")
    return svg.path(upper + lower[::-1], "band s0", closed=True) + curve


def _counts(frame: Frame, predicted: Sequence[float], n: Sequence[int]) -> Markup:
    """Return bars along the bottom, as high as the groups are large."""
    if not n or not isinstance(n, list) or max(n) <= 0:
        return Markup()
    bars = Markup()
    for p, count in zip(predicted, n, strict=True):
        height = STRIP * count / max(n)
        bars += svg.rectangle(frame.x(p) - 4, frame.y.start - height, 8, height, "count")
    return bars
