"""From study file to signed dossier: the stages in their order."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.progress import Progress
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.pipeline.assess_stage import assess_stage
from huizhen.pipeline.cohort_stage import cohort_stage
from huizhen.pipeline.conformal_stage import conformal_stage
from huizhen.pipeline.explain_stage import explain_stage
from huizhen.pipeline.finish import RunResult, conduct
from huizhen.pipeline.fit_stage import fit_stages
from huizhen.pipeline.lock_stage import lock_stage
from huizhen.pipeline.model_bundle import MODEL
from huizhen.pipeline.predict_stage import predict_stage
from huizhen.pipeline.protocol import protocol_stage
from huizhen.pipeline.reporting import NOTHING, Reporting
from huizhen.pipeline.robustness_stages import robustness_stages
from huizhen.pipeline.shortcut_stage import shortcut_stage
from huizhen.pipeline.stage import Run, Stage
from huizhen.pipeline.table_run import given_stages


def run_study(
    study_file: Path,
    *,
    out: Path | None,
    data_root: Path | None,
    home: Path | None,
    progress: Progress,
    language: Language,
    reporting: Reporting = NOTHING,
) -> RunResult:
    """Run `study_file` to a verified dossier in `out` (default: <study>.run beside it).

    A study of a table that was made elsewhere has its own stages. Raises as `conduct`.
    """
    stages = given_stages if load_study(study_file).is_given else _stages
    return conduct(
        study_file,
        stages,
        out=out,
        roots=[data_root],
        home=home,
        progress=progress,
        language=language,
        reporting=reporting,
    )


def _stages(run: Run, study_file: Path) -> tuple[list[Stage], Path | None]:
    """Run all stages; return those with files for the dossier, and the model's folder."""
    protocol = protocol_stage(run, study_file)
    cohort = cohort_stage(run)
    fits = fit_stages(run, cohort)
    locked = lock_stage(run, cohort, fits)
    opened = predict_stage(run, cohort, fits, locked)
    assessed = assess_stage(run, opened)
    explained = explain_stage(run, opened, fits, locked)
    sets = conformal_stage(run, opened, locked)
    tried = [*robustness_stages(run, opened, fits, locked), shortcut_stage(run, opened, fits, locked)]
    _enter_damage(run)
    found = [protocol, cohort.stage, locked.stage, opened.stage, assessed, explained, sets, *tried]
    return [stage for stage in found if stage is not None], locked.stage.folder / MODEL


def _enter_damage(run: Run) -> None:
    """Enter damaged cache entries that were set aside and made anew, by this process or one killed before."""
    told = {name for entry in run.log.entries if entry.kind == "damage" for name in entry.body["entries"]}
    earlier = [name for name in run.cache.aside if name not in told and name not in run.cache.damaged]
    if found := [*earlier, *run.cache.damaged]:
        run.log.append("damage", {"entries": found})
        run.log.commit()
