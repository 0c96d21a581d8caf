"""Training curves: the loss and the tuning AUC over epochs, one line a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from huizhen.dossier import svg
from huizhen.dossier.figures.frame import Frame
from huizhen.dossier.wording import say


def draw_training(folds: Sequence[Mapping[str, Any]], field: str) -> Markup:
    """Return the chart of `field` ("loss" or "tune_auc") over "epoch" for each fold's detail.

    Values that were not measured (None) leave a gap.
    """
    values = [v for fold in folds for v in fold.get(field) or [] if v is not None]
    epochs = [e for fold in folds for e in fold.get("epoch") or []]
    most = 1.0 if field == "tune_auc" else float("inf")
    frame = Frame.of(
        (min(epochs, default=0), max([*epochs, min(epochs, default=0) + 1])),
        svg.padded(values, most=most),
        say("axis.epoch"),
        say(f"axis.{field}"),
        width=320,
        height=210,
        ticks=(5, 4),
    )
    return frame.draw(*(_fold(frame, fold, field, k) for k, fold in enumerate(folds)))


def _fold(frame: Frame, fold: Mapping[str, Any], field: str, style: int) -> Markup:
    drawn, run = Markup(), list[svg.Point]()
    for epoch, value in zip(fold.get("epoch") or [], fold.get(field) or [], strict=False):
        if value is None:
            drawn, run = drawn + svg.path(run, f"line s{style % 8} thin"), []
        else:
            run.append(frame.at(epoch, value))
    return drawn + (svg.path(run, f"line s{style % 8} thin") if len(run) > 1 else _lonely(run, style))


def _lonely(run: Sequence[svg.Point], style: int) -> Markup:
    return svg.dot(*run[0], 3, f"point s{style % 8}") if run else Markup()
