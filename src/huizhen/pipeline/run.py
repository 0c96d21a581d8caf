"""From study file to signed dossier: the stages in their order."""

from __future__ import annotations

import time
from pathlib import Path

from huizhen.core.progress import Progress
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.assess_stage import assess_stage
from huizhen.pipeline.cohort_stage import cohort_stage
from huizhen.pipeline.explain_stage import explain_stage
from huizhen.pipeline.finish import RunResult, default_home, finished
from huizhen.pipeline.fit_stage import fit_stages
from huizhen.pipeline.lock_stage import lock_stage
from huizhen.pipeline.model_bundle import MODEL
from huizhen.pipeline.predict_stage import predict_stage
from huizhen.pipeline.protocol import protocol_stage
from huizhen.pipeline.stage import Run, Stage


def run_study(
    study_file: Path,
    *,
    out: Path | None,
    data_root: Path | None,
    home: Path | None,
    progress: Progress,
    language: Language,
) -> RunResult:
    """Run `study_file` to a verified dossier in `out` (default: <study>.run beside it).

    Goes on where an earlier run of the same study stood. `home` holds the signing key. Raises `StudyError`
    when the file is wrong or differs from the study that `out` was signed for, and what the stages raise.
    """
    started = time.monotonic()
    study = load_study(study_file)
    folder = out or study_file.with_suffix(".run")
    roots = tuple(root.resolve() for root in (data_root, study_file.parent) if root is not None)
    key = SigningKey.create_or_load((home or default_home()) / "signing_key.pem")
    with Log.open(folder / "ledger", key) as log:
        run = Run(
            study=study,
            folder=folder,
            roots=roots,
            key=key,
            log=log,
            cache=Cache(folder / "cache"),
            progress=progress,
        )
        stages, model = _stages(run, study_file)
        return finished(run, stages, model=model, language=language, started=started)


def _stages(run: Run, study_file: Path) -> tuple[list[Stage], Path]:
    """Run all stages; return those with files for the dossier, and the model's folder."""
    protocol = protocol_stage(run, study_file)
    cohort = cohort_stage(run)
    fits = fit_stages(run, cohort)
    locked = lock_stage(run, cohort, fits)
    opened = predict_stage(run, cohort, fits, locked)
    assessed = assess_stage(run, opened)
    explained = explain_stage(run, opened, fits, locked)
    _enter_damage(run)
    found = [protocol, cohort.stage, locked.stage, opened.stage, assessed, explained]
    return [stage for stage in found if stage is not None], locked.stage.folder / MODEL


def _enter_damage(run: Run) -> None:
    """Enter damaged cache entries that were set aside and made anew, by this process or one killed before."""
    told = {name for entry in run.log.entries if entry.kind == "damage" for name in entry.body["entries"]}
    earlier = [name for name in run.cache.aside if name not in told and name not in run.cache.damaged]
    if found := [*earlier, *run.cache.damaged]:
        run.log.append("damage", {"entries": found})
        run.log.commit()
