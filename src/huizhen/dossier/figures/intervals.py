"""Intervals in table cells: a forest plot whose labels and numbers are the table's own columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from huizhen.core.evidence import Evidence
from huizhen.dossier import svg
from huizhen.dossier.blocks import Plot
from huizhen.dossier.wording import Text

WIDTH, HEIGHT, MARGIN = 240.0, 22.0, 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalAxis:
    """The common axis of a table's plots, with reference lines (a bound, the best possible)."""

    scale: svg.Scale
    references: tuple[float, ...] = ()

    @classmethod
    def over(
        cls,
        found: Sequence[Evidence],
        *,
        references: Sequence[float] = (),
        also: Sequence[float] = (),
        least: float = 0.0,
        most: float = 1.0,
    ) -> IntervalAxis:
        """Return an axis that holds all estimates, their intervals the references (drawn) and `also`."""
        values = [v for e in found for v in _bounds(e)] + [*references, *also]
        low, high = svg.padded(values, least=least, most=most)
        scale = svg.Scale(low=low, high=high, start=MARGIN, end=WIDTH - MARGIN)
        return cls(scale=scale, references=tuple(references))

    def interval(self, evidence: Evidence, *, strong: bool = False, style: int = 0) -> Plot:
        """Return the plot of one estimate with its interval; `strong` draws the diamond of a summary."""
        middle = HEIGHT / 2
        low, estimate, high = (self.scale(v) for v in _triple(evidence))
        mark = (
            svg.path(
                [(low, middle), (estimate, middle - 6), (high, middle), (estimate, middle + 6)],
                f"diamond s{style}",
                closed=True,
            )
            if strong
            else svg.whisker(low, high, middle, f"whisker s{style}")
            + svg.square(estimate, middle, 4, f"point s{style}")
        )
        return Plot(self._cell(mark))

    def bar(self, evidence: Evidence, *, style: int = 0, tick: float | None = None) -> Plot:
        """Return a bar from the axis' low end to the estimate, with its interval; `tick` marks a value."""
        low, estimate, high = (self.scale(v) for v in _triple(evidence))
        bar = svg.rectangle(
            self.scale.start, 4, max(estimate - self.scale.start, 0), HEIGHT - 8, f"bar s{style}"
        )
        mark = bar + svg.whisker(low, high, HEIGHT / 2, "whisker ink")
        if tick is not None:
            mark += svg.line(self.scale(tick), 1, self.scale(tick), HEIGHT - 1, "best")
        return Plot(self._cell(mark))

    def foot(self, ticks: int = 4) -> Plot:
        """Return the axis itself with about so many `ticks`, for the table's last line."""
        made = svg.line(self.scale.start, 1, self.scale.end, 1, "axis")
        for value in self.scale.ticks(ticks):
            made += svg.line(self.scale(value), 1, self.scale(value), 5, "axis")
            made += svg.text(self.scale(value), 17, Text.both(svg.tick_text(value)), "tick", anchor="middle")
        return Plot(svg.drawing(WIDTH, HEIGHT, made, style="cellplot", hidden=True))

    def _cell(self, mark: Markup) -> Markup:
        lines = [svg.line(self.scale(r), 0, self.scale(r), HEIGHT, "reference") for r in self.references]
        return svg.drawing(WIDTH, HEIGHT, *lines, mark, style="cellplot", hidden=True)


def _triple(evidence: Evidence) -> tuple[float, float, float]:
    estimate = evidence.estimate if evidence.estimate is not None else 0.0
    if evidence.interval is None:
        return estimate, estimate, estimate
    return evidence.interval.low, estimate, evidence.interval.high


def _bounds(evidence: Evidence) -> tuple[float, ...]:
    return _triple(evidence) if evidence.estimate is not None else ()
