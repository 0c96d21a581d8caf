"""Records: every mandatory field is asked for by name, and what was signed is what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.digests import canonical_json
from huizhen.data.catalogue.jsonld import DOMAIN, PROOF, load_record, read_record, record_bytes
from huizhen.data.catalogue.record import Description, Facts, load_catalogue
from huizhen.data.catalogue.template import write_template
from huizhen.errors import DataError, StorageError, UnreadableFileError, VerificationError
from huizhen.ledger.signing import SigningKey

PARTY = {"name": "A hospital", "contact": {"email": "data@example.org"}}
SAID: dict[str, Any] = {
    "identifier": "https://example.org/d/1",
    "title": "Breast imaging",
    "description": "Mammograms and MR.",
    "version": "1.0.0",
    "interoperability_level": "SPEC1000011",
    "contact": {"email": "data@example.org"},
    "publisher": PARTY,
    "health_category": ["EHRS"],
    "dataset_type": ["PseudonymisedData"],
    "access_rights": "NON_PUBLIC",
    "legislation": ["http://data.europa.eu/eli/reg/2025/327/oj"],
    "condition": "CLIN1000060",
    "collection_method": ["SPEC1000003"],
    "keywords": ["breast"],
    "provenance": ["routine care"],
    "access_page": "https://example.org/ask",
    "use_conditions": ["HMB", "DS=MONDO:0007254"],
}
FACTS = Facts(
    subjects=120,
    studies=240,
    sexes=("F",),
    modalities=("MG", "MR", "ES"),
    manufacturers=("SIEMENS", "ACME"),
    body_parts=("BREAST",),
    least_age=40,
    most_age=79,
    first_year=2015,
    last_year=2024,
    smallest=10,
    rounding=10,
)


def record(key: SigningKey, **more: Any) -> bytes:
    """Return a signed record."""
    return record_bytes("north", Description.model_validate({**SAID, **more}), FACTS, key)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """A site's key."""
    return SigningKey.generate()


def test_a_record_reads_back(key: SigningKey) -> None:
    found = read_record(record(key), key=key.public)
    assert (found.site, found.facts, found.description.title) == ("north", FACTS, "Breast imaging")


def test_the_terms_are_those_of_the_profile(key: SigningKey) -> None:
    whole = json.loads(
        record(key, variables=["age"], access_body=PARTY, custodian=PARTY, legal_basis="Consent")
    )
    context = whole["@context"]
    assert context["healthdcatap"] == "http://healthdataportal.eu/ns/health#"
    assert context["dcat"] == "http://www.w3.org/ns/dcat#"
    assert context["eucaim"] == "https://cancerimage.eu/ontology/EUCAIM#"
    mandatory = """dct:identifier dct:title dct:description dcat:version eucaim:interoperabilityLevel
        dcat:distribution dcat:contactPoint dcat:theme healthdcatap:healthCategory dct:type dct:accessRights
        dcatap:applicableLegislation dct:publisher healthdcatap:hasStructuredData healthdcatap:hasVariables
        healthdcatap:numberOfUniqueIndividuals healthdcatap:numberOfRecords eucaim:hasBirthSex
        eucaim:hasCondition eucaim:collectionMethod eucaim:hasImageModality eucaim:hasEquipmentManufacturer
        eucaim:hasImageBodyPart dcat:keyword dct:provenance healthdcatap:hdab"""
    assert [name for name in mandatory.split() if name not in whole] == []
    modalities = [one.get("@id", "").rpartition("/")[2] for one in whole["eucaim:hasImageModality"]]
    assert modalities == ["EUCAIM#IMG1000030", "EUCAIM#IMG1000038", "ES"]
    rights = whole["dcat:distribution"][0]["dct:rights"]
    assert [one["dct:type"]["@id"] for one in rights] == ["obo:DUO_0000006", "obo:DUO_0000007"]
    prefixes = {name.partition(":")[0] for name in whole if not name.startswith("@")}
    assert prefixes <= set(context)


MANDATORY = list(SAID)


@pytest.mark.parametrize("name", MANDATORY)
def test_each_mandatory_field_is_asked_for(name: str, tmp_path: Path) -> None:
    rest = {field: value for field, value in SAID.items() if field != name}
    path = tmp_path / "catalogue.toml"
    path.write_text("[index]\n[record]\n" + "".join(f"{n} = {_toml(v)}\n" for n, v in rest.items()))
    with pytest.raises(DataError) as caught:
        load_catalogue(path)
    assert (caught.value.field, caught.value.file) == (f"record.{name}", "catalogue.toml")
    assert caught.value.remedy == "add it"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identifier", "javascript:alert(1)"),
        ("identifier", 'https://example.org/"><script>'),
        ("title", "a\u202eb"),
        ("title", "x" * 301),
        ("access_rights", "OPEN"),
        ("condition", "breast"),
        ("use_conditions", ["EVERYTHING"]),
        ("use_conditions", ["DS"]),
        ("contact", {}),
        ("contact", {"email": "a@b\nBcc: c@d.org"}),
        ("version", "new"),
        ("unknown", 1),
    ],
)
def test_a_wrong_field_is_named(name: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    said = {**SAID, name: value}
    path.write_text("[index]\n[record]\n" + "".join(f"{n} = {_toml(v)}\n" for n, v in said.items()))
    with pytest.raises(DataError) as caught:
        load_catalogue(path)
    assert (caught.value.field or "").startswith(f"record.{name}")


def test_any_change_is_found(key: SigningKey) -> None:
    data = record(key)
    whole = json.loads(data)
    for change in (
        {"dcat:version": "2.0.0"},
        {"extra": 1},
        {"@context": {**whole["@context"], "dct": "https://evil.example/"}},
        {"huizhen:stated": {"@type": "@json", "@value": {}}},
    ):
        with pytest.raises(VerificationError):
            read_record(json.dumps({**whole, **change}).encode())
    with pytest.raises(VerificationError, match="signed by key"):
        read_record(data, key=SigningKey.generate().public)


@pytest.mark.parametrize(
    "change",
    [
        {"healthdcatap:numberOfUniqueIndividuals": {"@type": "xsd:nonNegativeInteger", "@value": "9"}},
        {"@context": "https://evil.example/context.jsonld"},
        {"dct:title": [{"@language": "en", "@value": "<script>"}]},
        {"more": "fields"},
    ],
)
def test_what_a_site_signs_beside_the_plain_values_is_refused(key: SigningKey, change: Any) -> None:
    """A dishonest site can sign anything; what differs from the plain values isn't read."""
    whole = json.loads(record(key))
    del whole[PROOF]
    whole |= change
    proof = {"key": key.public.hex, "signature": key.sign(DOMAIN, canonical_json(whole))}
    with pytest.raises(DataError, match="differ"):
        read_record(json.dumps({**whole, PROOF: {"@type": "@json", "@value": proof}}).encode())


def test_a_signed_record_of_unknown_fields_names_the_field(key: SigningKey) -> None:
    whole = json.loads(record(key))
    del whole[PROOF]
    whole["huizhen:stated"]["@value"]["facts"]["subjects"] = -1
    proof = {"key": key.public.hex, "signature": key.sign(DOMAIN, canonical_json(whole))}
    with pytest.raises(DataError) as caught:
        read_record(json.dumps({**whole, PROOF: {"@type": "@json", "@value": proof}}).encode())
    assert caught.value.field == "facts.subjects"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"a":' * 40_000,
        b" " * 300_000,
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"huizhen:proof": 3}',
        b'{"huizhen:proof": {"@value": {"key": "zz", "signature": ""}}}',
        b"\xff\xfe",
        b'{"a": "\\ud800", "huizhen:proof": {"@value": {"key": "%s", "signature": ""}}}' % (b"0" * 64),
    ],
    ids=lambda data: f"{len(data)} bytes {data[:16]!r}",
)
def test_no_record_and_bombs_are_refused(data: bytes) -> None:
    with pytest.raises((DataError, VerificationError)):
        read_record(data)


def test_an_address_says_no_header_of_an_e_mail(key: SigningKey) -> None:
    """RFC 6068: what stands percent-encoded after mailto: is decoded, also an end of line."""
    data = record(key, contact={"email": "a%0D%0ABcc%3Ab@example.org"})
    points = json.loads(data)["dcat:contactPoint"]
    assert points[0]["vcard:hasEmail"] == {"@id": "mailto:a%250D%250ABcc%253Ab@example.org"}
    assert read_record(data).site == "north"


def test_files(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonld"
    path.write_bytes(record(key))
    assert load_record(path).site == "north"
    path.write_bytes(b"{}")
    with pytest.raises(DataError) as caught:
        load_record(path)
    assert caught.value.file == "r.jsonld"
    with pytest.raises(UnreadableFileError):
        load_record(tmp_path / "absent")


def test_the_template_is_never_written_over_and_asks_for_what_is_missing(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    with pytest.raises(StorageError):
        write_template(tmp_path)
    with pytest.raises(DataError):
        load_catalogue(path)
    path.write_text("[index")
    with pytest.raises(DataError, match="TOML"):
        load_catalogue(path)


def test_all_that_is_wrong_is_named_at_once_without_a_pattern(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    path.write_text(
        path.read_text()
        .replace('title = ""', 'titel = ""', 1)
        .replace("dataset_type = [", 'dataset_type = ["x", ', 1)
        .replace('version = "', 'version = "one ', 1)
    )
    with pytest.raises(DataError) as caught:
        load_catalogue(path)
    said = str(caught.value)
    for line in (
        "record.identifier: is no address of a page (write it whole, as https://example.org/data)",
        "record.titel: is an unknown key (did you mean title?)",
        "record.title: is missing (add it)",
        "record.version: is no version (write numbers with points between, as 1.0.0)",
        "record.contact.email: is no e-mail address (write it as data@example.org)",
        "record.keywords: needs at least 1 (add one)",
    ):
        assert f"\n  {line}\n" in said
    assert said.count("record.dataset_type.0") == 1
    assert not any(sign in said for sign in ("String should", "^", "pattern", "pydantic"))
