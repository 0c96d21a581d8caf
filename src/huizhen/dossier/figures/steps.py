"""A measure over the steps of a disturbance, with its band and the bound that the study set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import say

CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    """One step's AUC with its limits; step 0 is undisturbed."""

    step: int
    estimate: float
    low: float
    high: float


def draw_steps(points: Sequence[StepPoint], *, bound: float | None = None) -> Markup:
    """Return the chart of AUCs by rising step, with their band and the `bound` as a line."""
    values = [v for p in points for v in (p.low, p.high)] + [v for v in (bound, CHANCE) if v is not None]
    last = max(points[-1].step, 1)
    frame = Frame.of(
        (0, last),
        svg.padded(values, least=0, most=1),
        say("axis.step"),
        say("axis.auc"),
        width=420,
        height=300,
        ticks=(last, 4),
    )
    chance = svg.line(*frame.at(0, CHANCE), *frame.at(last, CHANCE), "chance")
    line = Markup() if bound is None else svg.line(*frame.at(0, bound), *frame.at(last, bound), "line s1")
    upper = [frame.at(p.step, p.high) for p in points]
    lower = [frame.at(p.step, p.low) for p in points]
    band = svg.path(upper + lower[::-1], "band s0", closed=True)
    curve = svg.path([frame.at(p.step, p.estimate) for p in points], "line s0")
    dots = [svg.dot(*frame.at(p.step, p.estimate), 3, "point s0") for p in points]
    return frame.draw(chance, line, band, curve, *dots)
