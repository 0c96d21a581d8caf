"""`huizhen predict`: a locked model's risks for the patients of a study file's sources, as a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.expected_model import expected_model
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument()],
    study: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    data: Annotated[Path | None, typer.Option("--data")] = None,
    digest: Annotated[str | None, typer.Option("--digest")] = None,
    dossier: Annotated[Path | None, typer.Option("--dossier")] = None,
    key: Annotated[str | None, typer.Option("--key")] = None,
) -> None:
    """Predict, and print where the table is, by which model, who is in it and what was left out."""
    screen = screen_of(context)
    root = paths.data_root(data)
    expected = expected_model(digest, dossier, key=key)
    from huizhen.data.flow import ExclusionCount
    from huizhen.pipeline.predict import predict

    roots = [root] if root is not None else []
    done = predict(model, study, out=out, progress=screen.progress(), roots=roots, expected=expected)
    left_out = ExclusionCount.of(done.left_out)
    counts = [{"site": c.site, "unit": c.unit, "reason": c.reason, "count": c.count} for c in left_out]
    record = {"predictions": str(done.table), "model": done.model, "model_expected": expected is not None}
    screen.answer({**record, "patients": done.patients, "left_out": counts})
    for one in left_out:
        unit, reason = screen.known(f"unit.{one.unit}", one.unit), screen.known(f"reason.{one.reason}", "")
        screen.say("predict.left_out", site=one.site, count=one.count, unit=unit, reason=reason)
    screen.say("predict.done", path=done.table, patients=done.patients)
    screen.say("predict.model" if expected else "predict.model_unchecked", digest=done.model)
