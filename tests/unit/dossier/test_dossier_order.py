"""The order of signing, locking and opening: kept, broken, or not shown by the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.record import Record
from huizhen.dossier.sections.order import Held, broken_rules, rules
from huizhen.dossier.sections.summary import summary
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "title": "S"}
DIGEST = digest_value(STUDY)
RESULT = Evidence(
    key="auc/cman/internal/all",
    metric="auc",
    stage="validate",
    estimate=0.8,
    interval=Interval(low=0.7, high=0.9, method="DeLong"),
    n=9,
).to_json()
BODIES: dict[str, dict[str, Any]] = {
    "study": {"study": STUDY, "digest": DIGEST},
    "lock": {"model_digest": "m", "study_digest": DIGEST},
    "evidence": RESULT,
}


def told(*kinds: str, lock_entry: int | None = None) -> Record:
    """Return the record of entries of these kinds; an unseal names the last lock before it."""
    entries: list[Entry] = []
    for index, kind in enumerate(kinds):
        locks = [e.index for e in entries if e.kind == "lock"]
        named = lock_entry if lock_entry is not None else (locks[-1] if locks else -1)
        body = {"lock_entry": named} if kind == "unseal" else BODIES[kind]
        entries.append(Entry(index=index, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body))
    return Record.of(entries, ["00"] * len(entries))


def broken(*kinds: str, **more: Any) -> dict[str, Held]:
    """Return the rules that were not shown to be kept."""
    return {rule.key: rule.held for rule in broken_rules(told(*kinds, **more))}


def test_whole_order_is_kept() -> None:
    assert broken("study", "lock", "unseal", "evidence") == {}
    assert {rule.held for rule in rules(told("study", "lock", "unseal", "evidence"))} == {Held.YES}


@pytest.mark.parametrize(
    ("kinds", "rule"),
    [
        (("study", "evidence", "lock", "unseal"), "unseal_before_results"),
        (("study", "unseal", "lock", "evidence"), "lock_before_unseal"),
        (("lock", "study", "unseal", "evidence"), "study_before_lock"),
        (("study", "lock", "unseal", "evidence", "unseal"), "unseal_once"),
        (("study", "lock", "unseal", "evidence", "lock"), "lock_before_unseal"),
        (("study", "unseal", "evidence"), "unseal_of_lock"),
        (("study", "lock", "evidence"), "unseal_before_results"),
    ],
)
def test_broken_order_is_named(kinds: tuple[str, ...], rule: str) -> None:
    assert broken(*kinds)[rule] is Held.NO


def test_unseal_for_another_lock_is_named() -> None:
    assert broken("study", "lock", "unseal", "evidence", lock_entry=0) == {"unseal_of_lock": Held.NO}


def test_changed_study_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    record = told("study", "lock", "unseal", "evidence")
    other = Entry(
        index=4,
        kind="study",
        time="2026-01-02T03:04:05Z",
        version="0.1.0",
        body={"study": {"name": "t"}, "digest": digest_value({"name": "t"})},
    )
    changed = Record.of([*record.entries, other], ["00"] * 5)
    held = {rule.key: rule.held for rule in rules(changed)}
    assert held["study_once"] is Held.NO
    assert held["lock_of_study"] is Held.NO


def test_what_is_absent_is_not_shown_and_not_kept() -> None:
    assert set(broken("study").values()) == {Held.UNKNOWN}
    last = summary(told("study")).blocks[-1]
    assert "not show the whole order" in last.content[1].en  # type: ignore[union-attr]  # the order's paragraph
