"""Values after a label that says what they are: "MRN: 123456", "住院号：0012345"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.tables import load_table

__all__ = ["find_labelled"]

_CODE = r"(?=[A-Z0-9./_-]*\d)[A-Z0-9](?:[A-Z0-9]|[./_-](?=[A-Z0-9])){2,39}(?:[ ](?=\d)[\dA-Z-]{2,}){0,5}"
"""A code: letters, figures and separators, at least one figure; groups of figures may follow."""

_NUMBER = r"[A-Z]{0,4}[ ]?\d(?:[ -]?[A-Z0-9]){3,40}"
_PHONE = r"[+(]?\d(?:[\d ()/.-]{3,22})\d"
_PLATE = r"(?=[A-Z0-9 .·-]*\d)(?:[A-Z0-9]{1,8}(?:[ .·-][A-Z0-9]{1,6}){0,2})"
_HANDLE = r"@?[A-Z0-9_][\w.-]{2,40}"
_AFTER = r"(?![A-Z0-9])"

_VALUES: dict[str, tuple[Kind, str, float]] = {
    "id": (Kind.ID, _CODE, 0.9),
    "id_zh": (Kind.ID, _CODE, 0.92),
    "account": (Kind.ACCOUNT, _NUMBER, 0.86),
    "device": (Kind.DEVICE, _CODE, 0.91),
    "plate": (Kind.PLATE, _PLATE, 0.84),
    "handle": (Kind.HANDLE, _HANDLE, 0.84),
    "phone": (Kind.PHONE, _PHONE, 0.88),
    "pager": (Kind.PHONE, r"\d{3,6}", 0.87),
}
_WORDS = frozenset("mri mra crp was and the for with not see per".split())  # noqa: SIM905  # shorter to read
"""Of a handle: words that are none."""


def find_labelled(text: str) -> Iterator[Found]:
    """Yield the values after labels in a folded text.

    >>> [(one.kind.value, one.start, one.end) for one in find_labelled("MRN: 0012-45, tel 555 1234")]
    [('id', 5, 12), ('phone', 18, 26)]
    """
    for name, pattern in _patterns().items():
        kind, _, score = _VALUES[name]
        for match in pattern.finditer(text):
            value = match["value"].rstrip(" .-/(")
            if _is_value(value, kind):
                start = match.start("value")
                yield Found(
                    start=start, end=start + len(value), kind=kind, recogniser=f"label_{name}", score=score
                )


def _is_value(value: str, kind: Kind) -> bool:
    """Tell whether what follows a label can be its value."""
    if kind is Kind.HANDLE:
        if value.lower() in _WORDS or not any(char.isalpha() for char in value):
            return False
        return value[0] == "@" or any(c.isdigit() or c in "_." for c in value)
    if re.fullmatch(r"\d{3,6}", value) and kind is Kind.PHONE:
        return True
    figures = sum(char.isdigit() for char in value)
    least = {Kind.PHONE: 5, Kind.ACCOUNT: 4, Kind.PLATE: 1}.get(kind, 2)
    return figures >= least and not re.fullmatch(
        r"\d{1,3}(?:\.\d+)?(?:mm|cm|mg|ml|kg|g|h|t)?", value, re.IGNORECASE
    )


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return the pattern of each kind of label with its value."""
    table = load_table("labels")
    made = {}
    for name, (_, value, _) in _VALUES.items():
        label = re.sub(r"\s*\n\s*", "", table[name])
        before = r"(?<![A-Za-z])" if name != "id_zh" else ""
        made[name] = re.compile(
            rf"{before}(?:{label})(?:(?<![A-Za-z])|(?![A-Za-z])){table['between']}(?P<value>{value}){_AFTER}",
            re.IGNORECASE,
        )
    return made
