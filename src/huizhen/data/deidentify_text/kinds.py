"""What may identify somebody in a text, and a place where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Found", "Kind"]


class Kind(StrEnum):
    """A kind of identifier. Sources: 45 CFR 164.514(b)(2)(i), letters A to R; GB/T 35273-2020, annex A."""

    NAME = "name"
    ID = "id"
    PHONE = "phone"
    EMAIL = "email"
    URL = "url"
    IP = "ip"
    ADDRESS = "address"
    INSTITUTION = "institution"
    DATE = "date"
    AGE = "age"
    """Of more than 89 years."""
    ACCOUNT = "account"
    DEVICE = "device"
    PLATE = "plate"
    FILE = "file"
    """The name of a file: a photograph, a fingerprint, a scan."""
    HANDLE = "handle"
    """A name in a social network or messenger."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Found:
    """An identifier from `start` to before `end`, by which recogniser, and how sure (0 to 1)."""

    start: int
    end: int
    kind: Kind
    recogniser: str
    score: float
