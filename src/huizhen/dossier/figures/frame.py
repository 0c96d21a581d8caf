"""The frame of a chart: axes with ticks and titles around a plotting area."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.wording import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A plotting area with its two scales; y grows upwards. `width` and `height` are of the whole chart."""

    width: float
    height: float
    x: svg.Scale
    y: svg.Scale
    x_title: Text
    y_title: Text
    x_ticks: int = 5
    y_ticks: int = 5

    @classmethod
    def of(
        cls,
        x: tuple[float, float],
        y: tuple[float, float],
        x_title: Text,
        y_title: Text,
        *,
        width: float = 420,
        height: float = 390,
        ticks: tuple[int, int] = (5, 5),
    ) -> Frame:
        """Return a frame over the ranges `x` and `y`."""
        return cls(
            width=width,
            height=height,
            x=svg.Scale(low=x[0], high=x[1], start=52, end=width - 14),
            y=svg.Scale(low=y[0], high=y[1], start=height - 46, end=12),
            x_title=x_title,
            y_title=y_title,
            x_ticks=ticks[0],
            y_ticks=ticks[1],
        )

    def axes(self) -> Markup:
        """Return grid, ticks and titles."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        made = Markup()
        for value in self.x.ticks(self.x_ticks):
            made += svg.line(self.x(value), bottom, self.x(value), top, "grid")
            made += svg.text(
                self.x(value), bottom + 16, Text.both(svg.tick_text(value)), "tick", anchor="middle"
            )
        for value in self.y.ticks(self.y_ticks):
            made += svg.line(left, self.y(value), right, self.y(value), "grid")
            made += svg.text(
                left - 7, self.y(value) + 4, Text.both(svg.tick_text(value)), "tick", anchor="end"
            )
        made += svg.line(left, bottom, right, bottom, "axis") + svg.line(left, bottom, left, top, "axis")
        made += svg.text((left + right) / 2, bottom + 36, self.x_title, "title", anchor="middle")
        made += svg.text(14, (top + bottom) / 2, self.y_title, "title", anchor="middle", turn=True)
        return svg.element("g", made, class_="axes", aria_hidden="true")

    def at(self, x: float, y: float) -> svg.Point:
        """Return the coordinates of a data point."""
        return self.x(x), self.y(y)

    def draw(self, *inside: Markup) -> Markup:
        """Return the chart with `inside` over its axes."""
        return svg.drawing(self.width, self.height, self.axes(), *inside)
