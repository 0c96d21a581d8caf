"""What a ledger says of each evidence item: never blank, and never filled by what only belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Verdict
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.item_states import ItemState, State, given_form, item_states
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text
from huizhen.errors import DossierError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

REASON = "nothing is deployed, so nothing is monitored"


def record(
    folder: Path, key: SigningKey, *evidence: Evidence, entries: dict[str, Any] | None = None
) -> Record:
    """Return the record of a small ledger: a study, some evidence, and entries of other kinds."""
    study = {"name": "a", "task": {}}
    with Log.open(folder / "ledger", key) as log:
        log.append("study", {"study": study, "digest": digest_value(study), "signed_by": key.key_id})
        for one in evidence:
            log.append("evidence", one.to_json())
        for kind, body in (entries or {}).items():
            log.append(kind, body)
        log.commit()
        return Record.of(log.entries, ["0" * 64] * len(log.entries))


def states(found: Record) -> dict[str, ItemState]:
    """Return the states by name."""
    return {item.value: state for item, state in item_states(found, given_form(found)).items()}


def measured(key: str) -> Evidence:
    """Return evidence that was assessed."""
    return Evidence(key=key, metric=key.split("/")[0], stage="x", descriptive=True, detail={"a": 1})


def refused(key: str, reason: str) -> Evidence:
    """Return evidence that was not assessed."""
    return Evidence(key=key, metric="x", stage="x", verdict=Verdict.NOT_ASSESSED, reason=reason)


def form(**answers: Any) -> dict[str, Any]:
    """Return the body of a form's entry with an owner and a date for all."""
    default = {"owner": "Dr A", "due": "2027-01-31"}
    return {"digest": "0" * 64, "answers": answers, "default": default}


def test_nothing_is_blank_in_a_bare_ledger(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key))
    assert len(found) == 48
    for name, state in found.items():
        if state.state is State.NOT_ASSESSED:
            assert isinstance(state.reason, Text), name
    assert found["EV20"].state is State.NOT_ASSESSED
    assert found["EV01"].state is State.NOT_PROVIDED
    assert found["EV02"].state is State.NOT_PROVIDED  # the study is signed; its registration is not told
    assert found["EV02"].held


def test_evidence_fills_an_automatic_item(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key, measured("auc/cman/internal/all")))
    assert found["EV20"].state is State.FILLED
    assert [entry.index for entry in found["EV20"].held] == [1]


def test_what_was_not_assessed_fills_nothing(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key, refused("auc/cman/internal/all", "1 event")))["EV20"]
    assert found.state is State.NOT_ASSESSED
    assert isinstance(found.reason, Measured)
    assert found.reason.evidence.reason == "1 event"


def test_a_topic_gives_the_reason(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key, refused("not_assessed/monitoring", REASON)))["EV40"]
    assert isinstance(found.reason, Measured)
    assert found.reason.evidence.reason == REASON


def test_what_stands_beside_does_not_fill(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key, measured("subset_auc/MG/internal")))["EV26"]
    assert found.state is State.NOT_ASSESSED
    assert [entry.index for entry in found.beside] == [1]


def test_what_the_ledger_lacks_is_asked_of_a_person(tmp_path: Path, key: SigningKey) -> None:
    cohort = measured("data/cohort")
    found = states(record(tmp_path, key, cohort, entries={"form": form()}))["EV04"]
    assert (found.state, found.owner, found.due) == (State.NOT_PROVIDED, "Dr A", "2027-01-31")
    given = form(EV04={"answer": "Collected 2019 to 2021.", "owner": "Dr B"})
    (tmp_path / "more").mkdir()
    found = states(record(tmp_path / "more", key, cohort, entries={"form": given}))["EV04"]
    assert (found.state, found.answered, found.owner) == (State.FILLED, True, "Dr B")


def test_a_mixed_item_needs_its_person(tmp_path: Path, key: SigningKey) -> None:
    found = states(record(tmp_path, key, measured("heatmap/P-1/MG/0")))["EV27"]
    assert found.state is State.NOT_PROVIDED
    assert found.held


def test_a_person_may_say_why_not(tmp_path: Path, key: SigningKey) -> None:
    given = form(EV46={"reason": "Not tried yet.", "owner": "Dr B"})
    found = states(record(tmp_path, key, entries={"form": given}))["EV46"]
    assert found.state is State.NOT_ASSESSED
    assert found.answer is not None
    assert found.answer.reason == "Not tried yet."


def test_the_newest_form_counts(tmp_path: Path, key: SigningKey) -> None:
    study = {"name": "a"}
    with Log.open(tmp_path / "ledger", key) as log:
        log.append("study", {"study": study, "digest": digest_value(study), "signed_by": key.key_id})
        log.append("form", form(EV01={"answer": "old", "owner": "x"}))
        log.append("form", form(EV03={"answer": "new", "owner": "x"}))
        log.commit()
        found = Record.of(log.entries, ["0" * 64] * 3)
    given = given_form(found)
    assert given is not None
    assert (given.entry.index, set(given.form.answers)) == (2, {Item.EV03})


def test_a_broken_form_is_refused(tmp_path: Path, key: SigningKey) -> None:
    with pytest.raises(DossierError, match="holds no form"):
        given_form(record(tmp_path, key, entries={"form": {"answers": 3}}))
