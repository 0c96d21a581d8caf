"""Chinese numerals of years, months and days, read and written.

>>> han_number("二十三"), han_year("二〇二六"), in_han(23), year_in_han(2026, like="二零二五")
(23, 2026, '二十三', '二零二六')
"""

from __future__ import annotations

__all__ = ["han_number", "han_year", "in_han", "year_in_han"]

_DIGITS = "〇一二三四五六七八九"
_VALUE = {digit: i for i, digit in enumerate(_DIGITS)} | {"零": 0, "○": 0, "两": 2, "０": 0}


def han_number(text: str) -> int | None:
    """Return a number up to 99 written in Chinese, or None if it is none.

    >>> han_number("十"), han_number("廿一"), han_number("九十三"), han_number("号")
    (10, 21, 93, None)
    """
    text = text.replace("廿", "二十").replace("卅", "三十")
    if "十" not in text:
        return _VALUE.get(text) if len(text) == 1 else _plain(text)
    tens, _, ones = text.partition("十")
    if (tens and tens not in _VALUE) or (ones and ones not in _VALUE):
        return None
    return 10 * (_VALUE[tens] if tens else 1) + (_VALUE[ones] if ones else 0)


def _plain(text: str) -> int | None:
    if not text or any(char not in _VALUE for char in text):
        return None
    return int("".join(str(_VALUE[char]) for char in text))


def han_year(text: str) -> int | None:
    """Return a year written digit by digit, or None."""
    return _plain(text) if len(text) in (2, 4) else None


def in_han(number: int) -> str:
    """Return 0 to 99 in Chinese."""
    tens, ones = divmod(number, 10)
    if not tens:
        return _DIGITS[ones]
    return ("" if tens == 1 else _DIGITS[tens]) + "十" + (_DIGITS[ones] if ones else "")


def year_in_han(year: int, *, like: str) -> str:
    """Return a year digit by digit, with the zero and the length that `like` has."""
    zero = next((char for char in like if char in "零○"), "〇")
    digits = str(year)[-len(like) :]
    return "".join(zero if digit == "0" else _DIGITS[int(digit)] for digit in digits)
