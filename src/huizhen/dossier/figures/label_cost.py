"""The label-cost curve: what the model reached with so many labels, each point with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from huizhen.core.evidence import Evidence
from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import say


def draw_label_cost(reached: Sequence[Evidence]) -> Markup:
    """Return the chart of AUC over labels of `reached`, each with its `labels` in the detail, in order."""
    points = [(float(e.detail["labels"]), e) for e in reached if e.estimate is not None]
    values = [v for _, e in points for v in _bounds(e)]
    most = max([labels for labels, _ in points], default=1.0)
    frame = Frame.of(
        (0.0, max(most * 1.05, 1.0)),
        svg.padded(values, most=1.0),
        say("axis.labels"),
        say("axis.auc_tuning"),
        width=420,
        height=280,
    )
    drawn = svg.path([frame.at(labels, e.estimate or 0.0) for labels, e in points], "line s0")
    for labels, evidence in points:
        low, high = _bounds(evidence)
        x, _ = frame.at(labels, low)
        drawn += svg.bar_up(x, frame.y(low), frame.y(high), "whisker s0")
        drawn += svg.dot(*frame.at(labels, evidence.estimate or 0.0), 4, "point s0")
    return frame.draw(drawn)


def _bounds(evidence: Evidence) -> tuple[float, float]:
    value = evidence.estimate or 0.0
    return (evidence.interval.low, evidence.interval.high) if evidence.interval else (value, value)
