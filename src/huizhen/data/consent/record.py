"""One version of one patient's consent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from huizhen.data.consent.terms import Term, term_of
from huizhen.errors import InvalidInputError

__all__ = ["Consent", "Said", "Withdrawal", "said_of"]


class Withdrawal(StrEnum):
    """What a patient who withdraws wants done with what was learned from the data."""

    NO_NEW_USE = "no_new_use"
    """Nothing further; models that learned from it stay, and say so."""
    NEXT_VERSION = "next_version"
    """Left out when the model is made anew for other reasons."""
    APPROXIMATE = "approximate"
    """The model stays if a certificate says that it is close to one made without it; else it is made anew."""
    RETRAIN = "retrain"
    """The model is made anew without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A term as a patient agreed to it; `value` is a disease, a date or a name where the term has one."""

    term: Term
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a patient said on `given`, in force until the next `version`, `until` or `withdrawn`.

    `deny`: the patient refuses what this record describes. `modalities` and `partners` narrow it to some
    kinds of data and to some receiving sites; empty means it isn't narrowed.
    """

    patient: str
    version: int
    given: date
    said: tuple[Said, ...]
    deny: bool = False
    until: date | None = None
    modalities: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    withdrawn: date | None = None
    withdrawal: Withdrawal = Withdrawal.NO_NEW_USE

    def __post_init__(self) -> None:
        if self.until is not None and self.until < self.given:
            raise InvalidInputError(
                "ends before it was given", remedy="correct given or until", field="until"
            )
        if self.withdrawn is not None and self.withdrawn < self.given:
            raise InvalidInputError(
                "was withdrawn before it was given", remedy="correct given or withdrawn", field="withdrawn"
            )


def said_of(texts: Iterable[str]) -> tuple[Said, ...]:
    """Return terms written as "HMB", "DS:MONDO:0007254" or "TS:2030-12-31".

    Raises `InvalidInputError` for an unknown term, a value that is missing, and a date that is none.

    >>> [(one.term.code, one.value) for one in said_of(["NCU", "DS=MONDO:0007254"])]
    [('NCU', ''), ('DS', 'MONDO:0007254')]
    """
    return tuple(_said(text) for text in texts if text.strip())


def _said(text: str) -> Said:
    code, mark, value = text.strip().partition("=")
    term = term_of(code)
    if bool(term.value) != bool(value.strip()) or (mark and not value.strip()):
        wanted = f"{term.code}=<{term.value}>" if term.value else term.code
        raise InvalidInputError(f"{term.code} is written {wanted}", remedy="correct the term", field="terms")
    if term.value == "date":
        _day(value)
    return Said(term=term, value=value.strip())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInputError(
            f"{text.strip()[:20]!r} is no date", remedy="write it as 2026-11-23", field="terms"
        ) from error
