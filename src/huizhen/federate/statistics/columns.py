"""Columns: a site's table must have those that the statistic names, in that order."""

from __future__ import annotations

from huizhen.errors import InvalidInputError

__all__ = ["check_same_columns"]


def check_same_columns(have: tuple[str, ...], want: tuple[str, ...]) -> None:
    """Raise `InvalidInputError` unless a site's columns are those of the statistic.

    >>> check_same_columns(("age",), ("age",))
    """
    if have == want:
        return
    absent, extra = set(want) - set(have), set(have) - set(want)
    parts = [f"lacks {', '.join(sorted(absent))}"] if absent else []
    parts += [f"has {', '.join(sorted(extra))} besides"] if extra else []
    raise InvalidInputError(
        f"the site's table {' and '.join(parts) or 'has its columns in another order'}",
        remedy="give every site the same columns in the same order",
        field="columns",
    )
