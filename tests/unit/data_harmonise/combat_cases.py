"""Sites whose features differ in mean, spread and covariates, as ComBat's model says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.combat import Prior, apply_shift, site_shift
from huizhen.data.harmonise.pooled import pooled_of, slopes_of, squares_of, sums_of

Floats = NDArray[np.float64]
NAMES = ("sex", "age")


def sites(seed: int = 0, n: int = 150, p: int = 12) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return features (n, p), sex and age (n, 2) and the site (n,) of patients at three sites."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(0, 3, n)
    age = (rng.normal(size=n) + batch).astype(np.float32).astype(float)  # neuroCombat reads float32
    sex = rng.integers(0, 2, n).astype(float)
    noise = rng.normal(size=(n, p)) * np.linspace(0.5, 3, p) * (1 + 0.3 * batch[:, None])
    moved = batch[:, None] * rng.normal(size=p) + np.outer(age, rng.normal(size=p)) + 10
    return noise + moved, np.column_stack([sex, age]).astype(float), batch


def harmonised(
    y: Floats,
    c: Floats | None,
    batch: NDArray[np.int64],
    *,
    reference: int | None = None,
    prior: Prior = Prior.PARAMETRIC,
    mean_only: bool = False,
) -> Floats:
    """Return the features after ComBat over all sites."""
    sums = sums_of(y, c, batch=batch, reference=reference)
    slopes = slopes_of(sums, () if c is None else NAMES)
    squares = squares_of(y, c, slopes, batch=batch, reference=reference)
    frozen = pooled_of(sums, slopes, *squares)
    found = y.copy()
    for one in np.unique(batch):
        here = batch == one
        known = None if c is None else c[here]
        if one != reference:
            shift = site_shift(y[here], frozen, covariates=known, prior=prior, mean_only=mean_only)
            found[here] = apply_shift(y[here], frozen, shift, covariates=known)
    return found
