"""What a withdrawal reaches: the models that used a patient, told from those that didn't."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hospitals import table, table_source, write_study

from huizhen.core.digests import digest_value
from huizhen.core.study_file import load_study
from huizhen.data.consent.record import Withdrawal
from huizhen.data.consent.register import read_register
from huizhen.errors import InvalidInputError, StudyError
from huizhen.pipeline.consent_cascade import affected_by, next_version, sites_in, withdrawn_in
from huizhen.pipeline.learned_from import How, Learned

SECRET = b"s" * 32
DAY = date(2026, 11, 23)
REGISTER = (
    "patient,version,given,terms,withdrawn,withdrawal\n"
    "p1,1,2026-01-01,GRU,2026-05-01,retrain\n"
    "p2,1,2026-01-01,GRU,,\n"
    "p3,1,2026-01-01,GRU,2026-12-01,retrain\n"
    "p4,1,2026-01-01,GRU,2026-05-01,\n"
)


def learned(kept: Path, name: str) -> Learned:
    return Learned(
        file=kept / "learned" / f"{name}.jsonl",
        study=name,
        digest=digest_value(name),
        version=1,
        study_file=f"{name}.toml",
        folder=f"{name}.run",
        secret=SECRET,
    )


def cases(*patients: str, site: str = "north") -> Any:
    return cast(Any, [SimpleNamespace(site=site, patient_id=patient) for patient in patients])


@pytest.fixture
def withdrawn(tmp_path: Path) -> Any:
    path = tmp_path / "consents.csv"
    path.write_text(REGISTER, encoding="utf-8")
    return withdrawn_in(read_register(path), site="north", secret=SECRET, day=DAY)


def test_only_who_withdrew_by_the_day_is_listed_with_the_choice(withdrawn: Any) -> None:
    assert [(one.patient, one.choice) for one in withdrawn] == [
        ("p1", Withdrawal.RETRAIN),
        ("p4", Withdrawal.NO_NEW_USE),
    ]


def test_every_use_of_who_withdrew_is_found_and_nobody_elses(tmp_path: Path, withdrawn: Any) -> None:
    first, second = learned(tmp_path, "first"), learned(tmp_path, "second")
    first.note(How.TRAINED, "cman", cases("p1", "p2"), number=1)
    first.note(How.TRAINED, "cman", cases("p1", "p2"), number=2)
    first.note(How.TESTED, "cman", cases("p4"))
    second.note(How.TRAINED, "cman", cases("p2", "p3"))
    second.note(How.TRAINED, "cman", cases("p1", site="south"))  # another hospital's p1
    found = affected_by(withdrawn, tmp_path)
    assert [(one.study, one.who.patient, one.hows, one.rounds) for one in found] == [
        ("first", "p1", (How.TRAINED,), (1, 2)),
        ("first", "p4", (How.TESTED,), ()),
    ]
    assert sites_in(tmp_path) == ["north", "south"]


def test_what_was_dropped_before_a_test_is_affected_no_more(tmp_path: Path, withdrawn: Any) -> None:
    index = learned(tmp_path, "first")
    index.note(How.TRAINED, "cman", cases("p1", "p2"))
    index.note(How.DROPPED, "*", cases("p1", "p2"))
    assert affected_by(withdrawn, tmp_path) == []


def test_the_next_version_is_the_study_with_another_number(tmp_path: Path) -> None:
    file = write_study(
        tmp_path,
        "asked",
        modalities=table("clinic", ["age"]),
        sites=["north"],
        source=lambda site: table_source("clinic", f"{site}.csv", outcome="event"),
    )
    study = load_study(file)
    made = next_version(file, digest=study.digest)
    raised = load_study(made)
    assert (made.name, raised.version) == ("study-v2.toml", 2)
    assert raised.model_dump(exclude={"version"}) == study.model_dump(exclude={"version"})
    assert next_version(file, digest=study.digest) == made, "asked again it is the same file"
    made.write_text("something else", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="another file"):
        next_version(file, digest=study.digest)
    with pytest.raises(StudyError, match="isn't the study"):
        next_version(file, digest="0" * 64)
