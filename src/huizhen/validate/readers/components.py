"""Mean squares and covariances of Obuchowski and Rockette's model.

θ_ij of modality i and reader j is a mean plus modality, reader and modality-reader effects plus an error, of
covariance over cases Var (same reader and modality), Cov1 (same reader), Cov2 (same modality), Cov3
(neither). References: Obuchowski & Rockette, Commun Stat Simul Comput 24:285-308 (1995); Hillis, Stat Med
26:596-619 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.validate.readers.figures import Figures

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Mean squares and covariances of t modalities and r readers. A mean square is NaN if its df is 0."""

    modalities: int
    readers: int
    ms_modality: float
    ms_reader: float
    ms_interaction: float
    variance: float
    cov1: float
    cov2: float
    cov3: float

    @property
    def shared(self) -> float:
        """max(Cov2 - Cov3, 0): what the common cases add to a difference of modalities."""
        return max(self.cov2 - self.cov3, 0.0)

    @property
    def interaction_variance(self) -> float:
        """The variance of modality-reader effects, MS(TR) - Var + Cov1 + max(Cov2 - Cov3, 0); may be < 0."""
        return self.ms_interaction - self.variance + self.cov1 + self.shared


def components(found: Figures) -> Components:
    """Return the components of a table (t, r) of figures without gaps.

    A covariance is the mean over all pairs of its kind, 0 where a pair shares no case, so that the variance
    of a mean is right in split-plot designs too (Obuchowski, Gallas & Hillis, Acad Radiol 19:1508, 2012).
    """
    theta = found.values
    t, r = theta.shape
    ms_modality, ms_reader, ms_interaction = mean_squares(theta)
    variance, cov1, cov2, cov3 = mean_covariances(found.covariance)
    return Components(
        modalities=t,
        readers=r,
        ms_modality=ms_modality,
        ms_reader=ms_reader,
        ms_interaction=ms_interaction,
        variance=variance,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
    )


def mean_squares(theta: Floats) -> tuple[float, float, float]:
    """Return MS(T), MS(R) and MS(TR) of figures (t, r).

    >>> [round(ms, 6) for ms in mean_squares(np.array([[0.8, 0.9], [0.7, 0.6]]))]
    [0.04, 0.0, 0.01]
    """
    t, r = theta.shape
    by_modality, by_reader = theta.mean(axis=1), theta.mean(axis=0)
    rest = theta - by_modality[:, np.newaxis] - by_reader + theta.mean()
    sums = r * _squares(by_modality), t * _squares(by_reader), float((rest**2).sum())
    return _ratio(sums[0], t - 1), _ratio(sums[1], r - 1), _ratio(sums[2], (t - 1) * (r - 1))


def _squares(values: Floats) -> float:
    """Return the sum of squares around the mean."""
    return float(((values - values.mean()) ** 2).sum())


def _ratio(total: float, df: int) -> float:
    """Return total / df, NaN if there is no degree of freedom."""
    return total / df if df else float("nan")


def mean_covariances(covariance: Floats) -> tuple[float, float, float, float]:
    """Return Var, Cov1, Cov2, Cov3: means of `covariance` (t, r, t, r) by kind of pair, 0 for no pair.

    >>> mean_covariances(np.arange(16.0).reshape(2, 2, 2, 2))
    (7.5, 7.5, 7.5, 7.5)
    """
    t, r = covariance.shape[:2]
    both = np.einsum("ijij->", covariance)
    reader = np.einsum("ijkj->", covariance)  # same reader, any modalities
    modality = np.einsum("ijik->", covariance)
    sums = both, reader - both, modality - both, covariance.sum() - reader - modality + both
    counts = t * r, t * r * (t - 1), t * r * (r - 1), t * r * (t - 1) * (r - 1)
    means = [float(total / count) if count else 0.0 for total, count in zip(sums, counts, strict=True)]
    return means[0], means[1], means[2], means[3]
