"""The stages of a study that judges a table of predictions: table, lock, predictions fixed, unsealing.

They have the shape of a study that makes its own model: the plan is signed before the table is opened; its
outcomes are committed to, thresholds locked and decisions fixed before an outcome is set beside a score. The
table came with its outcomes, though: the ledger shows what huizhen did, not what its makers knew.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest, canonical_json, digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_bytes, write_json
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.data.readers.paths import find_path
from huizhen.ledger.commitments import commitment
from huizhen.pipeline.cohort_stage import SALT, SEALED, OpenCohort
from huizhen.pipeline.opened import COHORT_WORDS, Opened
from huizhen.pipeline.prediction_table import GivenPredictions, given_of, read_predictions_of
from huizhen.pipeline.predictions_file import read_predictions, write_predictions
from huizhen.pipeline.risk_levels import level_column
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.table_thresholds import Cuts
from huizhen.validate.grouping import groups_of
from huizhen.validate.triage.levels import RiskLevels

__all__ = ["fixed_stage", "part_of", "table_stage", "unsealed_stage"]

GIVEN, RAW = "given.csv", "raw.npy"
FORM = 2
"""The form of the stages' folders: another one is made anew."""
COMMITTED = (GIVEN, SEALED)
READ = ("predictions", "task", "subgroup", "phantom")
"""The parts of the study that say how the table is read."""


def part_of(run: Run) -> Part:
    """Return the part that the tested patients are taken for."""
    return Part.EXTERNAL if given_of(run.study).cohort == "external" else Part.TEST


def table_stage(run: Run) -> Stage:
    """Read the table: scores into one file, outcomes, sealed, into another, and commit to both."""
    path = find_path(given_of(run.study).table, run.roots, field="predictions.table")
    digest = digest_file(path)

    def body(folder: Path) -> Made:
        with run.progress.track("ingest", 1) as advance:
            found = read_predictions_of(run.study, path, secret=run.key.derive_secret("pseudonyms"))
            advance(1)
        table = _blind(run.study, found, part_of(run))
        write_predictions(folder / GIVEN, table, phantom=run.study.phantom, outcome=False)
        outcomes = found.outcome.astype(int).tolist()
        write_json(folder / SEALED, dict(zip(table.patient.tolist(), outcomes, strict=True)))
        write_json(folder / SALT, {"salt": _salt(run, digest)})
        write_bytes(folder / RAW, _bytes(np.stack([one.raw for one in found.scores])))
        return Made(evidence=_flow(run, found), entries=_entries(run, folder, digest, found))

    keys = READ if run.study.triage is None else (*READ, "triage")
    settings = run.study.model_dump(mode="json", include=set(keys))
    made_from = {**study_part(run.study, *keys), "table": digest}
    return run.stage("table", [settings, digest, run.key.key_id, FORM], body, made_from=made_from)


def _salt(run: Run, table: Digest) -> str:
    """Return the salt of the commitments: derived, so that a killed run goes on with the same one."""
    secret = run.key.derive_secret("commitments")
    return hmac.new(secret, canonical_json([run.study.digest, table]), hashlib.sha256).hexdigest()


def _blind(study: Study, found: GivenPredictions, part: Part) -> Predictions:
    """Return the scores as risks or ranks, and groups instead of values, without outcomes and decisions."""
    return Predictions(
        patient=found.patient,
        cluster=found.cluster,
        site=found.site,
        part=part,
        outcome=np.zeros(found.patient.size, dtype=np.bool_),
        risk={one.name: one.risk for one in found.scores},
        groups={
            one.column: groups_of(found.groups[one.column], one)
            for one in study.subgroup
            if one.column in found.groups
        }
        | _reads(study, found),
        ranked=tuple(one.name for one in found.scores if one.scale == "rank"),
    )


def _bytes(raw: NDArray[np.float64]) -> bytes:
    """Return raw scores (scores, n) as the bytes of an npy file."""
    stream = io.BytesIO()
    np.save(stream, raw, allow_pickle=False)
    return stream.getvalue()


def _reads(study: Study, found: GivenPredictions) -> dict[str, NDArray[np.str_]]:
    """Return what readers said of each exam, where the study names such columns.

    In the words that the study has for recall and no recall, and nothing else: any other cell is no read.
    """
    columns = None if study.triage is None else study.triage.readers.columns
    if columns is None:
        return {}
    grouped = {one.column for one in study.subgroup}
    reads: dict[str, NDArray[np.str_]] = {}
    for name in columns.named:
        if name not in grouped:
            cells = found.groups[name]
            said = {cell: columns.said(cell) for cell in np.unique(cells).tolist()}
            reads[name] = np.array([said[cell] for cell in cells.tolist()], dtype=np.str_)
    return reads


def _entries(
    run: Run, folder: Path, digest: Digest, found: GivenPredictions
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what was read, and the commitment to scores and outcomes."""
    salt = _salt(run, digest)
    count = int(found.patient.size)
    read = {
        "outcomes_read_for": ["missing_label"],
        "table": {"sha256": digest, "rows": found.rows, "counted": count},
        "scales": {one.name: one.scale for one in found.scores},
    }
    commit = {
        "commitments": {name: commitment(salt, name, digest_file(folder / name)) for name in COMMITTED},
        "method": "given",
        "cohorts": {COHORT_WORDS[part_of(run)]: {"patients": _people(found), "sealed": _people(found)}},
    }
    return [("intake", read), ("commit", commit)]


def _flow(run: Run, found: GivenPredictions) -> list[Evidence]:
    """Return who came and who was left out, and who is tested where. No outcome is counted here."""
    unit = "row" if found.cluster is not None else "patient"
    included = {"rows": int(found.patient.size)} if found.cluster is not None else {}
    steps = [
        {"site": "", "step": "found", "rows": found.rows},
        {"site": "", "step": "included", "patients": _people(found), **included},
    ]
    left_out = [
        {"site": "", "unit": "row" if reason == "missing_patient" else unit, "reason": reason, "count": count}
        for reason, count in found.left_out.items()
    ]
    counted = [(site, {f"{unit}s": int(count)}) for site, count in _counted(found.site)]
    named = given_of(run.study).site is not None
    parts = [
        {"part": part_of(run).value, **({"site": site} if named else {}), **row} for site, row in counted
    ]
    shared: dict[str, Any] = {
        "stage": "data",
        "n": int(found.patient.size),
        "unit": unit,
        "descriptive": True,
        "phantom": run.study.phantom,
    }
    detail = {"steps": steps, "exclusions": left_out}
    return [
        Evidence(key="data/flow", metric="flow", detail=detail, **shared),
        Evidence(key="data/allocation", metric="allocation", detail={"parts": parts, "folds": 1}, **shared),
    ]


def _people(found: GivenPredictions) -> int:
    """Return how many patients the rows are of."""
    return int(np.unique(found.cluster).size if found.cluster is not None else found.patient.size)


def _counted(names: NDArray[np.str_]) -> list[tuple[str, int]]:
    values, counts = np.unique(names, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


# --- fixed, then opened --------------------------------------------------------------------------------


def _file(run: Run) -> str:
    """Return the name of the published table, as that of a run's tested part."""
    return f"predictions_{part_of(run).value}.csv"


def fixed_stage(run: Run, table: Stage, locked: Stage, cuts: Cuts, levels: RiskLevels | None = None) -> Stage:
    """Make decisions and levels at the locked cuts, and enter the digest of all answers, without outcomes."""

    def body(folder: Path) -> Made:
        given = read_predictions(table.folder / GIVEN, part_of(run), outcomes=defaultdict(int))
        raw = dict(zip(given.risk, np.load(table.folder / RAW, allow_pickle=False), strict=True))
        decision = {name: cuts.called(name, raw[name]) for name in given.risk if name in cuts.at}
        main = run.study.main
        level = {} if levels is None else {main: level_column(levels, raw[main])}
        answers = replace(given, decision=decision, level=level)
        write_predictions(folder / _file(run), answers, phantom=run.study.phantom, outcome=False)
        fixed = {_file(run): digest_file(folder / _file(run))}
        return Made(entries=[("predictions", {"without_outcomes": fixed})])

    made_from = {"lock": locked.digest, "table": table.digest}
    return run.stage("predict", [locked.digest, table.digest, FORM], body, made_from=made_from)


def unsealed_stage(run: Run, table: Stage, locked: Stage, fixed: Stage) -> Opened:
    """Open the sealed outcomes, set them beside the answers, and enter what was opened."""
    part, name = part_of(run), _file(run)
    opened = {
        "lock_entry": _newest(run, "lock"),
        "commit_entry": _newest(run, "commit"),
        "predictions_entry": _newest(run, "predictions"),
        "sealed_outcomes": digest_file(table.folder / SEALED),
        "salt": table.read(SALT)["salt"],
        "opened": {one: digest_file(table.folder / one) for one in COMMITTED},
    }

    def body(folder: Path) -> Made:
        found = read_predictions(fixed.folder / name, part, table.read(SEALED))
        write_predictions(folder / ARTEFACTS / name, found, phantom=run.study.phantom)
        return Made(entries=[("unseal", opened)], evidence=[_outcomes(run, found)])

    made_from = {"predict": fixed.digest, "sealed outcomes": digest_file(table.folder / SEALED)}
    stage = run.stage("unseal", [fixed.digest, table.digest, FORM], body, made_from=made_from)
    return Opened(
        stage=stage,
        cohort=OpenCohort(stage=table, cases=(), folds=()),
        predictions={part: read_predictions(stage.folder / ARTEFACTS / name, part)},
    )


def _newest(run: Run, kind: str) -> int:
    return max(entry.index for entry in run.log.entries if entry.kind == kind)


def _outcomes(run: Run, found: Predictions) -> Evidence:
    """Return the events, by site where the table names them, counted only now."""
    named = given_of(run.study).site is not None
    unit = "row" if found.cluster is not None else "patient"
    sites = [
        {
            "site": site,
            f"{unit}s": int(np.count_nonzero(found.site == site)),
            "positive": int(np.count_nonzero(found.outcome[found.site == site])),
        }
        for site, _ in _counted(found.site)
    ]
    total = {f"{unit}s": found.outcome.size, "positive": int(np.count_nonzero(found.outcome))}
    return Evidence(
        key="data/outcomes",
        metric="outcomes",
        stage="data",
        n=found.outcome.size,
        n_events=total["positive"],
        unit=unit,
        descriptive=True,
        phantom=run.study.phantom,
        detail={"parts": [{"part": found.part.value, **total}], **({"sites": sites} if named else {})},
    )
