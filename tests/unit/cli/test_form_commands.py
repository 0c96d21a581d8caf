"""`form new` and `form check`: a form of a study, one that carries on, and every problem at once."""

from __future__ import annotations

import pytest

from huizhen.core.digests import digest_value
from huizhen.dossier.form import read_form
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

FLAGS = (
    *("--name", "us", "--title", "Two hospitals", "--question", "Malignant?", "--outcome", "malignancy"),
    *("--positive", "malignant", "--negative", "benign", "--modality", "US", "--site", "north"),
)


@pytest.fixture
def study(invoke, tmp_path):
    """A study file."""
    assert invoke("study", "new", tmp_path / "study.toml", *FLAGS).exit_code == 0
    return tmp_path / "study.toml"


def fill(path):
    """Name an owner and a date for everything."""
    text = path.read_text(encoding="utf-8")
    text = text.replace('owner = ""', 'owner = "Dr A"', 1).replace('due = ""', 'due = "2027-01-31"', 1)
    path.write_text(text, encoding="utf-8")


def test_a_form_of_a_study_names_it_and_is_blank(invoke, as_json, study, tmp_path):
    form = tmp_path / "form.toml"
    assert as_json(invoke("form", "new", study, "--out", form, "--json")) == {"ok": True, "form": str(form)}
    assert 'study = "Two hospitals"' in form.read_text(encoding="utf-8")
    result = invoke("form", "check", form)
    assert result.exit_code == 20
    assert "EV01: is blank" in result.stdout
    assert "EV48: is blank" in result.stdout


def test_a_filled_form_passes_and_tells_its_digest(invoke, as_json, study, tmp_path):
    form = tmp_path / "form.toml"
    invoke("form", "new", study, "--out", form)
    fill(form)
    record = as_json(invoke("form", "check", form, "--json"))
    assert (record["ok"], record["problems"], record["answered"]) == (True, [], [])
    assert len(record["digest"]) == 64


def test_problems_as_json_hold_field_and_line(invoke, as_json, study, tmp_path):
    form = tmp_path / "form.toml"
    invoke("form", "new", study, "--out", form)
    result = invoke("form", "check", form, "--json")
    record = as_json(result)
    assert (result.exit_code, record["ok"]) == (20, False)
    assert record["problems"][0]["field"] == "EV01"
    assert record["problems"][0]["line"] > 1


def test_a_form_of_a_run_carries_on_what_was_said(invoke, tmp_path):
    signed = {"title": "Seen before"}
    said = {"digest": "0" * 64, "default": {"owner": "Dr A", "due": "2027-01-31"}}
    said["answers"] = {"EV01": {"answer": "To find lesions."}}
    with Log.open(tmp_path / "run" / "ledger", SigningKey.generate()) as log:
        log.append("study", {"study": signed, "digest": digest_value(signed)})
        log.append("form", said)
        log.commit()
    assert invoke("form", "new", tmp_path / "run", "--out", tmp_path / "f.toml").exit_code == 0
    form, problems = read_form((tmp_path / "f.toml").read_text(encoding="utf-8"))
    assert problems == []
    assert form is not None
    assert [answer.answer for answer in form.answers.values()] == ["To find lesions."]


def test_never_overwrites(invoke, study, tmp_path):
    (tmp_path / "form.toml").write_text("mine")
    assert invoke("form", "new", study, "--out", tmp_path / "form.toml").exit_code == 20
    assert (tmp_path / "form.toml").read_text() == "mine"


def test_chinese_problems_are_told_in_chinese(invoke, study, tmp_path):
    form = tmp_path / "form.toml"
    invoke("form", "new", study, "--out", form)
    result = invoke("form", "check", form, "--lang", "zh")
    assert "EV01: 是空白" in result.stdout


def test_a_form_that_is_not_there_is_told(invoke, tmp_path):
    assert invoke("form", "check", tmp_path / "none.toml").exit_code == 20
