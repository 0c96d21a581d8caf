"""E-mail and web addresses, names in networks, names of files, and ages over 89.

Each pattern reads a run of characters once, or so many of it: time grows as the length of a text.
"""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.numerals import han_number

__all__ = ["AGE_WORDS", "find_ages", "find_contacts"]

_TLD = r"(?:com|org|net|edu|gov|mil|int|info|io|eu|cn|uk|de|fr|es|it|nl|be|ch|at|pl|se|dk|fi|ie|us|ca|au|nz|jp|kr|in|hk|tw|sg|health|hospital|clinic|med|app|dev)"
_FILES = r"(?:jpe?g|png|tiff?|bmp|gif|heic|webp|mp4|mov|avi|wav|mp3|m4a|dcm|dicom|nii(?:\.gz)?|pdf|docx?|xlsx?|csv|txt|zip|rar|wsq|jp2|svs|ndpi)"
_RULES = (
    ("email", Kind.EMAIL, rf"(?<![\w.+%-])[\w.+%-]++@(?:[\w-]+(?:\.[\w-]+)*\.{_TLD}\b|[\w-]+(?:\.[\w-]+)+)", 0.95),
    ("email_spelt", Kind.EMAIL, rf"(?<![\w.+-])[\w.+-]++\s?(?:(?:\(at\)|\[at\]|\bat\b)\s?[\w-]+\s?(?:\(dot\)|\[dot\]|\bdot\b)\s?{_TLD}\b|(?:\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+)", 0.9),
    ("url", Kind.URL, r"(?:https?|ftp)://[^\s<>\"')\],;，。；）]+|www\.[^\s<>\"')\],;，。；）]+", 0.95),
    ("domain", Kind.URL, rf"(?<![@\w.-])(?:[A-Za-z0-9-]+\.)+{_TLD}\b(?:[/?#][^\s<>\"')\],;，。；）]*)?", 0.75),
    ("file", Kind.FILE, rf"(?<![\w./-])[\w-][\w.()-]{{0,200}}\.{_FILES}\b", 0.93),
    ("path", Kind.FILE, r"(?<!\w)(?:[A-Za-z]:\\|\\\\)[^\s\"<>|]+|(?<![\w/.])/(?:home|users|data|mnt|export)/[^\s\"<>|]+", 0.9),
    ("handle", Kind.HANDLE, r"(?<![\w@.])@[A-Za-z_][\w.]{2,40}", 0.85),
)  # fmt: skip
_COMPILED = tuple(
    (name, kind, re.compile(form, re.IGNORECASE | re.ASCII), score) for name, kind, form, score in _RULES
)

AGE_WORDS = """ninety ninety-one ninety-two ninety-three ninety-four ninety-five ninety-six ninety-seven ninety-eight
ninety-nine one-hundred hundred""".split()  # noqa: SIM905  # shorter to read
_OLD = r"(?:9\d|1[0-2]\d)"
_HAN_OLD = "九十[一二三四五六七八九]?|一百(?:[零〇][一二三四五六七八九]|[一二]十[一二三四五六七八九]?)?"
_AGES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![\d.,/-])(?P<age>{_OLD})(?=\s*-?\s*(?:years?|yrs?\.?|y\.?\s?/?o\.?|yo|y/o|jahre|ans)(?![a-z]))",
        rf"\b(?:aged?|age\s+of|alter|turned|who\s+is|is\s+now|she\s+is|he\s+is)\s*:?\s*(?:about\s+)?(?P<age>{_OLD})"
        r"(?![\d.,/%-]\d|\d|\s*(?:%|mm|cm|kg|mg|ml|bpm|/))",
        rf"(?<![\d./-])(?P<age>{_OLD})(?=\s?[MF]\b(?!\w))",
        rf"\b(?P<age>(?:{'|'.join(sorted(AGE_WORDS, key=len, reverse=True))}))(?=[\s-]*years?[\s-]*old)",
        rf"(?<![\d.])(?P<age>{_OLD})\s*(?=周?岁)",
        rf"(?:年龄|现年|享年)\s*:?\s*(?P<age>{_OLD})(?!\d)",
        rf"(?P<age>{_HAN_OLD})(?=\s*周?岁)",
    )
)  # fmt: skip


def find_contacts(text: str) -> Iterator[Found]:
    """Yield e-mail and web addresses, names in networks and names of files of a folded text.

    >>> [one.kind.value for one in find_contacts("a.b@example.org, see http://example.org/x and smith_face.jpg")]
    ['email', 'url', 'url', 'file']
    """
    for name, kind, pattern, score in _COMPILED:
        for match in pattern.finditer(text):
            end = match.start() + len(match[0].rstrip(".,;:"))
            if name == "domain" and text[max(0, match.start() - 1) : match.start()] == "@":
                continue
            if name == "domain" and match[0].islower() is False and "/" not in match[0]:
                continue
            yield Found(start=match.start(), end=end, kind=kind, recogniser=name, score=score)


def find_ages(text: str) -> Iterator[Found]:
    """Yield ages of more than 89 years (45 CFR 164.514(b)(2)(i)(C)).

    >>> [one.start for one in find_ages("a 93-year-old, seen with a boy of 9 years; 九十三岁")]
    [2, 43]
    """
    for pattern in _AGES:
        for match in pattern.finditer(text):
            value = match["age"]
            if value[0] not in "九" or (han_number(value) or 100) > 89:
                yield Found(
                    start=match.start("age"), end=match.end("age"), kind=Kind.AGE, recogniser="age", score=0.8
                )
