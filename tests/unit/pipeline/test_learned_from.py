"""The index of who was learned from: every use once, whole lines only, and no patient's id in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.core.cohort import Case
from huizhen.data.consent.barred import person_key
from huizhen.errors import LedgerError
from huizhen.pipeline.learned_from import FOLDER, How, Learned, read_learned


def index(kept: Path) -> Learned:
    """Return the index of a study."""
    file = kept / FOLDER / "aa.jsonl"
    about = {"study": "toy", "digest": "aa", "version": 1, "study_file": "", "folder": "x"}
    return Learned(file=file, secret=b"s", **about)


def case(name: str, site: str = "north") -> Case:
    return Case(pseudonym=f"P-{name}", patient_id=name, site=site, outcome=1, images={}, covariates={})


def test_every_use_stands_there_once_under_keyed_names(tmp_path: Path) -> None:
    cases = [case("Anna"), case("Ben"), case("Cem", "south")]
    first = index(tmp_path)
    first.note(How.TRAINED, "cman", cases, number=0)
    first.note(How.TRAINED, "cman", cases, number=0)
    index(tmp_path).note(How.TRAINED, "cman", cases, number=0)  # a later process
    index(tmp_path).note(How.TRAINED, "cman", cases[1:], number=1)
    found = list(read_learned(tmp_path))
    assert [(one.site, one.round, len(one.people)) for one in found] == [
        ("north", 0, 2),
        ("south", 0, 1),
        ("north", 1, 1),
        ("south", 1, 1),
    ]
    assert found[2].people == {person_key(b"s", "north", "Ben")}
    text = first.file.read_text(encoding="utf-8")
    assert not any(name in text for name in ("Anna", "Ben", "Cem", "P-"))
    assert first.file.stat().st_mode & 0o077 == 0


def test_a_line_cut_short_by_a_crash_goes_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    one = index(tmp_path)
    one.note(How.TESTED, "cman", [case("Anna")])
    with one.file.open("ab") as stream:
        stream.write(b'{"study": "to')
    index(tmp_path).note(How.TUNED, "cman", [case("Ben")])
    assert [each.how for each in read_learned(tmp_path)] == [How.TESTED, How.TUNED]
    one.file.write_bytes(b'{"study": "toy"}\n' + one.file.read_bytes())
    with pytest.raises(LedgerError, match="line 1"):
        list(read_learned(tmp_path))
