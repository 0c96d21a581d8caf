"""FHIR consents in and out: the same register back, and nothing that isn't understood permits."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huizhen.data.consent.decide import Use, decide
from huizhen.data.consent.fhir_export import export_fhir, resource_of
from huizhen.data.consent.fhir_files import consents_in
from huizhen.data.consent.fhir_import import Imported, import_fhir
from huizhen.data.consent.record import Consent, Withdrawal, said_of
from huizhen.data.consent.register import read_register
from huizhen.data.consent.table import write_register
from huizhen.data.consent.terms import terms
from huizhen.errors import DataError, UnreadableFileError

DAY = date(2026, 11, 23)
USE = Use(
    day=DAY,
    purpose="research",
    modalities=frozenset({"US", "clinic"}),
    partners=frozenset({"south"}),
    diseases=frozenset({"MONDO:0007254"}),
    has=frozenset({"ethics_approval"}),
    is_=frozenset({"methods"}),
)
HL7 = "http://terminology.hl7.org/CodeSystem"
SCOPE = f"{HL7}/consentscope"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
DUO = "http://purl.obolibrary.org/obo/duo.owl"
RESEARCH = {"purpose": [{"system": REASON, "code": "HRESCH"}]}


def r4b(provision: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return a resource of R4B."""
    scope = {"coding": [{"system": SCOPE, "code": "research"}]}
    first = {"resourceType": "Consent", "status": "active", "scope": scope, "category": [{"text": "c"}]}
    first |= {"patient": {"reference": "Patient/a"}, "dateTime": "2025-01-01", "policyRule": {"text": "p"}}
    return {**first, **({"provision": provision} if provision is not None else {}), **more}


def r5(decision: str | None, *provisions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a resource of R5."""
    first: dict[str, Any] = {"resourceType": "Consent", "status": "active", "date": "2025-01-01"}
    first |= {"subject": {"reference": "Patient/a"}}
    first |= {"decision": decision} if decision else {}
    return {**first, **({"provision": list(provisions)} if provisions else {}), **more}


def read(tmp_path: Path, *resources: Any) -> Imported:
    """Import resources from one file."""
    file = tmp_path / "consents.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in resources), encoding="utf-8")
    return import_fhir([file])


def permitted(found: Imported, use: Use = USE) -> bool:
    """Whether patient a permits the use."""
    return decide([one for one in found.consents if one.patient == "a"], use).permitted


NARROWING: dict[str, Any] = {
    "securityLabel": [{"code": "R"}],
    "dataPeriod": {"start": "2020-01-01"},
    "data": [{"meaning": "instance", "reference": {"reference": "Observation/1"}}],
    "code": [{"coding": [{"system": "http://loinc.org", "code": "1"}]}],
    "actor": [{"role": {"coding": [{"code": "CST"}]}, "reference": {"reference": "Organization/x"}}],
    "action": [{"coding": [{"code": "sell"}]}],
    "modifierExtension": [{"url": "urn:x", "valueBoolean": True}],
}


@pytest.mark.parametrize("name", list(NARROWING))
@pytest.mark.parametrize("release", ["R4B", "R5"])
def test_a_permit_that_is_narrowed_in_an_unknown_way_is_none(tmp_path: Path, release: str, name: str) -> None:
    plain = {**RESEARCH}
    odd = {**plain, name: NARROWING[name]}
    make = (lambda p: r4b({"type": "permit", **p})) if release == "R4B" else (lambda p: r5("deny", p))
    assert permitted(read(tmp_path, make(plain)))
    found = read(tmp_path, make(odd))
    assert not permitted(found)
    (unclear,) = {one.path for one in found.unclear}
    assert name in unclear
    assert "provision" in unclear


@pytest.mark.parametrize("name", list(NARROWING))
def test_a_denial_that_is_narrowed_in_an_unknown_way_denies_all(tmp_path: Path, name: str) -> None:
    inner = {"type": "deny", "purpose": [{"system": REASON, "code": "HMARKT"}]}
    found = read(tmp_path, r4b({"type": "permit", **RESEARCH, "provision": [inner]}))
    assert permitted(found), "marketing is denied, research isn't"
    found = read(
        tmp_path, r4b({"type": "permit", **RESEARCH, "provision": [{**inner, name: NARROWING[name]}]})
    )
    assert not permitted(found)


@pytest.mark.parametrize(
    ("resource", "permits"),
    [
        (r5("deny", RESEARCH), True),
        (r5("permit", RESEARCH), False),  # everything but research
        (r5("permit"), False),  # no purpose is stated
        (r5("deny"), False),
        (r5(None, RESEARCH), False),
        (r5("deny", {**RESEARCH, "provision": [RESEARCH]}), False),  # the exception of the exception
        (r4b(RESEARCH), False),  # neither permit nor deny
        (r4b({"type": "deny"}), False),
        (r4b({"type": "deny", "provision": [{"type": "permit", **RESEARCH}]}), True),  # by default no
        (r4b({"provision": [{"type": "permit", **RESEARCH}]}), True),
        (r4b({"provision": [{**RESEARCH}]}), False),
        (r4b({"type": "permit", **RESEARCH}, status="rejected"), False),
        (r4b({"type": "permit", **RESEARCH}, status="inactive"), False),
        (r4b({"type": "permit", **RESEARCH}, status="proposed"), False),
        (r4b({"type": "permit", **RESEARCH}, status="whatever"), False),
        (r4b({"type": "permit", **RESEARCH}, status="entered-in-error"), False),
        (r5("deny", RESEARCH, status="not-done"), False),
        (r5("deny", RESEARCH, status="unknown"), False),
        (r4b({"type": "permit", **RESEARCH}, verification=[{"verified": False}]), False),
        (r4b({"type": "permit", **RESEARCH}, verification=[{"verified": True}]), True),
        (r4b({"type": "permit", **RESEARCH}, implicitRules="http://x"), False),
        (r4b({"type": "permit", **RESEARCH}, scope={"coding": [{"code": "treatment"}]}), False),
        (r4b({"type": "permit", **RESEARCH}, scope={"coding": [{"code": "other"}]}), False),
        (r4b({"type": "permit", **RESEARCH}, dateTime="2027-01-01"), False),
        (r4b({"type": "permit", **RESEARCH, "period": {"end": "2026-11-22"}}), False),
        (r4b({"type": "permit", **RESEARCH, "period": {"end": "2026-11-23T10:00:00Z"}}), False),
        (r4b({"type": "permit", **RESEARCH, "period": {"end": "2026"}}), True),
        (r4b({"type": "permit", **RESEARCH, "period": {"start": "2026-12"}}), False),
        (r4b({"type": "permit", "purpose": [{"system": REASON, "code": "CLINTRCH"}]}), False),
        (r4b({"type": "permit", **RESEARCH, "action": [{"coding": [{"code": "disclose"}]}]}), False),
        (r4b(None, policyRule={"coding": [{"code": "OPTOUT"}]}), False),
        (r4b(None, policyRule={"coding": [{"code": "OPTIN"}]}), False),
    ],
)
def test_what_a_resource_permits(tmp_path: Path, resource: dict[str, Any], permits: bool) -> None:
    assert permitted(read(tmp_path, resource)) is permits


def test_a_code_of_dicom_that_is_no_modality_narrows_no_denial(tmp_path: Path) -> None:
    for code in ("CT", "121058"):
        coding = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code}
        denied = {"type": "deny", "code": [{"coding": [coding]}]}
        found = read(tmp_path, r4b({"type": "permit", **RESEARCH, "provision": [denied]}))
        assert not permitted(found)
        assert {one.modalities for one in found.consents if one.deny} == {
            frozenset({"CT"} if code == "CT" else set())
        }


@pytest.mark.parametrize("when", ["2026", "2026-11", "2026-11-23"])
def test_a_day_that_isnt_whole_is_the_first_of_a_denial_and_the_last_of_a_permit(
    tmp_path: Path, when: str
) -> None:
    permit = r4b({"type": "permit", **RESEARCH}, id="one")
    assert not permitted(read(tmp_path, permit, r4b({"type": "deny", **RESEARCH}, id="two", dateTime=when)))
    assert not permitted(read(tmp_path, r5("deny", RESEARCH), r5("deny", date=when)))
    withdrawn = {"extension": [{"url": "urn:huizhen:consent:withdrawn", "valueDate": when}]}
    assert not permitted(read(tmp_path, {**permit, **withdrawn}))
    later = r4b({"type": "permit", **RESEARCH}, id="two", dateTime="2026-03-01")
    if len(when) < 10:
        assert not permitted(read(tmp_path, {**permit, **withdrawn}, later)), "it may have ended since"
    assert permitted(read(tmp_path, {**permit, "dateTime": when})) is (len(when) == 10)


def test_a_version_of_a_day_that_isnt_whole_ends_the_one_before(tmp_path: Path) -> None:
    def version(number: int, when: str) -> dict[str, Any]:
        extension = {"url": "urn:huizhen:consent:version", "valueInteger": number}
        permit = {"type": "permit", **RESEARCH}
        return r4b(permit, id=str(number), dateTime=when, extension=[extension])

    assert permitted(read(tmp_path, version(1, "2025-01-01"), version(2, "2025")))
    assert not permitted(read(tmp_path, version(1, "2025-01-01"), version(2, "2026"))), "not known what of"


def test_a_denial_that_ends_within_a_day_in_any_zone_holds_that_day(tmp_path: Path) -> None:
    for end, permits in (("2026-11-22T23:00:00-10:00", False), ("2026-11-21T23:00:00Z", True)):
        denied = {"type": "deny", "period": {"end": end}}
        found = read(tmp_path, r4b({"type": "permit", **RESEARCH, "provision": [denied]}))
        assert permitted(found) is permits
    forever = {"type": "deny", "period": {"end": "9999-12-31T00:00:00Z"}}
    assert not permitted(read(tmp_path, r4b({"type": "permit", **RESEARCH, "provision": [forever]})))


def test_a_permit_within_a_permit_within_which_something_is_denied(tmp_path: Path) -> None:
    deepest = {"type": "deny", **RESEARCH}
    resource = r4b({"type": "permit", **RESEARCH, "provision": [{"type": "permit", "provision": [deepest]}]})
    assert not permitted(read(tmp_path, resource))


def test_terms_of_duo_hold_together_with_purposes(tmp_path: Path) -> None:
    def code(number: str, *more: dict[str, str], **text: str) -> dict[str, Any]:
        return {"coding": [{"system": DUO, "code": f"DUO:{number}"}, *more], **text}

    disease = {"system": "http://purl.obolibrary.org/obo/mondo.owl", "code": "MONDO:0007254"}
    other = {**disease, "code": "MONDO:1"}
    permit: dict[str, Any] = {"type": "permit", **RESEARCH}
    assert permitted(read(tmp_path, r4b({**permit, "code": [code("0000007", disease)]})))
    found = read(tmp_path, r4b({**permit, "code": [code("0000007", other)]}))
    assert not permitted(found), "research, and of this disease alone"
    assert not found.unclear
    assert not permitted(read(tmp_path, r4b({**permit, "code": [code("0000007")]}))), "of which disease?"
    assert not permitted(
        read(tmp_path, r4b({**permit, "code": [code("0000007", disease, text="DS=MONDO:1")]}))
    )
    assert not permitted(read(tmp_path, r4b({**permit, "code": [code("9999999")]})))
    assert not permitted(read(tmp_path, r4b({**permit, "code": [code("0000015")]}))), "no methods"
    assert permitted(read(tmp_path, r4b({"type": "permit", "code": [code("0000042")]})))
    care = {"type": "permit", "purpose": [{"system": REASON, "code": "TREAT"}]}
    assert not permitted(read(tmp_path, r4b({**care, "code": [code("0000042")]}))), "for care alone"


@pytest.mark.parametrize("number", ["0000025", "9999999"])
def test_an_unclear_term_is_told_without_its_value(tmp_path: Path, number: str) -> None:
    coding = {"coding": [{"system": DUO, "code": f"DUO:{number}"}], "text": "TS=Wang Xiaoming 4711882"}
    found = read(tmp_path, r4b({"type": "permit", **RESEARCH, "code": [coding]}))
    assert not permitted(found)
    assert [one.why for one in found.unclear] == ["is a term whose value isn't clear"]


def test_what_holds_for_one_patient_holds_together(tmp_path: Path) -> None:
    permit, deny = r4b({"type": "permit", **RESEARCH}, id="one"), r4b({"type": "deny"}, id="two")
    assert not permitted(read(tmp_path, permit, deny))
    assert not permitted(read(tmp_path, {**permit, "meta": {"versionId": "9"}}, deny)), "two resources"
    default = r4b({"type": "deny", "provision": [{"type": "permit", **RESEARCH}]}, id="two")
    assert not permitted(read(tmp_path, permit, default)), "what denies by default stands beside a permit"
    ended = r4b(
        {"type": "permit", **RESEARCH},
        id="old",
        status="inactive",
        meta={"lastUpdated": "2026-11-01T00:00:00Z"},
    )
    assert permitted(read(tmp_path, ended, permit)), "a consent that was replaced takes no other with it"
    assert not permitted(read(tmp_path, ended))


def test_the_newest_version_of_a_resource_counts(tmp_path: Path) -> None:
    def version(number: str, **more: Any) -> dict[str, Any]:
        return r4b({"type": "permit", **RESEARCH}, id="one", meta={"versionId": number}, **more)

    assert not permitted(read(tmp_path, version("9"), version("10", status="rejected")))
    assert permitted(read(tmp_path, version("9", status="rejected"), version("10")))
    assert permitted(read(tmp_path, version("9"), version("9"))), "the same twice is one"
    with pytest.raises(DataError, match="stands there twice") as caught:
        read(tmp_path, version("9"), version("9", status="rejected"))
    assert caught.value.field == "line 2: meta.versionId"
    with pytest.raises(DataError, match="can't be told apart"):
        read(tmp_path, version("a"), version("b", status="rejected"))
    assert not permitted(read(tmp_path, version("9"), version("10", status="entered-in-error")))


def test_only_hl7s_codes_make_a_consent_one_about_care(tmp_path: Path) -> None:
    permit, deny = r4b({"type": "permit", **RESEARCH}), r4b({"type": "deny"})
    for system, passed in ((SCOPE, 1), ("urn:hospital", 0)):
        scope = {"scope": {"coding": [{"system": system, "code": "adr"}]}}
        found = read(tmp_path, permit, {**permit, **scope})
        assert found.counts.get("about_care", 0) == passed
        assert permitted(found) is bool(passed)
        assert not permitted(read(tmp_path, permit, {**deny, **scope})), "what denies is never passed over"
    for system, passed in ((f"{HL7}/consentcategorycodes", 1), ("urn:hospital", 0)):
        category = {"category": [{"coding": [{"system": system, "code": "dnr"}]}]}
        found = read(tmp_path, permit, {**permit, **category})
        assert found.counts.get("about_care", 0) == passed
        assert permitted(found) is bool(passed)
        for denied in (deny, r5("deny"), r5("permit", RESEARCH), {**permit, "status": "rejected"}):
            assert not permitted(read(tmp_path, permit, {**denied, **category}))


@pytest.mark.parametrize("system", [None, "urn:hospital", f"{HL7}/consentaction"])
def test_a_local_action_isnt_one_of_hl7s(tmp_path: Path, system: str | None) -> None:
    action = {"code": "use", **({"system": system} if system else {})}
    found = read(tmp_path, r4b({"type": "permit", **RESEARCH, "action": [{"coding": [action]}]}))
    assert permitted(found) is (system == f"{HL7}/consentaction")
    assert bool(found.unclear) is not permitted(found)


@pytest.mark.parametrize("number", ["1", "2"])
def test_one_id_of_two_patients_resources_stops_the_reading(tmp_path: Path, number: str) -> None:
    denied = r4b({"type": "deny"}, id="7", meta={"versionId": "1"})
    other = r4b({"type": "permit", **RESEARCH}, id="7", meta={"versionId": number})
    with pytest.raises(DataError, match="another patient's") as caught:
        read(tmp_path, denied, {**other, "patient": {"reference": "Patient/secret"}})
    assert caught.value.field == "line 2: id"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ('{"a": 1, "a": 2}', "names a key twice"),
        ('{"resourceType": "Consent", "x": NaN}', "no JSON"),
        ("[" * 100000 + "]" * 100000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested deeper than 64"),
        ('{"resourceType": 3}', "no FHIR resource"),
        ('{"resourceType": "Bundle", "entry": [{"fullUrl": "x"}]}', "has no resource"),
        ('{"resourceType": "Bundle", "entry": [{"request": {"method": "DELETE"}}]}', "deletes"),
        (json.dumps({**r4b(None), "patient": {"display": "Anna Secret"}}), "no identifier"),
        (json.dumps({k: v for k, v in r4b(None).items() if k != "patient"}), "names no patient"),
        (json.dumps({**r4b(None), "annaSecret": 1}), "no FHIR Consent of R4B"),
        (json.dumps(r4b({"type": "permit", "period": 3})), "no FHIR Consent of R4B"),
    ],
)
def test_what_is_no_fhir_stops_the_reading(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        import_fhir([file])
    assert caught.value.file == "x.json"
    assert caught.value.remedy
    assert "Secret" not in str(caught.value).replace("annaSecret", "")


def test_provisions_have_limits(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"type": "permit"}
    for _ in range(13):
        deep = {"type": "permit", "provision": [deep]}
    with pytest.raises(DataError, match="more provisions, or deeper"):
        read(tmp_path, r4b(deep))
    with pytest.raises(DataError, match="more provisions, or deeper"):
        read(tmp_path, r4b({"type": "permit", "provision": [{"type": "permit"}] * 2001}))


def test_bundles_folders_and_ndjson_are_read_alike(tmp_path: Path) -> None:
    one, two = r4b({"type": "permit", **RESEARCH}), r5("deny", RESEARCH, subject={"reference": "Patient/b"})
    patient = {"resourceType": "Patient", "id": "a"}
    folder = tmp_path / "export" / "deeper"
    folder.mkdir(parents=True)
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": r} for r in (patient, one)],
    }
    (folder / "a.json").write_text(json.dumps(bundle), encoding="utf-8")
    (folder / "b.ndjson").write_text(json.dumps(two) + "\n\n", encoding="utf-8")
    found = import_fhir([tmp_path / "export"])
    assert {one.patient for one in found.consents} == {"a", "b"}
    assert found.counts == {"resources": 2, "in_force": 2}
    assert [f.where for f in consents_in([folder])] == ["Bundle.entry[1].resource", "line 1"]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no JSON"):
        import_fhir([tmp_path / "none"])
    with pytest.raises(UnreadableFileError, match="can't be read"):
        import_fhir([tmp_path / "absent.json"])


NAMES = st.text("abcXYZ01-_ é医", min_size=1, max_size=8).map(str.strip).filter(bool)
DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))
SOME = st.frozensets(NAMES, max_size=2)
VALUES = {"": "", "disease": "MONDO:0007254", "date": "2030-12-31", "name": "CN, DE"}
TERMS = st.lists(st.sampled_from(sorted(terms())), unique=True, max_size=4).map(
    lambda codes: said_of(
        [f"{code}={VALUES[terms()[code].value]}" if terms()[code].value else code for code in codes]
    )
)


@st.composite
def rows(draw: st.DrawFn) -> Consent:
    """Draw a row of a register."""
    given = draw(DAYS)
    later = st.none() | st.dates(given, date(2031, 1, 1))
    return Consent(
        patient=draw(NAMES),
        version=draw(st.integers(1, 4)),
        given=given,
        said=draw(TERMS),
        deny=draw(st.booleans()),
        until=draw(later),
        modalities=draw(st.frozensets(st.sampled_from(["US", "MG", "clinic", "T2.w"]))),
        partners=draw(SOME),
        withdrawn=draw(later),
        withdrawal=draw(st.sampled_from(list(Withdrawal))),
    )


@pytest.mark.parametrize("release", ["R4B", "R5"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows(), min_size=1, max_size=5))
def test_a_register_comes_back_as_it_was(tmp_path: Path, release: Any, found: list[Consent]) -> None:
    export_fhir(found, tmp_path / release, release=release)
    back = import_fhir([tmp_path / release])
    assert not back.unclear
    assert set(back.consents) == set(found)
    write_register(tmp_path / "again.csv", back.consents)
    again = read_register(tmp_path / "again.csv").consents
    assert {one for ones in again.values() for one in ones} == set(found)


@pytest.mark.parametrize("release", ["R4B", "R5"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows())
def test_who_doesn_t_know_our_extensions_reads_no_more_permission(
    tmp_path: Path, release: Any, row: Consent
) -> None:
    plain = {k: v for k, v in resource_of(row, 1, release=release).items() if k != "extension"}
    found = read(tmp_path, plain)
    for purpose in ("research", "care"):
        use = Use(
            day=DAY,
            purpose=purpose,
            modalities=USE.modalities | row.modalities,
            partners=USE.partners,
            has=USE.has,
            is_=USE.is_,
        )
        theirs, ours = decide(found.consents, use), decide([row], use)
        assert theirs.modalities <= ours.modalities
