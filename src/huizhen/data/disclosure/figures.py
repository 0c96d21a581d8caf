"""The figures of a report, as SVG: who shares a class with how many, and what safety costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from huizhen.data.disclosure.assess import Assessment

__all__ = ["loss_figure", "sizes_figure"]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 260, 64, 48, 16
Words = Mapping[str, str]


def sizes_figure(report: Mapping[str, Any], words: Words) -> Markup:
    """Return bars of the patients in classes of each size, as it is and recoded; "<10" is drawn as 0."""
    sets = [("before", report["before"])] + ([("after", report["after"])] if report["after"] else [])
    most = max([_number(bar["patients"]) for _, one in sets for bar in one["sizes"]] + [1])
    bins = report["before"]["sizes"]
    step = (WIDTH - LEFT - 8) / len(bins)
    parts = [_axis(words["figure.patients"], most)]
    for k, bar in enumerate(bins):
        name = f"{bar['from']}+" if bar["to"] is None else _range(bar["from"], bar["to"])
        parts.append(_text(LEFT + step * (k + 0.5), HEIGHT - BOTTOM + 18, name, "middle"))
        for j, (kind, one) in enumerate(sets):
            x = LEFT + step * (k + 0.12 + 0.39 * j)
            parts.append(_bar(x, step * 0.36, one["sizes"][k]["patients"], most, kind))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, words["figure.class_size"], "middle"))
    return _svg(parts, words["figure.sizes"])


def loss_figure(found: Assessment, words: Words) -> Markup:
    """Return a point for each recoding that was weighed: what it loses against the highest risk left."""
    parts = [_axis(words["figure.risk"], 1.0)]
    inner, tall = WIDTH - LEFT - 24, HEIGHT - BOTTOM - TOP
    for loss, risk, holds in found.chosen.seen[:2000]:
        x, y = LEFT + inner * loss, HEIGHT - BOTTOM - tall * risk
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="{"holds" if holds else "fails"}"/>')
    best = found.chosen.best
    if best is not None:
        loss = best.entropy if found.policy.search.loss == "entropy" else best.discernibility
        x, y = LEFT + inner * loss, HEIGHT - BOTTOM - tall / max(1, int(best.kept.min()))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" class="best"/>')
    for k in range(6):
        parts.append(_text(LEFT + inner * k / 5, HEIGHT - BOTTOM + 18, f"{k / 5:g}", "middle"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, words["figure.lost"], "middle"))
    return _svg(parts, words["figure.loss"])


def _number(count: int | str) -> int:
    return count if isinstance(count, int) else 0


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _bar(x: float, width: float, count: int | str, most: float, kind: str) -> str:
    tall = (HEIGHT - BOTTOM - TOP) * _number(count) / most
    y = HEIGHT - BOTTOM - tall
    label = f"{count:,}" if isinstance(count, int) else count
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}" class="{kind}"/>'
    return shape + (_text(x + width / 2, y - 3, label, "middle", "small") if count else "")


def _axis(name: str, most: float) -> str:
    base = HEIGHT - BOTTOM
    parts = [f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH}" y2="{base}" class="axis"/>']
    for share in (0.0, 0.5, 1.0):
        y = base - (base - TOP) * share
        label = f"{most * share:,.0f}" if most > 1 else f"{share:g}"
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" class="grid"/>')
        parts.append(_text(LEFT - 6, y + 4, label, "end"))
    turn = f'transform="translate(14 {HEIGHT / 2 - 10:.0f}) rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turn}>{escape(name)}</text>")
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _svg(parts: list[str], title: str) -> Markup:
    return Markup(  # every text within was escaped
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
