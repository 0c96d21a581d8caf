"""Decision curves: net benefit over the thresholds, against acting on everybody and on nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import Text, say

ALL, NOBODY = 1, 7
"""The colour numbers of acting on everybody and on nobody."""
LEFT = 62.0
"""Where the plot begins: its numbers are longer than those of shares."""
BELOW = 0.15
"""How far the chart reaches below 0, as a share of its height above."""


def draw_decision(detail: Mapping[str, Any]) -> Markup:
    """Return the chart of a decision curve's `detail`; what lies further below 0 is cut off."""
    at = detail["threshold"]
    top = max([*detail["net_benefit_high"], *detail["treat_all_high"], 0.01]) * 1.05
    frame = _frame(at, (-BELOW * top, top), say("axis.net_benefit"))
    none = svg.line(*frame.at(at[0], 0), *frame.at(at[-1], 0), f"line s{NOBODY}")
    everyone = _line(frame, at, detail["treat_all"], f"line s{ALL}")
    model = _line(frame, at, detail["net_benefit"], "line s0")
    return frame.draw(_band(frame, detail, "net_benefit"), none, everyone, model)


def draw_avoided(detail: Mapping[str, Any]) -> Markup:
    """Return the chart of needless interventions avoided in a hundred patients."""
    at = detail["threshold"]
    percent = {f"avoided{end}": [100 * v for v in detail[f"avoided{end}"]] for end in ("", "_low", "_high")}
    low, high = min(percent["avoided"]), max(percent["avoided_high"])
    frame = _frame(at, svg.padded([min(low, 0), max(high, 1)], most=100), say("axis.avoided"))
    zero = svg.line(*frame.at(at[0], 0), *frame.at(at[-1], 0), "chance")
    return frame.draw(
        _band(frame, {"threshold": at, **percent}, "avoided"),
        zero,
        _line(frame, at, percent["avoided"], "line s0"),
    )


def _frame(at: Sequence[float], y: tuple[float, float], title: Text) -> Frame:
    frame = Frame.of((at[0], at[-1]), y, say("axis.threshold"), title, height=330)
    return replace(frame, x=replace(frame.x, start=LEFT))


def _line(frame: Frame, at: Sequence[float], values: Sequence[float], style: str) -> Markup:
    return svg.path([frame.at(*point) for point in _inside(frame, at, values)], style)


def _band(frame: Frame, detail: Mapping[str, Any], name: str) -> Markup:
    upper = [frame.at(x, y) for x, y in zip(detail["threshold"], detail[f"{name}_high"], strict=True)]
    lower = [frame.at(x, y) for x, y in zip(detail["threshold"], detail[f"{name}_low"], strict=True)]
    return svg.path(upper + lower[::-1], "band s0", closed=True)


def _inside(frame: Frame, at: Sequence[float], values: Sequence[float]) -> list[svg.Point]:
    """Return the points of a curve down to where it first leaves the chart at the bottom."""
    low, found = frame.y.low, list[svg.Point]()
    for x, y in zip(at, values, strict=True):
        if y < low:
            if found:
                before, height = found[-1]
                found.append((before + (x - before) * (height - low) / (height - y), low))
            break
        found.append((x, y))
    return found
