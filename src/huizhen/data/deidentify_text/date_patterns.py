"""The forms of dates, each as a pattern whose groups are the date's pieces, and how sure it is a date.

Groups are named by unit and number (`y1`, `a1`); see `dates.DateFound` for the units. `x` groups are context.
"""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re

from huizhen.data.deidentify_text.calendar_words import alternatives

__all__ = ["LUNAR", "PATTERNS"]

_YEAR = r"(?:1[89]|20)\d\d"
_M = r"(?:0?[1-9]|1[0-2])"
_D = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = rf"(?:{alternatives('months')})"
_NAMED = rf"(?P<M1>(?-i:(?!may\b|march\b|mars\b))\b{_MONTH})\b\.?"
"""A month's name; those that are words too only with a capital."""

_DAY_WORD = rf"(?:(?P<O1>{_D}(?:st|nd|rd|th)|\b(?:{alternatives('ordinals')}))|(?P<d1>{_D})\.?)"
_WEEKDAY = rf"(?:\b(?P<W1>{alternatives('weekdays')})\b\.?,?\s+(?:the\s+)?)?"
_HAN_WEEKDAY = r"(?:\s*[(,]?\s*(?P<W1>(?:星期|周|礼拜)[一二三四五六日天]))?"
_HAN = "〇零○一二三四五六七八九十廿卅"
_UNIT = r"(?!\s*(?:mm|cm|mg|ml|g|kg|%|x\b|×|days?|weeks?|months?|years?|yrs?|hours?|[ap]\.?m\b))"
_IN = (
    r"(?:\b(?:in|since|until|till|before|after|from|of|by|during|early|late|mid|circa|ca\.?|year|around|to)\s+"
    r"|[(~]\s?|\bmid-|于|在|自|从|至|约)"
)
_ON = r"\b(?:on|dated?|since|until|till|by|from|seen|exam|of)\s*:?\s+"

_FORMS: tuple[tuple[str, float], ...] = (
    # 2026-03-05, 2026/3/5, 2026.03.05, 2026 - 3 - 5
    (rf"(?<![\d.-])(?P<y1>{_YEAR})\s?([-/.])\s?(?P<m1>{_M})\s?\2\s?(?P<d1>{_D})(?!\d|[-.]\d)", 0.85),
    # 20260305, 20260305143000, 20260305T1430
    (r"(?<![\w.-])(?P<y1>(?:19|20)\d\d)(?P<m1>0[1-9]|1[0-2])(?P<d1>0[1-9]|[12]\d|3[01])(?:(?=T[0-2]\d[0-5]\d)|(?:[0-5]\d){0,3}(?![\w-]))", 0.72),
    # 05/03/2026, 5.3.26, 5-3-2026
    (rf"(?<![\d./-])(?P<a1>{_D})\s?([-/.])\s?(?P<b1>{_D})\s?\2\s?(?P<y1>{_YEAR})(?!\d|[-/]\d)", 0.85),
    (rf"(?<![\d./-])(?P<a1>{_D})([-/])(?P<b1>{_D})\2(?P<y1>\d\d)(?![\d]|[-/.]\d)", 0.75),
    (r"(?<![\d./-])(?P<a1>\d\d)\.(?P<b1>\d\d)\.(?P<y1>\d\d)(?![\d]|[-/.]\d)", 0.75),
    # born 19.6.71, DOB 7-3-1980
    (
        rf"\b(?:born(?:\s+on)?|d\.?o\.?b\.?|date\s+of\s+birth|birth\s*date|geb\.?|geboren(?:\s+am)?|née?\s+le)\s*:?\s*"
        rf"(?P<a1>{_D})\s?([-/. ])\s?(?P<b1>{_D})\s?\2\s?(?P<y1>{_YEAR}|\d\d)(?!\d)",
        0.86,
    ),
    # Thursday, 5th of March 2026; 05-Mar-26; 5. März 2026; the fifth of March
    (
        rf"{_WEEKDAY}(?<![\d.,/])\b{_DAY_WORD}(?:\s+day)?(?:\s+of)?[\s/,-]{{0,2}}{_NAMED}"
        rf"(?:(?:,?\s+(?:of\s+)?|[-/,])(?P<y1>{_YEAR}|'?\d\d(?!\d|[:.]\d)){_UNIT})?(?!\w)",
        0.8,
    ),
    # March 5th, 2026; Thu Mar 5; March 5 to 7, 2026
    (
        rf"{_WEEKDAY}{_NAMED}\s+(?:the\s+)?{_DAY_WORD}(?!\d|[:.]\d){_UNIT}"
        rf"(?:\s*(?:-|to|and|until)\s*(?P<r1>{_D})(?!\d))?(?:(?:\s*,\s*|\s+)(?P<y1>{_YEAR}|'\d\d(?!\d)))?(?!\w)",
        0.8,
    ),
    # March 2026, Mar-26, 03/2026
    (rf"{_NAMED}(?:\s+(?:of\s+)?|,\s*|[-/])(?P<y1>{_YEAR}|'\d\d)(?!\w)", 0.78),
    (rf"(?<![\d./-])(?P<m1>{_M})[/.](?P<y1>(?:19|20)\d\d)(?![\d./-])", 0.6),
    (r"(?<![\d./-])(?P<y1>(?:19|20)\d\d)[/-](?P<m1>0[1-9]|1[0-2])(?![\d./-])", 0.6),
    # in March, since last May
    (
        rf"\b(?:in|since|last|this|next|until|by|from|early|late|mid|through|during)[\s-]+(?-i:(?=[A-Z])){_NAMED}"
        rf"(?!\s+\d)",
        0.6,
    ),
    # 2026年3月5日, 26年3月, 二〇二六年三月五日
    (
        rf"(?<!\d)(?:(?P<y1>(?:{_YEAR}|\d\d))|(?P<Y1>[{_HAN}]{{4}}|[{_HAN}]{{2}}))\s*年\s*"
        rf"(?:(?P<m1>{_M})|(?P<N1>[{_HAN}]{{1,2}}))\s*月(?!余|来)(?:份|初|底|末|中旬|上旬|下旬)?"
        rf"(?:\s*(?:(?P<d1>{_D})|(?P<D1>[{_HAN}]{{1,3}}))\s*[日号])?{_HAN_WEEKDAY}",
        0.88,
    ),
    (rf"(?<!\d)(?:(?P<y1>{_YEAR})|(?P<Y1>[{_HAN}]{{4}}))\s*年(?!\s*[{_HAN}\d]{{1,2}}\s*月)(?:初|底|末)?", 0.7),
    # 3月5日, 三月五号, 3月份
    (
        rf"(?<![\d年.个-])(?<!年\s)(?:(?P<m1>{_M})|(?<![{_HAN}年])(?P<N1>[{_HAN}]{{1,2}}))\s*月\s*"
        rf"(?:(?P<d1>{_D})|(?P<D1>[{_HAN}]{{1,3}}))\s*[日号]{_HAN_WEEKDAY}",
        0.8,
    ),
    (rf"(?<![\d年.个-])(?<!年\s)(?P<m1>{_M})\s*月份", 0.6),
    # on 3/5; in 2019
    (rf"{_ON}(?P<a1>{_D})/(?P<b1>{_D})(?![\d/%]|\s*(?:of|cores|nodes|strength))", 0.6),
    (rf"{_IN}(?P<y1>(?:19[2-9]|20[0-4])\d)(?![\d%]|[-/.:]\d|年|\s*(?:mg|ml|mL|g|mm|cm|U|IU|cases|patients)\b)", 0.55),
)  # fmt: skip

_LUNAR_MONTH = r"闰?(?:[正一二三四五六七八九十冬腊]|十[一二]|1[0-2]|[1-9])月"
_LUNAR_DAY = r"(?:初[一二三四五六七八九十]|[十廿卅][一二三四五六七八九]?|[二三]十[一二三四五六七八九]?|[12]\d|30|[1-9])"
_LUNAR_YEAR = rf"(?:(?:{_YEAR}|[{_HAN}]{{4}}|[甲乙丙丁戊己庚辛壬癸][子丑寅卯辰巳午未申酉戌亥])\s?年\s?)"

LUNAR = re.compile(
    rf"(?P<whole>(?:农历|阴历|旧历|夏历)\s?(?::\s?)?{_LUNAR_YEAR}?(?:{_LUNAR_MONTH}\s?(?:{_LUNAR_DAY}[日号]?)?|{_LUNAR_DAY}[日号]?|大?除夕|小年))"
    rf"|(?P<part>{_LUNAR_YEAR}?(?:[正冬腊]月(?:{_LUNAR_DAY}[日号]?)?|闰?(?:[一二三四五六七八九十]|十[一二])月初[一二三四五六七八九十]))"
    r"|(?P<feast>大年(?:初[一二三四五六七八九十]|三十|夜)|除夕夜?)"
)
"""Dates of the lunar calendar: named as such, or with words that only it has. They aren't moved but replaced."""

PATTERNS: tuple[tuple[re.Pattern[str], float], ...] = tuple(
    (re.compile(form, re.IGNORECASE), score) for form, score in _FORMS
)
