"""ComBat's pooled part: the model that all sites share, from sums over their training patients.

The model is y = centre + covariates . slopes + scale x (gamma + sqrt(delta) x noise), per feature. Slopes are
found from what varies within sites (Frisch-Waugh-Lovell), so that no site's own mean is asked for: the pooled
part needs sums over sites alone, and is what a fit on the pooled patients gives.

References: Johnson, Li & Rabinovic, Biostatistics 8:118-127 (2007); Fortin et al., NeuroImage 161:149-170
(2017) for imaging and covariates; Stein et al., BMC Med Genomics 8:63 (2015) for the reference (M-ComBat).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import DataError, InvalidInputError, NotEstimableError

__all__ = ["Pooled", "Sums", "checked", "pooled_of", "slopes_of", "squares_of", "sums_of", "within"]

Floats = NDArray[np.float64]

FLAT = 1e-12
"""A feature whose variance is below this share of its mean square is constant."""
COLLINEAR = 1e-9
"""A direction of the covariates that varies less than this within sites, against all in all, is collinear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the pooled part is made of, summed over sites, of p features and q covariates.

    `n` patients; `y` (p,) and `c` (q,) sums; `cc` (q, q) sums of products of covariates; `within_cc` (q, q)
    and `within_cy` (q, p) those of covariates and features less their means at the site. With a reference
    site `centre_n`, `centre_y` (p,) and `centre_c` (q,) are its sums, otherwise everybody's.
    """

    n: int
    y: Floats
    c: Floats
    cc: Floats
    within_cc: Floats
    within_cy: Floats
    centre_n: int
    centre_y: Floats
    centre_c: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """The part of ComBat that all sites share, from then on frozen: also for a site that comes later.

    `centre` (p,): the grand mean, or that of the reference site; `slopes` (q, p) of the covariates; `scale`
    (p,): the standard deviation of what is left; `covariates` (q,): their means, for who has none. A feature
    with `flat` (p,) is the same for everybody and stays as it is.
    """

    centre: Floats
    slopes: Floats
    scale: Floats
    covariates: Floats
    flat: NDArray[np.bool_]
    n: int

    def __post_init__(self) -> None:
        p, q = self.centre.size, self.covariates.size
        shapes = (self.centre.shape, self.slopes.shape, self.scale.shape, self.flat.shape)
        if shapes != ((p,), (q, p), (p,), (p,)):
            raise InvalidInputError(
                "the parts of a pooled fit don't fit each other", remedy="fit it again", field="pooled"
            )
        if not all(np.isfinite(a).all() for a in (self.centre, self.slopes, self.scale, self.covariates)):
            raise InvalidInputError(
                "a pooled fit holds NaN or infinity", remedy="fit it again", field="pooled"
            )
        if (self.scale <= 0).any():
            raise InvalidInputError("a scale isn't positive", remedy="fit it again", field="pooled")

    def expected(self, covariates: Floats | None, n: int) -> Floats:
        """Return what n patients' features (n, p) would be at the pooled site; at mean covariates if None."""
        given = np.broadcast_to(self.covariates, (n, self.covariates.size))
        known = given if covariates is None else covariates
        found: Floats = self.centre + known @ self.slopes
        return found


def checked(features: Floats, covariates: Floats | None, *, site: str = "") -> tuple[Floats, Floats]:
    """Return features (n, p) and covariates (n, q) as float64; none is (n, 0).

    Raises `DataError` on values that aren't finite, `InvalidInputError` on shapes that don't fit.
    """
    y = np.asarray(features, np.float64)
    c = np.zeros((len(y), 0)) if covariates is None else np.asarray(covariates, np.float64)
    if y.ndim != 2 or c.ndim != 2 or len(c) != len(y):
        raise InvalidInputError(
            f"features of shape {y.shape} and covariates of shape {c.shape}", remedy="give (n, p) and (n, q)"
        )
    for name, values in (("features", y), ("covariates", c)):
        if not np.isfinite(values).all():
            raise DataError(
                f"{name} of {int((~np.isfinite(values)).any(1).sum())} patients hold NaN or infinity",
                remedy="leave these patients out, or fill what is missing, before harmonising",
                field=site or name,
            )
    return y, c


def sums_of(
    features: Floats,
    covariates: Floats | None = None,
    *,
    batch: NDArray[np.int64] | None = None,
    reference: int | None = None,
) -> Sums:
    """Return the sums over patients (n, p), (n, q) who are at the sites `batch` (n,), one site if None.

    `reference`: the number in `batch` of the site that all are moved to; -1 for one that isn't among these.

    >>> sums_of(np.array([[1.0], [3.0]])).y.tolist()
    [4.0]
    """
    y, c = checked(features, covariates)
    where = np.zeros(len(y), np.int64) if batch is None else batch
    apart_y, apart_c = within(y, where), within(c, where)
    centre = np.ones(len(y), bool) if reference is None else where == reference
    return Sums(
        n=len(y),
        y=y.sum(0),
        c=c.sum(0),
        cc=c.T @ c,
        within_cc=apart_c.T @ apart_c,
        within_cy=apart_c.T @ apart_y,
        centre_n=int(centre.sum()),
        centre_y=y[centre].sum(0),
        centre_c=c[centre].sum(0),
    )


def within(values: Floats, batch: NDArray[np.int64]) -> Floats:
    """Return `values` (n, p) less their mean at each patient's site.

    >>> within(np.array([[1.0], [3.0], [9.0]]), np.array([0, 0, 1])).ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    found = np.empty_like(values)
    for one in np.unique(batch):
        here = batch == one
        found[here] = values[here] - values[here].mean(0)
    return found


def slopes_of(sums: Sums, names: Sequence[str]) -> Floats:
    """Return the covariates' slopes (q, p) from what varies within sites.

    Raises `DataError` that names the covariates which say the same as the site, or as each other.

    >>> y = np.array([[0.0], [2.0], [10.0], [12.0]]); c = np.array([[0.0], [1.0], [0.0], [1.0]])
    >>> slopes_of(sums_of(y, c, batch=np.array([0, 0, 1, 1])), ["age"]).tolist()
    [[2.0]]
    """
    if not sums.c.size:
        return np.zeros((0, sums.y.size))
    mean = sums.c / max(sums.n, 1)
    spread = np.sqrt(np.maximum(np.diag(sums.cc) / max(sums.n, 1) - mean**2, 0))
    if constant := [n for n, s, m in zip(names, spread, mean, strict=True) if s <= 1e-9 * (1 + abs(m))]:
        raise DataError(
            f"covariate {', '.join(constant)} is the same for every patient",
            remedy="take it out of what harmonisation keeps",
            field="harmonisation.keep",
        )
    scaled = sums.within_cc / np.outer(spread, spread) / max(sums.n, 1)
    size, direction = np.linalg.eigh(scaled)
    if size[0] < COLLINEAR:
        raise _collinear(names, np.diag(scaled), direction[:, 0])
    found: Floats = (
        np.linalg.solve(scaled, sums.within_cy / spread[:, None] / max(sums.n, 1)) / spread[:, None]
    )
    return found


def _collinear(names: Sequence[str], within_share: Floats, direction: Floats) -> DataError:
    """Return the error for covariates that can't be told from the site, or from each other."""
    alone = [n for n, share in zip(names, within_share, strict=True) if share < COLLINEAR]
    joint = [n for n, weight in zip(names, direction, strict=True) if abs(weight) > 1e-3]
    told = f"covariate {', '.join(alone)} is collinear with the site: it doesn't vary within any"
    if not alone:
        told = f"covariates {', '.join(joint)} are collinear with each other and the site"
    return DataError(
        told,
        remedy="take one out of what harmonisation keeps: nothing tells them apart",
        field="harmonisation.keep",
    )


def pooled_of(sums: Sums, slopes: Floats, squares: Floats, squares_n: int) -> Pooled:
    """Return the pooled part from `sums`, `slopes` and the `squares` (p,) of what is left within sites.

    `squares` are over `squares_n` patients: everybody, or those of the reference site. Raises
    `NotEstimableError` without patients (of the reference site).
    """
    if not sums.centre_n or not squares_n:
        raise NotEstimableError(
            "there is no patient to harmonise to", remedy="name a reference site that has training patients"
        )
    centre = (sums.centre_y - sums.centre_c @ slopes) / sums.centre_n
    variance = squares / squares_n
    flat = variance <= FLAT * (1 + centre**2)
    return Pooled(
        centre=centre,
        slopes=slopes,
        scale=np.where(flat, 1.0, np.sqrt(np.maximum(variance, 0))),
        covariates=sums.c / max(sums.n, 1),
        flat=flat,
        n=sums.n,
    )


def squares_of(
    features: Floats,
    covariates: Floats | None,
    slopes: Floats,
    *,
    batch: NDArray[np.int64] | None = None,
    reference: int | None = None,
) -> tuple[Floats, int]:
    """Return the sums of squares (p,) of what covariates and sites leave, and of how many patients."""
    y, c = checked(features, covariates)
    where = np.zeros(len(y), np.int64) if batch is None else batch
    left = within(y - c @ slopes, where)
    counted = np.ones(len(y), bool) if reference is None else where == reference
    return (left[counted] ** 2).sum(0), int(counted.sum())
