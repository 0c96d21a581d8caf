"""Do heatmaps point at the lesion? The pointing game and the energy-based pointing game, against chance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence, Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.federate.statistics.localisation import wilson_interval

RESAMPLES = 2000
FEW = 20
"""Results of fewer patients are marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalisationRow:
    """One image: its `hit`, its `energy` in [0, 1], and `area_share` in (0, 1], what chance reaches."""

    pseudonym: str
    hit: bool
    energy: float
    area_share: float

    def __post_init__(self) -> None:
        if not (0 <= self.energy <= 1 and 0 < self.area_share <= 1):
            raise InvalidInputError(
                f"energy {self.energy} or area share {self.area_share} leaves [0, 1]",
                remedy="measure them with energy_in_lesion and area_share",
            )


def pointing_hit(heat: NDArray[np.floating], mask: NDArray[np.bool_], *, tolerance_px: float = 0) -> bool:
    """Tell whether the maximum of `heat` is at most `tolerance_px` pixels from the lesion.

    `heat` (H, W) finite, `mask` (H, W) with at least one lesion pixel. Of equal maxima the first in row order
    counts. Raises `InvalidInputError`.
    Reference: Zhang et al., Top-Down Neural Attention by Excitation Backprop, IJCV 126:1084-1102 (2018), 4.1.

    >>> pointing_hit(np.array([[0.1, 0.9], [0.2, 0.9]]), np.array([[False, True], [False, False]]))
    True
    """
    _check(heat, mask, tolerance_px)
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    rows, columns = np.nonzero(mask)
    nearest = ((rows - row) ** 2 + (columns - column) ** 2).min()
    return bool(nearest <= tolerance_px**2)


def energy_in_lesion(heat: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Return the share of positive heat that lies in the lesion; 0 where no heat is positive.

    `heat` (H, W) finite, `mask` (H, W) with at least one lesion pixel. Raises `InvalidInputError`.
    Reference: Wang et al., Score-CAM, CVPR Workshops 2020, section 4.3 (energy-based pointing game).

    >>> energy_in_lesion(np.array([[1.0, 3.0], [-5.0, 0.0]]), np.array([[False, True], [True, False]]))
    0.75
    """
    _check(heat, mask)
    positive = np.maximum(heat.astype(np.float64), 0.0)
    total = float(positive.sum())
    return min(float(positive[mask].sum()) / total, 1.0) if total > 0 else 0.0


def area_share(mask: NDArray[np.bool_], *, tolerance_px: float = 0) -> float:
    """Return the share of the image within `tolerance_px` of the lesion: what chance reaches.

    It is the probability that a pixel drawn evenly is a hit and, without tolerance, an even map's energy.
    `mask` (H, W) with at least one lesion pixel. Raises `InvalidInputError`.

    >>> area_share(np.array([[False, True], [False, False]])), area_share(np.eye(2) > 0, tolerance_px=1)
    (0.25, 1.0)
    """
    _check(np.zeros(mask.shape), mask, tolerance_px)
    height, width = mask.shape
    reach = min(int(tolerance_px), max(height, width))
    padded = np.pad(mask, reach)
    near = np.zeros(mask.shape, dtype=np.bool_)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= tolerance_px**2:
                near |= padded[reach + down : reach + down + height, reach + right : reach + right + width]
    return float(near.mean())


def localisation_evidence(
    rows: Iterable[LocalisationRow],
    *,
    modality: str,
    cohort: str,
    phantom: bool,
    seed: int,
    inputs: tuple[Digest, ...] = (),
) -> list[Evidence]:
    """Return the evidence of both games over the images of one modality and cohort.

    A patient's images are averaged first, so that patients count equally; chance likewise. The pointing game
    has Wilson's interval with patients as units, energies the percentile bootstrap over patients. Too few
    patients for that are not assessed; fewer than `FEW` carry `small`. `p_chance` is one-sided: see
    `pointing_p` and `energy_p`.
    """
    ordered = sorted(rows, key=lambda row: (row.pseudonym, row.hit, row.energy, row.area_share))
    if not ordered:
        return [
            _not_assessed(f"{metric}/{modality}/{cohort}", metric, "no image with a lesion mask", phantom)
            for metric in ("pointing_game", "energy_in_lesion")
        ]
    hits, energies, chance = patient_shares(ordered)
    detail: dict[str, float] = {"chance": float(chance.mean()), "images": len(ordered)}
    detail |= {"small": True} if len(hits) < FEW else {}
    found = (
        ("pointing_game", hits, pointing_p(hits, chance)),
        ("energy_in_lesion", energies, energy_p(energies, chance)),
    )
    return [
        _measured(
            f"{metric}/{modality}/{cohort}", metric, shares, phantom, seed, inputs, detail | {"p_chance": p}
        )
        for metric, shares, p in found
    ]


def pointing_p(hits: NDArray[np.float64], chance: NDArray[np.float64]) -> float:
    """Return how probable at least so many hits are if every map pointed anywhere with even probability.

    `hits`, `chance` (n,) in [0, 1]: each patient's share of hits, and of the image that is lesion. A patient
    counts as one draw, as if all maps of one pointed alike; the sum is rounded down. Exact: the Poisson
    binomial distribution.

    >>> round(pointing_p(np.array([1.0, 1.0, 0.0]), np.array([0.1, 0.1, 0.1])), 4)
    0.028
    """
    mass = np.ones(1)
    for p in chance:
        mass = np.convolve(mass, [1 - p, p])
    return min(1.0, float(mass[int(np.floor(hits.sum() + 1e-9)) :].sum()))


def energy_p(energies: NDArray[np.float64], chance: NDArray[np.float64]) -> float:
    """Return the one-sided sign test's p of patients (n,) whose energy is above an even map's (exact).

    >>> energy_p(np.array([0.5, 0.4, 0.3]), np.array([0.1, 0.1, 0.1]))
    0.125
    """
    n, above = len(energies), int((energies > chance).sum())
    return float(sum(math.comb(n, k) for k in range(above, n + 1)) / 2**n)


def patient_shares(
    rows: Iterable[LocalisationRow],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each patient's mean hit, energy and area share (n,), patients in the order of their names."""
    found = list(rows)
    names = [row.pseudonym for row in found]
    return (
        _patient_means(names, [float(row.hit) for row in found]),
        _patient_means(names, [row.energy for row in found]),
        _patient_means(names, [row.area_share for row in found]),
    )


def wilson(successes: NDArray[np.float64]) -> Interval:
    """Return Wilson's 95 % score interval of the mean of `successes` (n,) in [0, 1], n at least 1.

    Of shares between 0 and 1 (patients with several images) it is at least as wide as theirs would be: no
    variable in [0, 1] spreads more than one of 0 and 1 with the same mean.

    Reference: Wilson, JASA 22:209-212 (1927).

    >>> interval = wilson(np.array([1.0] * 9 + [0.0]))
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.596, 0.982)
    """
    return wilson_interval(float(successes.mean()), len(successes))


def bootstrap(values: NDArray[np.float64], *, seed: int, key: str) -> Interval:
    """Return the 95 % percentile bootstrap interval of the mean of `values` (n,), one a patient.

    Reference: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    drawn = stream(seed, "localisation", key).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return Interval(low=float(low), high=float(high), method=f"patient bootstrap, {RESAMPLES} resamples")


def _patient_means(patients: list[str], values: list[float]) -> NDArray[np.float64]:
    _, index = np.unique(patients, return_inverse=True)
    return np.bincount(index, weights=values) / np.bincount(index)


def _measured(
    key: str,
    metric: str,
    shares: NDArray[np.float64],
    phantom: bool,
    seed: int,
    inputs: tuple[Digest, ...],
    detail: dict[str, float],
) -> Evidence:
    counts = metric == "pointing_game"
    if not counts and len(shares) < 2:
        return _not_assessed(key, metric, "fewer than 2 patients with a lesion mask", phantom)
    return Evidence(
        key=key,
        metric=metric,
        stage="explain",
        estimate=float(shares.mean()),
        interval=wilson(shares) if counts else bootstrap(shares, seed=seed, key=key),
        n=len(shares),
        phantom=phantom,
        seed=None if counts else seed,
        inputs=inputs,
        detail=detail,
    )


def _not_assessed(key: str, metric: str, reason: str, phantom: bool) -> Evidence:
    return Evidence.not_assessed(key=key, metric=metric, stage="explain", reason=reason, phantom=phantom)


def _check(heat: NDArray[np.floating], mask: NDArray[np.bool_], tolerance_px: float = 0) -> None:
    if mask.ndim != 2 or heat.shape != mask.shape or mask.dtype != np.bool_:
        raise InvalidInputError(
            f"heat has shape {heat.shape}, mask {mask.shape} of {mask.dtype}",
            remedy="give both as (H, W), the mask of booleans",
        )
    if not mask.any():
        raise InvalidInputError("the mask is empty", remedy="leave images without a lesion out", field="mask")
    if not np.isfinite(heat).all():
        raise InvalidInputError("heat holds NaN or infinity", remedy="find where it came from", field="heat")
    if not (math.isfinite(tolerance_px) and tolerance_px >= 0):
        raise InvalidInputError("a tolerance below 0", remedy="use 0 or more pixels", field="tolerance_px")
