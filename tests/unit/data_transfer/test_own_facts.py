"""A site compares what the lead says of it with its own patients and its own file, and refuses the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hospital_study import study

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.data.transfer.own_facts import check_cohort, check_said, own_facts
from huizhen.errors import PolicyError


def cases(count: int) -> list[Case]:
    return [Case(pseudonym=f"x{n}", patient_id=f"p{n}", site="north", outcome=0) for n in range(count)]


@pytest.mark.parametrize("name", ["sensitive_persons", "bulk_health_persons"])
def test_fewer_persons_than_patients_is_a_contradiction(name: str) -> None:
    said = study(site={"north": {name: 20}})
    assert check_cohort(said, "north", cases(20)) == (name,)
    with pytest.raises(PolicyError, match="fewer persons") as caught:
        check_cohort(said, "north", cases(21))
    assert caught.value.field == f"transfer.{name}"
    assert "21" not in str(caught.value)


def test_no_sensitive_person_is_no_answer_of_a_hospital_with_patients() -> None:
    with pytest.raises(PolicyError, match="fewer persons"):
        check_cohort(study(facts={"sensitive_persons": 0}), "north", cases(1))


def refused(told: int, patients: int) -> bool:
    try:
        check_cohort(study(facts={"sensitive_persons": told}), "north", cases(patients), smallest=10)
    except PolicyError:
        return True
    return False


def test_refusals_tell_no_number_of_patients_whatever_is_asked() -> None:
    """A lead whose study picks out whom it wants learns no small number, and of others the first figure."""
    answers = {n: tuple(refused(told, n) for told in range(61)) for n in range(60)}
    assert len({answers[n] for n in range(10)}) == 1, "none told from nine"
    assert len({answers[n] for n in range(11, 20)}) == len({answers[n] for n in range(41, 50)}) == 1
    assert [refused(told, 1_040) for told in (999, 1_000, 1_001)] == [True, True, False], "no law's threshold"
    assert check_cohort(study(facts={"sensitive_persons": 50}), "north", cases(9), smallest=10) == ()


def with_columns(*, genetic: bool) -> Study:
    said = study().model_dump(mode="json")
    said["modality"].append({"name": "snps", "kind": "table", "numeric": ["rs6983267"]})
    table = {"reader": "table", "modality": "snps", "path": "g.csv"}
    table["columns"] = {"patient": "who", "outcome": "what"}
    said["site"][0]["source"].append(table)
    said["use"]["genetic"] = genetic
    return Study.model_validate(said)


def test_columns_of_genotypes_are_genetic_data() -> None:
    assert check_cohort(with_columns(genetic=True), "north", cases(3)) == ("genetic",)
    with pytest.raises(PolicyError, match="columns of genotypes"):
        check_cohort(with_columns(genetic=False), "north", cases(3))


def test_the_sites_own_file_is_compared(tmp_path: Path) -> None:
    assert own_facts(tmp_path) == {}
    (tmp_path / "facts.toml").write_text("[facts]\nimportant_data = true\n", encoding="utf-8")
    own = own_facts(tmp_path)
    agreed = study(site={"north": {"important_data": True, "covered_entity": False}})
    assert check_said(agreed, "north", own) == ("important_data",)
    assert check_said(study(), "north", own) == ()
    with pytest.raises(PolicyError, match="says otherwise"):
        check_said(study(site={"north": {"important_data": False}}), "north", own)


@pytest.mark.parametrize(
    ("text", "field"),
    [("[fact]\n", "fact"), ("[facts]\nimportent_data = true\n", "importent_data"), ("[facts", None)],
    ids=["section", "fact", "syntax"],
)
def test_a_file_of_facts_that_is_not_understood_stops(tmp_path: Path, text: str, field: str | None) -> None:
    (tmp_path / "facts.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        own_facts(tmp_path)
    assert (caught.value.file, caught.value.field) == ("facts.toml", field)
