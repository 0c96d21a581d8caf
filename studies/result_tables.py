"""The tables of a results page, in Markdown, from a finished run: its ledger and its locked predictions.

    python studies/result_tables.py RUN_FOLDER [--having MODALITY]... [--by TABLE PATIENT_COLUMN COLUMN]...

`--having` adds the AUCs among patients who have a modality, `--by` those among patients with each value of a
column of a table. The latter needs the run's own folder: a table knows patients, predictions only pseudonyms.
Everything else is what the signed ledger says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.core.table_text import rows_of
from huizhen.errors import NotEstimableError
from huizhen.ledger.reading import VerifiedLog, read_log
from huizhen.pipeline.predictions_file import read_predictions
from huizhen.validate.assessments.discrimination import auc_of, difference_of
from huizhen.validate.assessments.interface import Evaluation, Measured

COHORTS = {"internal": Part.TEST, "external": Part.EXTERNAL}
BASELINE = "table_lr"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--having", action="append", default=[])
    parser.add_argument("--by", action="append", default=[], nargs=3)
    asked = parser.parse_args()
    log = read_log(asked.run / "ledger")
    evidence = {e.body["key"]: e.body for e in log.entries if e.kind == "evidence"}
    for block in (head_lines(log), endpoint_lines(evidence), auc_lines(evidence), subset_lines(evidence)):
        print("\n".join(block), end="\n\n")
    for cohort, part in COHORTS.items():
        for file in (asked.run / "stages").glob(f"unseal-*/artefacts/predictions_{part.value}.csv"):
            evaluation = evaluation_of(log, read_predictions(file, part))
            for title, group in groups(asked.run, evaluation, asked.having, asked.by):
                print("\n".join(group_lines(evaluation, cohort, title, group)), end="\n\n")


def head_lines(log: VerifiedLog) -> Iterator[str]:
    """Yield what names the run: the ledger head, digests of study and model, and how long it took."""
    bodies = {e.kind: e.body for e in log.entries}
    seconds = sum(e.body["seconds"] for e in log.entries if e.kind == "stage")
    yield f"Ledger of {log.head.size} entries, root `{log.head.root}`; study `{bodies['study']['digest']}`;"
    yield f"model `{bodies['lock']['model_digest']}`. {seconds / 60:.0f} minutes of stages."
    kept: dict[str, list[int]] = {}
    for e in log.entries:
        if e.kind == "evidence" and e.body["metric"] == "training":
            kept.setdefault(e.body["key"].split("/")[1], []).append(e.body["detail"]["kept_epoch"])
    yield "Epochs kept, by fold: " + "; ".join(f"{m} {', '.join(map(str, k))}" for m, k in kept.items()) + "."


def endpoint_lines(evidence: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of endpoints."""
    yield "| endpoint | cohort | found (95 % interval) | n (events) | bound on the lower limit | verdict |"
    yield "|---|---|---|---|---|---|"
    for key, body in evidence.items():
        if key.startswith("endpoint/"):
            bound = body.get("bound", {}).get("at_least", "")
            _, _, metric, cohort = key.split("/")
            yield f"| {metric} | {cohort} | {shown(body)} | {bound} | {body['verdict']} |"


def auc_lines(evidence: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of AUCs over all and by site, with cman's lead over each model."""
    yield "| model | cohort | group | AUC (95 % interval) | n (events) | CMAN less this, paired | n |"
    yield "|---|---|---|---|---|---|---|"
    for key, body in evidence.items():
        if not key.startswith("auc/"):
            continue
        _, model, cohort, group = key.split("/")
        if group != "all" and model not in ("cman", BASELINE):
            continue
        lead = evidence.get(f"auc_difference/cman~{model}/{cohort}/{group}")
        last = f"{signed(lead)} | {lead.get('n', '')}" if lead else " | "
        yield f"| {model} | {cohort} | {group} | {shown(body)} | {last} |"


def subset_lines(evidence: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of every modality subset, CMAN being shown nothing else."""
    yield "| shown to CMAN | internal AUC (95 % interval) | n (events) | external AUC | n (events) |"
    yield "|---|---|---|---|---|"
    for key, body in evidence.items():
        if key.startswith("subset_auc/") and key.endswith("/internal"):
            other = evidence.get(key.removesuffix("internal") + "external")
            yield f"| {key.split('/')[1]} | {shown(body)} | {shown(other) if other else ' | '} |"


def evaluation_of(log: VerifiedLog, predictions: Predictions) -> Evaluation:
    """Return what measures the predictions, by the signed study."""
    from huizhen.core.study import Study

    signed = next(e.body["study"] for e in log.entries if e.kind == "study")
    return Evaluation(predictions=predictions, study=Study.model_validate(signed), phantom=False)


def groups(
    run: Path, evaluation: Evaluation, having: Sequence[str], by: Sequence[Sequence[str]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the groups that were asked for: a title and the mask (n,) of its patients."""
    table = evaluation.predictions
    for name in having:
        yield f"with {name}", table.present[name]
    patients = patient_ids(run) if by else {}
    for path, patient, column in by:
        cells = {row[patient]: row[column] for row in rows_of(Path(path), [patient, column])}
        values = np.array([cells.get(patients[p], "") for p in table.patient])
        for value in sorted(set(values.tolist())):
            yield f"{column} = {value or 'missing'}", values == value


def patient_ids(run: Path) -> dict[str, str]:
    """Return pseudonym -> patient id, from the run's own folder."""
    (file,) = (run / "stages").glob("cohort-*/cases.json")
    return {case["pseudonym"]: case["patient_id"] for case in json.loads(file.read_text(encoding="utf-8"))}


def group_lines(evaluation: Evaluation, cohort: str, title: str, group: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the table of one group's AUCs."""
    yield f"Recomputed from the locked predictions, {cohort}, {title}:\n"
    yield "| model | AUC (95 % interval) | n (events) | CMAN less this, paired |"
    yield "|---|---|---|---|"
    for model in evaluation.full_models:
        try:
            found = as_body(auc_of(evaluation, model, group))
            lead = as_body(difference_of(evaluation, "cman", model, group)) if model != "cman" else None
        except NotEstimableError as error:
            yield f"| {model} | not assessed: {error.message} | | |"
            continue
        yield f"| {model} | {shown(found)} | {signed(lead) if lead else ''} |"


def as_body(found: Measured) -> dict[str, Any]:
    """Return a measure as an evidence entry would hold it."""
    if found.interval is None:
        return {"reason": "no interval"}
    limits = {"low": found.interval.low, "high": found.interval.high}
    return {"estimate": found.estimate, "interval": limits, "n": found.n, "n_events": found.n_events}


def shown(body: Mapping[str, Any]) -> str:
    """Return estimate, interval, n and events as two cells, or why there are none."""
    if "interval" not in body:
        return f"not assessed: {body.get('reason', '')} | "
    low, high = body["interval"]["low"], body["interval"]["high"]
    return f"{body['estimate']:.3f} ({low:.3f} to {high:.3f}) | {body['n']} ({body['n_events']})"


def signed(body: Mapping[str, Any]) -> str:
    """Return a difference with its sign and interval in one cell."""
    if "interval" not in body:
        return f"not assessed: {body.get('reason', '')}"
    low, high = body["interval"]["low"], body["interval"]["high"]
    return f"{body['estimate']:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
