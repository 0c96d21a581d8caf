"""The sections on evidence items and guidelines: every item told, nothing scored, hostile text escaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.words import Language
from huizhen.dossier.build import build_dossier
from huizhen.dossier.content import Content, citations, content_of
from huizhen.dossier.evidence_items import Item, evidence_items
from huizhen.dossier.form import Answer
from huizhen.dossier.guidelines import By, ChecklistItem, read_checklist, shipped_checklists
from huizhen.dossier.item_states import ItemState, State
from huizhen.dossier.sections.reporting import Told, standing
from huizhen.dossier.verification import verify_dossier
from huizhen.dossier.wording import Text
from huizhen.ledger.log import Log
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey

HOSTILE = '</table><script>alert("x")</script>&lt;'


def state(name: str, kind: State, *, answered: bool = False) -> ItemState:
    """Return an item's state."""
    answer = Answer(answer="said", owner="a") if answered else None
    return ItemState(item=evidence_items()[Item(name)], state=kind, answer=answer)


def row(by: By, *names: str) -> ChecklistItem:
    """Return a guideline's item."""
    evidence = tuple(Item(name) for name in names)
    return ChecklistItem(number="1", topic=Text.both("x"), evidence=evidence, by=by)


@pytest.mark.parametrize(
    ("by", "first", "second", "answered", "told"),
    [
        (By.AUTOMATIC, State.FILLED, State.FILLED, False, Told.ANSWERED),
        (By.AUTOMATIC, State.FILLED, State.FILLED, True, Told.STATED),
        (By.AUTOMATIC, State.FILLED, State.NOT_ASSESSED, False, Told.OPEN),
        (By.AUTOMATIC, State.NOT_PROVIDED, State.NOT_ASSESSED, False, Told.PERSON),
        (By.PARTLY, State.FILLED, State.FILLED, False, Told.PERSON),
        (By.PARTLY, State.FILLED, State.FILLED, True, Told.STATED),
        (By.PERSON, State.FILLED, State.FILLED, False, Told.PERSON),
        (By.PERSON, State.FILLED, State.NOT_ASSESSED, True, Told.OPEN),
    ],
)
def test_how_an_item_stands(by: By, first: State, second: State, answered: bool, told: Told) -> None:
    states = {Item.EV20: state("EV20", first, answered=answered), Item.EV21: state("EV21", second)}
    assert standing(row(by, "EV20", "EV21"), states).told is told


def with_entries(run: Any, key: SigningKey, folder: Path, *entries: tuple[str, dict[str, Any]]) -> Content:
    """Return the content of a copy of the run with more entries."""
    copied = folder / "ledger"
    copied.mkdir()
    for file in run.ledger.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    with Log.open(copied, key) as log:
        for kind, body in entries:
            log.append(kind, body)
        log.commit()
    return content_of(read_log(copied, expected_key_id=key.key_id))


def given(**answers: dict[str, str]) -> dict[str, Any]:
    """Return the body of a form's entry."""
    default = {"owner": "Head of radiology", "due": "2026-12-15"}
    return {"digest": "0" * 64, "answers": answers, "default": default}


@pytest.fixture
def content(run: Any, key: SigningKey) -> Content:
    """What the dossier of the made-up run says."""
    return content_of(read_log(run.ledger, expected_key_id=key.key_id))


def table(content: Content, section: str, id: str) -> Any:
    """Return a folded table."""
    blocks = next(s for s in content.sections if s.id == section).blocks
    inner = [block for fold in blocks for block in getattr(fold, "blocks", ())]
    return next(block for block in inner if getattr(block, "id", "") == id)


def test_all_48_items_have_a_row_that_links_lead_to(content: Content) -> None:
    rows = table(content, "evidence", "table-items").rows
    assert [r.id for r in rows] == [f"ev-{n:02d}" for n in range(1, 49)]
    assert all(all(cell for cell in r.cells) for r in rows)


def test_every_guideline_has_a_row_for_every_item(content: Content) -> None:
    for name, checklist in shipped_checklists().items():
        rows = table(content, "guidelines", f"table-checklist-{name}").rows
        assert [r.cells[0][0].en for r in rows] == [item.number for item in checklist.items]


def test_nothing_is_scored(content: Content) -> None:
    section = next(s for s in content.sections if s.id == "guidelines")
    assert not [c for c in citations(section) if c.is_number]
    summaries = [block.summary.en for block in section.blocks if hasattr(block, "summary")]
    assert not any("%" in text or re.search(r"\d+ ?(/|of) ?\d+", text) for text in summaries)


def test_folds_are_closed_on_screen(built: Path) -> None:
    html = (built / "index.html").read_text(encoding="utf-8")
    assert "<details open" not in html
    assert html.count('<details class="fold">') >= 22


def test_without_a_form_nobody_is_named(content: Content) -> None:
    rows = table(content, "evidence", "table-waiting").rows
    assert {r.cells[1][0].en for r in rows} == {"nobody named"}
    assert {r.cells[2][0].en for r in rows} == {"no date set"}


def words(*cells: Any) -> list[str]:
    """Return what is shown, in English."""
    return [getattr(cell, "text", cell).en for cell in cells]


def test_owner_and_date_come_from_the_form(run: Any, key: SigningKey, tmp_path: Path) -> None:
    body = given(EV12={"owner": "Pathology", "due": "2020-01-31"})
    rows = table(with_entries(run, key, tmp_path, ("form", body)), "evidence", "table-waiting").rows
    told = {
        r.cells[0][0].text.en: [getattr(x, "text", x).en for x in (*r.cells[1], *r.cells[2])] for r in rows
    }
    assert told["EV01"] == ["Head of radiology", "2026-12-15"]
    assert told["EV12"] == ["Pathology", "2020-01-31", " ", "overdue"]


def test_an_answer_stands_in_both_languages_with_its_owner(run: Any, key: SigningKey, tmp_path: Path) -> None:
    answer = {"answer": "To find lesions.", "answer_zh": "用于发现病灶。", "owner": "Breast unit"}
    content = with_entries(run, key, tmp_path, ("form", given(EV01=answer)))
    cell = table(content, "evidence", "table-items").rows[0].cells[3]
    assert cell[0].text == Text("To find lesions.", "用于发现病灶。")
    assert cell[0].values == {
        "/answers/EV01/answer": answer["answer"],
        "/answers/EV01/answer_zh": answer["answer_zh"],
    }
    assert cell[2].text.en == "Breast unit"


def test_a_study_chooses_its_checklists(
    synthetic: Any, key: SigningKey, tmp_path: Path, content: Content
) -> None:
    run = synthetic.write_run(tmp_path, key, cases=1, changes={"dossier": {"checklists": ["gdpr"]}})
    chosen = content_of(read_log(run.ledger, expected_key_id=key.key_id))
    shown = next(s for s in chosen.sections if s.id == "guidelines")
    assert [b.blocks[1].id for b in shown.blocks if hasattr(b, "blocks")] == ["table-checklist-gdpr"]


def test_ones_own_checklist_is_shown_first(run: Any, key: SigningKey, tmp_path: Path) -> None:
    own = 'id = "house"\ntitle = "House"\nedition = "1"\ndate = "2026"\ncitation = "Ours."\n'
    own += '[[item]]\nnumber = "1"\ntopic = "Accuracy"\nevidence = ["EV20"]\nby = "automatic"\n'
    read, problems = read_checklist(own)
    assert problems == []
    content = with_entries(run, key, tmp_path, ("checklist", {"digest": "0" * 64, "checklist": read}))
    section = next(s for s in content.sections if s.id == "guidelines")
    first = next(block for block in section.blocks if hasattr(block, "blocks"))
    assert first.blocks[1].id == "table-checklist-house"
    assert table(content, "guidelines", "table-checklist-house").rows[0].cells[3][0].tone == "pass"


def test_hostile_answers_are_escaped_and_verify(run: Any, key: SigningKey, tmp_path: Path) -> None:
    answer = {"answer": HOSTILE, "owner": HOSTILE[:40]}
    with_entries(run, key, tmp_path, ("form", given(EV01=answer)))
    out = build_dossier(
        tmp_path / "ledger", tmp_path / "dossier", key=key, artefacts=run.artefacts, language=Language.ZH
    )
    html = (out / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    verify_dossier(out, expected_key_id=key.key_id)
