"""The truth of a phantom study as tables: recorded outcomes, latent values, best scores and best AUCs."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from huizhen.core.digests import digest_file
from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream
from huizhen.core.study import Role
from huizhen.data.phantom.folder import score_column
from huizhen.data.phantom.latent import Latent, best_aucs, draw, log_odds, modality_subsets, subset_name
from huizhen.data.phantom.spec import MODALITIES, Hospital, PhantomSpec


def latent_of(spec: PhantomSpec, hospital: Hospital, index: int, seed: int) -> Latent:
    """Return the latent truth (n = 1) of one patient, from its own stream."""
    return draw(spec, hospital, stream(seed, "phantom", hospital.name, index, "latent"), 1)


def write_tables(folder: Path, spec: PhantomSpec, seed: int) -> dict[str, str]:
    """Write labels, latent truth and best AUCs, and return the digests of these and the specification."""
    rows: list[dict[str, str]] = []
    paths = [folder / "truth" / name for name in ("spec.json", "latent.csv", "best_auc.json")]
    for hospital in spec.hospitals:
        own = [_latent_row(spec, hospital, index, seed) for index in range(hospital.patients)]
        labels = [{"patient": row["patient"], "outcome": row["recorded"]} for row in own]
        paths.append(folder / hospital.name / "labels.csv")
        write_text(paths[-1], _table(labels))
        rows += own
    write_text(folder / "truth" / "latent.csv", _table(rows))
    write_json(folder / "truth" / "best_auc.json", _best_aucs(spec, seed))
    return {str(path.relative_to(folder)): digest_file(path) for path in paths}


def _latent_row(spec: PhantomSpec, hospital: Hospital, index: int, seed: int) -> dict[str, str]:
    latent = latent_of(spec, hospital, index, seed)
    row = {"patient": hospital.patient_id(index), "hospital": hospital.name}
    for name in ("malignant", "recorded"):
        row[name] = "malignant" if getattr(latent, name)[0] else "benign"
    row["lesion"] = str(int(latent.lesion[0]))
    for k, modality in enumerate(MODALITIES):
        row[f"present_{modality}"] = str(int(latent.present[0, k]))
        for name in ("evidence", "rendered", "reliability"):
            row[f"{name}_{modality}"] = repr(float(getattr(latent, name)[0, k]))
    for name in ("density", "background", "radius_mm", "depth", "obscurity"):
        row[name] = repr(float(getattr(latent, name)[0]))
    for subset in modality_subsets():
        score = float(log_odds(spec, hospital, latent, subset)[0])
        row[score_column(subset)] = "" if score != score else repr(score)
    return row


def _table(rows: list[dict[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _best_aucs(spec: PhantomSpec, seed: int) -> dict[str, Any]:
    """Return the best reachable AUCs of each hospital, of each role and of all, for every subset."""
    groups: dict[str, tuple[Hospital, ...]] = {hospital.name: (hospital,) for hospital in spec.hospitals}
    for role in Role:
        groups[f"role:{role.value}"] = tuple(h for h in spec.hospitals if h.role is role)
    groups["all"] = spec.hospitals
    table: dict[str, Any] = {}
    for name, hospitals in groups.items():
        if hospitals:
            best = best_aucs(spec, hospitals, modality_subsets(), seed=seed, draws=spec.truth_draws)
            table[name] = {
                subset_name(subset): {"auc": auc, "standard_error": error}
                for subset, (auc, error) in best.items()
            }
    return {"draws": spec.truth_draws, "seed": seed, "groups": table}
