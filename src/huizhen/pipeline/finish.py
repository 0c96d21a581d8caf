"""What every run ends with: the dossier of its ledger, verified, and its main numbers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.files import whole_folder
from huizhen.core.words import Language
from huizhen.dossier.build import build_dossier
from huizhen.dossier.verification import verify_dossier
from huizhen.pipeline.stage import ARTEFACTS, Run, Stage, artefacts

__all__ = ["RunResult", "default_home", "finished", "headline", "make_dossier"]

HEADLINE = ("endpoint/", "auc_difference/", "share_of_best/", "reader_auc/", "reader_auc_difference/")
OF_THE_MODEL = ("auc", "sensitivity", "specificity")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run: where the verified dossier is, whose key signed it, and its main numbers."""

    dossier: Path
    run_folder: Path
    model: Path | None
    key_id: str
    entries: int
    seconds: float
    headline: list[dict[str, Any]]


def finished(
    run: Run, stages: Sequence[Stage], *, model: Path | None, language: Language, started: float
) -> RunResult:
    """Return the result of a run that `started` then (monotonic seconds), its dossier built and verified."""
    dossier = make_dossier(run, stages, language)
    verified = verify_dossier(dossier, expected_key_id=run.key.key_id)
    return RunResult(
        dossier=dossier,
        run_folder=run.folder,
        model=model,
        key_id=run.key.key_id,
        entries=verified.entries,
        seconds=time.monotonic() - started,
        headline=headline(run),
    )


def make_dossier(run: Run, stages: Sequence[Stage], language: Language) -> Path:
    """Build the dossier of the ledger as it stands, unless it is there; earlier ones stay."""
    name = f"dossier-{run.log.size}-{language.value}"  # the log only grows: its size names its state
    out = run.folder / name
    if not out.exists():
        files = run.folder / f"files-{name}"
        if not files.exists():
            with whole_folder(files) as scratch:
                for stage in stages:
                    for path, _ in artefacts(stage):
                        target = scratch / path
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(stage.folder / ARTEFACTS / path, target)
        with run.progress.track("dossier", 1) as advance:
            build_dossier(run.folder / "ledger", out, key=run.key, artefacts=files, language=language)
            advance(1)
        shutil.rmtree(files)
    return out


def headline(run: Run) -> list[dict[str, Any]]:
    """Return the main evidence of a run as JSON values: what is said of the study's model."""
    wanted = (*HEADLINE, *(f"{family}/{run.study.main}/" for family in OF_THE_MODEL))
    return [
        dict(entry.body)
        for entry in run.log.entries
        if entry.kind == "evidence" and str(entry.body.get("key", "")).startswith(wanted)
    ]


def default_home() -> Path:
    """Return where the signing key is kept when HUIZHEN_HOME is not set."""
    return Path.home() / ".config" / "huizhen"
