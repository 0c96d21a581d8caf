"""Numbers and codes that tell by their form alone who or what they belong to."""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from huizhen.data.deidentify_text.kinds import Found, Kind

__all__ = ["find_numbers", "is_nhs_number", "is_resident_id"]

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def is_resident_id(text: str) -> bool:
    """Tell whether 18 characters are a Chinese resident id with its check character (GB 11643-1999).

    >>> is_resident_id("11010519491231002X"), is_resident_id("110105194912310021")
    (True, False)
    """
    if not re.fullmatch(r"\d{17}[\dXx]", text):
        return False
    total = sum(int(char) * weight for char, weight in zip(text, _WEIGHTS, strict=False))
    return _CHECKS[total % 11] == text[-1].upper()


def is_nhs_number(text: str) -> bool:
    """Tell whether ten figures are an NHS number with its check digit (NHS Data Dictionary, Modulus 11).

    >>> is_nhs_number("943 476 5919"), is_nhs_number("9434765918")
    (True, False)
    """
    figures = re.sub(r"\D", "", text)
    if len(figures) != 10:
        return False
    check = 11 - sum(int(char) * (10 - i) for i, char in enumerate(figures[:9])) % 11
    return check != 10 and check % 11 == int(figures[9])


def _always(text: str) -> bool:
    return bool(text)


def _is_ip(text: str) -> bool:
    return all(int(part) < 256 for part in text.split("."))


def _is_short_ipv6(text: str) -> bool:
    """Tell whether groups with zeros left out are long enough for an address, and not a time or a scope."""
    return sum(char != ":" for char in text) >= 8 and text.count(":") <= 7


def _is_code(text: str) -> bool:
    """Tell whether a mixed code is no dose, level, gene or time."""
    return not re.fullmatch(r"(?:CD|HLA|PT|T|N|M|G|L|C|S|Ki)?-?\d{1,4}", text, re.IGNORECASE)


_CN = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PHONES = (
    r"\+\d{1,3}[ ().-]{0,3}\d(?:[ ().-]{0,2}\d){6,12}",
    r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:,? ?(?:x|ext\.?) ?\d{1,6})?",
    r"\(?0\d{2,4}\)?[ -/]?\d{3,4}[ -]?\d{3,4}",
    r"07\d{3} ?\d{6}",
    r"0\d{1,4}[ /-]\d{3,}(?:[ -]?\d{2,}){0,3}",
    r"0\d(?:[ .]\d{2}){4}",
    r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}",
    r"(?:\(0\d{2,3}\)|0\d{2,3})[- ]?\d{7,8}(?:-\d{1,4})?",
    r"[48]00[- ]?\d{3}[- ]?\d{4}",
)

_RULES: tuple[tuple[str, Kind, str, float, Callable[[str], bool]], ...] = (
    ("resident_id", Kind.ID, r"\d{17}[\dXx]", 0.97, is_resident_id),
    ("resident_id_form", Kind.ID, r"[1-9]\d{5}(?:19|20)\d{2}(?:0\d|1[0-2])[0-3]\d{4}[\dXx]", 0.9, _always),
    ("nhs_number", Kind.ID, r"\d{3}[ -]\d{3}[ -]\d{4}|\d{10}", 0.93, is_nhs_number),
    ("us_ssn", Kind.ID, r"\d{3}-\d{2}-\d{4}", 0.9, _always),
    ("uk_nino", Kind.ID, r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]", 0.85, _always),
    ("uid", Kind.ID, r"\d{1,3}(?:\.\d+){5,}", 0.85, _always),
    ("mac", Kind.IP, r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", 0.85, _always),
    ("uuid", Kind.ID, r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", 0.9, _always),
    ("ipv4", Kind.IP, r"\d{1,3}(?:\.\d{1,3}){3}", 0.8, _is_ip),
    ("ipv6", Kind.IP, r"(?:[0-9A-Fa-f]{1,4}:){4,7}[0-9A-Fa-f]{1,4}", 0.8, _always),
    ("ipv6_short", Kind.IP, r"(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}", 0.8, _is_short_ipv6),
    ("plate_cn", Kind.PLATE, rf"[{_CN}][A-Z][· ]?[A-Z0-9]{{5,6}}", 0.9, _always),
    ("plate_uk", Kind.PLATE, r"[A-Z]{2}\d{2} [A-Z]{3}", 0.6, _always),
    *(("phone", Kind.PHONE, form, 0.8, _always) for form in _PHONES),
    ("passport_cn", Kind.ID, r"[EGDSPH]\d{8}", 0.7, _always),
    ("card", Kind.ACCOUNT, r"(?:\d{4}[ -]){3}\d{1,7}|62\d{14,17}", 0.85, _always),
    ("iban", Kind.ACCOUNT, r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?", 0.8, _always),
    ("code", Kind.ID, r"[A-Z]{1,4}[-/]?\d{5,}[A-Z]?|\d{2,4}[A-Z]\d{5,}|[A-Z]{1,3}\d{2}[-/]\d{3,}|[A-Z]{2,4}-\d{4,}", 0.6, _is_code),
    ("digits_zh", Kind.PHONE, "[〇零○一二三四五六七八九幺]{7,}", 0.45, _always),
    ("digits", Kind.ID, r"\d{7,}|\d{2,4}(?:-\d{2,5}){2,5}|\d{2}-\d{5,}", 0.45, _always),
)  # fmt: skip

_COMPILED = tuple(
    (name, kind, re.compile(rf"(?<![A-Za-z0-9.])(?:{form})(?![A-Za-z0-9]|\.\d)"), score, check)
    if kind is not Kind.PHONE and name != "plate_cn"
    else (
        name,
        kind,
        re.compile(rf"(?<![A-Za-z0-9])(?<!\d[.-])(?:{form})(?![A-Za-z0-9]|[.-]\d)"),
        score,
        check,
    )
    for name, kind, form, score, check in _RULES
)


def find_numbers(text: str) -> Iterator[Found]:
    """Yield numbers and codes of known forms in a folded text.

    >>> [one.recogniser for one in find_numbers("身份证11010519491231002X")][0]
    'resident_id'
    """
    for name, kind, pattern, score, check in _COMPILED:
        for match in pattern.finditer(text):
            if check(match[0]):
                yield Found(start=match.start(), end=match.end(), kind=kind, recogniser=name, score=score)
