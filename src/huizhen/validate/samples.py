"""The checks that every measure makes on its outcomes, scores and risks before it computes anything."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, NotEstimableError


def checked_outcome(outcome: NDArray[Any], *, name: str = "outcome") -> NDArray[np.bool_]:
    """Return `outcome` (n,) as it is. Raises `InvalidInputError` unless it is one-dimensional and boolean,
    `NotEstimableError` if there is no case.

    >>> checked_outcome(np.array([True, False]))
    array([ True, False])
    """
    array = np.asarray(outcome)
    if array.ndim != 1 or array.dtype != np.bool_:
        raise InvalidInputError(
            f"must be (n,) boolean, is {array.shape} {array.dtype}", remedy="convert it with == 1", field=name
        )
    if not array.size:
        raise NotEstimableError("there is no case", remedy="gather cases", field=name)
    return array


def checked_rows(scores: ArrayLike, n: int, *, name: str = "scores") -> NDArray[np.float64]:
    """Return `scores` (k, n) or (n,) as float64 (k, n); infinities may rank, NaN may not.

    Raises `InvalidInputError` on another length, a type that isn't a real number, or NaN.

    >>> checked_rows([0, 1], 2)
    array([[0., 1.]])
    """
    try:
        array = np.atleast_2d(np.asarray(scores)).astype(np.float64, casting="safe", copy=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError("not real numbers", remedy="give floats", field=name) from error
    if array.ndim != 2 or array.shape[1] != n:
        raise InvalidInputError(f"has shape {array.shape} for {n} cases", remedy="give n", field=name)
    if np.isnan(array).any():
        raise InvalidInputError("holds NaN", remedy="leave out the cases that have no answer", field=name)
    return array


def checked_scores(score: ArrayLike, n: int, *, name: str = "score") -> NDArray[np.float64]:
    """Return `score` (n,) as float64. Raises as `checked_rows`.

    >>> checked_scores([0, 1], 2)
    array([0., 1.])
    """
    if np.ndim(score) != 1:
        raise InvalidInputError(f"has {np.ndim(score)} dimensions", remedy="give (n,) scores", field=name)
    row: NDArray[np.float64] = checked_rows(score, n, name=name)[0]
    return row


def checked_risk(risk: ArrayLike, n: int, *, name: str = "risk") -> NDArray[np.float64]:
    """Return `risk` (n,) as float64. Raises as `checked_rows`, and `InvalidInputError` outside [0, 1].

    >>> checked_risk([0.0, 1.0], 2)
    array([0., 1.])
    """
    array = checked_scores(risk, n, name=name)
    if array.min() < 0 or array.max() > 1:
        raise InvalidInputError("leaves [0, 1]", remedy="calibrate it first", field=name)
    return array


def class_counts(outcome: NDArray[np.bool_], *, least: int = 1) -> tuple[int, int]:
    """Return the numbers of events and non-events. Raises `NotEstimableError` if either is under `least`.

    >>> class_counts(np.array([True, False, False]))
    (1, 2)
    """
    n_pos = int(np.count_nonzero(outcome))
    n_neg = outcome.size - n_pos
    if min(n_pos, n_neg) < least:
        raise NotEstimableError(
            f"{n_pos} events and {n_neg} non-events: at least {least} of each are needed",
            remedy="gather cases",
        )
    return n_pos, n_neg
