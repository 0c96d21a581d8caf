"""Synthetic reports with planted identifiers, in English and Chinese: what bench_text_deid.py scores.

Two sets, development and held-out, have their own templates, names, and forms of dates, numbers and places.
The held-out one was written before the recognisers were, and they were never tuned on it. A second held-out
set is short texts of other kinds, written out by hand. Nobody in them exists: telephone numbers, addresses
and numbers are drawn at random or made up.
"""
# ruff: noqa: E501 - forms of values, one a line

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.streams import stream

__all__ = ["SETS", "Document", "Planted", "documents"]

SETS = ("development", "heldout", "second")
_FOLDER = Path(__file__).parent / "text_deid_corpus"
_MARKED = re.compile(r"\[\[(\w+):(.+?)\]\]")
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_HAN_DIGITS = "〇一二三四五六七八九"
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

Draw = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """An identifier of a document: where it stands, and of which kind it is."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report, what is planted in it, and the days between 1 January 2000 and each whole date of it."""

    name: str
    language: str
    patient: str
    text: str
    planted: tuple[Planted, ...]
    days: Mapping[int, int]
    """Start of a planted whole date -> its day number."""


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def documents(which: str, *, each: int, seed: int = 0) -> list[Document]:
    """Return `each` documents of every template of a set; each of the second one as it is written, once."""
    if which == "second":
        return [
            _marked(language, i)
            for language in ("en", "zh")
            for i in range(len(_table(which)[language]["documents"]))
        ]
    made = []
    for language in ("en", "zh"):
        for number, template in enumerate(_table(which)[language]["documents"]):
            for copy in range(each):
                draw = stream(seed, "text-corpus", which, language, number, copy)
                name = f"{which}-{language}-{number}-{copy}"
                made.append(_Writer(which=which, language=language, draw=draw).write(name, template))
    return made


def _marked(language: str, number: int) -> Document:
    """Return a document of the second set without its marks."""
    written = _table("second")[language]["documents"][number]
    text, planted, at = "", [], 0
    for mark in _MARKED.finditer(written):
        text += written[at : mark.start()]
        planted.append(Planted(kind=mark[1], start=len(text), end=len(text) + len(mark[2])))
        text, at = text + mark[2], mark.end()
    name = f"second-{language}-{number}"
    return Document(
        name=name,
        language=language,
        patient=name,
        text=text + written[at:] + "\n",
        planted=tuple(planted),
        days={},
    )


def _one(draw: Draw, of: Any) -> Any:
    return of[int(draw.integers(len(of)))]


def _digits(draw: Draw, n: int) -> str:
    return "".join(str(d) for d in draw.integers(0, 10, n))


class _Writer:
    """Fills one template."""

    def __init__(self, *, which: str, language: str, draw: Draw) -> None:
        self.which, self.language, self.draw = which, language, draw
        self.held = which == "heldout"
        self.people: dict[str, tuple[str, str]] = {}
        self.day = date(2018, 1, 1) + timedelta(days=int(draw.integers(0, 2900)))
        self.form = int(draw.integers(0, 1000))

    def write(self, name: str, template: str) -> Document:
        text, planted, days, at = "", [], {}, 0
        template = template.strip("\n")
        for slot in _SLOT.finditer(template):
            text += template[at : slot.start()]
            at = slot.end()
            kind, value, day = self._value(slot[1], slot[2])
            if kind:
                skip = value.index(" ") + 1 if slot[2] == "title" or value.startswith("the ") else 0
                planted.append(Planted(kind=kind, start=len(text) + skip, end=len(text) + len(value)))
            if day is not None:
                days[len(text)] = (day - date(2000, 1, 1)).days
            text += value
        text += template[at:]
        return Document(
            name=name,
            language=self.language,
            patient=f"{name}-patient",
            text=text + "\n",
            planted=tuple(planted),
            days=days,
        )

    def _value(self, slot: str, form: str | None) -> tuple[str, str, date | None]:
        if form is not None:
            return "name", self._name(slot, form), None
        if slot == "age_low":
            return "", str(int(self.draw.integers(19, 89))), None
        if slot == "age_high":
            return "age", str(int(self.draw.integers(90, 105))), None
        if slot == "year":
            return "year", str(int(self.draw.integers(1990, 2018))), None
        if slot in ("date", "dob"):
            return self._date(slot)
        value = getattr(self, f"_{slot}")()
        return {"mrn": "id", "accession": "id", "insurance": "id", "national_id": "id", "passport": "id",
                "fax": "phone", "street": "address", "postcode": "address", "hospital": "institution"}.get(
            slot, slot
        ), value, None  # fmt: skip

    # --- Persons

    def _name(self, who: str, form: str) -> str:
        if who not in self.people:
            self.people[who] = self._person(who)
        last, first = self.people[who]
        if self.language == "zh":
            return last if form == "last" else last + first
        return {
            "full": f"{first} {last}",
            "last": last,
            "first": first,
            "lastfirst": f"{last}, {first}",
            "upper": f"{last}, {first}".upper() if self.held else f"{first} {last}".upper(),
            "lower": f"{first} {last}".lower(),
            "initial": f"{first[0]}. {last}",
            "title": f"{_one(self.draw, ['Mr', 'Mrs', 'Ms'])} {last}",
        }[form]

    def _person(self, who: str) -> tuple[str, str]:
        names = _table("names")[self.which]
        if self.language == "zh":
            return self._chinese(names)
        firsts = names["female" if self.draw.random() < 0.5 else "male"].split()
        lasts = names["surnames"].split()
        last = _one(self.draw, lasts)
        if self.draw.random() < 0.1:
            last = f"{last}-{_one(self.draw, lasts)}"
        if who == "r" and "p" in self.people and self.draw.random() < 0.4:
            last = self.people["p"][0]
        return last, _one(self.draw, firsts)

    def _chinese(self, names: Mapping[str, str]) -> tuple[str, str]:
        chance = self.draw.random()
        if chance < 0.05:
            last = _one(self.draw, names["rare"])
        elif chance < 0.15:
            last = _one(self.draw, names["compound"].split())
        else:
            last = _one(self.draw, names["chinese_surnames"])
        n = 1 if self.draw.random() < 0.25 else 2
        return last, "".join(_one(self.draw, names["given"]) for _ in range(n))

    # --- Dates

    def _date(self, slot: str) -> tuple[str, str, date | None]:
        if slot == "dob":
            day = date(1935, 1, 1) + timedelta(days=int(self.draw.integers(0, 24000)))
        else:
            day = self.day + timedelta(days=int(self.draw.integers(0, 60)))
        forms = self._chinese_dates(day) if self.language == "zh" else self._english_dates(day)
        whole = [(text, True) for text in forms[0]] + [(text, False) for text in forms[1] if slot == "date"]
        text, is_whole = whole[(self.form + (int(self.draw.integers(0, 3)) == 0)) % len(whole)]
        return "date", text, day if is_whole else None

    def _english_dates(self, d: date) -> tuple[list[str], list[str]]:
        month = _MONTHS[d.month - 1]
        if not self.held:
            return [
                d.isoformat(),
                f"{d:%m/%d/%Y}",
                f"{month} {d.day}, {d.year}",
                f"{d.day} {month} {d.year}",
                f"{d.day} {month[:3]} {d.year}",
            ], [f"{month[:3]} {d.day}"]
        end = {1: "st", 2: "nd", 3: "rd"}.get(d.day % 10 if d.day not in (11, 12, 13) else 0, "th")
        return [
            f"the {d.day}{end} of {month} {d.year}",
            f"{d.day:02d}-{month[:3]}-{d.year}",
            f"{d.day}.{d.month}.{d.year}",
            f"{month} {d.day}{end}, {d.year}",
            f"{d:%Y%m%d}",
            f"{d:%Y/%m/%d}",
            f"{_DAYS[d.weekday()]}, {d.day} {month} {d.year}",
            f"{month[:3]}. {d.day}, {d.year}",
            f"{d.day:02d} {month[:3].upper()} {d:%y}",
        ], [f"{d.day}{end} {month}", f"{month} {d.year}"]

    def _chinese_dates(self, d: date) -> tuple[list[str], list[str]]:
        if not self.held:
            return [
                f"{d.year}年{d.month}月{d.day}日",
                d.isoformat(),
                f"{d:%Y.%m.%d}",
                f"{d:%Y年%m月%d日}",
            ], [f"{d.month}月{d.day}日"]
        year = "".join(_HAN_DIGITS[int(c)] for c in str(d.year))
        return [
            f"{year}年{_han(d.month)}月{_han(d.day)}日",
            f"{d.year}/{d.month}/{d.day}",
            f"{d:%Y%m%d}",
            f"{d.year}-{d.month}-{d.day}",
            f"{d.year} 年 {d.month} 月 {d.day} 日",
        ], [f"{_han(d.month)}月{_han(d.day)}日", f"{d.year}年{d.month}月", f"{d.month}月{d.day}号"]

    # --- Numbers

    def _mrn(self) -> str:
        n = _digits(self.draw, 8)
        if not self.held:
            return _one(self.draw, [n[:7], n, f"A{n[:6]}"])
        return _one(self.draw, [f"{n[:2]}-{n[2:4]}-{n[4:6]}-{n[6:]}", f"MR{n[:7]}", f"K{n[:7]}", n])

    def _accession(self) -> str:
        n = _digits(self.draw, 6)
        if not self.held:
            return _one(self.draw, [f"S26-{n[:5]}", f"CT{n}{n[:3]}", f"B2026{n}"])
        return _one(self.draw, [f"H/26/{n[:5]}", f"RAD-{n}", f"2026{n}{n[:2]}", f"26C{n}"])

    def _insurance(self) -> str:
        n = _digits(self.draw, 11)
        return (
            f"XQ{n[:9]}" if not self.held else _one(self.draw, [n, f"A{n[:9]}", f"{n[:3]}-{n[3:6]}-{n[6:]}B"])
        )

    def _national_id(self) -> str:
        if self.language == "zh":
            born = date(1940, 1, 1) + timedelta(days=int(self.draw.integers(0, 24000)))
            body = (
                _one(self.draw, ["110105", "310104", "440106", "330106", "510107"])
                + f"{born:%Y%m%d}"
                + _digits(self.draw, 3)
            )
            total = sum(int(c) * (2 ** (17 - i) % 11) for i, c in enumerate(body))
            return body + "10X98765432"[total % 11]
        if self.held or self.draw.random() < 0.5:
            n = _digits(self.draw, 9)
            return (
                f"{int(self.draw.integers(100, 600))}-{int(n[:2]) % 98 + 1:02d}-{int(n[2:6]) % 9998 + 1:04d}"
            )
        while True:
            n = "4" + _digits(self.draw, 8)
            check = 11 - sum(int(c) * (10 - i) for i, c in enumerate(n)) % 11
            if check != 10:
                full = n + str(check % 11)
                return f"{full[:3]} {full[3:6]} {full[6:]}"

    def _passport(self) -> str:
        n = _digits(self.draw, 9)
        return (
            _one(self.draw, [f"E{n[:8]}", n])
            if not self.held
            else _one(self.draw, [f"G{n[:8]}", f"C{n[:2]}KL{n[2:6]}"])
        )

    def _phone(self) -> str:
        n = _digits(self.draw, 9)
        if self.language == "zh":
            forms = [f"138{n[:8]}", f"010-8{n[:7]}"] if not self.held else [
                f"+86 159 {n[:4]} {n[4:8]}", f"(0571) 8{n[:7]}", f"186-{n[:4]}-{n[4:8]}", f"021 6{n[:7]}",
            ]  # fmt: skip
            return _one(self.draw, forms)
        area = f"{int(self.draw.integers(2, 10))}{n[:2]}"
        mid = f"{int(self.draw.integers(2, 10))}{n[2:4]}"
        forms = [f"({area}) {mid}-{n[4:8]}", f"{area}-{mid}-{n[4:8]}", f"020 7{n[:3]} {n[3:7]}"] if not self.held else [
            f"+1 {area} {mid} {n[4:8]}", f"{area}.{mid}.{n[4:8]}", f"07700 {n[:6]}", f"+44 1632 {n[:6]}",
            f"0221 {n[:7]}", f"+33 6 {n[:2]} {n[2:4]} {n[4:6]} {n[6:8]}", f"+49 30 {n[:8]}",
        ]  # fmt: skip
        return _one(self.draw, forms)

    _fax = _phone

    def _email(self) -> str:
        word = "".join(_one(self.draw, "abcdefghijklmnoprstuvw") for _ in range(7))
        n = _digits(self.draw, 2)
        if not self.held:
            return f"{word}{n}@{_one(self.draw, ['example.org', 'mail.example.com'])}"
        return f"{word[:3]}.{word[3:]}+ward{n}@{_one(self.draw, ['clinic.example.net', 'nhs.example.uk', 'example.cn'])}"

    def _url(self) -> str:
        word = "".join(_one(self.draw, "abcdefghijklmnoprstuvw") for _ in range(6))
        return (
            f"https://www.{word}.example.org/p/{_digits(self.draw, 4)}"
            if not self.held
            else f"{word}.example.net/record?id={_digits(self.draw, 5)}"
        )

    def _ip(self) -> str:
        return ".".join(str(int(d)) for d in self.draw.integers(1, 255, 4))

    def _account(self) -> str:
        n = _digits(self.draw, 19)
        return (
            f"62{n[:17]}"
            if self.language == "zh"
            else (n[:10] if not self.held else f"{n[:4]} {n[4:8]} {n[8:12]}")
        )

    def _device(self) -> str:
        n = _digits(self.draw, 7)
        return f"SN{n}" if not self.held else _one(self.draw, [f"PZK{n[:6]}S", f"{n[:3]}-{n[3:]}-C"])

    def _plate(self) -> str:
        n = _digits(self.draw, 5)
        if self.language == "zh":
            return (
                f"{_one(self.draw, '京沪粤浙川' if not self.held else '苏鲁湘陕闽')}{_one(self.draw, 'ABCEF')}{n}"
                if not self.held
                else f"{_one(self.draw, '苏鲁湘陕闽')}{_one(self.draw, 'ABCE')}·{n[:3]}{_one(self.draw, 'DFGK')}{n[3]}"
            )
        return (
            f"{_one(self.draw, ['KLM', 'RVT', 'BGX'])} {n[:4]}"
            if not self.held
            else _one(self.draw, [f"LR{n[:2]} VXK", f"{n[0]}JTX{n[1:4]}"])
        )

    def _handle(self) -> str:
        word = "".join(_one(self.draw, "abcdefghijklmnoprstuvw") for _ in range(6))
        if self.language == "zh":
            return f"wx_{word}{_digits(self.draw, 2)}" if not self.held else f"{word}{_digits(self.draw, 3)}"
        return f"@{word}_{_digits(self.draw, 2)}" if not self.held else f"@{word}.{_digits(self.draw, 2)}"

    def _file(self) -> str:
        n = _digits(self.draw, 4)
        word = "".join(_one(self.draw, "abcdefghijklmnoprstuvw") for _ in range(5))
        return (
            f"{word}_face_{n}.jpg"
            if not self.held
            else _one(self.draw, [f"{word}-portrait-{n}.png", f"fingerprint_{word}{n}.tif"])
        )

    # --- Places

    def _street(self) -> str:
        n = int(self.draw.integers(2, 240))
        if self.language == "zh":
            city, district, road = self._chinese_place()
            if not self.held:
                return f"{city}市{district}区{road}路{n}号{n % 9 + 1}室"
            return _one(self.draw, [
                f"{city}市{district}区{road}街道{road}社区{n}栋{n % 5 + 1}单元{n % 7 + 1}02室",
                f"{_one(self.draw, ['浙江省', '湖南省', '四川省'])}{city}市{district}县{road}镇{_one(self.draw, '东西南北')}{_one(self.draw, '湾塘坪')}村{n}号",
                f"{city}{road}大道{n}弄{n % 30 + 1}号",
            ])  # fmt: skip
        place = _one(self.draw, _table("names")[self.which]["surnames"].split())
        if not self.held:
            return f"{n} {place} {_one(self.draw, ['Street', 'Avenue', 'Road', 'Lane'])}, {place}{_one(self.draw, ['ville', 'ton'])}"
        return _one(self.draw, [
            f"Flat {n % 9 + 1}B, {n} {place} Mews, {place}ham",
            f"{n}{n % 90:02d} N {place} Hollow Pkwy Apt {n % 30}, {place} City",
            f"{place}straße {n}",
            f"{n} rue des {place}s",
            f"{n} {place} Close",
        ])  # fmt: skip

    def _chinese_place(self) -> tuple[str, str, str]:
        chars = "安宁平康泰永新和顺昌" if not self.held else "临江滨海云岭青丰嘉定"
        pair = lambda: _one(self.draw, chars) + _one(self.draw, chars)  # noqa: E731  # two letters at random
        return pair(), pair(), pair()

    def _postcode(self) -> str:
        n = _digits(self.draw, 9)
        if self.language == "zh":
            return f"{1 + int(n[0]) % 8}{n[1:6]}"
        if not self.held:
            return f"{_one(self.draw, ['OH', 'TX', 'MA'])} {1 + int(n[0]) % 9}{n[1:5]}"
        return _one(
            self.draw,
            [
                f"LS{1 + int(n[0]) % 9} {n[1]}QH",
                f"SW1{_one(self.draw, 'AVX')} {n[2]}BD",
                f"KY {1 + int(n[0]) % 9}{n[1:5]}-{n[5:]}",
            ],
        )

    def _hospital(self) -> str:
        if self.language == "zh":
            city = self._chinese_place()[0]
            return (
                f"{city}市第{_one(self.draw, '一二三')}人民医院"
                if not self.held
                else _one(
                    self.draw,
                    [
                        f"{city}大学附属第{_one(self.draw, '一二三')}医院",
                        f"{city}县中医院",
                        f"{city}妇幼保健院",
                    ],
                )
            )
        place = _one(self.draw, _table("names")[self.which]["surnames"].split())
        if not self.held:
            return _one(
                self.draw, [f"{place} General Hospital", f"{place} Medical Center", f"St. {place}'s Hospital"]
            )
        return _one(
            self.draw,
            [
                f"Royal {place} Infirmary",
                f"{place} Memorial Hospital",
                f"Klinikum {place}",
                f"{place} Health Centre",
            ],
        )


def _han(number: int) -> str:
    """Return 1 to 31 in Chinese numerals."""
    tens, ones = divmod(number, 10)
    said = {0: "", 1: "十"}.get(tens, _HAN_DIGITS[tens] + "十" if tens else "")
    return said + (_HAN_DIGITS[ones] if ones else "")
