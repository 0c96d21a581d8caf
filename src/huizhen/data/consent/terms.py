"""The terms of the Data Use Ontology that a consent is written in.

Source: EBISPOT/DUO, release of 2022; Lawson et al., Cell Genomics 1:100028 (2021).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from huizhen.errors import InvalidInputError

Kind = Literal["permission", "modifier"]
Value = Literal["", "disease", "date", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term: `code` such as "HMB", its `id` in the ontology, and how a use is held to it.

    A permission allows a use; a modifier narrows what others allow. `needs` names what a use must have,
    `forbids` what it must not be, `value` what stands after the code.
    """

    code: str
    id: str
    kind: Kind
    title: Mapping[str, str] = field(hash=False)
    value: Value = ""
    needs: str = ""
    forbids: str = ""


@cache
def terms() -> Mapping[str, Term]:
    """Return all terms by code.

    >>> terms()["HMB"].id, terms()["NMDS"].forbids
    ('DUO:0000006', 'methods')
    """
    text = (files("huizhen.data.consent") / "terms.toml").read_text(encoding="utf-8")
    return {code: Term(code=code, **found) for code, found in tomllib.loads(text).items()}


def term_of(text: str) -> Term:
    """Return the term of a code or an ontology id, in any case of letters.

    Raises `InvalidInputError` for an unknown one: what isn't understood can't be kept.

    >>> term_of("duo:0000042").code
    'GRU'
    """
    wanted = text.strip().upper().replace("_", ":")
    for term in terms().values():
        if wanted in (term.code, term.id):
            return term
    raise InvalidInputError(
        f"{text.strip()[:40]!r} is no term of the Data Use Ontology",
        remedy=f"write one of {', '.join(terms())}, or its DUO id",
        field="terms",
    )
