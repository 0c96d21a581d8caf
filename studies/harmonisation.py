"""Harmonisation measured: is the site told from features, and does diagnosis carry over, before and after.

Run: python studies/harmonisation.py OUT --data DATA [--only us|mri]

Writes OUT/harmonisation-<set>.json. Patients are halved by site and outcome. Harmonisation is fitted on one
half and applied to the other, within which a site classifier is cross-validated: it is trained and tested on
harmonised, held-out patients alone. Then the halves change places. Diagnosis: trained on one hospital, tested
on another, whose own shift is found from its other half without outcomes, against the frozen pooled part of
the training hospital, as `huizhen predict` does it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parent))
import harmonised_patients as hp
from harmonised_patients import Floats, Patients, Pictures

from huizhen.core.files import write_json
from huizhen.core.streams import stream
from huizhen.data.harmonise import combat, pooled
from huizhen.data.harmonise.bias_field import without_bias
from huizhen.data.harmonise.components import fitted_reduction
from huizhen.data.harmonise.landmarks import fit_landmarks
from huizhen.data.harmonise.ultrasound import centre_square, flat_gain, inside_borders, without_overlays
from huizhen.data.preprocess import letterbox
from huizhen.train.fit import rank_auc
from huizhen.train.harmony import Components, Harmony, with_found_site
from huizhen.validate.discrimination import auc_interval, paired_difference

RESAMPLES, COMPONENTS, SEED = 400, 3, 5
NAMES = (
    "none",
    "shift",
    "combat",
    "combat+outcome",
    "combat+covariances",
    "components",
    "components+combat",
    "components as in huizhen run",
)
COUNTS = (5, 10, 20, 40, 80, 160)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What turns patients' features into those of an arm; sites that it knows have a shift each."""

    steps: tuple[Callable[[Floats, NDArray[np.str_]], Floats], ...]

    def apply(self, patients: Patients) -> Patients:
        """Return the patients with the arm's features."""
        found = patients.features
        for step in self.steps:
            found = step(found, patients.site)
        return replace(patients, features=found)


def combat_step(
    sources: Patients, others: Patients | None, *, outcome: bool = False, mean_only: bool = False
) -> Callable[[Floats, NDArray[np.str_]], Floats]:
    """Fit ComBat by scanner on `sources`; `others` are of later sites, of which no outcome is looked at."""
    names, batch = np.unique(sources.site, return_inverse=True)
    kept = sources.outcome[:, None].astype(float) if outcome else None
    sums = pooled.sums_of(sources.features, kept, batch=batch)
    slopes = pooled.slopes_of(sums, ("outcome",) if outcome else ())
    squares = pooled.squares_of(sources.features, kept, slopes, batch=batch)
    frozen = pooled.pooled_of(sums, slopes, *squares)
    shifts = {}
    for place, name in enumerate(names):
        here = batch == place
        known = None if kept is None else kept[here]
        shifts[str(name)] = combat.site_shift(
            sources.features[here], frozen, covariates=known, mean_only=mean_only
        )
    for name in np.unique(others.site) if others is not None else ():
        here = others.site == name
        shifts[str(name)] = combat.site_shift(others.features[here], frozen, mean_only=mean_only)

    def step(features: Floats, site: NDArray[np.str_]) -> Floats:
        found = features.copy()
        for name in np.unique(site):
            here = site == name
            found[here] = combat.apply_shift(features[here], frozen, shifts[str(name)])
        return found

    return step


def covariance_step(known: Patients, keep: float = 0.95) -> Callable[[Floats, NDArray[np.str_]], Floats]:
    """Fit CovBat's second step on features after ComBat: shift and scale principal components by site.

    Reference: Chen et al., Hum Brain Mapp 43:1179-1195 (2022).
    """
    axes = PCA(n_components=keep, svd_solver="full").fit(known.features)
    scores = axes.transform(known.features)
    own = {str(s): scores[known.site == s] for s in np.unique(known.site)}
    centre, spread = scores.mean(0), scores.std(0)

    def step(features: Floats, site: NDArray[np.str_]) -> Floats:
        found = axes.transform(features)
        rest = features - axes.inverse_transform(found)
        for name in np.unique(site):
            here, of = site == name, own[str(name)]
            scale = of.std(0) if len(of) >= combat.FEWEST else spread
            found[here] = (found[here] - of.mean(0)) / np.maximum(scale, 1e-9) * spread + centre
        return axes.inverse_transform(found) + rest

    return step


def component_step(labelled: Patients) -> Callable[[Floats, NDArray[np.str_]], Floats]:
    """Fit the few directions that diagnosis uses: partial least squares on training outcomes."""
    scale = StandardScaler().fit(labelled.features)
    axes = PCA(60, random_state=0).fit(scale.transform(labelled.features))
    few = PLSRegression(COMPONENTS).fit(
        axes.transform(scale.transform(labelled.features)), labelled.outcome.astype(float)
    )

    def step(features: Floats, site: NDArray[np.str_]) -> Floats:
        return np.asarray(few.transform(axes.transform(scale.transform(features))))

    return step


def run_step(sources: Patients, others: Patients | None) -> Callable[[Floats, NDArray[np.str_]], Floats]:
    """Fit what [harmonisation] components fits in huizhen run; of `others` no outcome is looked at."""
    nothing, known = np.zeros(0, bool), np.zeros((len(sources), 0))
    batch = np.unique(sources.site, return_inverse=True)[1]

    def pooled_part(features: Floats) -> pooled.Pooled:
        sums = pooled.sums_of(features, batch=batch)
        slopes = np.zeros((0, features.shape[1]))
        return pooled.pooled_of(sums, slopes, *pooled.squares_of(features, None, slopes, batch=batch))

    def with_sites(harmony: Harmony, patients: Patients) -> Harmony:
        for name in np.unique(patients.site).tolist():
            rows = patients.features[patients.site == name]
            harmony = with_found_site(
                rows, harmony, np.zeros((len(rows), 0)), prior=combat.Prior.PARAMETRIC, mean_only=False,
                site=name, training=False,
            )  # fmt: skip
        return harmony

    def step(harmony: Harmony, features: Floats, site: NDArray[np.str_], *, reduce: bool) -> Floats:
        move = harmony.moved if reduce else harmony.shifted
        parts = {n: move(features[site == n], str(n), known[:0]) for n in np.unique(site)}
        found = np.empty((len(site), next(iter(parts.values())).shape[1]))
        for name, part in parts.items():
            found[site == name] = part
        return found

    whole = Harmony(pooled=pooled_part(sources.features), shifts={}, unknown=nothing)
    moved = step(with_sites(whole, sources), sources.features, sources.site, reduce=False)
    few = fitted_reduction(moved, sources.outcome.astype(float), whole.pooled, COMPONENTS)
    aligned = Harmony(pooled=pooled_part(few.of(moved)), shifts={}, unknown=nothing)
    reduced = replace(whole, components=Components(reduction=few, aligned=aligned))
    reduced = with_sites(with_sites(reduced, sources), others) if others else with_sites(reduced, sources)
    return partial(step, reduced, reduce=True)


def fitted(arm: str, sources: Patients, others: Patients | None = None) -> Fitted:
    """Fit an arm on `sources`, of whom outcomes are known, and `others`, of whom they aren't."""
    steps: list[Callable[[Floats, NDArray[np.str_]], Floats]] = []
    if arm in ("none", "components"):
        return Fitted(steps=(component_step(sources),) if arm == "components" else ())
    if arm == "components as in huizhen run":
        return Fitted(steps=(run_step(sources, others),))
    outcome, mean_only = arm == "combat+outcome", arm == "shift"
    steps.append(combat_step(sources, others, outcome=outcome, mean_only=mean_only))
    moved = Fitted(steps=tuple(steps))
    if arm == "combat+covariances":
        steps.append(covariance_step(joined(moved.apply(sources), others and moved.apply(others))))
    if arm == "components+combat":
        few = component_step(moved.apply(sources))
        steps.append(few)
        moved = Fitted(steps=tuple(steps))
        known = joined(moved.apply(sources), others and moved.apply(others))
        steps.append(covariance_step(known, keep=COMPONENTS))
    return Fitted(steps=tuple(steps))


def joined(first: Patients, second: Patients | None) -> Patients:
    """Return both together."""
    if second is None:
        return first
    both = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("features", "site", "hospital", "outcome")
    }
    return Patients(**both)


def classifiers(p: int) -> dict[str, Any]:
    """Return the site classifiers, for p features."""
    first = [StandardScaler(), *([PCA(40, random_state=0)] if p > 40 else [])]
    boosted = HistGradientBoostingClassifier(max_iter=60, max_depth=3, random_state=0)
    return {
        "linear": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01 if p > 40 else 1.0, max_iter=500)
        ),
        "neighbours": make_pipeline(*first, KNeighborsClassifier(25)),
        "boosting": make_pipeline(*first[1:], boosted),
    }


def told(features: Floats, hospital: NDArray[np.str_], model: Any) -> Floats:
    """Return each patient's scores (n, hospitals) by a model that hasn't seen it, over five folds."""
    names = np.unique(hospital)
    found = np.zeros((len(hospital), len(names)))
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    for train, test in folds.split(features, hospital):
        found[test] = model.fit(features[train], hospital[train]).predict_proba(features[test])
    return found


def macro(hospital: NDArray[np.str_], scores: Floats) -> float:
    """Return the AUC of a hospital against the other, or the mean of each against the rest."""
    names = np.unique(hospital)
    found = [rank_auc(hospital == name, scores[:, i]) for i, name in enumerate(names)]
    return found[1] if len(names) == 2 else float(np.mean(found))


def site_told(patients: Patients, arm: str, halves: list[tuple[Any, Any]], *, quick: bool) -> dict[str, Any]:
    """Return how well hospitals are told apart after an arm, by classifier, with intervals over patients."""
    scores: dict[str, list[tuple[NDArray[np.str_], NDArray[np.bool_], Floats]]] = {}
    for first, second in halves:
        shown = fitted(arm, patients.at(first)).apply(patients.at(second))
        for name, model in classifiers(shown.features.shape[1]).items():
            if not (quick and name == "boosting"):
                found = told(shown.features, shown.hospital, model)
                scores.setdefault(name, []).append((shown.hospital, shown.outcome, found))
    return {name: _summary(name, found) for name, found in scores.items()}


def _summary(name: str, halves: list[tuple[NDArray[np.str_], NDArray[np.bool_], Floats]]) -> dict[str, Any]:
    value = float(np.mean([macro(h, s) for h, _, s in halves]))
    events = float(np.mean([macro(h[~o], s[~o]) for h, o, s in halves]))
    rng, drawn = stream(SEED, "sites", name), []
    for _ in range(RESAMPLES):
        one = []
        for hospital, _, score in halves:
            rows = np.concatenate(
                [
                    rng.choice(np.flatnonzero(hospital == h), (hospital == h).sum())
                    for h in np.unique(hospital)
                ]
            )
            one.append(macro(hospital[rows], score[rows]))
        drawn.append(float(np.mean(one)))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"auc": value, "low": float(low), "high": float(high), "without_event": events}


def diagnosis(
    patients: Patients, arm: str, source: str, target: str, halves: list[tuple[Any, Any]]
) -> Floats:
    """Return scores of the target's patients by a model of the source's; its outcomes stay unseen."""
    sources = patients.at(patients.hospital == source)
    score = np.full(len(patients), np.nan)
    for first, second in halves:
        adapt = patients.at(first[patients.hospital[first] == target])
        rows = second[patients.hospital[second] == target]
        how = fitted(arm, sources, adapt)
        train, test = how.apply(sources), how.apply(patients.at(rows))
        score[rows] = learner(train).decision_function(test.features)
    return score[patients.hospital == target]


def learner(train: Patients) -> Any:
    """Return the diagnostic model: standardised, up to 60 components, logistic regression."""
    p = train.features.shape[1]
    first = [StandardScaler(), *([PCA(min(60, len(train) // 4), random_state=0)] if p > 60 else [])]
    return make_pipeline(*first, LogisticRegression(C=0.1, max_iter=2000)).fit(train.features, train.outcome)


def split(patients: Patients) -> list[tuple[Any, Any]]:
    """Return two halves by scanner and outcome, both ways round."""
    strata = np.char.add(patients.site, np.where(patients.outcome, "+", "-"))
    folds = StratifiedKFold(2, shuffle=True, random_state=SEED)
    return list(folds.split(patients.features, strata))


def arms(patients: Patients, pairs: list[tuple[str, str]], before: dict[str, Floats] | None) -> Any:
    """Return every arm's figures, and the scores without harmonisation, which others are compared with."""
    halves, found = split(patients), {}
    for arm in NAMES:
        started = time.monotonic()
        scores = {f"{s} > {t}": diagnosis(patients, arm, s, t, halves) for s, t in pairs}
        before = before or scores
        record: dict[str, Any] = {"site": site_told(patients, arm, halves, quick=False), "diagnosis": {}}
        for pair, score in scores.items():
            truth = patients.outcome[patients.hospital == pair.partition(" > ")[2]]
            own, gap = auc_interval(truth, score), paired_difference(truth, score, before[pair])
            record["diagnosis"][pair] = {
                "auc": own.value,
                "low": own.interval.low,
                "high": own.interval.high,
                "n": len(truth),
                "events": int(truth.sum()),
                "change": [gap.estimate, gap.interval.low, gap.interval.high],
            }
        record["seconds"] = round(time.monotonic() - started, 1)
        found[arm] = record
        print(arm, {k: round(v["auc"], 3) for k, v in record["site"].items()},
              {k: round(v["auc"], 3) for k, v in record["diagnosis"].items()}, flush=True)  # fmt: skip
    return found, before


def fewest(patients: Patients, source: str, target: str) -> dict[str, Any]:
    """Return the AUC at the target by how many of its unlabelled patients its shift is found from."""
    halves, found = split(patients), {}
    sources = patients.at(patients.hospital == source)
    for count in COUNTS:
        for prior in ("shift", "combat"):
            values = []
            for draw in range(10):
                rng = stream(SEED, "fewest", count, draw)
                first, second = halves[draw % 2]
                pool = first[patients.hospital[first] == target]
                if count > len(pool):
                    continue
                how = fitted(prior, sources, patients.at(rng.choice(pool, count, replace=False)))
                test = how.apply(patients.at(second[patients.hospital[second] == target]))
                score = learner(how.apply(sources)).decision_function(test.features)
                values.append(rank_auc(test.outcome, score))
            if values:
                found[f"{prior}/{count}"] = {
                    "mean": float(np.mean(values)), "least": min(values), "most": max(values)
                }  # fmt: skip
    return found


def normalised(pictures: Pictures, train: NDArray[np.bool_]) -> Pictures:
    """Return pictures after image harmonisation, whose grey scale is learned from the images `train`."""
    raw = pictures.pixels.astype(np.float32) / 255
    channels = raw.shape[1]

    def square(image: NDArray[np.float32]) -> NDArray[np.uint8]:
        return letterbox(image, size=hp.SIZE, channels=channels)

    if pictures.name == "us":
        cleaned = [centre_square(without_overlays(inside_borders(image))) for image in raw]
        shown = [flat_gain(square(image).astype(np.float32) / 255) for image in cleaned]
    else:
        shown = [without_bias(image) for image in raw]
    scale = fit_landmarks(image for image, known in zip(shown, train, strict=True) if known)
    pixels = np.stack([square(scale.apply(image)) for image in shown])
    return replace(pictures, name=f"{pictures.name}-normalised", pixels=pixels)


def false_comfort(patients: Patients) -> dict[str, float]:
    """Return the AUC of a site classifier fitted before ComBat and asked after it, and of a fair one."""
    first, second = split(patients)[0]
    shown = fitted("combat", patients.at(first)).apply(patients.at(second))
    model = classifiers(shown.features.shape[1])["linear"]
    stale = model.fit(patients.features[first], patients.hospital[first]).predict_proba(shown.features)
    fair = told(shown.features, shown.hospital, model)
    return {"fitted_before": macro(shown.hospital, stale), "fitted_after": macro(shown.hospital, fair)}


def study(pictures: Pictures, cache: Path, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return all figures of one set of hospitals."""
    people = hp.patients_of(pictures, np.zeros((len(pictures.patient), 1)))
    halves = split(people)
    names = np.unique(pictures.patient)
    learned = np.isin(pictures.patient, names[halves[0][0]])
    clean = normalised(pictures, learned)
    found: dict[str, Any] = {
        "patients": {str(s): int((people.hospital == s).sum()) for s in np.unique(people.hospital)},
        "prevalence": {
            str(s): float(people.outcome[people.hospital == s].mean()) for s in np.unique(people.hospital)
        },
    }
    for kind, make in (("network", hp.network), ("hog", hp.gradients)):
        before = None
        for images in (pictures, clean):
            print(kind, images.name, flush=True)
            patients = hp.patients_of(images, hp.kept(cache, kind, images, make))
            found[f"{kind}/{images.name}"], before = arms(patients, pairs, before)
            if kind == "network":
                found[f"false_comfort/{images.name}"] = false_comfort(patients)
                found[f"fewest/{images.name}"] = fewest(patients, *pairs[0])
    return found


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("us", "mri"))
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    sets = {
        "us": (hp.ultrasound, [("BUS-BRA", "BUSI"), ("BUSI", "BUS-BRA")]),
        "mri": (hp.mri, [("duke", "spy2"), ("spy2", "duke"), ("spy2", "spy1")]),
    }
    for name, (read, pairs) in sets.items():
        if given.only in (None, name):
            found = study(read(given.data), given.out / "features", pairs)
            write_json(given.out / f"harmonisation-{name}.json", found)


if __name__ == "__main__":
    main()
