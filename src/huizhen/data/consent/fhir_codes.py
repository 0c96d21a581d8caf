"""Codes of FHIR Consent resources: which terms of the Data Use Ontology, modalities and purposes they are.

Sources: HL7 FHIR R4B 4.3.0 and R5 5.0.0, Consent; HL7 terminology v3-ActReason, consentscope, consentaction,
consentcategorycodes; DICOM PS3.16, context group 29.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from huizhen.data.consent.record import Said, said_of
from huizhen.data.consent.terms import term_of
from huizhen.errors import InvalidInputError

__all__ = ["code_of", "codes", "codes_of", "coding_of_term", "modality_of", "research_or_care", "term_in"]

DUO: Final = "http://purl.obolibrary.org/obo/duo.owl"
MONDO: Final = "http://purl.obolibrary.org/obo/mondo.owl"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
MODALITY: Final = "urn:huizhen:modality"
REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
ABOUT_DATA: Final = frozenset({"research", "patient-privacy"})
ABOUT_ELSE: Final = frozenset({"treatment", "adr"})
"""Scopes and (`CARE_CATEGORIES`) categories of consents that are about care, not about data."""
CARE_CATEGORIES: Final = frozenset({"acd", "dnr", "emrgonly", "hcd", "npp", "polst"})
ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})
RECIPIENTS: Final = frozenset({"IRCP", "PRCP"})
Json = Mapping[str, Any]


def code_of(coding: Any) -> tuple[str, str]:
    """Return a Coding's system and code, "" where there is none.

    >>> code_of({"system": "s", "code": "c"}), code_of({})
    (('s', 'c'), ('', ''))
    """
    found = coding if isinstance(coding, dict) else {}
    return str(found.get("system", "")), str(found.get("code", ""))


def codes_of(concept: Any, system: str) -> set[str]:
    """Return a CodeableConcept's codes, "" for each of another system: it may mean anything.

    >>> sorted(codes_of({"coding": [{"system": SCOPE, "code": "adr"}, {"code": "adr"}]}, SCOPE))
    ['', 'adr']
    """
    coded = map(code_of, (concept or {}).get("coding", []))
    return {code if found.replace("https:", "http:") == system else "" for found, code in coded}


def term_in(concept: Json) -> Said | None:
    """Return the term of the Data Use Ontology that a CodeableConcept is; None where it is none.

    Its value stands in `text` ("TS=2030-12-31") or, a disease, as a further coding. Raises
    `InvalidInputError` when the value is missing, can't be read or stands there in two ways.

    >>> term_in({"coding": [{"system": DUO, "code": "DUO:0000018"}]}).term.code
    'NPUNCU'
    """
    found = [code_of(one) for one in concept.get("coding", [])]
    terms = [code for system, code in found if "duo" in system.lower() and re.match(r"^DUO[:_]\d{7}$", code)]
    if not terms:
        return None
    term = term_of(terms[0])
    values = {code for _, code in found if code not in terms}
    text = str(concept.get("text", ""))
    named, mark, value = text.partition("=")
    if mark and named.strip().upper() == term.code and term.value:
        values.add(value.strip())
    if len(terms) > 1 or len(values) != bool(term.value) or "" in values:
        raise InvalidInputError(
            "is a term whose value isn't clear",
            remedy="write its value once, as text or coding",
            field="code",
        )
    (said,) = said_of([f"{term.code}={next(iter(values))}" if term.value else term.code])
    return said


def coding_of_term(said: Said) -> dict[str, Any]:
    """Return a term as a CodeableConcept, from which `term_in` gives it back."""
    coding = [{"system": DUO, "code": said.term.id}]
    if said.term.value == "disease" and said.value.startswith("MONDO:"):
        coding.append({"system": MONDO, "code": said.value})
    text = f"{said.term.code}={said.value}" if said.value else said.term.code
    return {"coding": coding, "text": text}


def modality_of(concept: Json) -> str | None:
    """Return the modality that a CodeableConcept is, as "US"; None where it is none that is known.

    >>> modality_of({"coding": [{"system": DCM, "code": "121058"}]})
    """
    known = codes()["dicom_modalities"]
    coded = list(map(code_of, concept.get("coding", [])))
    found = {code for system, code in coded if system == MODALITY or (system == DCM and code in known)}
    return found.pop() if len(found) == 1 and len(concept.get("coding", [])) == 1 else None


def research_or_care(code: str, *, deny: bool) -> str | None:
    """Return "research", "care" or "" (neither) for a purpose of v3-ActReason; None for an unknown one.

    >>> research_or_care("CLINTRCH", deny=False), research_or_care("CLINTRCH", deny=True)
    ('', 'research')
    """
    known = codes()
    for what in ("research", "care"):
        if code in known[what] or (deny and code in known[f"{what}_too"]):
            return what
    return "" if any(code in known[name] for name in ("other", "research_too", "care_too")) else None


@cache
def codes() -> Mapping[str, frozenset[str]]:
    """Return sets of codes by what they mean.

    >>> "US" in codes()["dicom_modalities"]
    True
    """
    text = (files("huizhen.data.consent") / "fhir_codes.toml").read_text(encoding="utf-8")
    return {name: frozenset(found) for name, found in tomllib.loads(text).items()}
