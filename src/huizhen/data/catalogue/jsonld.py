"""A record as JSON-LD in the terms of EUCAIM DCAT-AP 2.0, signed by its site, and read back with suspicion.

What people and the index say stands in the record twice: in DCAT's terms for everybody, and as the plain
values that these were made of. A reader makes the terms anew from the plain values and refuses a record in
which they differ: so every byte is accounted for. No context is ever fetched, no address ever opened.

Source: EUCAIM DCAT Application Profile 2.0, Dataset and Distribution; HealthDCAT-AP release 7; DCAT 3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.core.study_base import Name
from huizhen.core.words import Language
from huizhen.data.catalogue.codes import EUCAIM, iri_of, label_of
from huizhen.data.catalogue.record import Contact, Description, Facts, Party, described
from huizhen.data.consent.record import said_of
from huizhen.errors import (
    DataError,
    HuizhenError,
    InvalidInputError,
    UnreadableFileError,
    VerificationError,
)
from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = ["CONTEXT", "MOST_BYTES", "Record", "load_record", "read_record", "record_bytes"]

MOST_BYTES = 262_144
DOMAIN = "catalogue-record"
STATED, PROOF = "huizhen:stated", "huizhen:proof"
_EU = "http://publications.europa.eu/resource/authority/"
_HDEU = "https://hdeu-dcat.data.health.europa.eu/resource/authority/"

CONTEXT: Mapping[str, str] = {
    "csvw": "http://www.w3.org/ns/csvw#",
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eucaim": EUCAIM,
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geodcatap": "http://data.europa.eu/930/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "huizhen": "urn:huizhen:catalogue:",
    "obo": "http://purl.obolibrary.org/obo/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record whose signature holds: `site` signed it with `key`; `digest` is over what was signed."""

    site: str
    key: PublicKey
    description: Description
    facts: Facts
    digest: Digest


class _Stated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    site: Name
    description: Description
    facts: Facts


def record_bytes(site: str, description: Description, facts: Facts, key: SigningKey) -> bytes:
    """Return the signed record of a site, as JSON-LD."""
    document = _document(_Stated(site=site, description=description, facts=facts))
    proof = {"key": key.public.hex, "signature": key.sign(DOMAIN, canonical_json(document))}
    whole = {**document, PROOF: {"@type": "@json", "@value": proof}}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def read_record(data: bytes, *, key: PublicKey | None = None) -> Record:
    """Return the record in `data`, if its signature holds and, where `key` is given, that key made it.

    Raises `VerificationError` on a signature that doesn't hold or another key, `DataError` (which names the
    field) on what is no record: too large or deep, not JSON, with unknown or missing fields, or saying in
    DCAT's terms something else than in plain values.
    """
    whole = _parsed(data)
    try:
        proof = whole.pop(PROOF)["@value"]
        signer, signature = PublicKey(hex=str(proof["key"])), str(proof["signature"])
        signed = canonical_json(whole)
        given = whole[STATED]["@value"]
    except (KeyError, TypeError, InvalidInputError) as error:
        raise _no_record("it is unsigned, or says nothing") from error
    if key is not None and signer != key:
        raise VerificationError(
            f"the record is signed by key {signer.key_id}, not {key.key_id}",
            remedy="ask the site which key is its own",
            field=PROOF,
        )
    signer.verify(DOMAIN, signed, signature)
    try:
        stated = _Stated.model_validate_json(canonical_json(given))
    except ValidationError as error:
        raise described(error, _Stated, None) from error
    if canonical_json(_document(stated)) != signed:
        raise _no_record("its DCAT terms and its plain values differ")
    return Record(
        site=stated.site,
        key=signer,
        description=stated.description,
        facts=stated.facts,
        digest=digest_bytes(signed),
    )


def load_record(path: Path, *, key: PublicKey | None = None) -> Record:
    """Return the record in a file. Raises what `read_record` does, with the file's name."""
    try:
        with path.open("rb") as stream:
            return read_record(stream.read(MOST_BYTES + 1), key=key)
    except OSError as error:
        raise UnreadableFileError(
            f"can't be read ({error.strerror})", remedy="check that it is there", file=path.name
        ) from error
    except HuizhenError as error:
        error.file = error.file or path.name
        raise


def _parsed(data: bytes) -> dict[str, Any]:
    """Return the object in `data`. Raises `DataError`."""
    if len(data) > MOST_BYTES:
        raise _no_record(f"it has over {MOST_BYTES} bytes")
    try:
        found = json.loads(data, object_pairs_hook=_once, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise _no_record("it is no JSON, or nested too deeply, or has a name twice") from error
    if not isinstance(found, dict):
        raise _no_record("it is no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _no_record(why: str) -> DataError:
    return DataError(f"is no catalogue record ({why})", remedy="get it anew from the site that published it")


# --- DCAT's terms --------------------------------------------------------------------------------------


def _document(stated: _Stated) -> dict[str, Any]:
    """Return the dataset in DCAT's terms, with the plain values."""
    said, facts = stated.description, stated.facts
    found: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@id": said.identifier,
        "@type": "dcat:Dataset",
        **_named(said),
        **_classed(said),
        **_people(said),
        **_counted(facts),
        **_optional(said, facts),
        STATED: {"@type": "@json", "@value": stated.model_dump(mode="json")},
    }
    return found


def _named(said: Description) -> dict[str, Any]:
    return {
        "dct:identifier": said.identifier,
        "dct:title": _texts(said.title, said.title_zh),
        "dct:description": _texts(said.description, said.description_zh),
        "dcat:version": said.version,
        "eucaim:interoperabilityLevel": _term(said.interoperability_level),
        "dcat:keyword": [_text(word) for word in said.keywords],
        "dct:provenance": [
            {"@type": "dct:ProvenanceStatement", "rdfs:label": _text(one)} for one in said.provenance
        ],
        "dcat:distribution": [_distribution(said)],
    }


def _distribution(said: Description) -> dict[str, Any]:
    """Return the way to the data: a page to ask at, and on which conditions."""
    return {
        "@type": "dcat:Distribution",
        "dcat:accessURL": _id(said.access_page),
        "dcatap:applicableLegislation": [_id(one) for one in said.legislation],
        "dct:rights": [
            {
                "@type": "dct:RightsStatement",
                "dct:type": _id(f"obo:{one.term.id.replace(':', '_')}"),
                "rdfs:label": f"{one.term.code}={one.value}" if one.value else one.term.code,
            }
            for one in said_of(said.use_conditions)
        ],
    }


def _classed(said: Description) -> dict[str, Any]:
    kinds = [_id(f"dpv:{kind}") if kind.endswith("Data") else _term(kind) for kind in said.dataset_type]
    structured: dict[str, Any] = {"healthdcatap:hasStructuredData": bool(said.variables)}
    if said.variables:
        columns = [{"@type": "csvw:Column", "csvw:name": name} for name in said.variables]
        table = {"@type": "csvw:Table", "csvw:column": columns}
        structured["healthdcatap:hasVariables"] = [{"@type": "csvw:TableGroup", "csvw:table": [table]}]
    return {
        "dcat:theme": _id(f"{_EU}data-theme/HEAL"),
        "healthdcatap:healthCategory": [
            _id(f"{_HDEU}healthcategories/{one}") for one in said.health_category
        ],
        "dct:type": kinds,
        "dct:accessRights": _id(f"{_EU}access-right/{said.access_rights}"),
        "dcatap:applicableLegislation": [_id(one) for one in said.legislation],
        "eucaim:hasCondition": _term(said.condition),
        "eucaim:collectionMethod": [_term(one) for one in said.collection_method],
        **structured,
    }


def _people(said: Description) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dcat:contactPoint": [_vcard(said.contact)],
        "dct:publisher": _agent(said.publisher),
    }
    if said.custodian is not None:
        found["geodcatap:custodian"] = _agent(said.custodian)
    if said.access_body is not None:
        found["healthdcatap:hdab"] = _agent(said.access_body)
    return found


def _counted(facts: Facts) -> dict[str, Any]:
    return {
        "healthdcatap:numberOfUniqueIndividuals": _number(facts.subjects),
        **({} if facts.studies is None else {"healthdcatap:numberOfRecords": _number(facts.studies)}),
        "eucaim:hasBirthSex": _coded("sex", facts.sexes),
        "eucaim:hasImageModality": _coded("modality", facts.modalities),
        "eucaim:hasEquipmentManufacturer": _coded("manufacturer", facts.manufacturers),
        "eucaim:hasImageBodyPart": _coded("body_part", facts.body_parts),
    }


def _optional(said: Description, facts: Facts) -> dict[str, Any]:
    """Return what is recommended, as far as it is known."""
    pairs: dict[str, Any] = {
        "dpv:hasLegalBasis": said.legal_basis and [_id(f"dpv:{said.legal_basis}")],
        "dpv:hasPurpose": said.purpose and [{"@type": "dpv:Purpose", "dct:description": _text(said.purpose)}],
        "dpv:hasPersonalData": [_id(f"dpv:{one}") for one in said.personal_data],
        "healthdcatap:healthTheme": [_id(f"{_HDEU}health-theme/{one}") for one in said.health_theme],
        "healthdcatap:populationCoverage": said.population and [_text(said.population)],
        "healthdcatap:retentionPeriod": _period(said.retained_from, said.retained_until),
        "healthdcatap:hasCodingSystem": [_id(f"{_HDEU}coding-system/{one}") for one in said.coding_systems],
        "healthdcatap:hasCodeValues": list(said.code_values),
        "healthdcatap:minTypicalAge": None if facts.least_age is None else _number(facts.least_age),
        "healthdcatap:maxTypicalAge": None if facts.most_age is None else _number(facts.most_age),
        "dct:temporal": _period(
            facts.first_year and f"{facts.first_year}-01-01", facts.last_year and f"{facts.last_year}-12-31"
        ),
    }
    return {name: value for name, value in pairs.items() if value}


def _period(start: object, end: object) -> dict[str, Any] | None:
    if not start and not end:
        return None
    found: dict[str, Any] = {"@type": "dct:PeriodOfTime"}
    for name, day in (("dcat:startDate", start), ("dcat:endDate", end)):
        if day:
            found[name] = {"@type": "xsd:date", "@value": str(day)}
    return found


def _agent(party: Party) -> dict[str, Any]:
    contact: dict[str, Any] = {"@type": "cv:ContactPoint"}
    if party.contact.email:
        contact["cv:email"] = party.contact.email
    if party.contact.page:
        contact["cv:contactPage"] = _id(party.contact.page)
    return {"@type": "foaf:Agent", "foaf:name": party.name, "cv:contactPoint": contact}


def _vcard(contact: Contact) -> dict[str, Any]:
    found: dict[str, Any] = {"@type": "vcard:Kind"}
    if contact.email:
        found["vcard:hasEmail"] = _id(f"mailto:{quote(contact.email, safe='@+')}")  # RFC 6068
    if contact.page:
        found["vcard:hasURL"] = _id(contact.page)
    return found


def _coded(key: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """Return values by EUCAIM's term where there is one, DICOM's else, and by name where neither is."""
    found: list[dict[str, Any]] = []
    for value in values:
        address = iri_of(key, value)
        label = _text(label_of(key, value, Language.EN))
        found.append({**(_id(address) if address else {}), "skos:prefLabel": label})
    return found


def _id(address: str) -> dict[str, str]:
    return {"@id": address}


def _term(code: str) -> dict[str, str]:
    return _id(f"eucaim:{code}")


def _text(text: str, language: str = "en") -> dict[str, str]:
    return {"@language": language, "@value": text}


def _texts(english: str, chinese: str | None) -> list[dict[str, str]]:
    return [_text(english), *([_text(chinese, "zh")] if chinese else [])]


def _number(value: int) -> dict[str, str]:
    return {"@type": "xsd:nonNegativeInteger", "@value": str(value)}
