"""Who an image's header says its patient is, as keyed hashes that compare within this process alone.

Two people can stand under one Patient ID: a mistyped number, a system started anew, two archives merged.
Their names, birth dates, sexes and issuers of the id tell them apart. The key is drawn by the running
program and never leaves it, so neither a value nor a hash that could be tried out is kept or written.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

__all__ = ["Person", "are_several", "person_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person as keyed hashes; "" or nothing where the header doesn't say it.

    `names`: one for each script that the name is written in.
    """

    names: frozenset[str] = frozenset()
    birth_date: str = ""
    sex: str = ""
    issuer: str = ""

    def is_another(self, other: Person) -> bool:
        """Tell whether both can't be the same person; what only one of them says decides nothing.

        Another issuer of the id alone is another person, unless name and birth date agree.
        """
        names = bool(self.names and other.names)
        if names and not self.names & other.names:
            return True
        if _differ(self.birth_date, other.birth_date) or _differ(self.sex, other.sex):
            return True
        agree = names and bool(self.birth_date and other.birth_date)
        return _differ(self.issuer, other.issuer) and not agree


def person_of(*, name: str, birth_date: str, sex: str, issuer: str) -> Person:
    """Return the person of PatientName, PatientBirthDate, PatientSex and IssuerOfPatientID.

    Case, spaces and the order of a name's parts don't count; sexes other than M and F count as unknown.

    >>> one = person_of(name="Li^Na", birth_date="19700101", sex="F", issuer="")
    >>> one.is_another(person_of(name="NA LI", birth_date="19700101", sex="", issuer=""))
    False
    >>> one.is_another(person_of(name="Li^Na", birth_date="19800101", sex="F", issuer=""))
    True
    """
    date = birth_date.strip()
    given = sex.strip().upper()
    return Person(
        names=frozenset(_hashed("name", plain) for part in name.split("=") if (plain := _plain(part))),
        birth_date=_hashed("birth date", date) if len(date) == 8 and date.isdigit() else "",
        sex=_hashed("sex", given) if given in ("M", "F") else "",
        issuer=_hashed("issuer", issuer.strip().casefold()) if issuer.strip() else "",
    )


def are_several(persons: Iterable[Person]) -> bool:
    """Tell whether two of the persons differ."""
    return any(one.is_another(other) for one, other in combinations(set(persons), 2))


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _plain(name: str) -> str:
    """Return a name's letters in order, without case, marks and spaces."""
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sorted(char for char in text if char.isalnum()))


def _hashed(what: str, text: str) -> str:
    return hmac.new(_key(), f"{what}:{text}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


@cache
def _key() -> bytes:
    return secrets.token_bytes(32)
