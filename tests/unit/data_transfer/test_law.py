"""Rule files: parsed into closed types, or refused with what is wrong; a hospital's own beside them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hospital_study import study
from pydantic import ValidationError

from huizhen.core.words import Language
from huizhen.data.transfer.checking import check_transfers
from huizhen.data.transfer.conditions import all_hold, parse_condition
from huizhen.data.transfer.decide import Outcome
from huizhen.data.transfer.documents import document_titles
from huizhen.data.transfer.explain import condition_text, decision_lines
from huizhen.data.transfer.facts import checked_value, known_facts
from huizhen.data.transfer.law import laws_of
from huizhen.data.transfer.plan_checks import check_plan
from huizhen.data.transfer.study_decisions import (
    changes_of,
    decisions_digest,
    decisions_of,
    require_permitted,
    study_laws,
    transfer_evidence,
)
from huizhen.errors import InvalidInputError, PolicyError

OWN = """
[law]
id = "KE-OWN"
title = { en = "Kenya", zh = "肯尼亚" }
places = ["KE"]
checked = 2026-11-01
[documents.permit]
en = "Permit"
zh = "许可"
[[gate]]
id = "route"
title = { en = "Route", zh = "途径" }
[[rule]]
id = "OWN-1"
gate = "route"
source = "our lawyer, 2026-11-01"
since = 2026-01-01
when = ["kind in [updates, sums, counts]"]
decision = "permit"
documents = ["permit"]
basis = { en = "A permit.", zh = "许可。" }
verified = "source"
"""


def test_every_carried_rule_is_dated_sourced_and_in_both_languages() -> None:
    rules = [rule for law in laws_of() for rule in law.rule]
    assert len(rules) > 60
    assert all(rule.source and rule.basis.en and rule.basis.zh for rule in rules)
    assert {rule.verified for rule in rules} == {"source", "memory", "choice"}
    used = {kind for rule in rules for kind in rule.documents}
    assert used == set(document_titles())


def test_every_fact_that_people_tell_is_asked_for_by_some_rule() -> None:
    asked = {one.fact for law in laws_of() for rule in law.rule for one in rule.conditions}
    told = {name for name, fact in known_facts().items() if not fact.derived}
    assert {name for name in told - asked if not name.endswith("_anonymous")} == {"counted_on"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("kind in [updates, sums, counts]", "mood is good"), "is no condition"),
        (("kind in [updates, sums, counts]", "kind = updates"), "is no condition"),
        (("kind in [updates, sums, counts]", "kind in @nowhere"), "is no condition"),
        (('documents = ["permit"]', 'documents = ["pemit"]'), "unknown document"),
        (('gate = "route"', 'gate = "rout"'), "belongs to no gate"),
        (("since = 2026-01-01", "since = 2026-01-01\nuntil = 2025-01-01"), "ends before"),
        (('decision = "permit"', 'decision = "exempt"'), "permits nothing"),
        (('verified = "source"', 'verified = "surely"'), "can't be 'surely'"),
        (('id = "OWN-1"', 'id = "CB-3"'), "two files have a rule"),
        (("[law]", "[law"), "TOML"),
    ],
    ids=["fact", "comparison", "list", "document", "gate", "dates", "exempt", "mark", "twice", "syntax"],
)
def test_a_rule_that_is_not_understood_stops_everything(
    tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    (tmp_path / "own.toml").write_text(OWN.replace(*change), encoding="utf-8")
    with pytest.raises(PolicyError, match=why):
        laws_of(tmp_path)


@pytest.mark.parametrize("name", ["own.TOML", "own.toml.bak", "notes.txt", "more/own.toml"])
def test_a_file_of_rules_that_nobody_would_read_stops_everything(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(OWN, encoding="utf-8")
    with pytest.raises(PolicyError, match="nobody would read it"):
        laws_of(tmp_path)


def test_a_hospitals_own_rules_decide_where_none_are_carried(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/own.toml").write_text(OWN, encoding="utf-8")
    paper = {"kind": "permit", "id": "P1", "issued": date(2026, 1, 1)}
    told = {"lead": {"weights_anonymous": True}}
    made = study(origin="KE", lead="DE", rules="rules", document=[paper], site=told)
    laws = study_laws(made, [tmp_path])
    assert {law.id for law in laws} > {"KE-OWN", "CN-PIPL"}
    require_permitted(decisions_of(made, laws, date(2026, 11, 23)))


def test_a_gate_whose_rules_ran_out_is_shut_and_not_skipped(tmp_path: Path) -> None:
    """Else what was permitted with papers becomes free on the day after."""
    rules = tmp_path / "rules"
    rules.mkdir()
    free = OWN[OWN.index("[[gate]]") :].replace("route", "basis").replace("OWN-1", "OWN-0")
    free = free.replace('decision = "permit"\ndocuments = ["permit"]', 'decision = "exempt"')
    text = OWN.replace("since = 2026-01-01", "since = 2026-01-01\nuntil = 2026-10-01") + free
    (rules / "own.toml").write_text(text, encoding="utf-8")
    paper = {"kind": "permit", "id": "P1", "issued": date(2026, 1, 1)}
    told = {"lead": {"weights_anonymous": True}}
    made = study(origin="KE", lead="DE", rules="rules", document=[paper], site=told, until=date(2026, 12, 1))
    laws = study_laws(made, [tmp_path])
    require_permitted(decisions_of(made, laws, date(2026, 10, 1)))
    found = [one for one in decisions_of(made, laws, date(2026, 10, 2)) if one.flow.sender == "north"]
    assert {(one.outcome, one.rules) for one in found} == {(Outcome.FORBIDDEN, ("OWN-1",))}
    assert {gate.reason for gate in found[0].gates} == {"", "rules_ended"}
    assert any("run out" in line for line in decision_lines(found[0], Language.EN))
    assert {one.day for one in changes_of(made, laws, date(2026, 9, 1))} == {date(2026, 10, 2)}
    before = [one for one in decisions_of(made, laws, date(2025, 1, 1)) if one.flow.sender == "north"]
    assert {one.outcome for one in before} == {Outcome.UNDECIDED}


def test_ones_own_file_takes_the_place_of_a_carried_one(tmp_path: Path) -> None:
    text = OWN.replace("KE-OWN", "CN-HGR").replace('"KE"', '"CN"')
    (tmp_path / "hgr.toml").write_text(text, encoding="utf-8")
    (found,) = [law for law in laws_of(tmp_path) if law.id == "CN-HGR"]
    assert [rule.id for rule in found.rule] == ["OWN-1"]
    assert [law.id for law in laws_of(tmp_path) if law.replaces] == ["CN-HGR"]
    assert not any(law.replaces for law in laws_of())


def test_a_law_that_was_replaced_is_named_wherever_the_decision_stands(tmp_path: Path) -> None:
    """A file of one's own that exempts all, and calls itself checked, permits nothing unseen."""
    rules = tmp_path / "rules"
    rules.mkdir()
    text = OWN.replace("KE-OWN", "EU-GDPR").replace('"KE"', '"DE"')
    text = text.replace('decision = "permit"\ndocuments = ["permit"]', 'decision = "exempt"')
    (rules / "own.toml").write_text(text, encoding="utf-8")
    made = study(origin="DE", lead="FR", rules="rules")
    laws = study_laws(made, [tmp_path])
    (found, *_) = [one for one in decisions_of(made, laws, date(2026, 11, 23)) if one.flow.sender == "north"]
    assert (found.outcome, found.replaced) == (Outcome.PERMITTED, ("EU-GDPR",))
    assert found.unverified == ("OWN-1",)
    detail = transfer_evidence(found, laws, phantom=False).detail
    assert (detail["replaced"], detail["unverified"]) == (["EU-GDPR"], ["OWN-1"])
    for language in Language:
        assert any("EU-GDPR" in line for line in decision_lines(found, language)[1:])
    _, notes = check_transfers(made, [tmp_path], date(2026, 11, 23))
    assert any("place of carried laws: EU-GDPR" in note.reason for note in notes)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        study_laws(study(rules="nowhere"), [tmp_path])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("emergency", 1),
        ("sensitive_persons", -1),
        ("sensitive_persons", True),
        ("counted_on", "soon"),
        ("kind", "x"),
        ("mood", "x"),
    ],
    ids=["truth", "negative", "truth-for-number", "day", "derived", "unknown"],
)
def test_facts_of_another_type_are_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidInputError):
        checked_value(name, value)


def test_unknown_is_neither_true_nor_false() -> None:
    conditions = [parse_condition(text, {}) for text in ("emergency is true", "sensitive_persons < 5")]
    assert all_hold(conditions, {}) is None
    assert all_hold(conditions, {"sensitive_persons": 5}) is False
    assert all_hold(conditions, {"sensitive_persons": 4, "emergency": True}) is True
    assert parse_condition("counted_on >= 2026-01-01", {}).holds({"counted_on": date(2025, 12, 31)}) is False


def test_what_changes_before_the_study_ends_is_told() -> None:
    paper = {"kind": "impact_assessment", "id": "I", "issued": date(2026, 1, 1), "expires": date(2027, 6, 30)}
    made = study(
        origin="DE",
        lead="GB",
        until=date(2032, 1, 31),
        facts={"consent_explicit": True, "secondary_use_permit": False},
        site={"lead": {"weights_anonymous": True}},
        document=[paper],
    )
    found = [
        (one.day, one.after.flow.key, one.after.outcome.word)
        for one in changes_of(made, laws_of(), date(2026, 11, 23))
    ]
    assert (date(2027, 7, 1), "north>lead/updates", "needs_documents") in found
    longer = study(
        origin="DE",
        lead="GB",
        until=date(2032, 1, 31),
        facts={"consent_explicit": True, "secondary_use_permit": False},
        document=[{**paper, "expires": None}],
    )
    days = {one.day for one in changes_of(longer, laws_of(), date(2026, 11, 23))}
    assert date(2031, 12, 28) in days
    assert changes_of(study(), laws_of(), date(2026, 11, 23)) == ()


def test_numbers_begin_anew_on_the_first_of_january() -> None:
    told = {
        "consent_separate": True,
        "critical_infrastructure": False,
        "important_data": False,
        "counted_on": "2026-11-01",
        "sensitive_persons": 5,
        "other_persons": 0,
    }
    papers = [
        {"kind": kind, "id": kind, "issued": date(2026, 1, 1)}
        for kind in ("standard_contract", "notice", "impact_assessment")
    ]
    made = study(until=date(2027, 2, 1), site={"north": told}, document=papers)
    (change,) = changes_of(made, laws_of(), date(2026, 11, 23))
    assert (change.day, change.before.outcome.word, change.after.outcome.word) == (
        date(2027, 1, 1),
        "permitted",
        "undecided",
    )
    assert "sensitive_persons" in change.after.unknown


def test_a_refusal_names_flows_and_what_they_want() -> None:
    with pytest.raises(
        PolicyError, match=r"north>lead/updates \(.*consent_separate|north>lead/updates \("
    ) as caught:
        require_permitted(decisions_of(study(), laws_of(), date(2026, 11, 23)))
    assert "huizhen transfer check" in caught.value.remedy


def test_the_digest_of_decisions_does_not_turn_with_the_calendar() -> None:
    laws = laws_of()
    one, other, later = (
        decisions_of(study(), laws, day) for day in (date(2026, 11, 23), date(2026, 11, 24), date(2020, 1, 1))
    )
    assert decisions_digest(one, laws) == decisions_digest(other, laws) != decisions_digest(later, laws)


@pytest.mark.parametrize("language", list(Language))
def test_decisions_are_told_in_words(language: Language) -> None:
    for one in decisions_of(study(), laws_of(), date(2026, 11, 23)):
        lines = decision_lines(one, language)
        assert "north" in lines[0]
        assert len(lines) > 1
        evidence = transfer_evidence(one, laws_of(), phantom=False)
        assert evidence.detail["outcome"] == one.outcome.word
        assert evidence.key.count("/") == 3


def test_sources_and_conditions_are_told_in_chinese() -> None:
    for law in laws_of():
        for rule in law.rule:
            assert (
                any("\u4e00" <= c <= "\u9fff" for c in rule.source.zh)
                or rule.source.zh == "45 CFR 164.514(a)"
            )
            for one in rule.conditions:
                assert any("\u4e00" <= c <= "\u9fff" for c in condition_text(one, Language.ZH))
                assert condition_text(one, Language.EN) == one.text


def test_a_source_of_ones_own_stands_for_both_languages(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    own = next(law for law in laws_of(tmp_path) if law.id == "KE-OWN")
    assert own.rule[0].source.en == own.rule[0].source.zh == "our lawyer, 2026-11-01"


@pytest.mark.parametrize(
    ("said", "field", "remedy"),
    [
        (
            {"document": [{"kind": "standart_contract", "id": "1", "issued": "2026-01-01"}]},
            "transfer.document[0].kind",
            "did you mean standard_contract?",
        ),
        (
            {"facts": {"importent_data": False}},
            "transfer.facts.importent_data",
            "did you mean important_data?",
        ),
        (
            {"site": {"north": {"ehds_purpose": "reserch"}}},
            "transfer.site.north.ehds_purpose",
            "did you mean research?",
        ),
    ],
    ids=["document", "fact", "choice"],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(
    said: dict[str, object], field: str, remedy: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        study_laws(study(**said), [], file="study.toml")
    error = caught.value
    assert (error.file, error.field, error.remedy) == ("study.toml", field, remedy)


def test_a_document_that_ones_own_rules_ask_for_is_known(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.toml").write_text(OWN, encoding="utf-8")
    paper = {"kind": "permit", "id": "1", "issued": "2026-01-01"}
    with pytest.raises(PolicyError, match="of kind permit"):
        check_plan(study(document=[paper]), laws_of())
    assert study_laws(study(document=[paper], rules="rules"), [tmp_path])


@pytest.mark.parametrize(
    ("origin", "lead", "remedy"),
    [("ZZ", "DE", "write it as"), ("CN", "ZZ", "write it as"), ("UK", "DE", "did you mean GB")],
    ids=["site", "lead", "meant"],
)
def test_a_jurisdiction_that_is_none_is_refused(origin: str, lead: str, remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        study(origin, lead)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('places = ["KE"]', 'places = ["ZZ"]'), "ZZ is no ISO 3166 code"),
        (('"kind in [updates, sums, counts]"', '"receiver in [UK]"'), "did you mean GB"),
        (('"kind in [updates, sums, counts]"', '"kind in [update]"'), "did you mean updates"),
    ],
    ids=["place", "receiver", "kind"],
)
def test_a_rule_about_nothing_stops_everything(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    (tmp_path / "own.toml").write_text(OWN.replace(*change), encoding="utf-8")
    with pytest.raises(PolicyError, match=why) as caught:
        laws_of(tmp_path)
    assert caught.value.file == "own.toml"
