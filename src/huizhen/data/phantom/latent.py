"""The generative model behind every phantom, in plain numpy, and the best that any reader of it can do.

A patient is malignant with the hospital's prevalence p. Each modality m has evidence

    x_m ~ Normal(+delta_m / 2, 1) if malignant, Normal(-delta_m / 2, 1) if benign,

independent given the class. Something visible hides it in some cases: a dense breast in mammography, strong
background enhancement in MRI, a small or deep lesion in ultrasound. With reliability r_m, a known function of
what is visible, the images show

    e_m = r_m x_m + sqrt(1 - r_m^2) n_m,   n_m ~ Normal(0, 1),

so that e_m given the class is Normal(+-r_m delta_m / 2, 1): its spread gives nothing away, and the exact
log-likelihood ratio of what is rendered is r_m delta_m e_m. A reader that weighs every modality alike adds
the noise of the hidden ones; one that weighs them case by case does not.

A share of the benign patients has no lesion at all. Recorded outcomes are flipped with the hospital's label
noise. Presence, density, enhancement, size and depth are independent of the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.phantom.spec import MODALITIES, Hospital, PhantomSpec
from huizhen.errors import InvalidInputError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RADIUS_MM = (7.0, 12.5)
"""Range of lesion radii."""
_NO_LESION = -40.0
"""Log-odds of a patient whose images show no lesion: certainly benign, kept finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """The hidden truth of n patients of one hospital; columns over modalities follow `MODALITIES`.

    `malignant`, `recorded` (label noise applied), `lesion` (n,); `present` (n, 3); `evidence` (n, 3) is x,
    `rendered` (n, 3) e and `reliability` (n, 3) r of the module's text. `density` and `background` (n,) in
    (0, 1); `radius_mm` (n,); `depth` (n,) in [0, 1] from shallow to deep; `obscurity` (n,) in [0, 1], how
    small and deep the lesion is.
    """

    malignant: Flags
    recorded: Flags
    lesion: Flags
    present: Flags
    evidence: Floats
    rendered: Floats
    reliability: Floats
    density: Floats
    background: Floats
    radius_mm: Floats
    depth: Floats
    obscurity: Floats


def draw(spec: PhantomSpec, hospital: Hospital, rng: np.random.Generator, n: int) -> Latent:
    """Return the latent truth of `n` patients of `hospital`."""
    malignant = rng.random(n) < hospital.prevalence
    lesion = malignant | (rng.random(n) >= spec.healthy)
    deltas = np.array([spec.deltas[m] for m in MODALITIES])
    evidence = rng.standard_normal((n, 3)) + deltas * (malignant[:, None] - 0.5)  # (n, 3)
    density, background = _two_humps(rng, hospital.dense, n), _two_humps(rng, hospital.enhancing, n)
    size, depth = rng.random(n), rng.random(n)
    obscurity = (depth + 1.0 - size) / 2.0
    hidden = np.stack([density, background, obscurity], axis=1)
    reliability = reliability_of(hidden, np.array([spec.unreliable[m] for m in MODALITIES]))
    rendered = reliability * evidence + np.sqrt(1.0 - reliability**2) * rng.standard_normal((n, 3))
    return Latent(
        malignant=malignant,
        recorded=malignant ^ (rng.random(n) < hospital.label_noise),
        lesion=lesion,
        present=_presence(rng, hospital, n),
        evidence=evidence,
        rendered=rendered,
        reliability=reliability,
        density=density,
        background=background,
        radius_mm=RADIUS_MM[0] + size * (RADIUS_MM[1] - RADIUS_MM[0]),
        depth=depth,
        obscurity=obscurity,
    )


def reliability_of(hidden: Floats, lowest: Floats) -> Floats:
    """Return how far evidence tells the class: 1 where `hidden` is near 0, falling to `lowest` near 1.

    `hidden` (..., 3) in [0, 1]; `lowest` (3,) in [0, 1].

    >>> reliability_of(np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.2, 0.2])).round(3).tolist()
    [1.0, 0.6, 0.2]
    """
    return lowest + (1.0 - lowest) / (1.0 + np.exp((hidden - 0.5) / 0.05))


def _two_humps(rng: np.random.Generator, share: float, n: int) -> Floats:
    centre = np.where(rng.random(n) < share, 0.74, 0.28)
    return np.clip(centre + 0.1 * rng.standard_normal(n), 0.02, 0.98)


def _presence(rng: np.random.Generator, hospital: Hospital, n: int) -> Flags:
    missing = np.array([hospital.missing.get(m, 0.0) for m in MODALITIES])
    present = rng.random((n, 3)) >= missing
    while (empty := ~present.any(axis=1)).any():
        present[empty] = rng.random((int(empty.sum()), 3)) >= missing
    return present


def log_odds(spec: PhantomSpec, hospital: Hospital, latent: Latent, modalities: Iterable[str]) -> Floats:
    """Return the exact posterior log-odds (n,) of a recorded malignant outcome, seeing `modalities` only.

    It knows the hospital (prevalence, label noise) and uses those of `modalities` that are present; NaN for
    patients who have none of them. Raises `InvalidInputError` on an unknown or no modality.
    """
    columns = _columns(modalities)
    deltas = np.array([spec.deltas[m] for m in MODALITIES])
    ratio = np.where(latent.present, latent.reliability * deltas * latent.rendered, 0.0)  # (n, 3)
    prior = np.log(hospital.prevalence / (1.0 - hospital.prevalence)) - np.log1p(-spec.healthy)
    true = np.where(latent.lesion, prior + ratio[:, columns].sum(axis=1), _NO_LESION)
    noisy = _through_label_noise(true, hospital.label_noise)
    return np.where(latent.present[:, columns].any(axis=1), noisy, np.nan)


def _columns(modalities: Iterable[str]) -> list[int]:
    wanted = set(modalities)
    if not wanted or not wanted <= set(MODALITIES):
        raise InvalidInputError(
            f"modalities {', '.join(sorted(wanted)) or 'none'} are not among {', '.join(MODALITIES)}",
            remedy="name at least one of them",
            field="modalities",
        )
    return [k for k, m in enumerate(MODALITIES) if m in wanted]


def _through_label_noise(log_odds_true: Floats, flip: float) -> Floats:
    """Return the log-odds of the recorded class when the true one is flipped with chance `flip`."""
    if flip == 0.0:
        return log_odds_true
    positive, negative = -np.logaddexp(0.0, -log_odds_true), -np.logaddexp(0.0, log_odds_true)
    keep, change = np.log1p(-flip), np.log(flip)
    numerator = np.logaddexp(keep + positive, change + negative)
    return np.asarray(numerator - np.logaddexp(keep + negative, change + positive), dtype=np.float64)


def auc_and_error(score: Floats, outcome: Flags) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error; NaN when a class is missing.

    `score`, `outcome` (n,). Reference: DeLong, DeLong and Clarke-Pearson, Biometrics 44:837-845 (1988).

    >>> auc_and_error(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0]
    0.75
    """
    positive, negative = np.sort(score[outcome]), np.sort(score[~outcome])
    if len(positive) < 2 or len(negative) < 2:
        return float("nan"), float("nan")
    above = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    below = np.searchsorted(positive, negative, "left") + np.searchsorted(positive, negative, "right")
    v10, v01 = above / (2.0 * len(negative)), 1.0 - below / (2.0 * len(positive))
    variance = v10.var(ddof=1) / len(positive) + v01.var(ddof=1) / len(negative)
    return float(v10.mean()), float(np.sqrt(variance))


def best_reachable_auc(
    spec: PhantomSpec, hospital: str | None, modalities: frozenset[str], *, seed: int, draws: int = 200_000
) -> tuple[float, float]:
    """Return the AUC that no model of these modalities can beat, and its Monte Carlo standard error.

    Over patients as generated (prevalence, missingness, label noise) of `hospital`, or of all hospitals by
    their sizes if None, who have at least one of `modalities`; against the recorded outcome. Raises
    `InvalidInputError` on an unknown hospital or modality.
    """
    hospitals = spec.hospitals if hospital is None else (spec.hospital(hospital),)
    return best_aucs(spec, hospitals, (modalities,), seed=seed, draws=draws)[modalities]


def best_aucs(
    spec: PhantomSpec,
    hospitals: tuple[Hospital, ...],
    subsets: Iterable[frozenset[str]],
    *,
    seed: int,
    draws: int = 200_000,
) -> dict[frozenset[str], tuple[float, float]]:
    """Return `best_reachable_auc` of the pooled `hospitals` for each of `subsets`, from the same draws."""
    total = sum(hospital.patients for hospital in hospitals)
    groups: list[tuple[Hospital, Latent]] = []
    for hospital in hospitals:
        rng = stream(seed, "phantom", "best", hospital.name)
        groups.append((hospital, draw(spec, hospital, rng, round(draws * hospital.patients / total))))
    outcome = np.concatenate([latent.recorded for _, latent in groups])
    result: dict[frozenset[str], tuple[float, float]] = {}
    for subset in subsets:
        score = np.concatenate([log_odds(spec, hospital, latent, subset) for hospital, latent in groups])
        seen = ~np.isnan(score)
        result[subset] = auc_and_error(score[seen], outcome[seen])
    return result


def modality_subsets() -> tuple[frozenset[str], ...]:
    """Return the seven non-empty subsets of the modalities, small ones first.

    >>> [subset_name(s) for s in modality_subsets()]
    ['MG', 'MRI', 'US', 'MG+MRI', 'MG+US', 'MRI+US', 'MG+MRI+US']
    """
    return tuple(frozenset(c) for k in (1, 2, 3) for c in combinations(MODALITIES, k))


def subset_name(modalities: frozenset[str]) -> str:
    """Return the subset's name with its modalities in their order, e.g. "MG+US"."""
    return "+".join(m for m in MODALITIES if m in modalities)
