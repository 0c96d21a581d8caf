"""What may cross: cases as a lawyer would list them. Each names the facts, the documents and the answer."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hospital_study import study
from pydantic import ValidationError

from huizhen.core.study import Study
from huizhen.data.transfer.decide import Decision, Outcome
from huizhen.data.transfer.flows import Kind
from huizhen.data.transfer.law import laws_of
from huizhen.data.transfer.study_decisions import decisions_of

LAWS = laws_of()
TODAY = date(2026, 11, 23)

PERMITTED, DOCUMENTS = Outcome.PERMITTED, Outcome.NEEDS_DOCUMENTS
UNDECIDED, FORBIDDEN = Outcome.UNDECIDED, Outcome.FORBIDDEN


def paper(kind: str, *, expires: date | None = None, issued: date = date(2026, 1, 1)) -> dict[str, Any]:
    """Return a document that the hospital holds."""
    return {"kind": kind, "id": f"{kind}-1", "issued": issued, "expires": expires, "site": "north"}


def decided(kind: Kind, *, day: date = TODAY, sender: str = "north", **said: Any) -> Decision:
    """Return the decision on the flow of a kind from the sender."""
    found = decisions_of(study(**said), LAWS, day)
    return next(one for one in found if one.flow.kind is kind and one.flow.sender == sender)


CHINA = {
    "consent_separate": True,
    "critical_infrastructure": False,
    "important_data": False,
    "counted_on": "2026-11-01",
    "other_persons": 0,
}
PAPERS = [paper("notice"), paper("impact_assessment")]
CONTRACT, ASSESSED = paper("standard_contract"), paper("security_assessment")

CHINESE: list[tuple[str, dict[str, Any], list[dict[str, Any]], Outcome, str]] = [
    ("1 person, contract held", {"sensitive_persons": 1}, [CONTRACT], PERMITTED, "CB-8-sensitive"),
    ("9,999 persons, contract held", {"sensitive_persons": 9_999}, [CONTRACT], PERMITTED, "CB-8-sensitive"),
    ("9,999 persons, no contract", {"sensitive_persons": 9_999}, [], DOCUMENTS, "CB-8-sensitive"),
    (
        "10,000 persons, contract alone",
        {"sensitive_persons": 10_000},
        [CONTRACT],
        DOCUMENTS,
        "CB-7-sensitive",
    ),
    ("10,000 persons, assessed", {"sensitive_persons": 10_000}, [ASSESSED], PERMITTED, "CB-7-sensitive"),
    (
        "nothing sensitive, 99,999 others",
        {"sensitive_persons": 0, "other_persons": 99_999},
        [],
        PERMITTED,
        "CB-5-few",
    ),
    (
        "nothing sensitive, 100,000 others",
        {"sensitive_persons": 0, "other_persons": 100_000},
        [],
        DOCUMENTS,
        "CB-8-others",
    ),
    (
        "nothing sensitive, 999,999 others, contract held",
        {"sensitive_persons": 0, "other_persons": 999_999},
        [CONTRACT],
        PERMITTED,
        "CB-8-others",
    ),
    (
        "nothing sensitive, 1,000,000 others, contract held",
        {"sensitive_persons": 0, "other_persons": 1_000_000},
        [CONTRACT],
        DOCUMENTS,
        "CB-7-others",
    ),
    (
        "5 persons and 1,000,000 others, assessed",
        {"sensitive_persons": 5, "other_persons": 1_000_000},
        [ASSESSED],
        PERMITTED,
        "CB-7-others",
    ),
    (
        "operator of critical infrastructure, 5 persons, contract",
        {"sensitive_persons": 5, "critical_infrastructure": True},
        [CONTRACT],
        DOCUMENTS,
        "CB-7-operator",
    ),
    (
        "important data, 5 persons, contract",
        {"sensitive_persons": 5, "important_data": True},
        [CONTRACT],
        DOCUMENTS,
        "CB-7-important",
    ),
    ("collected abroad", {"sensitive_persons": 50_000, "foreign_origin": True}, [], PERMITTED, "CB-4"),
    ("an emergency", {"sensitive_persons": 50_000, "emergency": True}, [], PERMITTED, "CB-5-emergency"),
    ("free trade zone", {"sensitive_persons": 50_000, "free_trade_zone_list": True}, [], PERMITTED, "CB-6"),
    ("updates assessed anonymous", {"updates_anonymous": True}, [], PERMITTED, "PIPL-4"),
    ("nobody counted", {}, [CONTRACT, ASSESSED], UNDECIDED, "CB-8-sensitive"),
    (
        "counted last year",
        {"sensitive_persons": 5, "counted_on": "2025-12-31"},
        [CONTRACT],
        UNDECIDED,
        "",
    ),
    (
        "counted tomorrow",
        {"sensitive_persons": 5, "counted_on": "2026-11-24"},
        [CONTRACT],
        UNDECIDED,
        "",
    ),
    (
        "contract ran out yesterday",
        {"sensitive_persons": 5},
        [paper("standard_contract", expires=date(2026, 11, 22))],
        DOCUMENTS,
        "CB-8-sensitive",
    ),
    (
        "contract runs out today",
        {"sensitive_persons": 5},
        [paper("standard_contract", expires=TODAY)],
        PERMITTED,
        "CB-8-sensitive",
    ),
    (
        "contract holds from tomorrow",
        {"sensitive_persons": 5},
        [paper("standard_contract", issued=date(2026, 11, 24))],
        DOCUMENTS,
        "CB-8-sensitive",
    ),
]


@pytest.mark.parametrize(
    ("told", "papers", "outcome", "rule"), [c[1:] for c in CHINESE], ids=[c[0] for c in CHINESE]
)
def test_updates_from_china_to_germany(
    told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome, rule: str
) -> None:
    found = decided(Kind.UPDATES, site={"north": {**CHINA, **told}}, document=[*PAPERS, *papers])
    assert found.outcome is outcome
    assert not rule or rule in found.rules


@pytest.mark.parametrize("missing", ["critical_infrastructure", "important_data", "other_persons"])
def test_what_is_not_told_cannot_be_decided(missing: str) -> None:
    told = {name: value for name, value in CHINA.items() if name != missing}
    found = decided(
        Kind.UPDATES, site={"north": {**told, "sensitive_persons": 5}}, document=[*PAPERS, CONTRACT]
    )
    assert found.outcome is UNDECIDED
    assert missing in found.unknown


def test_who_is_assessed_anyway_need_not_say_whether_it_is_critical() -> None:
    told = {name: value for name, value in CHINA.items() if name != "critical_infrastructure"}
    found = decided(
        Kind.UPDATES, site={"north": {**told, "sensitive_persons": 20_000}}, document=[*PAPERS, ASSESSED]
    )
    assert found.outcome is PERMITTED


@pytest.mark.parametrize(
    ("told", "papers", "outcome"),
    [
        ({"consent_separate": False, "updates_anonymous": False}, PAPERS, FORBIDDEN),
        ({"consent_separate": False}, PAPERS, UNDECIDED),
        ({}, PAPERS, UNDECIDED),
        ({"consent_separate": True}, [paper("notice")], DOCUMENTS),
        ({"consent_separate": True}, [paper("impact_assessment")], DOCUMENTS),
        ({"consent_separate": True}, PAPERS, PERMITTED),
    ],
    ids=["refused", "refused-perhaps-anonymous", "not-told", "no-assessment", "no-notice", "all-there"],
)
def test_consent_and_assessment_are_asked_of_whoever_may_leave(
    told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome
) -> None:
    base = {name: value for name, value in CHINA.items() if name != "consent_separate"}
    told = {**base, "sensitive_persons": 5, **told}
    found = decided(Kind.UPDATES, site={"north": told}, document=[*papers, CONTRACT])
    assert found.outcome is outcome


def test_sums_and_counts_from_china_need_no_route_unless_they_are_important() -> None:
    for kind in (Kind.SUMS, Kind.COUNTS):
        assert decided(kind, site={"north": {"important_data": False}}).outcome is PERMITTED
        assert decided(kind, site={"north": {"important_data": True}}).outcome is DOCUMENTS
        assert decided(kind).outcome is UNDECIDED


def test_before_the_provisions_of_2024_totals_had_no_exemption() -> None:
    told = {"site": {"north": {"important_data": False}}}
    assert decided(Kind.SUMS, day=date(2024, 3, 22), **told).outcome is PERMITTED
    assert decided(Kind.SUMS, day=date(2024, 3, 21), **told).outcome is not PERMITTED


EUROPE = {"consent_explicit": True}
CLAUSES = [paper("standard_clauses"), paper("transfer_assessment")]
IMPACT = [paper("impact_assessment")]
BINDING = paper("binding_rules")

EUROPEAN: list[tuple[str, str, dict[str, Any], list[dict[str, Any]], Outcome, str]] = [
    ("France, consent", "FR", EUROPE, IMPACT, PERMITTED, "GDPR-eea"),
    ("Norway, consent", "NO", EUROPE, IMPACT, PERMITTED, "GDPR-eea"),
    ("Switzerland, adequate", "CH", EUROPE, IMPACT, PERMITTED, "GDPR-45"),
    ("Brazil, adequate since 2026", "BR", EUROPE, IMPACT, PERMITTED, "GDPR-45-BR"),
    ("United Kingdom, adequate until 2031", "GB", EUROPE, IMPACT, PERMITTED, "GDPR-45-UK"),
    ("China, clauses held", "CN", EUROPE, [*IMPACT, *CLAUSES], PERMITTED, "GDPR-46-2-c"),
    ("China, clauses without assessment", "CN", EUROPE, [*IMPACT, CLAUSES[0]], DOCUMENTS, "GDPR-46-2-c"),
    (
        "China, binding rules",
        "CN",
        EUROPE,
        [*IMPACT, paper("binding_rules"), CLAUSES[1]],
        PERMITTED,
        "GDPR-46-2-b",
    ),
    ("China, binding rules alone", "CN", EUROPE, [*IMPACT, BINDING], DOCUMENTS, "GDPR-46-2-b"),
    ("Japan, a company", "JP", {**EUROPE, "academic_receiver": False}, IMPACT, PERMITTED, "GDPR-45-JP"),
    ("Japan, a university", "JP", {**EUROPE, "academic_receiver": True}, IMPACT, DOCUMENTS, "GDPR-46-2-c"),
    ("Japan, not told", "JP", EUROPE, IMPACT, DOCUMENTS, "GDPR-46-2-c"),
    ("China, nothing held", "CN", EUROPE, IMPACT, DOCUMENTS, "GDPR-46-2-c"),
    (
        "United States, certified",
        "US",
        {**EUROPE, "privacy_framework": True},
        IMPACT,
        PERMITTED,
        "GDPR-45-US",
    ),
    (
        "United States, not certified",
        "US",
        {**EUROPE, "privacy_framework": False},
        IMPACT,
        DOCUMENTS,
        "GDPR-46-2-c",
    ),
    ("Switzerland, no basis told", "CH", {}, IMPACT, UNDECIDED, "GDPR-6-1-a"),
    (
        "Switzerland, every basis denied",
        "CH",
        {
            "consent_explicit": False,
            "public_interest_law": False,
            "legitimate_interest": False,
            "research_law": False,
            "updates_anonymous": False,
        },
        IMPACT,
        FORBIDDEN,
        "",
    ),
    (
        "Switzerland, research law and public task",
        "CH",
        {"public_interest_law": True, "research_law": True},
        IMPACT,
        PERMITTED,
        "GDPR-9-2-j",
    ),
    (
        "Switzerland, interests without a written balance",
        "CH",
        {"legitimate_interest": True, "research_law": True},
        IMPACT,
        DOCUMENTS,
        "GDPR-6-1-f",
    ),
    ("China, assessed anonymous", "CN", {"updates_anonymous": True}, [], PERMITTED, "GDPR-r26-transfer"),
    ("China, assessed not anonymous", "CN", {"updates_anonymous": False}, [], UNDECIDED, "GDPR-6-1-a"),
]


@pytest.mark.parametrize(
    ("lead", "told", "papers", "outcome", "rule"), [c[1:] for c in EUROPEAN], ids=[c[0] for c in EUROPEAN]
)
def test_updates_from_germany(
    lead: str, told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome, rule: str
) -> None:
    found = decided(Kind.UPDATES, origin="DE", lead=lead, site={"north": told}, document=papers)
    assert found.outcome is outcome
    assert not rule or rule in found.rules


@pytest.mark.parametrize(
    ("lead", "day", "outcome"),
    [
        ("GB", date(2031, 12, 27), PERMITTED),
        ("GB", date(2031, 12, 28), DOCUMENTS),
        ("BR", date(2026, 1, 26), DOCUMENTS),
        ("BR", date(2026, 1, 27), PERMITTED),
        ("KR", date(2021, 12, 16), DOCUMENTS),
        ("KR", date(2021, 12, 17), PERMITTED),
        ("CH", date(2021, 12, 16), PERMITTED),
        ("US", date(2023, 7, 9), DOCUMENTS),
        ("US", date(2023, 7, 10), PERMITTED),
    ],
    ids=[
        "uk-last-day",
        "uk-day-after",
        "brazil-day-before",
        "brazil-first-day",
        "korea-day-before",
        "korea-first-day",
        "switzerland-before-korea",
        "dpf-day-before",
        "dpf-first-day",
    ],
)
def test_adequacy_has_a_first_and_a_last_day(lead: str, day: date, outcome: Outcome) -> None:
    told = {**EUROPE, "privacy_framework": True}
    papers = [paper("impact_assessment", issued=date(2020, 1, 1))]
    told |= {"secondary_use_permit": False}
    found = decided(Kind.UPDATES, origin="DE", lead=lead, day=day, site={"north": told}, document=papers)
    assert found.outcome is outcome


HEALTH_SPACE: list[tuple[str, dict[str, Any], list[dict[str, Any]], Outcome]] = [
    ("not through an access body", {"secondary_use_permit": False}, [], PERMITTED),
    ("not told", {}, [], UNDECIDED),
    (
        "research with a permit, anonymous",
        {
            "secondary_use_permit": True,
            "prohibited_use": False,
            "ehds_purpose": "research",
            "opted_out_removed": True,
            "updates_anonymous": True,
        },
        [paper("data_permit")],
        PERMITTED,
    ),
    (
        "research with a permit, personal data",
        {
            "secondary_use_permit": True,
            "prohibited_use": False,
            "ehds_purpose": "research",
            "opted_out_removed": True,
            "updates_anonymous": False,
        },
        [paper("data_permit")],
        FORBIDDEN,
    ),
    (
        "for insurance",
        {
            "secondary_use_permit": True,
            "prohibited_use": True,
            "ehds_purpose": "research",
            "updates_anonymous": True,
        },
        [paper("data_permit")],
        FORBIDDEN,
    ),
    (
        "statistics by a company",
        {
            "secondary_use_permit": True,
            "prohibited_use": False,
            "ehds_purpose": "statistics",
            "public_body": False,
            "opted_out_removed": True,
            "updates_anonymous": True,
        },
        [paper("data_permit")],
        FORBIDDEN,
    ),
]


@pytest.mark.parametrize(
    ("told", "papers", "outcome"), [c[1:] for c in HEALTH_SPACE], ids=[c[0] for c in HEALTH_SPACE]
)
def test_the_health_data_space_from_its_day_on(
    told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome
) -> None:
    said = {**EUROPE, **told}
    found = decided(
        Kind.UPDATES,
        origin="DE",
        lead="FR",
        day=date(2029, 3, 26),
        site={"north": said},
        document=[*IMPACT, *papers],
    )
    assert found.outcome is outcome
    before = decided(
        Kind.UPDATES, origin="DE", lead="FR", day=date(2029, 3, 25), site={"north": said}, document=IMPACT
    )
    assert before.outcome is PERMITTED


AMERICAN: list[tuple[str, dict[str, Any], list[dict[str, Any]], Outcome, str]] = [
    ("not covered", {"covered_entity": False}, [], PERMITTED, "HIPAA-160.102"),
    ("safe harbor", {"safe_harbor": True}, [], PERMITTED, "HIPAA-164.514-b-2"),
    (
        "limited data set under an agreement",
        {"limited_data_set": True, "minimum_necessary": True},
        [paper("data_use_agreement")],
        PERMITTED,
        "HIPAA-164.514-e",
    ),
    (
        "limited data set, no agreement",
        {"limited_data_set": True, "minimum_necessary": True},
        [],
        DOCUMENTS,
        "",
    ),
    ("waiver", {"minimum_necessary": True}, [paper("irb_waiver")], PERMITTED, "HIPAA-164.512-i"),
    (
        "waiver, more than necessary",
        {
            "minimum_necessary": False,
            "safe_harbor": False,
            "covered_entity": True,
            "consent_explicit": False,
        },
        [paper("irb_waiver")],
        FORBIDDEN,
        "",
    ),
    ("waiver, necessity not told", {}, [paper("irb_waiver")], UNDECIDED, "HIPAA-164.502-b"),
    ("expert", {"minimum_necessary": True}, [paper("expert_determination")], PERMITTED, "HIPAA-164.514-b-1"),
    ("nothing held", {"covered_entity": True, "minimum_necessary": True}, [], DOCUMENTS, ""),
]


@pytest.mark.parametrize(
    ("told", "papers", "outcome", "rule"), [c[1:] for c in AMERICAN], ids=[c[0] for c in AMERICAN]
)
def test_deidentified_data_from_the_united_states(
    told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome, rule: str
) -> None:
    found = american(told, papers)
    assert found.outcome is outcome
    assert not rule or rule in found.rules


def american(told: dict[str, Any], papers: list[dict[str, Any]], kind: Kind = Kind.DEIDENTIFIED) -> Decision:
    return decided(
        kind,
        origin="US",
        lead="DE",
        federated=False,
        deidentified=kind is Kind.DEIDENTIFIED,
        site={"north": told},
        document=papers,
    )


@pytest.mark.parametrize(
    ("told", "papers"),
    [({"safe_harbor": True}, []), ({"minimum_necessary": True}, [paper("expert_determination")])],
    ids=["safe-harbor", "expert"],
)
def test_images_as_the_hospital_has_them_are_not_deidentified_by_a_word(
    told: dict[str, Any], papers: list[dict[str, Any]]
) -> None:
    assert american(told, papers).outcome is PERMITTED
    assert american(told, papers, Kind.IMAGES).outcome is not PERMITTED


def test_what_patients_authorised_needs_no_minimum() -> None:
    said = {"minimum_necessary": False, "safe_harbor": False, "covered_entity": True}
    assert american({**said, "consent_explicit": True}, [paper("authorization")]).outcome is PERMITTED
    assert american({**said, "consent_explicit": False}, [paper("authorization")]).outcome is not PERMITTED


IMPORTANT = [
    {"emergency": True},
    {"personal_contract": True},
    {"foreign_origin": True},
    {"updates_anonymous": True},
]


@pytest.mark.parametrize("told", IMPORTANT, ids=[next(iter(one)) for one in IMPORTANT])
def test_no_exemption_takes_important_data_out(told: dict[str, Any]) -> None:
    said = {**CHINA, "sensitive_persons": 5, **told}
    free = decided(Kind.UPDATES, site={"north": {**said, "important_data": False}}, document=PAPERS)
    assert free.outcome is PERMITTED
    held = decided(Kind.UPDATES, site={"north": {**said, "important_data": True}}, document=PAPERS)
    assert (held.outcome, held.lacking) == (DOCUMENTS, ("security_assessment",))


def test_genetic_totals_are_no_bulk_data() -> None:
    said = {"covered_entity": False, "bulk_health_persons": 0, "secondary_use_permit": False}
    found = decided(Kind.COUNTS, origin="US", lead="CN", site={"north": said})
    assert found.outcome is PERMITTED


@pytest.mark.parametrize(
    ("persons", "told", "papers", "outcome"),
    [
        (10_000, {}, [], PERMITTED),
        (10_001, {}, [], UNDECIDED),
        (10_001, {"security_requirements": False}, [], FORBIDDEN),
        (10_001, {"security_requirements": True}, [], DOCUMENTS),
        (10_001, {"security_requirements": True}, [paper("bulk_data_review")], PERMITTED),
    ],
    ids=["10000", "10001", "10001-not-met", "10001-met", "10001-reviewed"],
)
def test_bulk_health_data_to_a_country_of_concern(
    persons: int, told: dict[str, Any], papers: list[dict[str, Any]], outcome: Outcome
) -> None:
    said = {"safe_harbor": True, "bulk_health_persons": persons, **told}
    about: dict[str, Any] = {"origin": "US", "lead": "CN", "federated": False, "deidentified": True}
    found = decided(Kind.DEIDENTIFIED, site={"north": said}, document=papers, **about)
    assert found.outcome is outcome
    day_before = decided(Kind.DEIDENTIFIED, day=date(2025, 4, 7), site={"north": said}, **about)
    assert day_before.outcome is PERMITTED


def test_a_rule_that_lacks_only_a_fact_is_named_beside_those_that_lack_papers() -> None:
    found = decided(
        Kind.DEIDENTIFIED,
        origin="US",
        lead="DE",
        federated=False,
        deidentified=True,
        use=False,
        site={"north": {"minimum_necessary": True, "covered_entity": True}},
        document=[paper("irb_waiver")],
    )
    assert found.outcome is DOCUMENTS
    assert "HIPAA-164.512-i" in found.rules
    assert "purpose" in found.unknown


def test_what_is_done_with_the_data_may_be_said_for_transfers_alone() -> None:
    said = study().model_dump(mode="json")
    said["site"][0].pop("consent")
    assert Study.model_validate(said).use is not None
    said.pop("transfer")
    with pytest.raises(ValidationError, match="held against no consent"):
        Study.model_validate(said)


def test_the_model_that_is_sent_down_is_decided_for_its_sender() -> None:
    told = {"lead": {"weights_anonymous": True}}
    assert decided(Kind.WEIGHTS, sender="lead", site=told).outcome is PERMITTED
    assert decided(Kind.WEIGHTS, sender="lead").outcome is UNDECIDED


@pytest.mark.parametrize(
    ("origin", "lead", "outcome", "reason"),
    [
        ("", "DE", UNDECIDED, "unknown_sender"),
        ("KE", "DE", UNDECIDED, "no_rules"),
        ("KE", "KE", PERMITTED, "no_border"),
        ("CN", "CN", PERMITTED, "no_border"),
    ],
    ids=["not-said", "no-rules-held", "within-a-country-without-rules", "within-china"],
)
def test_jurisdictions(origin: str, lead: str, outcome: Outcome, reason: str) -> None:
    found = decided(Kind.UPDATES, origin=origin, lead=lead)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_hong_kong_is_abroad() -> None:
    assert decided(Kind.UPDATES, lead="HK").outcome is UNDECIDED


def test_what_is_told_of_one_hospital_counts_before_what_is_told_of_all() -> None:
    found = decided(Kind.SUMS, facts={"important_data": False}, site={"north": {"important_data": True}})
    assert found.outcome is DOCUMENTS


def test_a_document_of_another_hospital_does_not_count() -> None:
    papers = [*PAPERS, {**CONTRACT, "site": "lead"}]
    told = {**CHINA, "sensitive_persons": 5}
    assert decided(Kind.UPDATES, site={"north": told}, document=papers).outcome is PERMITTED  # a party to it
    elsewhere = [{**one, "site": None} for one in papers]
    assert decided(Kind.UPDATES, site={"north": told}, document=elsewhere).outcome is PERMITTED


def test_a_decision_names_what_it_rests_on_and_what_was_not_checked() -> None:
    found = decided(
        Kind.UPDATES, site={"north": {**CHINA, "sensitive_persons": 5}}, document=[*PAPERS, CONTRACT]
    )
    assert set(found.held) == {"notice-1", "impact_assessment-1", "standard_contract-1"}
    assert "PIPL-29-39" in found.unverified
    assert "CB-8-sensitive" not in found.unverified
