"""Which parameters say most about patients: where gradients are large, an attacker has most to invert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["largest_elements", "layer_sensitivity", "most_sensitive_layers"]


def layer_sensitivity(gradients: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Return each layer's root mean square gradient: its norm by the root of its parameters.

    Raises `InvalidInputError` on a layer that is empty or not finite.

    >>> layer_sensitivity({"a": np.array([3.0, 4.0]), "b": np.array([0.0])})["b"]
    0.0
    """
    found = {}
    for name, gradient in gradients.items():
        value = float(np.linalg.norm(np.ravel(gradient)) / np.sqrt(max(gradient.size, 1)))
        if not gradient.size or not np.isfinite(value):
            raise InvalidInputError(f"layer {name} has no finite gradient", remedy="train before choosing")
        found[name] = value
    return found


def most_sensitive_layers(
    sensitivity: Mapping[str, float], sizes: Mapping[str, int], *, share: float
) -> tuple[str, ...]:
    """Return the layers to protect, most sensitive first, up to `share` in (0, 1] of all parameters.

    A layer that doesn't fit in what is left is passed over for smaller ones; the most sensitive one is always
    in. Ties go by name. Raises `InvalidInputError` on a share outside (0, 1] or layers that differ.

    >>> most_sensitive_layers({"a": 1.0, "b": 3.0, "c": 2.0}, {"a": 1, "b": 4, "c": 9}, share=0.4)
    ('b', 'a')
    """
    if not 0 < share <= 1 or set(sensitivity) != set(sizes) or not sizes:
        raise InvalidInputError("a share outside (0, 1], or layers without sizes", remedy="give both")
    order = sorted(sensitivity, key=lambda name: (-sensitivity[name], name))
    left = share * sum(sizes.values())
    chosen: list[str] = []
    for name in order:
        if not chosen or sizes[name] <= left:
            chosen.append(name)
            left -= sizes[name]
    return tuple(chosen)


def largest_elements(gradient: NDArray[Any], *, share: float) -> NDArray[np.int64]:
    """Return the places of the `share` in (0, 1] of elements with the largest gradients, ascending.

    All sites must use the same places: choose them from a gradient that all have (the last aggregate).
    Raises `InvalidInputError` on a share outside (0, 1] or a gradient that is empty or not finite.

    >>> largest_elements(np.array([0.1, -5.0, 0.2, 3.0]), share=0.5).tolist()
    [1, 3]
    """
    if not 0 < share <= 1 or gradient.ndim != 1 or not len(gradient) or not np.isfinite(gradient).all():
        raise InvalidInputError("a share outside (0, 1], or no finite gradient", remedy="give both")
    count = max(1, round(share * len(gradient)))
    order = np.argsort(-np.abs(gradient), kind="stable")
    return np.sort(order[:count])
