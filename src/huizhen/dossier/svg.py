"""Drawing in SVG by hand: scales, lines, marks and labels that give the same bytes on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from huizhen.core.words import Language
from huizhen.dossier.wording import CODES, Text

Point = tuple[float, float]


def px(value: float) -> str:
    """Return a coordinate to a tenth of a unit.

    >>> px(3.14159), px(-0.01), px(7.0)
    ('3.1', '0', '7')
    """
    text = f"{value:.1f}"
    text = text[:-2] if text.endswith(".0") else text
    return "0" if text == "-0" else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear map from data in [low, high] to coordinates in [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of `value`, held within the axis.

        >>> Scale(low=0, high=1, start=10, end=20)(0.5)
        15.0
        """
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about `count` round values within the axis.

        >>> Scale(low=0, high=1, start=0, end=1).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        """
        step = nice_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]


def nice_step(rough: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, near `rough` (> 0).

    >>> nice_step(0.18), nice_step(7.0)
    (0.2, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(rough))
    nearest: float = min((1.0, 2.0, 2.5, 5.0, 10.0), key=lambda m: abs(math.log(m * power / rough)))
    return round(nearest * power, 12)


def padded(
    values: Iterable[float], *, least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:
    """Return round bounds around finite `values`, within [least, most].

    >>> padded([0.62, 0.91], most=1.0)
    (0.6, 0.95)
    >>> padded([1.0], most=1.0)
    (0.9998, 1.0)
    """
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    step = nice_step(max(high - low, 1e-3) / 6)
    if high == low:
        low, high = low - step / 2, high + step / 2
    return (
        round(max(least, math.floor(low / step) * step), 10),
        round(min(most, math.ceil(high / step + 1e-9) * step), 10),
    )


def tick_text(value: float) -> str:
    """Return an axis number without needless zeros.

    >>> tick_text(0.2), tick_text(1.0), tick_text(-0.05)
    ('0.2', '1', '−0.05')
    """
    return f"{value:g}".replace("-", "−")


def element(name: str, /, *inside: Markup, **attributes: object) -> Markup:
    """Return an element; attribute names have `_` for `-`, `class_` for class, None leaves one out."""
    written = "".join(
        f' {escape(key.rstrip("_").replace("_", "-"))}="{escape(px(v) if isinstance(v, float) else v)}"'
        for key, v in attributes.items()
        if v is not None
    )
    return Markup(f"<{name}{written}>{Markup('').join(inside)}</{name}>")


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """Return a straight line of class `style`."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=style)


def path(points: Sequence[Point], style: str, *, closed: bool = False) -> Markup:
    """Return a line through `points`, or an area when `closed`. Points that add nothing are left out."""
    kept = _without_repeats(points)
    drawn = "L".join(f"{px(x)} {px(y)}" for x, y in kept)
    return element("path", d=f"M{drawn}{'Z' if closed else ''}", class_=style) if kept else Markup()


def _without_repeats(points: Sequence[Point]) -> list[Point]:
    """Drop points that round to their neighbour, and those on a straight line between both neighbours."""
    kept: list[Point] = []
    for x, y in points:
        here = (round(x, 1), round(y, 1))
        if kept and kept[-1] == here:
            continue
        if len(kept) > 1 and _between(kept[-2], kept[-1], here):
            kept.pop()
        kept.append(here)
    return kept


def _between(a: Point, b: Point, c: Point) -> bool:
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    forward = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return abs(cross) < 1e-6 and forward >= 0


def text(x: float, y: float, what: Text, style: str, *, anchor: str = "start", turn: bool = False) -> Markup:
    """Return a label at (x, y) in both languages; `turn` writes it upwards."""
    turned = f"rotate(-90 {px(x)} {px(y)})" if turn else None

    def one(words: str, language: str | None) -> Markup:
        return element(
            "text",
            escape(words),
            x=float(x),
            y=float(y),
            class_=style,
            text_anchor=anchor,
            transform=turned,
            lang=language,
        )

    if what.en == what.zh:
        return one(what.en, None)
    return one(what.en, CODES[Language.EN]) + one(what.zh, CODES[Language.ZH])


def dot(x: float, y: float, radius: float, style: str) -> Markup:
    """Return a filled circle."""
    return element("circle", cx=float(x), cy=float(y), r=float(radius), class_=style)


def square(x: float, y: float, half: float, style: str) -> Markup:
    """Return a filled square around (x, y)."""
    return rectangle(x - half, y - half, 2 * half, 2 * half, style)


def rectangle(x: float, y: float, width: float, height: float, style: str) -> Markup:
    """Return a rectangle."""
    return element("rect", x=float(x), y=float(y), width=float(width), height=float(height), class_=style)


def whisker(x1: float, x2: float, y: float, style: str, *, cap: float = 3.5) -> Markup:
    """Return a horizontal interval with caps."""
    return (
        line(x1, y, x2, y, style)
        + line(x1, y - cap, x1, y + cap, style)
        + line(x2, y - cap, x2, y + cap, style)
    )


def bar_up(x: float, y1: float, y2: float, style: str, *, cap: float = 3.0) -> Markup:
    """Return a vertical interval with caps."""
    return (
        line(x, y1, x, y2, style)
        + line(x - cap, y1, x + cap, y1, style)
        + line(x - cap, y2, x + cap, y2, style)
    )


def drawing(
    width: float, height: float, *inside: Markup, style: str = "chart", hidden: bool = False
) -> Markup:
    """Return the whole drawing; `hidden` from assistive technology when its numbers stand beside it."""
    return element(
        "svg",
        *inside,
        viewBox=f"0 0 {px(width)} {px(height)}",
        class_=style,
        aria_hidden="true" if hidden else None,
        focusable="false",
    )


def titled(chart: Markup, title: str) -> Markup:
    """Return a drawing with a title of its own, which stays with it when it is copied from the page.

    >>> titled(element("svg", class_="chart"), "PHANTOM")
    Markup('<svg class="chart"><title>PHANTOM</title></svg>')
    """
    head, end, rest = str(chart).partition(">")
    return Markup(head + end) + element("title", escape(title)) + Markup(rest) if end else chart
