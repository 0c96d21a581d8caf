"""How many wrong labels an audit finds: ECGs relabelled for real, labels flipped on purpose, real readers.

    OMP_NUM_THREADS=1 nice python studies/label_audit.py OUT --data DATA [--only ecg ultrasound heart lidc]

Writes OUT/<part>.json. Features, models and the order of the list were fixed with the old labels alone; the
new ones are read only to count. What OUT holds already is kept, so that a stopped run goes on.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ecg_features
import numpy as np
from numpy.typing import NDArray
from real_patients import cached, study_parser, table
from scipy.stats import hypergeom
from scipy.stats import t as student

from huizhen.core.files import write_json
from huizhen.core.progress import Silent
from huizhen.core.streams import stream, stream_seed
from huizhen.core.study_file import load_study
from huizhen.data.cache import Cache
from huizhen.data.intake import intake
from huizhen.pipeline.labels.study_risks import (
    AuditMaterial,
    audit_material,
    linked_groups,
    out_of_sample_risks,
)
from huizhen.validate.krippendorff import krippendorff_alpha
from huizhen.validate.label_audit.confident import noise_rate
from huizhen.validate.label_audit.labelled import Labelled, doubts_of
from huizhen.validate.label_audit.ranking import Order, order_of, suspected, suspicion
from huizhen.validate.label_audit.review import Stratum, share_wrong

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
TOPS = (50, 100, 200, 500, 1000)
READ = ((200, 60), (200, 200), (500, 200))
SEED, FOLDS, REPEATS, RESAMPLES = 5, 5, 3, 1000
FLIP_SEEDS = 10
RATES = (0.05, 0.1)
SITE = """
[[site]]
name = "all"

[[site.source]]
reader = "npz"
modality = "US"
path = "{path}"
labels = "{labels}"
columns = {columns}
"""
STUDY = """
schema_version = 1
name = "audit"
title = "audit"
question = "malignant?"
seed = 5

[task]
outcome = "x"
positive = ["malignant"]
negative = ["benign"]

[[modality]]
name = "US"
encoder = "efficientnet-lite0"
size = 128
max_images = 4
"""
SETS = {
    "BUS-BRA": (
        "us_busbra/busbra_128.npz",
        "us_busbra/labels.csv",
        '{ patient = "Case", outcome = "Pathology" }',
    ),
    "BUSI": (
        "us_busi/busi_128.npz",
        "us_busi/labels.csv",
        '{ patient = "id", outcome = "label", duplicate_group = "dup_group" }',
    ),
}


# --- ECGs that were really relabelled ------------------------------------------------------------------


def ecg(data: Path, out: Path) -> dict[str, Any]:
    """Rank 2,717 ECGs by their first labels, and count how many of the later relabellings come first."""
    folder = data / "ecg_cinc2017_af"
    rows = table(folder / "labels.csv")
    with np.load(folder / "ecg_100hz_30s_int16.npz") as file:
        signals = file["x"] / float(file["units_per_mV"])
    valid = np.array([int(row["n_valid"]) for row in rows])
    shape = cached(
        out / "ecg_shape.npy",
        lambda: np.array([ecg_features.features_of(x[:n]) for x, n in zip(signals, valid, strict=True)]),
    )
    kernels = cached(
        out / "ecg_kernels.npy",
        lambda: ecg_features.kernel_features(ecg_features.standardised(signals, valid), valid),
    )
    classes = sorted({row["label_original"] for row in rows})
    label = np.array([classes.index(row["label_original"]) for row in rows])
    fits = {"trees on features": boosted, "regression on kernels": regressed}
    risks = {
        name: cached(out / f"ecg_{fit.__name__}.npy", lambda fit=fit: repeated(fit, shape, kernels, label))
        for name, fit in fits.items()
    }
    risks["both, averaged"] = np.mean(list(risks.values()), axis=0)
    data_of = {name: Labelled.of(label, risk) for name, risk in risks.items()}
    relabelled = np.array([row["label"] != row["label_original"] for row in rows])  # read here and not before
    moved = Counter(f"{row['label_original']} to {row['label']}" for row in rows)
    everything = table(folder / "reference_all_8528.csv")
    main = data_of["both, averaged"]
    rate = noise_rate(main, stream(SEED, "ecg", "rate"))
    return {
        "recordings": len(rows),
        "relabelled": int(relabelled.sum()),
        "relabelled_of_all": sum(row["label"] != row["label_original"] for row in everything),
        "all": len(everything),
        "moved": {pair: n for pair, n in moved.items() if pair[0] != pair[-1]},
        "fit": {name: against(one) for name, one in data_of.items()},
        "doubts": [doubt.value for doubt in doubts_of(main)],
        "suspected": int(suspected(main, Order.CONFIDENT).sum()),
        "suspected_right": int(relabelled[suspected(main, Order.CONFIDENT)].sum()),
        "rate": [rate.overall, rate.interval.low, rate.interval.high],
        "orders": {order.value: found(main, order, relabelled) for order in Order},
        "models": {name: found(one, Order.CONFIDENT, relabelled) for name, one in data_of.items()},
        "by_move": by_move(main, rows, relabelled),
        "second_reading": {f"{a} listed, {b} at random": second(main, relabelled, a, b) for a, b in READ},
    }


Fit = Callable[[Floats, Floats, Ints, Ints, Ints, int], Floats]


def repeated(fit: Fit, shape: Floats, kernels: Floats, label: Ints) -> Floats:
    """Return out-of-sample probabilities (n, K), the mean over repeats of stratified folds."""
    total = np.zeros((len(label), int(label.max()) + 1))
    for repeat in range(REPEATS):
        order = stream(SEED, "ecg", repeat).permutation(len(label))
        dealt = order[np.argsort(label[order], kind="stable")]
        fold = np.empty(len(label), dtype=int)
        fold[dealt] = np.arange(len(label)) % FOLDS
        for k in range(FOLDS):
            train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            total[test] += fit(shape, kernels, label, train, test, stream_seed(SEED, "ecg", repeat, k))
    return total / REPEATS


def boosted(shape: Floats, _kernels: Floats, label: Ints, train: Ints, test: Ints, seed: int) -> Floats:
    """Gradient boosting on the 84 features."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.07,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        l2_regularization=1.0,
        max_features=0.3,
        random_state=seed % 2**32,
        early_stopping=False,
    )
    return np.asarray(model.fit(shape[train], label[train]).predict_proba(shape[test]))


def regressed(shape: Floats, kernels: Floats, label: Ints, train: Ints, test: Ints, _seed: int) -> Floats:
    """Penalised regression on principal components of kernels, and on the features."""
    from sklearn.linear_model import LogisticRegression

    scaled = scaler(kernels, train)(kernels)
    _, size, axes = np.linalg.svd(scaled[train], full_matrices=False)
    parts = scaled @ axes[:150].T / (size[:150] / np.sqrt(len(train)))
    both = np.column_stack([parts, np.clip(scaler(shape, train)(np.nan_to_num(shape)), -5, 5)])
    model = LogisticRegression(C=0.02, max_iter=500)
    return np.asarray(model.fit(both[train], label[train]).predict_proba(both[test]))


def scaler(values: Floats, train: Ints) -> Callable[[Floats], Floats]:
    """Return what standardises columns by the rows `train`."""
    known = np.nan_to_num(values[train])
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-9
    return lambda found: (np.nan_to_num(found) - mean) / spread


def against(data: Labelled) -> dict[str, float]:
    """Return how well probabilities fit the labels that were given."""
    return {
        "log_loss": float(-np.log(np.maximum(data.own, 1e-12)).mean()),
        "agree": float((data.probability.argmax(axis=1) == data.label).mean()),
    }


def found(data: Labelled, order: Order, wrong: Bools) -> dict[str, Any]:
    """Return hits at the tops with intervals, their chance, and average precision, by one order."""
    hits = np.cumsum(wrong[order_of(data, order)])
    n, m = len(wrong), int(wrong.sum())
    draw = stream(SEED, "bootstrap")  # the same resamples for each order
    score = suspicion(data, order)
    drawn = []
    for _ in range(RESAMPLES):
        rows = draw.integers(n, size=n)
        again = wrong[rows][np.argsort(-score[rows], kind="stable")]
        drawn.append([*(again[:top].sum() / max(1, again.sum()) for top in TOPS), precision(again)])
    limits = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    tops = {
        str(top): {
            "hits": int(hits[top - 1]),
            "recall": float(hits[top - 1] / m),
            "low": float(limits[0, k]),
            "high": float(limits[1, k]),
            "by_chance": m * top / n,
            "p": float(hypergeom.sf(hits[top - 1] - 1, n, m, top)),
        }
        for k, top in enumerate(TOPS)
    }
    listed = wrong[order_of(data, order)]
    return {"tops": tops, "ap": [precision(listed), float(limits[0, -1]), float(limits[1, -1])]}


def second(data: Labelled, wrong: Bools, listed: int, controls: int) -> dict[str, float]:
    """Return how a second reading of `listed` and `controls` estimates the share of wrong labels."""
    order = order_of(data, Order.CLASS)
    top, rest = wrong[order[:listed]], wrong[order[listed:]]
    draw = stream(SEED, "second", listed, controls)
    estimates, held = [], 0
    for _ in range(RESAMPLES):
        seen = int(rest[draw.choice(rest.size, controls, replace=False)].sum())
        strata = [
            Stratum(size=listed, read=listed, wrong=int(top.sum())),
            Stratum(size=rest.size, read=controls, wrong=seen),
        ]
        found = share_wrong(strata)
        estimates.append([found.value, found.interval.low, found.interval.high])
        held += found.interval.low <= wrong.mean() <= found.interval.high
    mean = np.mean(estimates, axis=0)
    return {
        "truth": float(wrong.mean()),
        "mean": float(mean[0]),
        "width": float(mean[2] - mean[1]),
        "coverage": held / RESAMPLES,
    }


def precision(listed: Bools) -> float:
    """Return the average precision of a list, the first looked at first."""
    hits = np.cumsum(listed)
    return float((hits / np.arange(1, len(listed) + 1))[listed].mean()) if listed.any() else float("nan")


def by_move(data: Labelled, rows: Sequence[dict[str, str]], wrong: Bools) -> dict[str, list[int]]:
    """Return for each pair of old and new label how many are among the first 500, and how many there are."""
    first = np.zeros(len(rows), dtype=np.bool_)
    first[order_of(data, Order.CONFIDENT)[:500]] = True
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row, moved, near in zip(rows, wrong, first, strict=True):
        if moved:
            counts[f"{row['label_original']} to {row['label']}"][0] += int(near)
            counts[f"{row['label_original']} to {row['label']}"][1] += 1
    return dict(counts)


# --- labels flipped on purpose -------------------------------------------------------------------------


def ultrasound(data: Path, out: Path) -> dict[str, Any]:
    """Flip outcomes of BUS-BRA and BUSI, by patient, and look for them with the command's own models."""
    from huizhen.core.cohort import Case

    result: dict[str, Any] = {}
    for name, (path, labels, columns) in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "study.toml"
            file.write_text(STUDY + SITE.format(path=path, labels=labels, columns=columns), encoding="utf-8")
            study = load_study(file)
            cache = Cache(out / "cache")
            taken = intake(study, roots=[data], pseudonym_secret=b"audit" * 7, cache=cache, progress=Silent())
            cases: tuple[Case, ...] = tuple(c for c in taken.cohort.cases if c.outcome is not None)
            material = audit_material(cases, taken, study, cache, Silent())
            result[name] = flipped(material, linked_groups(cases, taken.links), out / f"flipped_{name}.json")
    return result


def heart(data: Path, out: Path) -> dict[str, Any]:
    """The same on the heart disease table of four hospitals."""
    from huizhen.core.cohort import Case
    from huizhen.core.study import TableModality

    rows = table(data / "uci_heart_disease_4_hospitals/heart_4_hospitals.csv")
    numeric = ("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak", "ca")
    modality = TableModality(
        name="clinic",
        kind="table",
        numeric=numeric,
        categorical=("cp", "restecg", "slope", "thal", "hospital"),
        missing_codes=("", "NA", "-9", "-9.0"),
    )
    cases = tuple(
        Case(
            pseudonym=f"P{k}",
            patient_id=str(k),
            site=row["hospital"],
            outcome=int(float(row["num"]) > 0),
            covariates={"clinic": {name: row[name] for name in (*numeric, *modality.categorical)}},
        )
        for k, row in enumerate(rows)
    )
    outcome = np.array([case.outcome for case in cases], dtype=np.int64)
    material = AuditMaterial(cases=cases, outcome=outcome, images={}, tables=(modality,))
    return {"heart": flipped(material, np.arange(len(cases)), out / "flipped_heart.json")}


def flipped(material: AuditMaterial, group: Ints, kept: Path) -> dict[str, Any]:
    """Return what is found of labels flipped at each rate, over several draws of them."""
    held: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    n = len(material.outcome)
    for rate in RATES:
        for seed in range(FLIP_SEEDS):
            if f"{rate}/{seed}" in held:
                continue
            wrong = np.zeros(n, dtype=np.bool_)
            wrong[stream(seed, "flip", str(rate)).choice(n, round(rate * n), replace=False)] = True
            label = np.where(wrong, 1 - material.outcome, material.outcome)
            risk = out_of_sample_risks(replace(material, outcome=label), group, seed, Silent(), repeats=1)
            data = Labelled.of(label, np.column_stack([1 - risk, risk]), group)
            estimated = noise_rate(data, stream(seed, "rate"), resamples=200)
            held[f"{rate}/{seed}"] = {
                "estimated": [estimated.overall, estimated.interval.low, estimated.interval.high],
                **{order.value: both(wrong[order_of(data, order)]) for order in Order},
            }
            write_json(kept, held)
    names = [order.value for order in Order]
    return {
        "n": n,
        "events": int(material.outcome.sum()),
        **{
            str(rate): {
                "flipped": round(rate * n),
                **{name: over([held[f"{rate}/{s}"][name] for s in range(FLIP_SEEDS)]) for name in names},
                "estimated": over([[held[f"{rate}/{s}"]["estimated"][0]] for s in range(FLIP_SEEDS)]),
            }
            for rate in RATES
        },
    }


def both(listed: Bools) -> list[float]:
    """Return recall at as many as were flipped (which is precision there too), and average precision."""
    return [float(listed[: listed.sum()].mean()), precision(listed)]


def over(found: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return mean and 95 % interval (t) over draws, for each number."""
    values = np.array(found)
    reach = student.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    mean = values.mean(axis=0)
    return [[float(m), float(m - r), float(m + r)] for m, r in zip(mean, reach, strict=True)]


# --- real readers --------------------------------------------------------------------------------------

RATINGS = ("subtlety", "sphericity", "margin", "lobulation", "spiculation", "texture", "malignancy")


def lidc(data: Path, _out: Path) -> dict[str, Any]:
    """Agreement of up to four radiologists on nodules of LIDC, matched by place."""
    scans = {row["id"]: row for row in table(data / "lidc_annotations/scans.csv")}
    by_scan: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table(data / "lidc_annotations/annotations.csv"):
        by_scan[row["scan_id"]].append(row)
    nodules = [group for scan, rows in by_scan.items() for group in matched(rows, scans[scan])]
    twice = [group for group in nodules if 2 <= len(group) <= 4]
    result: dict[str, Any] = {
        "nodules": len(nodules),
        "read_by": dict(sorted(Counter(map(len, nodules)).items())),
        "with_two_to_four": len(twice),
    }
    for name in RATINGS:
        read = np.full((len(twice), 4), -1, dtype=np.int64)
        for k, group in enumerate(twice):
            read[k, : len(group)] = [int(row[name]) - 1 for row in group]
        alpha = krippendorff_alpha(read, labels=6, scale="ordinal", draw=stream(SEED, "lidc", name))
        result[name] = [alpha.value, alpha.interval.low, alpha.interval.high]
    return result


def matched(rows: Sequence[dict[str, str]], scan: dict[str, str]) -> list[list[dict[str, str]]]:
    """Return annotations of one scan grouped into nodules: centres nearer than half the larger extent."""
    spacing = float(scan["pixel_spacing"])
    place = np.array(
        [
            [float(r["ci"]) * spacing, float(r["cj"]) * spacing, float(r["zmin"]) / 2 + float(r["zmax"]) / 2]
            for r in rows
        ]
    )
    size = np.array([float(r["max_extent_px"]) * spacing for r in rows])
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    near = apart <= np.maximum(size[:, None], size[None]) / 2
    group = np.arange(len(rows))
    for i, j in np.argwhere(near):
        group[group == group[j]] = group[i]
    return [[rows[k] for k in np.flatnonzero(group == g)] for g in np.unique(group)]


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "ecg": ecg,
    "ultrasound": ultrasound,
    "heart": heart,
    "lidc": lidc,
}


def main() -> None:
    """Measure the parts that are asked for."""
    parser = study_parser(__doc__)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    for name in arguments.only:
        write_json(arguments.out / f"{name}.json", PARTS[name](arguments.data, arguments.out))
        print(name, "done", flush=True)


if __name__ == "__main__":
    main()
