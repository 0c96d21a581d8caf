"""The instruction sheet: ten parts in order, nothing blank, and no number that is missing or stale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.dossier.build import SHEET, build_dossier
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import citations
from huizhen.dossier.record import Record
from huizhen.dossier.sheet import Sheet, SheetPart, sheet_of
from huizhen.dossier.sheet_figures import holds
from huizhen.dossier.sheet_page import render_sheet
from huizhen.dossier.verification import verify_dossier
from huizhen.dossier.wording import Text
from huizhen.errors import VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

HOSTILE = '</li><script>alert("x")</script>'
TITLES = (
    "Name, version, status",
    "What it answers, for whom, used by whom",
    "Do NOT use when",
    "Inputs, and what happens when one is absent",
    "Output and how to read it",
    "How good it is",
    "Known failures",
    "Overrule, stop, call",
    "Status of monitoring now",
    "Data, ethics, funding, contact",
)


def form(**sheet: Any) -> dict[str, Any]:
    """Return the body of a form's entry."""
    default = {"owner": "Head of radiology", "due": "2026-12-15"}
    answers = {"EV45": {"answer": "Read.", "owner": "Chief"}, "EV47": {"answer": "Cleared as No. 3."}}
    return {"digest": "0" * 64, "answers": answers, "default": default, "sheet": sheet}


def with_entries(run: Any, key: SigningKey, folder: Path, *entries: tuple[str, dict[str, Any]]) -> Record:
    """Return the record of a copy of the run with more entries."""
    copied = folder / "ledger"
    copied.mkdir()
    for file in run.ledger.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    with Log.open(copied, key) as log:
        for kind, body in entries:
            log.append(kind, body)
        log.commit()
        return Record.of(log.entries, ["0" * 64] * len(log.entries))


@pytest.fixture(scope="module")
def record(run: Any, key: SigningKey) -> Record:
    """The made-up run."""
    with Log.open(run.ledger, key) as log:
        return Record.of(log.entries, ["0" * 64] * len(log.entries))


def bare(folder: Path, key: SigningKey) -> Record:
    """Return the record of a ledger that holds a study alone."""
    study = {"name": "a", "title": "A"}
    with Log.open(folder / "bare", key) as log:
        log.append("study", {"study": study, "digest": digest_value(study), "signed_by": key.key_id})
        log.commit()
        return Record.of(log.entries, ["0" * 64])


def told(part: SheetPart) -> list[str]:
    """Return the lines of a part in English, what is cited by its text."""

    def words(x: Any) -> Iterator[str]:
        for y in x.en if x.kind == "phrase" else ():
            yield from words(y)
        yield "" if x.kind == "phrase" else x.en if isinstance(x, Text) else x.text.en

    return ["".join(t for x in cell for t in words(x)) for _, cell in part.lines]


def numbers(sheet: Sheet) -> list[Cited]:
    """Return the measurements of the part on performance."""
    return [c for c in citations(sheet.parts[5].lines) if c.is_number]


def test_ten_parts_in_their_order(record: Record) -> None:
    sheet = sheet_of(record)
    assert [part.number for part in sheet.parts] == list(range(1, 11))
    assert tuple(part.title.en for part in sheet.parts) == TITLES


def test_nothing_is_blank_even_if_nothing_is_known(tmp_path: Path, key: SigningKey) -> None:
    sheet = sheet_of(bare(tmp_path, key))
    assert all(line.strip() for part in sheet.parts for line in told(part))
    silent = [part.number for part in sheet.parts if "NOT AVAILABLE" in " ".join(told(part))]
    assert silent == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert numbers(sheet) == []


def test_external_results_are_quoted_with_interval_and_n(record: Record) -> None:
    lines = told(sheet_of(record).parts[5])
    assert lines[0] == "external test set"
    assert re.match(r"0\.\d{3} \(0\.\d{3}–", lines[1])
    quoted = next(c for c in numbers(sheet_of(record)))
    assert quoted.size is not None
    assert quoted.size.en == "n=120 patients (44 events)"


def test_calibration_is_told_of_a_hundred(record: Record) -> None:
    reading = told(sheet_of(record).parts[4])[-1]
    assert re.search(r"Of 100 patients .* about \d+ had “malignancy” \(95 % CI \d+ to \d+; n=\d+\)", reading)


def test_a_newer_lock_makes_every_number_stale(run: Any, key: SigningKey, tmp_path: Path) -> None:
    study = digest_value(_study_of(run, key))
    lock = {"model_digest": "1" * 64, "study_digest": study, "decisions": {}}
    locked_again = with_entries(run, key, tmp_path, ("lock", lock))
    sheet = sheet_of(locked_again)
    assert numbers(sheet) == []
    assert told(sheet.parts[5])[1:6] == ["NOT AVAILABLE"] * 5
    assert told(sheet.parts[4])[-1] == "NOT AVAILABLE"


def _study_of(run: Any, key: SigningKey) -> Any:
    with Log.open(run.ledger, key) as log:
        return log.entries[0].body["study"]


def test_a_broken_order_makes_every_number_stale(run: Any, key: SigningKey, tmp_path: Path) -> None:
    other = {"name": "b"}
    signed_again = ("study", {"study": other, "digest": digest_value(other), "signed_by": key.key_id})
    found = with_entries(run, key, tmp_path, signed_again)
    assert holds(found, found.one("auc/cman/external/all")) is None


def test_what_was_not_measured_does_not_hold(record: Record) -> None:
    assert holds(record, None) is None
    assert holds(record, record.one("not_assessed/readers")) is None
    assert holds(record, record.one("auc/cman/external/all")) is not None


def test_research_only_unless_cleared(run: Any, key: SigningKey, record: Record, tmp_path: Path) -> None:
    assert "RESEARCH ONLY" in told(sheet_of(record).parts[0])
    cleared = with_entries(run, key, tmp_path, ("form", form(status="cleared")))
    lines = told(sheet_of(cleared).parts[0])
    assert "RESEARCH ONLY" not in lines
    assert "Cleared as No. 3." in lines


def test_a_draft_until_somebody_approves(run: Any, key: SigningKey, record: Record, tmp_path: Path) -> None:
    assert sheet_of(record).draft
    approved = sheet_of(with_entries(run, key, tmp_path, ("form", form())))
    assert not approved.draft
    assert told(approved.parts[0])[-1] == "Chief"


def test_an_approval_ends_with_the_version(run: Any, key: SigningKey, tmp_path: Path) -> None:
    lock = {"model_digest": "1" * 64, "study_digest": "0" * 64, "decisions": {}}
    assert sheet_of(with_entries(run, key, tmp_path, ("form", form()), ("lock", lock))).draft


def test_conditions_stand_line_by_line_in_both_languages(run: Any, key: SigningKey, tmp_path: Path) -> None:
    sheet = form(en={"do_not_use": ["after surgery", "implants"]}, zh={"do_not_use": ["术后"]}, role="inform")
    found = sheet_of(with_entries(run, key, tmp_path, ("form", sheet)))
    cited = [c for c in citations(found.parts[2].lines) if "/sheet/" in next(iter(c.values))]
    assert [c.text for c in cited] == [Text("after surgery", "术后"), Text.both("implants")]
    assert "informs: the decision is made without it" in told(found.parts[1])


def test_scanners_that_were_seen_are_named(record: Record) -> None:
    assert "Phantom north" in told(sheet_of(record).parts[2])[1]


def test_a_missed_case_and_a_false_alarm_are_shown(record: Record) -> None:
    pictures = sheet_of(record).parts[6].pictures
    assert [p.caption[0].en.split(",")[0] for p in pictures if isinstance(p.caption[0], Text)] == [
        "false negative",
        "false positive",
    ]


def test_the_sheet_is_linked_and_its_links_lead_to_entries(built: Path) -> None:
    page = (built / "index.html").read_text(encoding="utf-8")
    html = (built / SHEET).read_text(encoding="utf-8")
    assert 'href="sheet.html"' in page
    targets = set(re.findall(r'href="index\.html#([^"]+)"', html))
    assert len(targets) > 10
    assert all(f'id="{target}"' in page for target in targets)


def test_the_sheet_asks_nothing_of_a_network_and_holds_both_languages(built: Path, built_zh: Path) -> None:
    for folder, code in ((built, "en"), (built_zh, "zh-Hans")):
        html = (folder / SHEET).read_text(encoding="utf-8")
        assert f'<html lang="{code}">' in html
        assert "NOT AVAILABLE" in html
        assert "暂无" in html
        assert "default-src &#39;none&#39;" in html
        assert "http" not in re.sub(r'http-equiv|"data:[^"]+"', "", html)


def test_hostile_texts_are_escaped(run: Any, key: SigningKey, tmp_path: Path) -> None:
    with_entries(run, key, tmp_path, ("form", form(en={"stop": HOSTILE, "call": HOSTILE})))
    out = build_dossier(tmp_path / "ledger", tmp_path / "dossier", key=key, artefacts=run.artefacts)
    html = (out / SHEET).read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert") == 2
    verify_dossier(out, expected_key_id=key.key_id)


def test_the_same_sheet_gives_the_same_bytes(record: Record, run: Any, key: SigningKey) -> None:
    from huizhen.core.words import Language

    with Log.open(run.ledger, key) as log:
        head = log.heads[-1]

    def read(path: str) -> bytes:
        return bytes((run.artefacts / path).read_bytes())

    pages = {render_sheet(sheet_of(record), head, Language.EN, read) for _ in range(2)}
    assert len(pages) == 1


def test_an_altered_sheet_is_found(dossier: Path) -> None:
    page = dossier / SHEET
    page.write_bytes(page.read_bytes().replace(b"RESEARCH ONLY", b"CLEARED FOR ALL"))
    with pytest.raises(VerificationError, match="was altered"):
        verify_dossier(dossier)


@pytest.mark.parametrize(
    ("scale", "words"), [("rank", "only orders patients"), ("probability", "A risk from")]
)
def test_scores_that_only_order_are_no_risks(
    synthetic: Any, key: SigningKey, tmp_path: Path, scale: str, words: str
) -> None:
    run = synthetic.write_run(tmp_path, key, cases=1, changes={"predictions": {"scale": scale}})
    with Log.open(run.ledger, key) as log:
        record = Record.of(log.entries, ["0" * 64] * len(log.entries))
    assert words in told(sheet_of(record).parts[4])[0]
