"""How likely a patient is found again, from the sizes of classes alone.

The prosecutor knows that the person is in the table; the journalist only that the person is in the population
behind it; the marketer wants as many as possible. Reference: El Emam & Dankar, Protecting privacy using
k-anonymity, JAMIA 15(5):627-637 (2008); El Emam, Guide to the De-Identification of Personal Health
Information (2013), chapter 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.microdata import Codes
from huizhen.errors import InvalidInputError

__all__ = ["Risk", "journalist", "marketer", "prosecutor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The most at risk's chance of being found, everybody's mean, and the share of patients above a bound."""

    most: float
    average: float
    share_above: float
    above: float


def prosecutor(sizes: Codes, patients: Codes | None = None, *, above: float) -> Risk:
    """Return the risk of patients in classes of `sizes` (classes,) to whoever knows that they are there.

    `patients` (classes,): for how many each is the smallest class that they are in, where patients stand in
    several classes (`Ground.exposed`); without it, everybody stands in one. Of a table without rows
    everything is 0.

    >>> found = prosecutor(np.array([1, 4, 5]), above=0.2)
    >>> found.most, found.average, found.share_above
    (1.0, 0.3, 0.5)
    """
    return _risk(sizes if patients is None else patients, 1.0 / np.maximum(sizes, 1), above)


def journalist(sizes: Codes, population: Codes, *, above: float) -> Risk:
    """Return the risk where each class has `population` (classes,) members outside and inside the table.

    Raises `InvalidInputError` where a class is larger than the population's: then the table isn't part of it.

    >>> journalist(np.array([1, 2]), np.array([10, 2]), above=0.2).most
    0.5
    """
    if (population < sizes).any():
        raise InvalidInputError(
            "a class of the table has more patients than the population has people",
            remedy="give the population that the table's patients come from, with the same columns",
            field="population",
        )
    return _risk(sizes, 1.0 / np.maximum(population, 1), above)


def marketer(sizes: Codes, population: Codes | None = None) -> float:
    """Return the expected share of patients rightly matched by whoever matches all of them.

    Without a `population`, everybody in the table is known to be there: classes over patients.

    >>> marketer(np.array([1, 3]))
    0.5
    """
    if not sizes.sum():
        return 0.0
    share = np.ones(len(sizes)) if population is None else sizes / np.maximum(population, 1)
    return float(share.sum() / sizes.sum())


def _risk(sizes: Codes, chance: NDArray[np.float64], above: float) -> Risk:
    people = int(sizes.sum())
    if not people:
        return Risk(most=0.0, average=0.0, share_above=0.0, above=above)
    return Risk(
        most=float(chance.max()),
        average=float((chance * sizes).sum() / people),
        share_above=float(sizes[chance > above + 1e-12].sum() / people),
        above=above,
    )
