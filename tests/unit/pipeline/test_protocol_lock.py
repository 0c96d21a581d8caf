"""Locks of the protocol: signed, chained, demanded by the study, and what was changed since."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from given_tables import judged, scored, write_study

from huizhen.core.study_file import load_study
from huizhen.dossier.record import Record
from huizhen.dossier.sections.order import rules
from huizhen.errors import StudyError, VerificationError
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.protocol_lock import deviations_of, lock_file, lock_protocol, read_locks

DEMANDED = "threshold = 0.5\n[protocol]\nlock = true\n"
BOUND = '[[endpoint]]\nmetric = "auc"\ncohort = "external"\nat_least = 0.6\n'


def changed(plan: Path, old: str, new: str) -> Path:
    text = plan.read_text()
    assert old in text
    plan.write_text(text.replace(old, new))
    return plan


def test_a_lock_holds_the_study_and_stays_as_it_is(tmp_path: Path) -> None:
    plan, key = write_study(tmp_path, scored(5)), SigningKey.generate()
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    lock = lock_protocol(plan, key, clock=lambda: at)
    assert (lock.digest, lock.time, lock.key_id) == (
        load_study(plan).digest,
        "2026-01-02T03:04:05Z",
        key.key_id,
    )
    assert lock_protocol(plan, SigningKey.generate()) == lock
    assert read_locks(plan) == (lock,)
    assert deviations_of([lock], load_study(plan), when="now") == []


def test_a_change_needs_a_reason_and_is_a_deviation_then(tmp_path: Path) -> None:
    plan, key = write_study(tmp_path, scored(5), "threshold = 0.5\n" + BOUND), SigningKey.generate()
    lock_protocol(plan, key)
    changed(plan, "at_least = 0.6", "at_least = 0.5")
    with pytest.raises(StudyError, match=r"endpoint\[0\].at_least"):
        lock_protocol(plan, key)
    later = lock_protocol(plan, key, reason="typing error")
    changed(plan, "threshold = 0.5", "threshold = 0.3")
    found = deviations_of(read_locks(plan), load_study(plan), when="the run")
    assert [(one.field, one.locked, one.now, one.when, one.reason) for one in found] == [
        ("endpoint[0].at_least", "0.6", "0.5", later.time, "typing error"),
        ("predictions.threshold", "0.5", "0.3", "the run", ""),
    ]


@pytest.mark.parametrize("field", ["digest", "time", "reason", "previous", "signature", "public_key"])
def test_an_altered_lock_is_found(tmp_path: Path, field: str) -> None:
    plan, key = write_study(tmp_path, scored(5)), SigningKey.generate()
    lock_protocol(plan, key)
    held = json.loads(lock_file(plan).read_text())
    value = held["locks"][0][field]
    held["locks"][0][field] = value[:-1] + ("0" if value[-1:] != "0" else "1")
    lock_file(plan).write_text(json.dumps(held))
    with pytest.raises(VerificationError):
        read_locks(plan)


def test_a_lock_taken_out_of_the_chain_is_found(tmp_path: Path) -> None:
    plan, key = write_study(tmp_path, scored(5), "threshold = 0.5\n"), SigningKey.generate()
    lock_protocol(plan, key)
    lock_protocol(changed(plan, "0.5", "0.6"), key, reason="second thoughts")
    held = json.loads(lock_file(plan).read_text())
    lock_file(plan).write_text(json.dumps({"locks": held["locks"][1:]}))
    with pytest.raises(VerificationError):
        read_locks(plan)


def test_a_study_that_demands_a_lock_opens_nothing_without_one(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored(), DEMANDED)
    with pytest.raises(StudyError, match="huizhen study lock"):
        judged(plan)
    assert not (tmp_path / "plan.run").exists()
    lock_protocol(plan, SigningKey.generate())
    run = judged(plan)
    entries = read_log(run.dossier / "ledger").entries
    kinds = [entry.kind for entry in entries]
    assert kinds.index("protocol_lock") < kinds.index("intake") < kinds.index("unseal")
    assert (run.dossier / "files" / "protocol.lock.json").exists()
    held = {rule.key: rule.held.value for rule in rules(Record.of(entries, ["0"] * len(entries)))}
    assert held["protocol_locked"] == "pass"
    page = (run.dossier / "index.html").read_text(encoding="utf-8")
    assert "there is no deviation" in page


def test_changes_since_the_lock_stand_in_the_dossier(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored(), DEMANDED)
    lock_protocol(plan, SigningKey.generate())
    run = judged(changed(plan, "threshold = 0.5", "threshold = 0.25"))
    page = (run.dossier / "index.html").read_text(encoding="utf-8")
    assert "Deviations from the locked protocol" in page
    assert "predictions.threshold" in page


def test_a_lock_after_the_outcomes_were_opened_is_too_late(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored(), "threshold = 0.5\n")
    judged(plan)
    lock_protocol(plan, SigningKey.generate())
    run = judged(plan)
    log = read_log(run.dossier / "ledger").entries
    held = {rule.key: rule.held.value for rule in rules(Record.of(log, ["0"] * len(log)))}
    assert held["protocol_locked"] == "fail"
