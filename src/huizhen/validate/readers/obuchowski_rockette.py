"""Obuchowski and Rockette's comparison of modalities, with Hillis' degrees of freedom.

Readers and cases are random or fixed: what is random is what the result speaks for. With fixed readers it
holds for these readers only, with fixed cases for these cases only.

References: Obuchowski & Rockette, Commun Stat Simul Comput 24:285-308 (1995); Hillis, Obuchowski, Schartz &
Berbaum, Stat Med 24:1579-1607 (2005); Hillis, Stat Med 26:596-619 (2007); Hillis, Stat Med 33:330-360 (2014).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate
from huizhen.validate.readers.components import Components, components
from huizhen.validate.readers.contrasts import Generalise, check_readers, contrast
from huizhen.validate.readers.effects import Effect, effect, no_effect
from huizhen.validate.readers.figures import CovarianceMethod, Figures, figures
from huizhen.validate.readers.merit import Merit
from huizhen.validate.readers.study import ReaderStudy

_METHOD = "Obuchowski-Rockette-Hillis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnibus:
    """The test that all modalities have the same figure: F with (df, df_error), or chi² if that is infinite.

    NaN where nothing varies.
    """

    statistic: float
    df: float
    df_error: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Figures (t, r) by modality and reader, their test, each difference of two modalities, each modality.

    A modality is judged from its own reads alone, and left out where nothing varies.
    """

    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    values: NDArray[np.float64]
    components: Components
    omnibus: Omnibus
    differences: dict[tuple[str, str], Effect]
    single: dict[str, Estimate]


def compare(
    study: ReaderStudy,
    merit: Merit,
    *,
    covariance: CovarianceMethod = "jackknife",
    generalise: Generalise = "readers and cases",
    level: float = 0.95,
) -> Comparison:
    """Return the comparison of t >= 2 modalities in which every reader used all modalities.

    The reads may have gaps: readers with cases of their own (split plot), modalities with cases of their own,
    single missing reads. Raises `NotEstimableError` when a reader didn't use a modality (see
    `compare_reader_groups` and `u_statistics`), with under 3 readers where readers are random, or without any
    variance; `InvalidInputError` on an unknown option.
    """
    check_readers(len(study.readers), generalise)
    found = _complete(study, merit, covariance)
    parts = components(found)
    error = difference_variance(parts, generalise)
    pairs = itertools.combinations(range(parts.modalities), 2)
    names = study.modalities
    return Comparison(
        modalities=names,
        readers=study.readers,
        values=found.values,
        components=parts,
        omnibus=_omnibus(parts, *error),
        differences={
            (names[a], names[b]): _difference(study, found, (a, b), *error, level) for a, b in pairs
        },
        single=_each(found, names, generalise, level),
    )


def _complete(study: ReaderStudy, merit: Merit, covariance: CovarianceMethod) -> Figures:
    """Return the figures of a study with two modalities or more, all used by all readers."""
    if len(study.modalities) < 2:
        raise InvalidInputError("one modality is no comparison", remedy="use against", field="modality")
    found = figures(study, merit, covariance=covariance)
    if np.isnan(found.values).any():
        raise NotEstimableError(
            "a reader didn't use every modality",
            remedy="use compare_reader_groups or u_statistic_difference",
            field="reads",
        )
    return found


def difference_variance(parts: Components, generalise: Generalise) -> tuple[float, float]:
    """Return the variance of a difference of two modalities and its degrees of freedom (Hillis 2007).

    It pools all modalities, also those that aren't compared.
    """
    t, r = parts.modalities, parts.readers
    if generalise == "cases":
        return 2 / r * (parts.variance - parts.cov1 + (r - 1) * parts.shared), math.inf
    free = (t - 1.0) * (r - 1)
    total = parts.ms_interaction + (r * parts.shared if generalise == "readers and cases" else 0.0)
    return 2 / r * total, free * (total / parts.ms_interaction) ** 2 if parts.ms_interaction else math.inf


def _omnibus(parts: Components, variance: float, df: float) -> Omnibus:
    """Return the test of no difference between any modalities, from the variance of a difference."""
    free, error = parts.modalities - 1, variance * parts.readers / 2
    if not error > 0:
        return Omnibus(statistic=math.nan, df=free, df_error=df, p=math.nan)
    ratio = parts.ms_modality / error
    if math.isinf(df):
        return Omnibus(statistic=free * ratio, df=free, df_error=df, p=float(chdtrc(free, free * ratio)))
    return Omnibus(statistic=ratio, df=free, df_error=df, p=float(fdtrc(free, df, ratio)))


def _difference(
    study: ReaderStudy, found: Figures, pair: tuple[int, int], variance: float, df: float, level: float
) -> Effect:
    """Return the first of two modalities less the second."""
    a, b = pair
    if np.array_equal(study.ratings[a], study.ratings[b], equal_nan=True):
        return no_effect(level=level)
    return effect(
        float(found.values[a].mean() - found.values[b].mean()), variance, df, method=_METHOD, level=level
    )


def _each(
    found: Figures, names: tuple[str, ...], generalise: Generalise, level: float
) -> dict[str, Estimate]:
    """Return every modality in which anything varies, from its own reads."""
    made: dict[str, Estimate] = {}
    for place, name in enumerate(names):
        if _alone(found, place, generalise)[1] > 0:
            one = _single(found, place, generalise, level, null=0.5)
            made[name] = Estimate(value=one.estimate, interval=one.interval)
    return made


def _alone(found: Figures, place: int, generalise: Generalise) -> tuple[float, float, float]:
    """Return one modality's mean over its readers, its variance and degrees of freedom."""
    used = np.flatnonzero(~np.isnan(found.values[place]))
    theta, spread = found.values[place, used], found.covariance[place][:, place][np.ix_(used, used)]
    return contrast(theta, spread, [np.arange(used.size)], [1.0], generalise)


def _single(found: Figures, place: int, generalise: Generalise, level: float, *, null: float) -> Effect:
    """Return one modality's mean over its readers, tested against `null`."""
    made = _alone(found, place, generalise)
    return effect(*made, method=f"{_METHOD}, one modality", level=level, null=null, within=(0.0, 1.0))


def against(
    study: ReaderStudy,
    merit: Merit,
    modality: str,
    *,
    value: float,
    covariance: CovarianceMethod = "jackknife",
    generalise: Generalise = "readers and cases",
    level: float = 0.95,
) -> Effect:
    """Return one modality's mean figure over its readers, tested against `value`, from its own reads.

    Such as readers against a stand-alone algorithm's figure from elsewhere; an algorithm's figure on the same
    cases has an error of its own that this test leaves out. Raises as `compare`, and `NotEstimableError`
    where nothing varies (all readers perfect).
    """
    found = figures(study.only(modality), merit, covariance=covariance)
    return _single(found, 0, generalise, level, null=value)


def compare_reader_groups(
    study: ReaderStudy,
    merit: Merit,
    first: str,
    second: str,
    *,
    covariance: CovarianceMethod = "jackknife",
    generalise: Generalise = "readers and cases",
    level: float = 0.95,
) -> Effect:
    """Return `first` less `second`, each used by readers of its own, on the same or on other cases.

    With random readers the variance is the sum of MS(R)/r of both groups and max(Cov2 + Cov2' - 2 Cov3, 0),
    with Satterthwaite's degrees of freedom. Raises `NotEstimableError` when a reader used both modalities or
    a group of random readers has under 3. Reference: Hillis (2014), readers nested within tests.
    """
    pair = study.only(first, second)
    used = np.asarray(pair.read.any(axis=2))
    if used.all(axis=0).any():
        raise NotEstimableError("a reader used both", remedy="use compare or u_statistic_difference")
    found = figures(pair, merit, covariance=covariance)
    r, group = len(pair.readers), used[1].astype(np.intp)  # each reader's modality
    theta, places = found.values[group, np.arange(r)], np.arange(r)
    spread = found.covariance[group, places][:, group, places]
    made = contrast(theta, spread, [np.flatnonzero(row) for row in used], [1.0, -1.0], generalise)
    return effect(*made, method=f"{_METHOD}, readers nested", level=level)
