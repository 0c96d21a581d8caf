"""The order of signing, locking and opening: kept, broken, or not shown by the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.citations import Cited
from huizhen.dossier.record import Record
from huizhen.dossier.sections.order import HERE, Held, broken_rules, rules, sealed_notes
from huizhen.dossier.sections.summary import summary
from huizhen.ledger.commitments import commitment
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
SALT = "5a" * 32
FILES = {name: digest_value(name) for name in ("folds.json", "cases.json", "sealed.json")}
COHORTS = {"internal": {"patients": 9, "sealed": 9}, "external": {"patients": 4, "sealed": 4}}
BODIES: dict[str, dict[str, Any]] = {
    "intake": {"outcomes_read_for": ["stratification"]},
    "commit": {
        "commitments": {name: commitment(SALT, name, digest) for name, digest in FILES.items()},
        "cohorts": COHORTS,
    },
    "predictions": {"without_outcomes": {}},
    "study": {"study": STUDY, "digest": DIGEST},
    "lock": {"model_digest": "m", "study_digest": DIGEST},
    "evidence": RESULT,
}


WHOLE = ("study", "intake", "commit", "lock", "predictions", "unseal", "evidence")


def told(*kinds: str, lock_entry: int | None = None, **changes: Any) -> Record:
    """Return the record of entries of these kinds; an unseal names what stands before it."""
    entries: list[Entry] = []
    for index, kind in enumerate(kinds):
        locks = [e.index for e in entries if e.kind == "lock"]
        named = lock_entry if lock_entry is not None else (locks[-1] if locks else -1)
        body = BODIES[kind] if kind != "unseal" else opened(entries, named) | changes
        entries.append(Entry(index=index, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body))
    return Record.of(entries, ["00"] * len(entries))


def opened(entries: list[Entry], lock_entry: int) -> dict[str, Any]:
    """Return an unseal's body."""
    before = {e.kind: e.index for e in entries}
    body: dict[str, Any] = {"lock_entry": lock_entry}
    if "commit" in before:
        opened = {"salt": SALT, "opened": FILES, "sealed_outcomes": FILES["sealed.json"]}
        body |= {"commit_entry": before["commit"], **opened}
    if "predictions" in before:
        body |= {"predictions_entry": before["predictions"]}
    return body


def broken(*kinds: str, **more: Any) -> dict[str, Held]:
    """Return the rules that were not shown to be kept."""
    return {rule.key: rule.held for rule in broken_rules(told(*kinds, **more))}


def test_whole_order_is_kept() -> None:
    assert broken(*WHOLE) == {}
    assert {rule.held for rule in rules(told(*WHOLE))} == {Held.YES}


def test_a_log_without_commitments_does_not_show_their_rules() -> None:
    held = broken("study", "lock", "unseal", "evidence")
    assert held == dict.fromkeys(HERE, Held.UNKNOWN)
    blocks = summary(told("study", "lock", "unseal", "evidence")).blocks
    assert "does not show that split" in blocks[-1].content[1].en  # type: ignore[union-attr]  # a paragraph


@pytest.mark.parametrize(
    ("kinds", "changes", "rule"),
    [
        (("study", "lock", "commit", "predictions", "unseal", "evidence"), {}, "commit_before_lock"),
        (("study", "commit", "predictions", "lock", "unseal"), {}, "predicted_before_unseal"),
        (WHOLE, {"salt": "00" * 32}, "opened_as_committed"),
        (WHOLE, {"salt": 7}, "opened_as_committed"),
        (WHOLE, {"opened": FILES | {"sealed.json": digest_value("other")}}, "opened_as_committed"),
        (WHOLE, {"opened": {}}, "opened_as_committed"),
        (WHOLE, {"opened": None}, "opened_as_committed"),
        (WHOLE, {"sealed_outcomes": digest_value("other")}, "opened_as_committed"),
        (WHOLE, {"commit_entry": 99}, "opened_as_committed"),
        (WHOLE, {"commit_entry": 0}, "opened_as_committed"),
        (WHOLE, {"predictions_entry": 3}, "predicted_before_unseal"),
        (WHOLE, {"predictions_entry": None}, "predicted_before_unseal"),
    ],
)
def test_what_was_not_fixed_before_is_named(
    kinds: tuple[str, ...], changes: dict[str, Any], rule: str
) -> None:
    assert broken(*kinds, **changes)[rule] is Held.NO


def test_events_counted_before_the_unseal_break_the_order() -> None:
    record = told(*WHOLE)
    counted = Evidence(key="data/outcomes", metric="outcomes", stage="data", descriptive=True, n=9).to_json()
    entries = [*record.entries[:3], replace(record.entries[6], index=3, body=counted)]
    entries += [replace(e, index=k + 1) for k, e in enumerate(record.entries) if k >= 3]
    held = {rule.key: rule.held for rule in rules(Record.of(entries, ["00"] * len(entries)))}
    assert held["unseal_before_results"] is Held.NO


@pytest.mark.parametrize(("sealed", "words"), [(9, "were sealed until the lock"), (0, "cross-validated")])
def test_the_summary_says_how_many_are_sealed(
    sealed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohorts = COHORTS | {"internal": {"patients": 9, "sealed": sealed}}
    monkeypatch.setitem(BODIES, "commit", BODIES["commit"] | {"cohorts": cohorts})
    notes = sealed_notes(told(*WHOLE))
    said = ["".join(x.text.en if isinstance(x, Cited) else x.en for x in note.en) for note in notes]
    assert words in said[0]
    assert f"{sealed} of 9" in said[0]
    assert "4 of 4" in said[1]


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
    assert broken("study", "lock", "unseal", "evidence", lock_entry=0)["unseal_of_lock"] is Held.NO


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
    told_order = summary(told("study")).blocks[-2]
    assert "not show the whole order" in told_order.content[1].en  # type: ignore[union-attr]  # the order's paragraph


FEDERATED = {"name": "s", "title": "S", "federation": {"rounds": 2}}
HEADS = {"east": {"root": "ab", "size": 5}, "north": {"root": "cd", "size": 4}}
GROWN = {name: {"root": "ef", "size": head["size"] + 3} for name, head in HEADS.items()}
SITES_WHOLE = (("site_heads", "cohort", HEADS), ("lock",), ("site_heads", "locked", GROWN), ("unseal",))


def federated(*steps: tuple[Any, ...]) -> dict[str, Held]:
    """Return the rules on commitments of a federation's ledger that has these entries."""
    digest = digest_value(FEDERATED)
    bodies: list[tuple[str, dict[str, Any]]] = [("study", {"study": FEDERATED, "digest": digest})]
    for kind, *more in steps:
        body = {"study_digest": digest} if kind == "lock" else {"lock_entry": len(bodies) - 2}
        if kind == "site_heads":
            body = {"moment": more[0], "heads": more[1], "asked": ["east", "north"]}
        bodies.append((kind, body))
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    found = rules(Record.of(entries, ["00"] * len(entries)))
    return {rule.key: rule.held for rule in found if rule.key.startswith("sites_")}


def test_a_federation_s_commitments_are_heads_of_the_sites_ledgers() -> None:
    assert federated(*SITES_WHOLE) == {"sites_committed": Held.YES, "sites_locked": Held.YES}


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        ((SITES_WHOLE[1], SITES_WHOLE[0], *SITES_WHOLE[2:]), (Held.NO, Held.YES)),
        ((*SITES_WHOLE[:2], SITES_WHOLE[3], SITES_WHOLE[2]), (Held.YES, Held.NO)),
        ((SITES_WHOLE[1], SITES_WHOLE[3]), (Held.UNKNOWN, Held.UNKNOWN)),
        ((("site_heads", "cohort", {"east": HEADS["east"]}), *SITES_WHOLE[1:]), (Held.UNKNOWN, Held.UNKNOWN)),
        ((*SITES_WHOLE[:2], ("site_heads", "locked", HEADS), SITES_WHOLE[3]), (Held.YES, Held.NO)),
    ],
    ids=["after the lock", "after the results", "none", "of one site", "not grown"],
)
def test_heads_too_late_or_of_too_few_sites_show_nothing(
    steps: tuple[tuple[Any, ...], ...], held: tuple[Held, Held]
) -> None:
    assert tuple(federated(*steps).values()) == held
