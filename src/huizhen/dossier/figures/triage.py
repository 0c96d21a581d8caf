"""Workload against detection: each reading policy as a point with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import Text, say

Limits = tuple[float, float, float]
"""An estimate and the limits of its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPoint:
    """A policy: its number in the table, its colour, readings per exam and share of events found."""

    number: int
    style: int
    readings: Limits
    found: Limits


def draw_policies(points: Sequence[PolicyPoint]) -> Markup:
    """Return the chart: readings per exam to the right, the share of events found upwards.

    The first point is the reference; a dashed line marks what it finds.
    """
    x = svg.padded([v for p in points for v in p.readings], least=0)
    y = svg.padded([v for p in points for v in p.found], least=0, most=1)
    frame = Frame.of(x, y, say("axis.readings"), say("axis.found"), height=330)
    reference = frame.y(points[0].found[0])
    made = [svg.line(frame.x.start, reference, frame.x.end, reference, "chance")]
    made += [_drawn(frame, point) for point in points]
    return frame.draw(*made)


def _drawn(frame: Frame, point: PolicyPoint) -> Markup:
    """Return a point with both intervals and its number beside it."""
    x, y = frame.at(point.readings[0], point.found[0])
    style = f"whisker s{point.style}"
    across = svg.whisker(frame.x(point.readings[1]), frame.x(point.readings[2]), y, style)
    upwards = svg.bar_up(x, frame.y(point.found[1]), frame.y(point.found[2]), style)
    right = frame.x.end - x < 24
    label = svg.text(
        x - 7 if right else x + 7,
        y - 6,
        Text.both(str(point.number)),
        "tick",
        anchor="end" if right else "start",
    )
    return across + upwards + svg.dot(x, y, 4, f"point s{point.style}") + label
