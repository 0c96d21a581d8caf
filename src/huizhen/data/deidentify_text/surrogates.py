"""What takes an identifier's place: of the same kind and shape, the same for the same value of a patient.

Everything is drawn by the site's key (`deidentify.key`), so that nobody without it can try values, and a
patient's id, order numbers and dates become what they become in the patient's DICOM files.
"""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.kinds import Kind
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.numbers import is_nhs_number
from huizhen.data.deidentify_text.surrogate_names import name_like
from huizhen.data.deidentify_text.tables import load_table

__all__ = ["Surrogates", "same"]

_TRIES = 50
_HAN = re.compile(r"[\u3400-\u9fff]")
_UPPER, _LOWER = "ABCDEFGHJKLMNPRSTUVWXYZ", "abcdefghjkmnprstuvwxyz"


def same(value: str) -> str:
    """Return what a value has in common with its other spellings: letters and figures in lower case.

    >>> same("00-12 34 a") == same("001234A")
    True
    """
    return re.sub(r"[\W_]", "", value).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogates:
    """Surrogates of one patient in one document. `avoid` holds the original values, by `same`.

    No surrogate equals any of them: where one would, the next is drawn.
    """

    who: Pseudonymiser
    known: Known
    avoid: Collection[str] = field(default_factory=frozenset)

    def of(self, kind: Kind, value: str, *, recogniser: str = "") -> str:
        """Return what stands for `value`. Dates aren't made here but moved (`dates.moved`)."""
        if kind is Kind.AGE:
            return "九十以上" if _HAN.search(value) else "90+"
        if kind is Kind.ID and (pseudonym := self._as_in_dicom(value)):
            return pseudonym
        if kind is Kind.NAME:
            return name_like(value, self._draw, self.avoid)
        for turn in range(_TRIES):
            made = self._made(kind, value, recogniser, turn)
            if same(made) != same(value) and same(made) not in self.avoid:
                return made
        return f"[{kind.name}]"

    def _as_in_dicom(self, value: str) -> str | None:
        """Return the pseudonym that the patient's DICOM files carry for an id or an order's number."""
        if self.known.patient and same(value).lstrip("0") == same(self.known.patient).lstrip("0"):
            return self.who.patient(self.known.patient)
        for number in self.known.accessions:
            if same(value) == same(number):
                return self.who.accession(number)
        return None

    def _draw(self, use: str, value: str, turn: int = 0) -> bytes:
        """Return 32 bytes that stand for a value of this patient."""
        return self.who.digest(f"text-{use}", "\0".join((self.known.patient, value, str(turn))))

    def _made(self, kind: Kind, value: str, recogniser: str, turn: int) -> str:
        drawn = self._draw(kind.value, same(value), turn)
        number = int.from_bytes(drawn[:6], "big")
        if kind is Kind.EMAIL:
            return f"user{number % 10**5:05d}@example.org"
        if kind is Kind.URL:
            return f"https://example.org/{drawn.hex()[:8]}"
        if kind is Kind.IP:
            return f"192.0.2.{number % 254 + 1}" if "." in value else f"2001:db8::{number % 65535:x}"
        if kind is Kind.FILE:
            ending = value.rpartition(".")[2]
            return f"file-{drawn.hex()[:8]}" + (
                f".{ending}" if re.fullmatch(r"\w{1,5}", ending) and "." in value else ""
            )
        if kind is Kind.HANDLE:
            return ("@" if value.startswith("@") else "") + f"user{number % 10**5:05d}"
        if kind is Kind.PHONE:
            return _phone(value, drawn)
        if kind is Kind.ADDRESS and "postcode" not in recogniser:
            return _address(value, number)
        if kind is Kind.INSTITUTION:
            return _institution(value, number)
        return _shaped(value, drawn, head=_head(value))


def _head(value: str) -> str:
    """Return the figures with which no national number of its kind begins: nobody's can come out.

    Sources: GB/T 2260 (no region 99), NHS Data Dictionary (999 for tests), SSA POMS RM 10201.035 (no 000).
    """
    if re.fullmatch(r"\d{17}[\dXx]", value):
        return "99"
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", value):
        return "000"
    return "999" if is_nhs_number(value) else ""


def _shaped(value: str, drawn: bytes, *, head: str = "") -> str:
    """Return a value of the same shape: figures for figures, letters for letters, marks as they are.

    >>> _shaped("A12-3b", bytes(range(32)))
    'A12-3e'
    """
    made, at = [], 0
    for char in value:
        byte = drawn[at % len(drawn)] + 7 * (at // len(drawn))
        if char.isdigit():
            made.append(head[0] if head else str(byte % 10))
            head = head[1:]
        elif _HAN.match(char):
            made.append("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋"[byte % 20])
        elif char.isalpha():
            made.append((_UPPER if char.isupper() else _LOWER)[byte % 23 if char.isupper() else byte % 22])
        else:
            made.append(char)
            continue
        at += 1
    return "".join(made)


def _phone(value: str, drawn: bytes) -> str:
    """Return a telephone number of the same shape from ranges that are given to nobody, where there are such.

    Sources: NANPA (555-0100 to 555-0199), Ofcom (numbers for drama: 01632 960, 07700 900); Chinese mobile
    numbers begin with 13 to 19, so 10 is nobody's.
    """
    figures = re.sub(r"\D", "", value)
    tail = f"{drawn[0] % 10}{drawn[1] % 10}{drawn[2] % 10}"
    if figures.startswith("86") or re.fullmatch(r"1[3-9]\d{9}", figures):
        code = "86" if figures.startswith("86") and len(figures) > 11 else ""
        made = (code + "10" + "".join(str(byte % 10) for byte in drawn))[: len(figures)]
    elif len(figures) in (10, 11) and not figures.startswith("0"):
        made = (f"{figures[:-10]}{2 + drawn[3] % 8}{drawn[4] % 10}{drawn[5] % 10}55501{tail}")[: len(figures)]
    else:
        mobile = figures.startswith(("07", "447"))
        made = _tail_of(
            "44" * figures.startswith("44") + ("07700900" if mobile else "01632960"),
            tail,
            len(figures),
            drawn,
        )
    digits = iter(made)
    return "".join(next(digits) if char.isdigit() else char for char in value)


def _tail_of(start: str, tail: str, length: int, drawn: bytes) -> str:
    """Return `length` figures that begin with a range and end as drawn."""
    more = "".join(str(byte % 10) for byte in drawn)
    return (start + tail + more)[:length] if length >= len(start) else more[:length]


def _address(value: str, number: int) -> str:
    """Return an address of nowhere in the same script."""
    table = load_table("surrogates")
    if _HAN.search(value):
        cities, roads = table["chinese_cities"].split(), table["chinese_roads"].split()
        return (
            f"{cities[number % len(cities)]}市{roads[number // 10 % len(roads)]}{number // 100 % 200 + 1}号"
        )
    streets, places = table["streets"].split(), table["places"].split()
    return f"{number % 190 + 1} {streets[number // 190 % len(streets)]} Street, {places[number // 3800 % len(places)]}"


def _institution(value: str, number: int) -> str:
    """Return the name of an institution of the same sort."""
    table = load_table("surrogates")
    if _HAN.search(value):
        names: list[str] = table["chinese_hospitals"].split()
        sort = re.search(
            r"(医院|卫生院|保健院|卫生服务中心|诊所|大学|学院|公司|派出所|[中小]学|幼儿园|中心)", value
        )
        return names[number % len(names)] + (sort[0] if sort else "医院")
    places = table["places"].split()
    sort = re.search(
        r"(Hospital|Infirmary|Clinic|Health Cent(?:er|re)|Medical Cent(?:er|re)|University|College|School|Hospice|Laborator(?:y|ies))",
        value,
    )
    return f"{places[number % len(places)]} {sort[0] if sort else 'Hospital'}"
