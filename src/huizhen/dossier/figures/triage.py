"""Workload against detection: each reading policy as a point with its intervals."""

from __future__ import annotations

from collections import defaultdict
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
    """Return the chart: readings per exam to the right, the events found, in a hundred, upwards.

    The first point is the reference; a dashed line marks what it finds. Points at one place share a label.
    """
    x = svg.padded([v for p in points for v in p.readings], least=0)
    y = svg.padded([100 * v for p in points for v in p.found], least=0, most=100)
    frame = Frame.of(x, y, say("axis.readings"), say("axis.found"), height=330)
    reference = frame.y(100 * points[0].found[0])
    made = [svg.line(frame.x.start, reference, frame.x.end, reference, "chance")]
    made += [_drawn(frame, point) for point in points]
    places: dict[tuple[str, str], list[PolicyPoint]] = defaultdict(list)
    for point in points:
        at = _place(frame, point)
        places[svg.px(at[0]), svg.px(at[1])].append(point)
    made += [_label(frame, together) for together in places.values()]
    return frame.draw(*made)


def _place(frame: Frame, point: PolicyPoint) -> svg.Point:
    return frame.at(point.readings[0], 100 * point.found[0])


def _drawn(frame: Frame, point: PolicyPoint) -> Markup:
    """Return a point with both intervals."""
    x, y = _place(frame, point)
    style = f"whisker s{point.style}"
    across = svg.whisker(frame.x(point.readings[1]), frame.x(point.readings[2]), y, style)
    upwards = svg.bar_up(x, frame.y(100 * point.found[1]), frame.y(100 * point.found[2]), style)
    return across + upwards + svg.dot(x, y, 4, f"point s{point.style}")


def _label(frame: Frame, points: Sequence[PolicyPoint]) -> Markup:
    """Return the numbers of the points at one place, beside it."""
    x, y = _place(frame, points[0])
    numbers = Text.both(", ".join(str(point.number) for point in points))
    right = frame.x.end - x < 30
    return svg.text(x - 7 if right else x + 7, y - 6, numbers, "tick", anchor="end" if right else "start")
