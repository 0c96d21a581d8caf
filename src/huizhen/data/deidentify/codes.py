"""What codes mean: the meaning beside a code is put back to the standard's own, or cleaned as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["meaning_of"]


def meaning_of(scheme: str, code: str) -> str | None:
    """Return the meaning of a code in the context groups of PS3.16, or None for one that they haven't.

    >>> meaning_of("DCM", "121106")
    'Comment'
    """
    return _meanings().get(scheme.strip(), {}).get(code.strip())


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    """Return the meanings by scheme and code, as pydicom carries them."""
    from pydicom.sr._concepts_dict import concepts  # the public lookup goes by keyword, not by code

    found: dict[str, dict[str, str]] = {}
    every: Mapping[str, Any] = concepts
    for scheme, by_keyword in every.items():
        table = found.setdefault(scheme, {})
        for by_code in by_keyword.values():
            table.update({code: meaning for code, (meaning, _) in by_code.items()})
    return found
