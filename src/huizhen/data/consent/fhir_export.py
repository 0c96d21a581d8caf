"""A register as FHIR Consent resources, R4B or R5, from which the import gives the same register back.

A row becomes a resource of its own. What FHIR has no element for stands in extensions of this program: the
register's version, the day of a withdrawal and what is to be done then, and in R5, which has no denial of a
part without permitting the rest, the part that is denied. Who doesn't know them reads no more permission.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

from huizhen.core.digests import canonical_json
from huizhen.core.files import write_bytes
from huizhen.data.consent.fhir_codes import (
    DCM,
    MODALITY,
    PARTICIPATION,
    REASON,
    codes,
    coding_of_term,
)
from huizhen.data.consent.fhir_validation import check_form
from huizhen.data.consent.record import Consent, Withdrawal
from huizhen.data.consent.table import row_of

__all__ = ["DENIED", "FILE", "VERSION", "WITHDRAWAL", "WITHDRAWN", "export_fhir", "resource_of"]

Release = Literal["R4B", "R5"]
FILE: Final = "Consent.ndjson"
VERSION: Final = "urn:huizhen:consent:version"
WITHDRAWN: Final = "urn:huizhen:consent:withdrawn"
WITHDRAWAL: Final = "urn:huizhen:consent:withdrawal"
DENIED: Final = "urn:huizhen:consent:denied"
DENIED_PARTS: Final = ("terms", "modalities", "partners", "until")
Resource = dict[str, Any]


def export_fhir(consents: Iterable[Consent], folder: Path, *, release: Release) -> Path:
    """Write consents as `Consent.ndjson` in `folder`, whole or not at all, and return that file.

    Raises `DataError` where fhir.resources isn't installed, `StorageError` when it can't be written.
    """
    seen: Counter[str] = Counter()
    lines: list[bytes] = []
    for one in consents:
        seen[one.patient] += 1
        resource = resource_of(one, seen[one.patient], release=release)
        check_form(resource, r5=release == "R5", file=FILE, where=f"line {len(lines) + 1}")
        lines.append(canonical_json(resource) + b"\n")
    write_bytes(folder / FILE, b"".join(lines))
    return folder / FILE


def resource_of(consent: Consent, number: int, *, release: Release) -> Resource:
    """Return a consent as a resource, the patient's `number`-th."""
    name = hashlib.sha256(consent.patient.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    common: Resource = {
        "resourceType": "Consent",
        "id": f"{name}-{number}",
        "meta": {"versionId": "1"},
        "status": "active" if consent.withdrawn is None else "inactive",
        "extension": _extensions(consent),
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    }
    subject = {"identifier": {"value": consent.patient}}
    if release == "R4B":
        provision = {"type": "deny" if consent.deny else "permit", **_provision(consent)}
        scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}
        return {
            **common,
            "scope": {"coding": [scope]},
            "patient": subject,
            "dateTime": consent.given.isoformat(),
            "policyRule": {"text": "the hospital's consent register"},
            "provision": {"provision": [provision]},
        }
    found = {**common, "subject": subject, "date": consent.given.isoformat(), "decision": "deny"}
    if consent.deny:
        denied = {"url": DENIED, "valueString": _denied(consent)}
        return {**found, "extension": [*common["extension"], denied]}
    return {**found, "provision": [_provision(consent)]}


def _extensions(consent: Consent) -> list[Resource]:
    found: list[Resource] = [{"url": VERSION, "valueInteger": consent.version}]
    if consent.withdrawn is not None:
        found.append({"url": WITHDRAWN, "valueDate": consent.withdrawn.isoformat()})
    if consent.withdrawal is not Withdrawal.NO_NEW_USE:
        found.append({"url": WITHDRAWAL, "valueCode": consent.withdrawal.value})
    return found


def _provision(consent: Consent) -> Resource:
    """Return terms, modalities, recipients and end as a provision."""
    found: Resource = {}
    if consent.until is not None:
        found["period"] = {"end": consent.until.isoformat()}
    if consent.partners:
        role = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
        found["actor"] = [
            {"role": role, "reference": {"identifier": {"value": name}}} for name in sorted(consent.partners)
        ]
    known = codes()["dicom_modalities"]
    terms = [coding_of_term(said) for said in consent.said]
    for name in sorted(consent.modalities):
        terms.append({"coding": [{"system": DCM if name in known else MODALITY, "code": name}]})
    if terms:
        found["code"] = terms
    if purposes := _purposes(consent):
        found["purpose"] = [{"system": REASON, "code": code} for code in purposes]
    return found


def _purposes(consent: Consent) -> list[str]:
    """Return the purposes that a permit's terms come to, for who doesn't know the ontology."""
    permits = {said.term.code for said in consent.said if said.term.kind == "permission"}
    if consent.deny or not permits:
        return []
    research = ["HRESCH"] if permits - {"CC"} else []
    return [*research, *(["TREAT"] if permits & {"CC", "NRES"} else [])]


def _denied(consent: Consent) -> str:
    """Return what a denial is narrowed to, as the register's own cells."""
    row = row_of(consent)
    return canonical_json({name: row[name] for name in DENIED_PARTS}).decode()
