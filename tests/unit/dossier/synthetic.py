"""A made-up run of a phantom study: ledger, heatmaps and files, random but plausible, fixed by a seed.

`write_run(folder, key)` gives what a pipeline leaves behind. Every number is invented and marked phantom.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from huizhen.core.digests import digest_bytes, digest_value
from huizhen.core.evidence import Bound, Evidence, Interval, Verdict, judge
from huizhen.core.streams import stream
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

MODALITIES = ("MG", "MR", "US")
MODELS = {"cman": 0.89, "concatenation": 0.86, "late_average": 0.85, "single:MG": 0.78, "single:MR": 0.83}
MODELS |= {"single:US": 0.74, "table_lr": 0.69}
SITES = {"internal": ("north", "river", "harbour"), "external": ("mountain",)}
SIZES = {"internal": (213, 71), "external": (120, 44)}
BOOTSTRAP = "patient bootstrap, 2000 resamples"


@dataclass
class Run:
    """A run on disk: its ledger, its artefacts and the key that signed."""

    ledger: Path
    artefacts: Path
    key: SigningKey


@dataclass
class Ticking:
    """A clock that moves on by seconds, so that times in the ledger differ but never change between runs."""

    now: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 8, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=17)
        return self.now


def study(**changes: Any) -> dict[str, Any]:
    """Return a study as plain values."""
    image = {"kind": "image", "title": "", "encoder": "efficientnet-lite0", "size": 128, "max_images": 4}
    table = {
        "name": "clinical",
        "kind": "table",
        "numeric": ["age_years"],
        "categorical": ["density"],
        "leave_out": {"stage": "known only after surgery"},
    }
    lower = {"model": "cman", "against": None, "on": "lower"}
    value: dict[str, Any] = {
        "schema_version": 1,
        "name": "breast-trio",
        "title": "Malignancy from mammography, MRI and ultrasound in four simulated hospitals",
        "title_zh": "基于乳腺X线、磁共振与超声的良恶性判别（四家模拟医院）",
        "question": "Does joint attention over three modalities tell malignant from benign lesions at a "
        "hospital that took no part in training?",
        "seed": 7,
        "phantom": True,
        "task": {
            "kind": "binary",
            "outcome": "malignancy",
            "positive": ["malignant"],
            "negative": ["benign"],
        },
        "modality": [*({"name": name, **image} for name in MODALITIES), table],
        "site": [
            *({"name": n, "role": "development", "jurisdiction": "CN"} for n in SITES["internal"]),
            {"name": "mountain", "role": "external", "jurisdiction": "CH"},
        ],
        "threshold": {"rule": "sensitivity", "target": 0.9},
        "endpoint": [
            {**lower, "metric": "auc", "cohort": "internal", "at_least": 0.8},
            {
                **lower,
                "metric": "auc_difference",
                "against": "concatenation",
                "cohort": "external",
                "at_least": -0.05,
            },
            {**lower, "metric": "sensitivity", "cohort": "external", "at_least": 0.9},
        ],
        "evaluation": {
            "net_benefit_range": [0.05, 0.5],
            "prevalence": 0.02,
            "at_specificity": 0.9,
            "partial_auc": {"specificity": 0.8, "sensitivity": None},
            "costs": {"false_negative": 20.0, "false_positive": 1.0},
            "multiplicity": "holm",
            "least_events": 10,
            "least_shown": 5,
        },
        "subgroup": [
            {"column": "sex", "title": "Sex", "title_zh": "性别", "cross": ["present:MR"]},
            {"column": "present:MR", "title": "", "title_zh": ""},
            {"column": "density/BI-RADS", "title": "Density", "title_zh": ""},
        ],
        "split": {"method": "folds", "test": 0.25, "tune": 0.15, "folds": 3, "near_duplicate_distance": 3},
        "network": {
            "variants": ["cman", "concatenation", "late_average", "single", "table_lr"],
            "width": 96,
        },
        "training": {"mode": "frozen", "epochs": 40},
    }
    return value | changes


def write_run(folder: Path, key: SigningKey, *, cases: int = 8, changes: dict[str, Any] | None = None) -> Run:
    """Write a whole run under `folder` and return it; `cases` heatmap cases a cohort."""
    rng = stream(7, "synthetic")
    signed = study(**(changes or {}))
    digest, model_digest = digest_value(signed), digest_value({"weights": "synthetic"})
    artefacts = folder / "artefacts"
    with Log.open(folder / "ledger", key, clock=Ticking()) as log:
        log.append("study", {"study": signed, "digest": digest, "signed_by": key.key_id})
        _enter(log, data_evidence())
        _stage(log, "data")
        _enter(log, training_evidence(rng))
        log.append("model", {"card": model_card(digest), "digest": model_digest})
        lock = {"model_digest": model_digest, "study_digest": digest, "decisions": _locked()}
        entry = log.append("lock", lock)
        _stage(log, "lock")
        log.append("unseal", {"lock_entry": entry.index, "sealed_outcomes": digest_value("sealed")})
        for cohort in SIZES:
            _enter(log, result_evidence(rng, cohort))
        _file(log, artefacts, "predictions.csv", b"patient,site,risk\nP-0001,north,0.25\n")
        _stage(log, "validate")
        _enter(log, explanation_evidence(rng, log, artefacts, cases))
        _enter(log, rest_evidence())
        log.commit()
    return Run(ledger=folder / "ledger", artefacts=artefacts, key=key)


def _enter(log: Log, found: list[Evidence]) -> None:
    for evidence in found:
        log.append("evidence", evidence.to_json())


def _locked() -> dict[str, Any]:
    decision = {"platt": {"intercept": -0.1, "slope": 1.1}, "threshold": 0.3}
    return {"cman": {str(fold): decision for fold in range(3)}}


def _stage(log: Log, name: str) -> None:
    before = [entry.body for entry in log.entries if entry.kind == "stage"][-1:]
    inputs = [{"what": body["stage"], "digest": body["digest"]} for body in before]
    inputs.append({"what": "study: seed", "digest": digest_value({"seed": 1})})
    log.append("stage", {"stage": name, "digest": digest_value(name), "seconds": 12.5, "inputs": inputs})
    log.commit()


def _file(log: Log, folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    log.append("artefact", {"path": path, "sha256": digest_bytes(data), "size": len(data)})


def measured(key: str, value: float, half: float, n: int, events: int, **more: Any) -> Evidence:
    """Return evidence with an interval of ±`half`; the metric is the key's first part or an endpoint's."""
    parts = key.split("/")
    bound: Bound | None = more.get("bound")
    top, method = more.pop("most", 1.0), more.pop("method", "DeLong")
    interval = Interval(low=value - half, high=min(top, value + half), method=method)
    return Evidence(
        key=key,
        metric=parts[2] if parts[0] == "endpoint" else parts[0],
        stage="validate",
        estimate=value,
        interval=interval,
        n=n,
        n_events=events,
        phantom=True,
        verdict=judge(value, interval, bound),
        **more,
    )


def described(key: str, metric: str, detail: dict[str, Any], **more: Any) -> Evidence:
    """Return descriptive evidence."""
    return Evidence(
        key=key, metric=metric, stage="made-up", descriptive=True, phantom=True, detail=detail, **more
    )


def data_evidence() -> list[Evidence]:
    """Return flow, cohort and leakage."""
    found = {"north": 90, "river": 74, "harbour": 61, "mountain": 128}
    lost = {"north": 6, "river": 3, "harbour": 3, "mountain": 8}
    steps = [
        {
            "site": site,
            "step": step,
            "patients": n - (lost[site] if k > 1 else 0) - (k // 3 if site == "harbour" else 0),
            "images": 6 * n - 9 * k,
        }
        for site, n in found.items()
        for k, step in enumerate(("found", "readable", "labelled", "included"))
    ]
    exclusions = [
        {"site": "north", "unit": "image", "reason": "unreadable", "count": 4},
        {"site": "river", "unit": "image", "reason": "exact_duplicate", "count": 9},
        *({"site": s, "unit": "patient", "reason": "missing_label", "count": n} for s, n in lost.items()),
        {"site": "harbour", "unit": "patient", "reason": "two_sites", "count": 1},
    ]
    rows = [
        {
            "site": site,
            "patients": n - lost[site],
            "positive": n // 3,
            "modalities": [
                {"modality": m, "patients": n - 20, "share": 0.78, "images": 240} for m in MODALITIES
            ],
            "scanners": [{"scanner": f"Phantom {site}", "images": 200}],
        }
        for site, n in found.items()
    ]
    tallies = [{"site": "north", "what": "beyond_bag_limit", "count": 12}]
    size = {"n": 332, "n_events": 115}
    leakage = {"folds": 3, "images": 1998, "pairs_compared": 1_990_011, "distance_limit": 3, "bits": 256}
    reason = "no patient, identical or nearly identical image stands in two parts of a fold"
    flow = {"steps": steps, "exclusions": exclusions, "tallies": tallies}
    day = {"day": "2026-11-24"}
    asked = {"permitted": 84, "no_consent": 4, "withdrawn": 2, "day": "2026-11-23", "register": "ab" * 32}
    return [
        described("consent/north", "consent", asked, n=90),
        described("consent_rounds/north", "consent_rounds", {"left_out": 3, "expired": 3, **day}, n=84),
        described("consent_withdrawn/north", "consent_withdrawn", {"retrain": 1, "trained": 2, **day}, n=2),
        Evidence(
            key="consent_unlearned/north",
            metric="consent_unlearned",
            stage="privacy",
            estimate=3.25,
            n=2,
            phantom=True,
            descriptive=True,
            detail={"delta": 1e-5, "bound": 8.0, "version": 1, **day},
        ),
        Evidence(
            key="consent_unlearned/south",
            metric="consent_unlearned",
            stage="privacy",
            phantom=True,
            verdict=Verdict.NOT_ASSESSED,
            reason="the study set no bound for approximate unlearning beforehand",
            detail={"why": "no_bound"},
        ),
        *crossing_evidence(),
        described("data/flow", "flow", flow, **size),
        described("data/cohort", "cohort", {"sites": rows}, **size),
        described("data/leakage", "leakage", leakage, verdict=Verdict.PASS, reason=reason, **size),
    ]


def crossing_evidence() -> list[Evidence]:
    """Return the decisions on two flows, and a table held against a site's policy."""
    flow = {"sender": "north", "receiver": "lead", "kind": "updates", "origin": "CN", "destination": "DE"}
    told = {"outcome": "permitted", "rules": ["CB-8-sensitive", "PIPL-55"], "documents": ["SCC-7"]}
    more = {"unverified": ["PIPL-55"], "missing": [], "day": "2026-11-23"}
    down = {"sender": "lead", "receiver": "north", "kind": "weights", "origin": "DE", "destination": "CN"}
    risk = {"smallest_class": 3, "max_risk": 0.333, "average_risk": 0.05, "share_above": 0.1}
    why, held = "the rules permit it", "the bounds of the site's policy don't hold"
    return [
        described(
            "transfer/north/lead/updates",
            "transfer",
            flow | told | more | {"replaced": ["CN-HGR"]},
            verdict=Verdict.PASS,
            reason=why,
        ),
        described(
            "transfer/lead/north/weights", "transfer", down | told | more, verdict=Verdict.PASS, reason=why
        ),
        described(
            "disclosure/north/0",
            "disclosure",
            risk,
            estimate=3.0,
            verdict=Verdict.FAIL,
            reason=held,
            n=90,
        ),
    ]


def training_evidence(rng: np.random.Generator) -> list[Evidence]:
    """Return training curves and thresholds."""
    found: list[Evidence] = []
    for model, level in MODELS.items():
        for fold in range(3):
            if model != "table_lr":
                found.append(_training(rng, model, level, fold))
            threshold = {"rule": "sensitivity", "target": 0.9, "tuning_n": 32}
            value = round(float(rng.uniform(0.18, 0.35)), 4)
            key = f"threshold/{model}/fold{fold}"
            found.append(described(key, "threshold", threshold, estimate=value, n=32, n_events=11))
    return found


def _training(rng: np.random.Generator, model: str, level: float, fold: int) -> Evidence:
    epochs = np.arange(1, 31)
    loss = 0.35 + 0.4 * np.exp(-epochs / 8) + rng.normal(0, 0.012, size=30)
    auc = np.minimum(0.99, level - 0.25 * np.exp(-epochs / 6) + rng.normal(0, 0.012, size=30))
    detail = {
        "epoch": epochs.tolist(),
        "loss": np.round(loss, 6).tolist(),
        "tune_auc": np.round(auc, 6).tolist(),
        "member": 0,
    }
    return described(f"training/{model}/fold{fold}/member0", "training", detail, n=128, seed=7)


def model_card(digest: str) -> dict[str, Any]:
    """Return a model card."""
    return {
        "name": "breast-trio",
        "version": "1",
        "study_digest": digest,
        "intended_use": "Research on phantoms only.",
        "limits": ["Trained on simulated phantoms: no figure is clinical."],
        "thresholds": {f"cman/fold{k}": 0.27 for k in range(3)},
        "training": {"sites": list(SITES["internal"]), "n": 213, "n_events": 71, "seed": 7},
        "phantom": True,
    }


def result_evidence(rng: np.random.Generator, cohort: str) -> list[Evidence]:
    """Return everything that validation reports of one cohort."""
    return [
        *_endpoints(cohort),
        *_discrimination(rng, cohort),
        *_decisions(rng, cohort),
        *_targets(cohort),
        *(_unanswered() if cohort == "external" else ()),
        *_calibration(rng, cohort),
        *_planned(cohort),
        *_utility(cohort),
        *_subgroups(cohort),
        *_subsets(rng, cohort),
    ]


def _endpoints(cohort: str) -> list[Evidence]:
    if cohort == "internal":
        bound = Bound(at_least=0.8)
        return [
            measured("endpoint/1/auc/internal", 0.893, 0.041, 213, 71, bound=bound, detail={"model": "cman"})
        ]
    holm = {"p": 0.003, "p_adjusted": 0.006, "alpha": 0.025, "family": 1}
    gain = {"model": "cman", "against": "concatenation", "z": 2.17, **holm}
    key = "endpoint/2/auc_difference/external"
    share = {"model": "cman", "count": 39, "of": 44, **holm, "p": 0.6, "p_adjusted": 0.6}
    more: dict[str, Any] = {"bound": Bound(at_least=0.9), "detail": share, "method": "Wilson"}
    return [
        measured(key, 0.041, 0.037, 120, 44, bound=Bound(at_least=-0.05), detail=gain),
        measured("endpoint/3/sensitivity/external", 39 / 44, 0.1, 44, 44, **more),
    ]


def _discrimination(rng: np.random.Generator, cohort: str) -> list[Evidence]:
    n, events = SIZES[cohort]
    found: list[Evidence] = []
    for model, level in MODELS.items():
        value = level - (0.03 if cohort == "external" else 0) + float(rng.uniform(-0.005, 0.005))
        unanswered = {"unanswered": 31} if model.startswith("single") else {}
        found.append(measured(f"auc/{model}/{cohort}/all", value, 0.045, n, events, detail=unanswered))
        for k, site in enumerate(SITES[cohort]):
            small = {"small": True} if site == "harbour" else {}
            at = value + float(rng.uniform(-0.05, 0.04))
            found.append(measured(f"auc/{model}/{cohort}/{site}", at, 0.08, 60 + k, 20, detail=small))
        if model != "cman":
            gap = float(0.893 - level)
            test = {"p": float(np.exp(-80 * gap)), "z": 30 * gap}
            key = f"auc_difference/cman~{model}/{cohort}/all"
            found.append(measured(key, gap, 0.03, n, events, detail=test))
        found.append(_roc(model, value, cohort, n, events))
    return found


def _roc(model: str, auc: float, cohort: str, n: int, events: int) -> Evidence:
    fpr, power = np.linspace(0, 1, 61), (1 - auc) / auc
    detail: dict[str, Any] = {
        "fpr": fpr.tolist(),
        "tpr": (np.round(events * fpr**power) / events).tolist(),
    }
    if model == "cman":
        grid = np.linspace(0, 1, 41)
        spread = 0.1 * np.sqrt(grid * (1 - grid)) + 0.02
        detail |= {"band_fpr": grid.tolist()}
        detail |= {"band_low": np.clip(grid**power - spread, 0, 1).tolist()}
        detail |= {"band_high": np.clip(grid**power + spread, 0, 1).tolist()}
    return described(f"roc/{model}/{cohort}", "roc", detail, n=n, n_events=events)


def _decisions(rng: np.random.Generator, cohort: str) -> list[Evidence]:
    n, events = SIZES[cohort]
    found: list[Evidence] = []
    for metric, low, of in (("sensitivity", 0.84, events), ("specificity", 0.72, n - events)):
        for model in MODELS:
            for site in ("all", *SITES[cohort]):
                size = of if site == "all" else of // 3
                hits = min(size - 1, round(size * float(rng.uniform(low, low + 0.1))))
                more: dict[str, Any] = {"method": "Wilson", "detail": {"count": hits, "of": size}}
                key = f"{metric}/{model}/{cohort}/{site}"
                found.append(measured(key, hits / size, 0.07, size, size, **more))
    for metric, value in (("ppv", 0.66), ("npv", 0.93)):
        note = "not transportable to another prevalence"
        detail = {"count": 60, "of": 90, "prevalence": 0.33, "note": note}
        key = f"{metric}/cman/{cohort}/all"
        found.append(measured(key, value, 0.06, 90, 60, method="Wilson", detail=detail))
    return found


def _targets(cohort: str) -> list[Evidence]:
    """Return whether the threshold kept its target: inconclusive inside, not kept outside."""
    told = {"metric": "sensitivity", "target": 0.9, "count": 39, "of": 44}
    value, judgement = (0.886, "inconclusive") if cohort == "internal" else (0.684, "not kept")
    detail = told | {"judgement": judgement}
    key = f"threshold_target/cman/{cohort}"
    return [measured(key, value, 0.1, 44, 44, method="Wilson", detail=detail)]


def _unanswered() -> list[Evidence]:
    """Return the result with five patients of the external cohort judged wrongly."""
    counts = {"events": 2, "others": 3}
    return [
        measured("unanswered/auc/external", 0.81, 0.06, 125, 46, detail=counts),
        measured("unanswered/sensitivity/external", 0.80, 0.1, 46, 46, detail=counts, method="Wilson"),
        measured("unanswered/specificity/external", 0.70, 0.1, 79, 0, detail=counts, method="Wilson"),
    ]


def _calibration(rng: np.random.Generator, cohort: str) -> list[Evidence]:
    n, events = SIZES[cohort]
    found: list[Evidence] = []
    for model in MODELS:
        slope, start = float(rng.uniform(0.75, 1.1)), float(rng.uniform(-0.3, 0.2))
        more: dict[str, Any] = {"method": "profile likelihood", "most": 9}
        key = f"{model}/{cohort}/all"
        moved = {"clipped": 7} if model == "concatenation" else {}
        found.append(measured(f"calibration_slope/{key}", slope, 0.25, n, events, **more, detail=moved))
        found.append(measured(f"calibration_intercept/{key}", start, 0.35, n, events, **more))
        found.append(measured(f"observed_expected/{key}", 0.98, 0.2, n, events, most=9))
        found.append(measured(f"calibration_in_the_large/{key}", -0.05, 0.4, n, events, **more))
        found.append(measured(f"brier/{key}", 0.14, 0.02, n, events, method="normal"))
        found.append(measured(f"scaled_brier/{key}", 0.35, 0.08, n, events, method="normal, delta method"))
    found += _distances(cohort, n, events)
    predicted = np.sort(rng.uniform(0.02, 0.95, size=10))
    observed = np.clip(predicted + rng.normal(0, 0.05, size=10), 0.0, 1.0)
    curve = {
        "predicted": predicted.tolist(),
        "observed": observed.tolist(),
        "low": np.clip(observed - 0.15, 0, 1).tolist(),
        "high": np.clip(observed + 0.15, 0, 1).tolist(),
        "n": [n // 10] * 9 + [n // 10 + n % 10],
        "bins": 10,
        **_smooth(),
    }
    key = f"calibration_curve/cman/{cohort}"
    return [*found, described(key, "calibration_curve", curve, n=n, n_events=events)]


def _distances(cohort: str, n: int, events: int) -> list[Evidence]:
    """Return how far the curve lies from the diagonal."""
    found = []
    for name, value in (("ici", 0.03), ("e50", 0.025), ("e90", 0.06)):
        detail: dict[str, Any] = {"which": name, "by_chance": 0.02}
        key = f"calibration_distance/cman/{cohort}/{name}"
        found.append(measured(key, value, 0.02, n, events, detail=detail))
    for name in ("equal_size", "equal_width"):
        detail = {"bins": 10, "by": name, "by_chance": 0.041}
        key = f"expected_calibration_error/cman/{cohort}/{name}"
        found.append(measured(key, 0.05, 0.02, n, events, detail=detail))
    return found


def _smooth() -> dict[str, Any]:
    """Return a curve without bins."""
    risk = np.linspace(0.02, 0.95, 41)
    smooth, half = 0.05 + 0.88 * risk, 0.04 + 0.08 * risk
    detail = {
        "predicted": risk,
        "observed": smooth,
        "low": smooth - half,
        "high": np.minimum(smooth + half, 1),
    }
    return {f"smooth_{name}": value.tolist() for name, value in detail.items()}


def _utility(cohort: str) -> list[Evidence]:
    """Return a decision curve as it falls where risks are calibrated."""
    n, events = SIZES[cohort]
    at, share = np.round(np.arange(5, 51) / 100, 2), events / n
    odds = at / (1 - at)
    model = share * (1 - 0.6 * at) - 0.25 * (1 - share) * (1 - at) * odds
    everyone = share - (1 - share) * odds
    bands = {"net_benefit": model, "treat_all": everyone, "gain": model - np.maximum(everyone, 0)}
    detail: dict[str, Any] = {"threshold": at.tolist(), "prevalence": share, "resamples": 2000, "seed": 7}
    for name, value in (bands | {"avoided": (model - everyone) / odds}).items():
        detail |= {name: value.tolist()}
        detail |= {f"{name}_low": (value - 0.04).tolist(), f"{name}_high": (value + 0.04).tolist()}
    return [described(f"decision_curve/cman/{cohort}", "decision_curve", detail, n=n, n_events=events)]


def _planned(cohort: str) -> list[Evidence]:
    """Return what the study asks for beside its endpoints."""
    n, events = SIZES[cohort]
    cost: dict[str, Any] = {"at_prevalence": 0.02, "act_on_all": 0.98, "act_on_none": 0.4}
    asked: dict[str, tuple[float, dict[str, Any]]] = {
        "ppv_at_prevalence": (0.09, {"at_prevalence": 0.02}),
        "npv_at_prevalence": (0.99, {"at_prevalence": 0.02}),
        "sensitivity_at_specificity": (0.71, {"at_specificity": 0.9}),
        "partial_auc": (0.78, {"of": "specificity", "least": 0.8}),
        "expected_cost_at_prevalence": (0.31, cost),
    }
    return [
        measured(f"{family}/{model}/{cohort}/all", value, 0.05, n, events, method=BOOTSTRAP, detail=detail)
        for family, (value, detail) in asked.items()
        for model in ("cman", "late_average")
    ]


GROUPS = {
    "sex": ("F", "M"),
    "present:MR": ("present", "absent"),
    "sex × present:MR": ("F · present", "F · absent", "M · present"),
    "site": (),
}
"""Column -> groups; of sites there are no lines of their own."""


def _subgroups(cohort: str) -> list[Evidence]:
    """Return groups, one of them too small, and the gaps between them; of one column nothing is known."""
    n, events = SIZES[cohort]
    reason = "the predictions have no column density/BI-RADS"
    key = f"grouping/cman/{cohort}/density%2FBI-RADS"
    found = [Evidence.not_assessed(key=key, metric="grouping", stage="validate", reason=reason, phantom=True)]
    for column, groups in GROUPS.items():
        told = {"column": column, "planned": bool(groups), "groups": 3, "ungrouped": 2}
        told |= {"least_events": 10, "least_shown": 5}
        key = f"grouping/cman/{cohort}/{column}"
        found.append(described(key, "grouping", told, n=n, n_events=events))
        for k, group in enumerate(groups):
            found.append(_group(f"subgroup/cman/{cohort}/{column}/{group}", column, group, k))
        found += _gaps(cohort, column, groups or SITES["internal"])
    return found


def _group(key: str, column: str, group: str, k: int) -> Evidence:
    """Return a group's measures; the third is too small to be shown, the fourth has few of a class."""
    named: dict[str, Any] = {"column": column, "group": group}
    if k == 2:
        why = "the group is too small to be shown"
        return Evidence.not_assessed(key=key, metric="subgroup", stage="validate", reason=why, phantom=True)
    share = {"estimate": 0.8, "low": 0.7, "high": 0.88, "method": "Wilson", "count": 40, "of": 50}
    line = {"estimate": -0.1, "low": -0.5, "high": 0.3, "method": "Wald"}
    beside = dict.fromkeys(("sensitivity", "specificity", "ppv", "npv"), share)
    beside |= dict.fromkeys(("calibration_in_the_large", "calibration_slope"), line)
    return measured(key, 0.86 + 0.02 * k, 0.06, 90 - k, 30 - k, detail={**named, **beside})


def _gaps(cohort: str, column: str, groups: tuple[str, ...]) -> list[Evidence]:
    """Return the worst group and the gaps of a column; of sites how they vary."""
    n, events = SIZES[cohort]
    first, last = groups[0], groups[-1]
    worst: dict[str, Any] = {"column": column, "group": first, "corrected": 0.87, "chosen": {first: 0.7}}
    key = f"worst_group/cman/{cohort}/{column}"
    found = [measured(key, 0.85, 0.05, n, events, method=BOOTSTRAP, detail=worst)]
    for family in ("equalised_odds", "sensitivity_gap", "specificity_gap", "ppv_gap", "demographic_parity"):
        detail: dict[str, Any] = {"column": column}
        detail |= {} if family == "equalised_odds" else {"lowest": first, "highest": last, "p": 0.4}
        key = f"{family}/cman/{cohort}/{column}"
        found.append(measured(key, 0.07, 0.06, n, events, method=BOOTSTRAP, detail=detail))
    if column == "site":
        spread: dict[str, Any] = {"column": column, "groups": 3, "tau2": 0.02, "i2": 0.3, "q": 3.1, "p": 0.2}
        spread |= {"prediction": {"estimate": 0.88, "low": 0.79, "high": 0.94, "method": "prediction, t"}}
        key = f"heterogeneity/cman/{cohort}/{column}"
        found.append(measured(key, 0.88, 0.03, n, events, method="Hartung-Knapp, logit", detail=spread))
    return found


def _subsets(rng: np.random.Generator, cohort: str) -> list[Evidence]:
    n, events = SIZES[cohort]
    found: list[Evidence] = []
    for subset in (s for size in (1, 2, 3) for s in combinations(MODALITIES, size)):
        value = 0.7 + 0.06 * len(subset) + float(rng.uniform(-0.02, 0.03))
        alone = {"estimate": value + 0.004, "low": value - 0.04, "high": value + 0.05}
        gap = {"estimate": -0.004, "low": -0.021, "high": 0.013, "p": 0.61, "z": -0.5}
        detail = {"modalities": list(subset), "specialist": alone, "difference": gap}
        key = f"subset_auc/{'+'.join(subset)}/{cohort}"
        found.append(measured(key, value, 0.05, n, events, detail=detail))
    return [
        *found,
        *_against_truth(found, cohort),
        measured(f"best_reachable_auc/{cohort}", 0.941, 0.02, n, events, detail={"population": 0.936}),
        measured(f"share_of_best/{cohort}", 0.891, 0.06, n, events, method=BOOTSTRAP),
    ]


def _against_truth(subsets: list[Evidence], cohort: str) -> list[Evidence]:
    """Return every subset's own value of the exact log-odds, and the share of it; none lies on another's."""
    made: list[Evidence] = []
    for k, one in enumerate(subsets):
        subset, best = one.key.split("/")[1], 0.85 + 0.01 * k
        sizes = (one.n or 0, one.n_events or 0)
        made.append(measured(f"best_reachable_auc/{subset}/{cohort}", best, 0.02, *sizes))
        share = ((one.estimate or 0) - 0.5) / (best - 0.5)
        key = f"share_of_best/{subset}/{cohort}"
        made.append(measured(key, share, 0.06, *sizes, method=BOOTSTRAP, most=2))
    return made


def png(rng: np.random.Generator, width: int = 240, height: int = 120) -> bytes:
    """Return a picture like an overlay: grey texture on the left, the same with a warm spot on the right."""
    grey = rng.normal(90, 22, size=(height, width // 2))
    y, x = np.mgrid[0:height, 0 : width // 2]
    cy, cx = rng.uniform(30, height - 30), rng.uniform(25, width // 2 - 25)
    spot = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 260)
    image = np.stack([grey + 70 * spot] * 3, axis=-1)
    warm = image + np.stack([120 * spot, 0 * spot, -60 * spot], axis=-1)
    pixels = np.clip(np.concatenate([image, warm], axis=1), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def explanation_evidence(rng: np.random.Generator, log: Log, folder: Path, cases: int) -> list[Evidence]:
    """Enter heatmap files, and return the evidence of them and of their localisation."""
    found: list[Evidence] = []
    games = (("pointing_game", 0.81, "Wilson"), ("energy_in_lesion", 0.42, BOOTSTRAP))
    for modality in MODALITIES:
        for cohort in SIZES:
            for metric, value, method in games:
                more: dict[str, Any] = {"method": method, "detail": {"chance": 0.06, "images": 140}}
                at = value + float(rng.uniform(-0.1, 0.1))
                found.append(measured(f"{metric}/{modality}/{cohort}", at, 0.08, 64, 64, **more))
    for cohort in SIZES:
        for case in range(cases):
            found += _heatmaps(rng, log, folder, cohort, case)
    return found


def _heatmaps(rng: np.random.Generator, log: Log, folder: Path, cohort: str, case: int) -> list[Evidence]:
    """Return the heatmaps of one case: in turn found, missed, false alarm, rightly negative."""
    outcome, decision = case % 4 in (0, 1), case % 4 in (0, 2)
    name = f"{cohort[:1].upper()}-{case:04d}"
    risk = float(rng.uniform(0.3, 0.95) if decision else rng.uniform(0.02, 0.25))
    found: list[Evidence] = []
    for modality in MODALITIES[: 3 - case % 2]:
        stem = f"heatmaps/{cohort}/{name}-{modality}"
        _file(log, folder, f"{stem}.png", png(rng))
        _file(log, folder, f"{stem}.dcm", b"\0" * 128 + b"DICM" + rng.bytes(64))
        detail = {
            "file": f"{stem}.png",
            "dicom": f"{stem}.dcm",
            "risk": risk,
            "outcome": outcome,
            "decision": decision,
            "view": "L-CC" if modality == "MG" else "",
            "modality": modality,
            "cohort": cohort,
            "pseudonym": name,
            "image": 2,
            "images": 7,
            "hottest": 5,
            "hottest_view": "L-MLO" if modality == "MG" else "",
            "peak": 0.02 if modality == "US" else 0.75,
            "dark": modality == "US",
        }
        found.append(described(f"heatmap/{name}/{modality}/2", "heatmap", detail))
    return found


def not_assessed(key: str, metric: str, reason: str) -> Evidence:
    """Return evidence of something that was not measured."""
    return Evidence(
        key=key, metric=metric, stage="assess", verdict=Verdict.NOT_ASSESSED, reason=reason, phantom=True
    )


def rest_evidence() -> list[Evidence]:
    """Return what was not assessed or not computed, and a measure that the dossier doesn't know."""
    reasons = {
        "federation": "one process read the data of all development sites; nothing was exchanged",
        "differential_privacy": "training was not differentially private",
        "attacks": "no attack on privacy or integrity was run",
        "subgroups": "no subgroup other than sites and modality subsets was compared",
        "readers": "no reader study was done",
    }
    few = "1 events and 5 non-events: at least 2 of each are needed"
    detail = {"note": "unheard of", "knots": 5}
    return [
        *(not_assessed(f"not_assessed/{topic}", "not_assessed", why) for topic, why in reasons.items()),
        not_assessed("auc/single:US/external/plain", "auc", few),
        measured("novel_measure/cman/internal", 0.512, 0.05, 99, 33, detail=detail),
    ]
