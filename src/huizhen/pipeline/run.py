"""From study file to signed dossier: the stages in their order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.digests import digest_bytes
from huizhen.core.files import whole_folder, write_bytes
from huizhen.core.progress import Progress
from huizhen.core.study import Study
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.dossier.build import build_dossier
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import StudyError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.assess_stage import assess_stage
from huizhen.pipeline.cohort_stage import cohort_stage
from huizhen.pipeline.explain_stage import explain_stage
from huizhen.pipeline.fit_stage import fit_stages
from huizhen.pipeline.lock_stage import lock_stage
from huizhen.pipeline.model_bundle import MODEL
from huizhen.pipeline.predict_stage import predict_stage
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, artefacts

STUDY_DOMAIN = "study"
HEADLINE = ("endpoint/", "auc/cman/", "auc_difference/", "share_of_best/")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run: where the verified dossier is, whose key signed it, and its main numbers."""

    dossier: Path
    run_folder: Path
    model: Path
    key_id: str
    entries: int
    seconds: float
    headline: list[dict[str, Any]]


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
        dossier = make_dossier(run, stages, language)
        verified = verify_dossier(dossier, expected_key_id=key.key_id)
        return RunResult(
            dossier=dossier,
            run_folder=folder,
            model=model,
            key_id=key.key_id,
            entries=verified.entries,
            seconds=time.monotonic() - started,
            headline=headline(log),
        )


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


def protocol_stage(run: Run, study_file: Path) -> Stage:
    """Sign the study before any data is read. Raises `StudyError` if another one was signed here before."""
    study = run.study
    for entry in run.log.entries:
        if entry.kind == "study" and entry.body["digest"] != study.digest:
            raise StudyError(
                f"was changed after it was signed: {changed_keys(entry.body['study'], study)}",
                remedy="undo the change, or give the changed study its own run with --out",
                file=study_file.name,
            )
    text = study_file.read_bytes()

    def body(folder: Path) -> Made:
        write_bytes(folder / ARTEFACTS / "study.toml", text)
        signed = {
            "study": study.model_dump(mode="json"),
            "digest": study.digest,
            "signed_by": run.key.key_id,
            "signature": run.key.sign(STUDY_DOMAIN, bytes.fromhex(study.digest)),
        }
        return Made(entries=[("study", signed)])

    made_from = {"study.toml": digest_bytes(text)}
    return run.stage("protocol", [study.digest, run.key.key_id], body, made_from=made_from)


def changed_keys(signed: dict[str, Any], study: Study) -> str:
    """Return the top-level keys in which the signed study and `study` differ."""
    now = study.model_dump(mode="json")
    return ", ".join(sorted(key for key in {*signed, *now} if signed.get(key) != now.get(key)))


def _enter_damage(run: Run) -> None:
    """Enter damaged cache entries that were set aside and made anew, by this process or one killed before."""
    told = {name for entry in run.log.entries if entry.kind == "damage" for name in entry.body["entries"]}
    earlier = [name for name in run.cache.aside if name not in told and name not in run.cache.damaged]
    if found := [*earlier, *run.cache.damaged]:
        run.log.append("damage", {"entries": found})
        run.log.commit()


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


def headline(log: Log) -> list[dict[str, Any]]:
    """Return the main evidence of a run as JSON values."""
    return [
        dict(entry.body)
        for entry in log.entries
        if entry.kind == "evidence" and str(entry.body.get("key", "")).startswith(HEADLINE)
    ]


def default_home() -> Path:
    """Return where the signing key is kept when HUIZHEN_HOME is not set."""
    return Path.home() / ".config" / "huizhen"
