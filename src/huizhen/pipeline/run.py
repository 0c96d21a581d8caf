"""From study file to signed dossier: the stages in their order."""

from __future__ import annotations

import shutil
from pathlib import Path

from huizhen.core.cohort import Part
from huizhen.core.progress import Progress
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.errors import StageError
from huizhen.pipeline.assess_stage import assess_stage
from huizhen.pipeline.cohort_stage import OpenCohort, cohort_stage
from huizhen.pipeline.conformal_stage import conformal_stage
from huizhen.pipeline.consents_again import MOST_TRIES, held_again
from huizhen.pipeline.explain_stage import explain_stage
from huizhen.pipeline.finish import RunResult, conduct
from huizhen.pipeline.fit_stage import FittedModel, fit_stages
from huizhen.pipeline.harmonise_stage import harmonised_tests
from huizhen.pipeline.learned_from import ALL, How, Learned, learned_by
from huizhen.pipeline.lock_stage import Locked, lock_stage
from huizhen.pipeline.model_bundle import MODEL
from huizhen.pipeline.predict_stage import predict_stage
from huizhen.pipeline.protocol import protocol_stage
from huizhen.pipeline.reporting import NOTHING, Reporting
from huizhen.pipeline.robustness_stages import robustness_stages
from huizhen.pipeline.shortcut_stage import shortcut_stage
from huizhen.pipeline.stage import Run, Stage
from huizhen.pipeline.table_run import given_stages
from huizhen.pipeline.transfer_stage import permitted_flows, transfer_stage


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
    permitted = permitted_flows(run, study_file)
    protocol = protocol_stage(run, study_file)
    transfer_stage(run, permitted)
    cohort, fits, locked = _permitted(run, learned_by(run, study_file))
    opened = predict_stage(run, cohort, fits, locked)
    assessed = assess_stage(run, opened)
    explained = explain_stage(run, opened, fits, locked)
    sets = conformal_stage(run, opened, locked)
    told = harmonised_tests(run, cohort, next((fitted.harmony for fitted in fits), None))
    tried = [*robustness_stages(run, opened, fits, locked), shortcut_stage(run, opened, fits, locked)]
    _enter_damage(run)
    found = [protocol, cohort.stage, locked.stage, opened.stage, assessed, explained, sets, told, *tried]
    return [stage for stage in found if stage is not None], locked.stage.folder / MODEL


def _permitted(run: Run, learned: Learned) -> tuple[OpenCohort, list[FittedModel], Locked]:
    """Return cohort, fits and lock over patients who permit it right before the test set is opened.

    Where a consent ended meanwhile, fits and lock are deleted and all three made anew. Raises `StageError`
    when that goes on and on.
    """
    for _ in range(MOST_TRIES):
        cohort = cohort_stage(run)
        if not held_again(run, cohort, "training"):
            continue
        used = ((How.TRAINED, cohort.within(Part.TRAIN)), (How.TUNED, cohort.within(Part.TUNE)))
        for how, cases in used:
            learned.note(how, ALL, cases)
        fits = fit_stages(run, cohort)
        locked = lock_stage(run, cohort, fits)
        if held_again(run, cohort, "test"):
            learned.note(How.TESTED, ALL, cohort.within(Part.TEST, Part.EXTERNAL))
            return cohort, fits, locked
        harmony = next((fitted.harmony for fitted in fits), None)
        for stage in (*(fitted.stage for fitted in fits), locked.stage, *([harmony] if harmony else [])):
            shutil.rmtree(stage.folder)
        for _, cases in used:
            learned.note(How.DROPPED, ALL, cases)
    raise StageError(
        f"consents ended {MOST_TRIES} times while the run was under way",
        remedy="run again when the register is quiet",
        field="use",
    )


def _enter_damage(run: Run) -> None:
    """Enter damaged cache entries that were set aside and made anew, by this process or one killed before."""
    told = {name for entry in run.log.entries if entry.kind == "damage" for name in entry.body["entries"]}
    earlier = [name for name in run.cache.aside if name not in told and name not in run.cache.damaged]
    if found := [*earlier, *run.cache.damaged]:
        run.log.append("damage", {"entries": found})
        run.log.commit()
