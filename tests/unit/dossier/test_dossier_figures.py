"""Figures: what they draw is where the numbers say, and hostile or empty input draws nothing wrong."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier import svg
from huizhen.dossier.figures.calibration import draw_calibration
from huizhen.dossier.figures.decision import draw_avoided, draw_decision
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.figures.roc import Operating, RocLine, draw_roc
from huizhen.dossier.figures.training import draw_training
from huizhen.dossier.wording import Text


def parsed(drawing: Markup) -> ElementTree.Element:
    """Return a drawing as a tree; it must be well formed."""
    return ElementTree.fromstring(str(drawing))


def marks(drawing: Markup, style: str) -> list[ElementTree.Element]:
    """Return the elements whose class holds `style`."""
    return [e for e in parsed(drawing).iter() if style in e.get("class", "").split()]


def evidence(value: float, low: float, high: float) -> Evidence:
    """Return an estimate."""
    interval = Interval(low=low, high=high, method="DeLong")
    return Evidence(key="auc/x", metric="auc", stage="s", estimate=value, interval=interval, n=5)


def test_perfect_roc_touches_the_corner() -> None:
    line = RocLine(detail={"fpr": [0.0, 0.0, 1.0], "tpr": [0.0, 1.0, 1.0]}, style=0)
    path = marks(draw_roc([line]), "line")[0].get("d", "")
    assert path == "M52 344L52 12L406 12"


def test_roc_draws_band_and_operating_point_of_the_first_model() -> None:
    band = {"band_fpr": [0.0, 1.0], "band_low": [0.0, 0.9], "band_high": [0.3, 1.0]}
    at = Operating(sensitivity=(0.9, 0.8, 1.0), specificity=(0.5, 0.4, 0.6))
    line = RocLine(detail={"fpr": [0.0, 1.0], "tpr": [0.0, 1.0], **band}, style=0, operating=at)
    drawing = draw_roc([line])
    assert len(marks(drawing, "band")) == 1
    point = marks(drawing, "point")[0]
    assert (point.get("cx"), point.get("cy")) == ("229", "45.2")


def test_calibration_puts_every_group_at_its_place() -> None:
    detail = {
        "predicted": [0.5, 0.0],
        "observed": [1.0, 0.0],
        "low": [0.5, 0.0],
        "high": [1.0, 0.2],
        "n": [4, 8],
    }
    drawing = draw_calibration(detail)
    assert [(p.get("cx"), p.get("cy")) for p in marks(drawing, "point")] == [("52", "344"), ("229", "12")]
    heights = [float(b.get("height", "0")) for b in marks(drawing, "count")]
    assert heights == [22.0, 44.0]


def test_training_leaves_gaps_and_bears_one_epoch() -> None:
    fold = {"epoch": [1, 2, 3, 4, 5], "loss": [1.0, 0.9, None, 0.7, 0.6]}
    assert len(marks(draw_training([fold], "loss"), "line")) == 2
    assert len(marks(draw_training([{"epoch": [1], "loss": [0.4]}], "loss"), "point")) == 1
    assert marks(draw_training([{"epoch": [], "loss": []}], "loss"), "line") == []


def test_intervals_share_an_axis_and_stay_on_it() -> None:
    small, wide = evidence(0.8, 0.7, 0.9), evidence(0.6, 0.2, 1.0)
    axis = IntervalAxis.over([small, wide], references=[0.5])
    assert axis.scale.low <= 0.2
    assert axis.scale.high == 1.0
    drawing = axis.interval(small).svg
    square = marks(drawing, "point")[0]
    assert float(square.get("x", "0")) + 4 == pytest.approx(axis.scale(0.8), abs=0.1)
    assert len(marks(drawing, "reference")) == 1


def test_axis_bears_one_value_and_no_value() -> None:
    assert IntervalAxis.over([evidence(0.5, 0.5, 0.5)]).scale.high > 0.5
    assert IntervalAxis.over([]).scale.low == 0.0


def test_labels_are_escaped_and_in_both_languages() -> None:
    label = svg.text(1, 2, Text("<b>&", "“甲”"), "tick")
    assert str(label).count("<text") == 2
    assert "<b>" not in str(label)
    assert 'lang="zh-Hans"' in str(label)


def test_straight_points_are_left_out_but_turns_are_kept() -> None:
    straight = svg.path([(0, 0), (1, 1), (2, 2), (3, 3)], "line")
    assert 'd="M0 0L3 3"' in str(straight)
    back = svg.path([(0, 0), (2, 0), (1, 0)], "line")
    assert 'd="M0 0L2 0L1 0"' in str(back)
    assert svg.path([], "line") == Markup()


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((0.0, 1.0), (0.62, 0.97), (-0.3, 0.1), (1, 40), (0, 0.004)):
        ticks = svg.Scale(low=low, high=high, start=0, end=1).ticks()
        assert 2 <= len(ticks) <= 12
        assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
        assert all(len(re.sub(r"\D", "", svg.tick_text(t))) <= 5 for t in ticks)


def decision(**changed: list[float]) -> dict[str, list[float]]:
    """Return a decision curve of three thresholds."""
    curves = {"net_benefit": [0.2, 0.15, 0.1], "treat_all": [0.15, 0.0, -0.3], "avoided": [0.1, 0.2, 0.3]}
    detail = {f"{name}{end}": v for name, v in curves.items() for end in ("", "_low", "_high")}
    return {"threshold": [0.1, 0.3, 0.5], **detail, **changed}


def test_acting_on_everybody_ends_where_it_leaves_the_chart() -> None:
    drawing = draw_decision(decision())
    everyone = next(e for e in marks(drawing, "line") if "s1" in e.get("class", ""))
    last = everyone.get("d", "").split("L")[-1].split()
    bottom = max(float(line.get("y1", 0)) for line in marks(drawing, "grid"))
    assert float(last[1]) <= bottom + 30
    assert 62 < float(last[0]) < 406
    assert len(marks(drawing, "band")) == 1


def test_avoided_interventions_are_drawn_in_a_hundred_patients() -> None:
    labels = [e.text for e in parsed(draw_avoided(decision())).iter() if e.tag == "text"]
    assert "30" in labels
    assert "Avoided in a hundred patients" in labels
    below = draw_avoided(decision(avoided=[-0.5, 0.0, 0.2]))
    assert len(marks(below, "line")) == 1


def test_the_curve_without_bins_lies_under_the_groups_where_there_is_one() -> None:
    groups = {"predicted": [0.5], "observed": [0.5], "low": [0.4], "high": [0.6]}
    assert marks(draw_calibration(groups), "band") == []
    smooth = {f"smooth_{name}": [0.1, 0.9] for name in ("predicted", "observed", "low", "high")}
    drawing = draw_calibration(groups | smooth)
    assert len(marks(drawing, "band")) == 1
    assert len(marks(drawing, "line")) == 1
