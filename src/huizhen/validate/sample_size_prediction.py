"""How many patients a prediction model needs, to be developed and to be validated, for a binary outcome.

References: Riley, Snell, Ensor et al., Stat Med 38:1276-1296 (2019) and BMJ 368:m441 (2020), development;
Riley, Debray, Collins et al., Stat Med 40:4230-4251 (2021), validation; Newcombe, Stat Med 25:559-573 (2006),
method 4, for the variance of the c statistic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from huizhen.errors import InvalidInputError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.sample_size import checked_share


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentSize:
    """Patients for little shrinkage, for little optimism in R², for the overall risk, and for all three."""

    shrinkage: int
    optimism: int
    overall_risk: int
    patients: int


def development_size(
    *,
    r_squared: float,
    parameters: int,
    prevalence: float,
    shrinkage: float = 0.9,
    optimism: float = 0.05,
    half_width: float = 0.05,
) -> DevelopmentSize:
    """Return the size for a model of so many candidate parameters with an expected Cox-Snell R².

    `shrinkage`: the least calibration slope expected in new patients; `optimism`: the most that Nagelkerke's
    R² may be too high; `half_width`: of the interval for the overall risk. Raises `InvalidInputError` on
    shares outside (0, 1), no parameter, or an R² above the highest that this prevalence allows.

    >>> development_size(r_squared=0.288, parameters=24, prevalence=0.174)
    DevelopmentSize(shrinkage=623, optimism=662, overall_risk=221, patients=662)
    """
    phi = checked_share(prevalence, "prevalence")
    checked_share(shrinkage, "shrinkage")
    highest = 1 - math.exp(2 * (phi * math.log(phi) + (1 - phi) * math.log(1 - phi)))
    if not 0 < r_squared < highest or parameters < 1:
        raise InvalidInputError(
            f"R² must be within (0, {highest:.3f}), with a parameter", remedy="check", field="r_squared"
        )
    other = r_squared / (r_squared + checked_share(optimism, "optimism") * highest)
    sizes = [math.ceil(_for_shrinkage(parameters, r_squared, value)) for value in (shrinkage, other)]
    overall = math.ceil((1.96 / checked_share(half_width, "half_width")) ** 2 * phi * (1 - phi))
    return DevelopmentSize(
        shrinkage=sizes[0], optimism=sizes[1], overall_risk=overall, patients=max(*sizes, overall)
    )


def _for_shrinkage(parameters: int, r_squared: float, shrinkage: float) -> float:
    """Return the size at which the expected shrinkage is that wanted."""
    return parameters / ((shrinkage - 1) * math.log(1 - r_squared / shrinkage))


def observed_expected_size(*, prevalence: float, width: float, level: float = 0.95) -> int:
    """Return the size at which the interval of O/E, around 1, is so wide from end to end.

    >>> observed_expected_size(prevalence=0.018, width=1.0)
    906
    """
    phi = checked_share(prevalence, "prevalence")
    if not width > 0:
        raise InvalidInputError("the width isn't above 0", remedy="give one", field="width")
    error = math.asinh(width / 2) / normal_quantile(level)
    return math.ceil((1 - phi) / (phi * error**2))


def c_statistic_size(*, c: float, prevalence: float, width: float, level: float = 0.95) -> int:
    """Return the size at which the interval of the c statistic is so wide from end to end.

    >>> c_statistic_size(c=0.8, prevalence=0.018, width=0.1)
    4252
    """
    checked_share(c, "c")
    phi = checked_share(prevalence, "prevalence")
    wanted = (checked_share(width, "width") / (2 * normal_quantile(level))) ** 2
    low, high = 2, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _newcombe_variance(c, phi, middle) <= wanted else (middle, high)
    return high


def _newcombe_variance(c: float, phi: float, n: int) -> float:
    """Return the variance of a c statistic over n patients."""
    half = n / 2 - 1
    return c * (1 - c) * (1 + half * (1 - c) / (2 - c) + half * c / (1 + c)) / (n**2 * phi * (1 - phi))


def slope_size(*, mean: float, spread: float, width: float, level: float = 0.95) -> int:
    """Return the size at which the interval of the calibration slope is so wide from end to end.

    The linear predictor is normal with `mean` and standard deviation `spread`, its calibration perfect; the
    information is integrated numerically over it. Raises `InvalidInputError` unless spread and width are
    above 0.

    >>> slope_size(mean=-5.0, spread=2.5, width=0.2)
    4554
    """
    if not spread > 0 or not width > 0:
        raise InvalidInputError("spread or width isn't above 0", remedy="give both", field="spread")
    nodes = np.linspace(-9, 9, 4001)
    mass = np.exp(-(nodes**2) / 2)
    mass /= mass.sum()
    line = mean + spread * nodes
    weight = mass * expit(line) * expit(-line)
    whole, first, second = (float((weight * line**power).sum()) for power in (0, 1, 2))
    error = width / (2 * normal_quantile(level))
    return math.ceil(whole / (error**2 * (whole * second - first**2)))


def net_benefit_size(
    *,
    sensitivity: float,
    specificity: float,
    prevalence: float,
    threshold: float,
    width: float,
    level: float = 0.95,
) -> int:
    """Return the size at which the interval of the standardised net benefit is so wide from end to end.

    The variance is the delta method's of Marsh, Janes & Pepe, Biometrics 76:843-852 (2020), as Riley et al.
    (2021) use it. Raises `InvalidInputError` unless all are inside (0, 1) but the width, which is above 0.

    >>> net_benefit_size(sensitivity=0.8, specificity=0.7, prevalence=0.1, threshold=0.1, width=0.2)
    1089
    """
    phi, at = checked_share(prevalence, "prevalence"), checked_share(threshold, "threshold")
    tpr, fpr = checked_share(sensitivity, "sensitivity"), 1 - checked_share(specificity, "specificity")
    if not width > 0:
        raise InvalidInputError("the width isn't above 0", remedy="give one", field="width")
    worth = (1 - phi) / phi * at / (1 - at)
    one = tpr * (1 - tpr) / phi + worth**2 * fpr * (1 - fpr) / (1 - phi)
    one += worth**2 * fpr**2 / (phi * (1 - phi))
    return math.ceil(one * (2 * normal_quantile(level) / width) ** 2)
