"""What every run ends with: the dossier of its ledger, verified, and its main numbers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.files import whole_folder
from huizhen.core.progress import Progress
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.dossier.build import build_dossier
from huizhen.dossier.verification import verify_dossier
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.reporting import NOTHING, Added, Reporting, added_entries, enter_added
from huizhen.pipeline.stage import ARTEFACTS, Run, Stage, artefacts

__all__ = ["RunResult", "conduct", "default_home", "finished", "headline", "make_dossier"]

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


def conduct(
    study_file: Path,
    stages_of: Callable[[Run, Path], tuple[list[Stage], Path | None]],
    *,
    out: Path | None,
    roots: Sequence[Path | None],
    home: Path | None,
    progress: Progress,
    language: Language,
    reporting: Reporting = NOTHING,
) -> RunResult:
    """Run the stages of `study_file` to a verified dossier in `out` (default: <study>.run beside it).

    Goes on where an earlier run of the same study stood. Relative paths are looked up in `roots`, then beside
    the study file; `home` holds the signing key; `reporting` names a form and checklists. Raises `StudyError`
    when a file is wrong or differs from the study that `out` was signed for, and what the stages raise.
    """
    started = time.monotonic()
    study = load_study(study_file)
    added = added_entries(study, study_file, reporting)
    folder = out or study_file.with_suffix(".run")
    key = SigningKey.create_or_load((home or default_home()) / "signing_key.pem")
    with Log.open(folder / "ledger", key) as log:
        run = Run(
            study=study,
            folder=folder,
            roots=tuple(root.resolve() for root in (*roots, study_file.parent) if root is not None),
            key=key,
            log=log,
            cache=Cache(folder / "cache"),
            progress=progress,
            kept=home or default_home(),
        )
        stages, model = stages_of(run, study_file)
        return finished(run, stages, model=model, language=language, started=started, added=added)


def finished(
    run: Run,
    stages: Sequence[Stage],
    *,
    model: Path | None,
    language: Language,
    started: float,
    added: Sequence[Added] = (),
) -> RunResult:
    """Return the result of a run that `started` then (monotonic seconds), its dossier built and verified.

    What people `added` enters the ledger first.
    """
    enter_added(run.log, added)
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
