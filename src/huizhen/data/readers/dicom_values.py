"""DICOM elements as text and numbers, cautious in reading: a value that can't be decoded is an absent one."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset

__all__ = ["number_of", "numbers_of", "text_of", "value_of", "whole_number_of"]


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value, None when it is absent, empty or of a form that its type doesn't allow."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts a value when it is asked for, and raises many kinds
        return None
    return None if value is None or value == "" else value


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element's value as text, "" when it is absent; several values by backslash."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        return "\\".join(str(one).strip() for one in value)
    return str(value).strip(" \x00")


def numbers_of(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the `count` finite numbers of an element, or none at all."""
    value = value_of(dataset, keyword)
    try:
        found = tuple(float(one) for one in value) if hasattr(value, "__iter__") else (float(value),)
    except (TypeError, ValueError):
        return ()
    return found if len(found) == count and all(map(math.isfinite, found)) else ()


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the finite number of an element, or None."""
    found = numbers_of(dataset, keyword, 1)
    return found[0] if found else None


def whole_number_of(dataset: Dataset, keyword: str, default: int = 0) -> int:
    """Return the number of an element without its fraction, or `default`."""
    found = number_of(dataset, keyword)
    return default if found is None else int(found)
