"""What observed reads say of the readers: their accuracy, and how their errors go together and with the AI.

Correlations are those of the normal model in `panel`, given the truth, by matching one moment in both classes
together. References: Pearson, Biometrika 7:96-105 (1909), biserial correlation; Pearson, Philos Trans R Soc A
195:1-47 (1900), tetrachoric correlation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError
from huizhen.validate.samples import class_counts
from huizhen.validate.triage.panel import Reader

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_MOST = 0.99


def reader_from(flag: Flags, outcome: Flags) -> Reader:
    """Return a reader's accuracy from flags (n,): counts with half an exam added to each side.

    So both stay inside (0, 1). Raises `NotEstimableError` when a class is missing. Reference for the half:
    Agresti, Categorical Data Analysis (2013), section 3.1.

    >>> reader_from(np.array([True, False, False]), np.array([True, False, False]))
    Reader(sensitivity=0.75, specificity=0.8333333333333334)
    """
    _checked(flag, outcome)
    events, others = class_counts(outcome)
    return Reader(
        sensitivity=(int(np.count_nonzero(flag & outcome)) + 0.5) / (events + 1),
        specificity=(int(np.count_nonzero(~flag & ~outcome)) + 0.5) / (others + 1),
    )


def correlation_with_ai(flag: Flags, ai: Floats, outcome: Flags) -> float:
    """Return the biserial correlation of flags (n,) with the AI's normal scores (n,), given the truth.

    The mean of ai over all exams of those flagged is ρ times the normal density at the reader's threshold.
    Kept within [-0.99, 0.99]. Raises as `reader_from`.

    >>> ai = np.tile(np.linspace(-2, 2, 41), 2)
    >>> truth = np.arange(82) < 41
    >>> correlation_with_ai(ai > 0, ai, truth) > 0.9
    True
    """
    reader = reader_from(flag, outcome)
    seen = wanted = 0.0
    for group, threshold in zip((~outcome, outcome), reader.thresholds, strict=True):
        seen += float(np.sum(ai[group] * flag[group]))
        wanted += np.count_nonzero(group) * math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
    return min(max(seen / wanted, -_MOST), _MOST)


def correlation_between(first: Flags, second: Flags, outcome: Flags) -> float:
    """Return the tetrachoric correlation of two readers' flags (n,), given the truth, within [0, 0.99].

    It is the κ at which as many exams are expected to be flagged by both as were. Raises as `reader_from`.

    >>> flags, truth = np.arange(100) % 4 == 0, np.arange(100) < 40
    >>> correlation_between(flags, flags, truth), correlation_between(flags, ~flags, truth)
    (0.99, 0.0)
    """
    pair = [reader_from(flags, outcome).thresholds for flags in (first, second)]
    _checked(second, first)
    sizes = [float(np.count_nonzero(~outcome)), float(np.count_nonzero(outcome))]
    seen = float(np.count_nonzero(first & second))

    def excess(kappa: float) -> float:
        return sum(sizes[k] * _both(pair[0][k], pair[1][k], kappa) for k in (0, 1)) - seen

    if excess(0.0) >= 0:
        return 0.0
    if excess(_MOST) <= 0:
        return _MOST
    return float(brentq(excess, 0.0, _MOST, xtol=1e-8))


def _both(one: float, two: float, kappa: float) -> float:
    """Return the chance that two normals with correlation `kappa` exceed `one` and `two`."""
    if kappa == 0:
        return float(ndtr(-one) * ndtr(-two))
    node = ndtri((np.arange(2000) + 0.5) / 2000)
    root, rest = math.sqrt(kappa), math.sqrt(1 - kappa)
    return float(np.mean(ndtr((root * node - one) / rest) * ndtr((root * node - two) / rest)))


def _checked(flag: Flags, other: Flags) -> None:
    """Raise `InvalidInputError` unless both are boolean and of one length."""
    if flag.dtype != np.bool_ or other.dtype != np.bool_ or flag.shape != other.shape:
        raise InvalidInputError("flags must be (n,) boolean, one an exam", remedy="convert them with == 1")
