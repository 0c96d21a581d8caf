"""The review: what is asked, what the pages hold, what is entered, and what the next run does with it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from huizhen.core.words import Language
from huizhen.data.deidentify.audits import AUDITS, last_audit, upper_bound
from huizhen.data.deidentify.decisions import DECISIONS, About, DecisionLog
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Reason
from huizhen.data.deidentify.policy import DeidPolicy, PixelPolicy
from huizhen.data.deidentify.prepare import IMAGES, WAITING, Prepared, prepare
from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.report import evidence_of, report_of, write_report
from huizhen.data.deidentify.review import audit_review, waiting_review
from huizhen.data.deidentify.review_entry import enter
from huizhen.data.deidentify.review_folders import open_reviews
from huizhen.data.deidentify.review_page import PAGES, REVIEW, write_pages
from huizhen.errors import DataError, InvalidInputError, StorageError

Make = Callable[..., Dataset]
Write = Callable[..., Path]
Run = Callable[[], Prepared]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOX = [4, 10, 2, 30]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The site's folder for preparations."""
    return tmp_path / "site"


@pytest.fixture
def run(tmp_path: Path, state: Path, who: Pseudonymiser) -> Run:
    """Return a function that prepares `in` into `out`; ultrasound and heads wait."""

    def run() -> Prepared:
        by = DeidPolicy(pixels=PixelPolicy())
        return prepare(tmp_path / "in", tmp_path / "out", state=state, policy=by, who=who)

    return run


@pytest.fixture
def scan(make: Make, write: Write) -> Callable[..., Path]:
    """Return a function that writes an image of 32 x 48 pixels."""

    def scan(name: str, number: int, **more: object) -> Path:
        data = make(study=f"1.{number}", instance=f"1.{number}.1.1")
        data.Rows, data.Columns = 32, 48
        data.PixelData = np.random.default_rng(number).integers(50, 200, (32, 48)).astype(np.uint8).tobytes()
        for keyword, value in more.items():
            setattr(data, keyword, value)
        return write(data, f"in/{name}")

    return scan


def last_review(state: Path) -> Path:
    """Return the folder of the review that was written last."""
    return max((state / PAGES).iterdir(), key=lambda folder: (folder / REVIEW).stat().st_mtime_ns)


def saved(state: Path, path: Path, *answers: dict[str, object], of: str = "") -> Path:
    """Write a decisions file as the page does."""
    review = last_review(state).name
    path.write_text(json.dumps({"review": of or review, "decisions": list(answers)}))
    return path


def asked(state: Path) -> dict[str, int]:
    """Return the number of each item of the review that waits, by its path; the pages are written."""
    review = waiting_review(state)
    write_pages(review, state / PAGES, Language.EN)
    return {item.label: item.number for item in review.items}


def test_what_people_decide_is_done(scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path) -> None:
    for i, name in enumerate(("clean.dcm", "text.dcm", "bad.dcm", "later.dcm")):
        scan(name, i, Modality="US")
    assert run().reasons == {(Fate.QUEUED, Reason.RISKY_PIXELS): 4}
    items = asked(state)
    answers = saved(
        state,
        tmp_path / "d.json",
        {"item": items["clean.dcm"], "verdict": "release", "boxes": []},
        {"item": items["text.dcm"], "verdict": "blacken", "boxes": [BOX]},
        {"item": items["bad.dcm"], "verdict": "refuse"},
    )
    done = enter(state, [answers], reader="A. Reader", now=NOON)
    assert {verdict.value: n for verdict, n in done.items.items()} == {
        "release": 1,
        "blacken": 1,
        "refuse": 1,
    }
    made = run()
    assert made.reasons == {(Fate.QUEUED, Reason.RISKY_PIXELS): 1, (Fate.REFUSED, Reason.BY_PERSON): 1}
    assert made.pixels.to_json() == {
        "by_ocr": 0, "by_person": 3, "unseen": 0, "with_text": 1, "blackened": 1, "waiting": 1,
    }  # fmt: skip
    released = [pydicom.dcmread(path) for path in (tmp_path / "out" / IMAGES).rglob("*.dcm")]
    assert sorted(int(np.ptp(one.pixel_array[4:10, 2:30])) > 0 for one in released) == [False, True]
    assert {str(one.BurnedInAnnotation) for one in released} == {"NO"}
    (again,) = list(asked(state))
    assert again == "later.dcm"
    log = (state / DECISIONS).read_text()
    assert '"reader": "A. Reader", "time": "2026-11-23T12:00:00+00:00"' in log
    assert "clean.dcm" not in log


def test_a_changed_file_waits_anew_and_a_later_decision_counts(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    source = scan("a.dcm", 1, Modality="US")
    run()
    (number,) = asked(state).values()
    for verdict in ("release", "refuse", "release"):
        enter(state, [saved(state, tmp_path / "d.json", {"item": number, "verdict": verdict})], reader="x")
        made = run()
        assert made.counts == {Fate.RELEASED: 1} if verdict == "release" else {Fate.REFUSED: 1}
        assert len(list((tmp_path / "out").rglob("*.dcm"))) == int(verdict == "release")
    assert run().known == 1
    data = pydicom.dcmread(source)
    data.PixelData = bytes(len(data.PixelData))
    data.save_as(source)
    assert run().counts == {Fate.QUEUED: 1}
    assert list((tmp_path / "out").rglob("*.dcm")) == []


def test_heads_are_decided_by_series_and_their_text_is_still_looked_at(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    for i in range(3):
        scan(f"{i}.dcm", i, BodyPartExamined="HEAD", SeriesInstanceUID="1.9", StudyInstanceUID="1.8")
    scan("3.dcm", 3, BodyPartExamined="HEAD", SeriesInstanceUID="1.9", StudyInstanceUID="1.8",
         BurnedInAnnotation="YES")  # fmt: skip
    assert run().reasons == {(Fate.QUEUED, Reason.HEAD): 4}
    review = waiting_review(state)
    (item,) = review.items
    assert (item.about, len(item.files), len(item.shown)) == (About.HEAD, 4, 3)
    write_pages(review, state / PAGES, Language.ZH)
    wrong = saved(state, tmp_path / "w.json", {"item": 1, "verdict": "blacken", "boxes": [BOX]})
    with pytest.raises(DataError, match="no decisions of a review"):
        enter(state, [wrong], reader="x")
    enter(state, [saved(state, tmp_path / "d.json", {"item": 1, "verdict": "release"})], reader="x")
    made = run()
    assert made.counts == {Fate.RELEASED: 3, Fate.QUEUED: 1}
    assert made.reasons == {(Fate.QUEUED, Reason.BURNED_IN): 1}


def test_pages_hold_everything_and_are_their_owners_alone(
    scan: Callable[..., Path], run: Run, state: Path
) -> None:
    for i in range(30):
        scan(f"!<b>{i}.dcm" if i == 0 else f"{i:02d}.dcm", i, Modality="US")
    scan("broken.dcm", 99, Modality="US", BitsAllocated=12)
    run()
    review = waiting_review(state)
    page = write_pages(review, state / PAGES, Language.EN)
    assert page.name == "page-1.html"
    text = page.read_text() + page.with_name("page-2.html").read_text()
    assert "!&lt;b&gt;0.dcm" in text
    assert "<b>0" not in text
    assert text.count("data:image/jpeg") >= 30
    assert not re.findall(r"(?:src|href)=\"(?!data:|page-)", text)
    assert "default-src 'none'" in text
    assert text.count("can&#39;t be shown") == 1
    for path in (*page.parent.iterdir(), page.parent):
        assert path.stat().st_mode & 0o077 == 0
    assert (state / PAGES).stat().st_mode & 0o077 == 0
    assert ".dcm" not in page.with_name(REVIEW).read_text()


DRAWS = """
const section = document.querySelector("section[data-item]"), picture = section.querySelector(".picture");
const frame = picture.getBoundingClientRect();
const at = (kind, x, y) => picture.dispatchEvent(new PointerEvent(kind, {
  pointerId: 1, bubbles: true,
  clientX: frame.left + x * frame.width, clientY: frame.top + y * frame.height }));
picture.setPointerCapture = () => {};
section.querySelector(".box").click();
at("pointerdown", 0.25, 0.25); at("pointermove", 0.4, 0.4); at("pointerup", 0.5, 0.75);
const read = (blob) => { blob.text().then((text) => { document.title = text; }); return "#"; };
URL.createObjectURL = read;
document.getElementById("save").click();
"""
"""Removes the first box, draws one, and saves, as a person would."""


def test_a_person_draws_in_a_browser_and_it_is_entered(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        assert not os.environ.get("HUIZHEN_REQUIRE_OPTIONAL"), "CI installs chromium"
        pytest.skip("chromium isn't installed")
    scan("a.dcm", 1, Modality="US")
    run()
    review = waiting_review(state)
    proposed = replace(review.items[0], regions=(Region(top=1, bottom=5, left=2, right=20),))
    page = write_pages(replace(review, items=(proposed,)), state / PAGES, Language.EN)
    assert "0 of 1 decided" in shown_by(browser, page, tmp_path), "its policy lets its own script run"
    free = (
        page.read_text()
        .replace("http-equiv", "data-was")
        .replace("</body>", f"<script>{DRAWS}</script></body>")
    )
    page.write_text(free)
    dom = shown_by(browser, page, tmp_path)
    saved_text = html.unescape(re.search(r"<title>(.*?)</title>", dom, re.DOTALL).group(1))  # type: ignore[union-attr]  # it has one
    (tmp_path / "d.json").write_text(saved_text)
    enter(state, [tmp_path / "d.json"], reader="A. Reader")
    (kept,) = DecisionLog(path=state / DECISIONS).last().values()
    assert [one.to_json() for one in kept[About.PIXELS].regions] == [[8, 24, 12, 24]]


def shown_by(browser: str, page: Path, scratch: Path) -> str:
    """Return a page's elements as a browser without a network ends up with them."""
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={scratch / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
        capture_output=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout.decode()


@pytest.mark.parametrize(
    "answer",
    [
        {"item": 2, "verdict": "release"},
        {"item": 1, "verdict": "perhaps"},
        {"item": 1, "verdict": "blacken", "boxes": []},
        {"item": 1, "verdict": "blacken", "boxes": [[5, 1, 2, 3]]},
        {"item": 1, "verdict": "blacken", "boxes": [[0, 5, 0, "x"]]},
        {"item": 1, "verdict": "blacken", "boxes": [BOX] * 1001},
        {"item": 1, "verdict": "release", "boxes": [BOX]},
        {"item": 1},
        {},
    ],
)
def test_what_is_no_decision(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path, answer: dict[str, object]
) -> None:
    scan("a.dcm", 1, Modality="US")
    run()
    asked(state)
    with pytest.raises(DataError, match="no decisions of a review"):
        enter(state, [saved(state, tmp_path / "d.json", answer)], reader="x")
    assert not (state / DECISIONS).exists()


def test_a_saved_file_that_is_not_there_is_said_to_be_absent(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    scan("a.dcm", 1, Modality="US")
    run()
    asked(state)
    with pytest.raises(DataError, match="there is no such file"):
        enter(state, [tmp_path / "decisions.json"], reader="x")


def test_decisions_of_nobody_of_another_review_or_twice(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    scan("a.dcm", 1, Modality="US")
    run()
    (tmp_path / "d.json").write_text('{"review": "../../x", "decisions": []}')
    with pytest.raises(DataError, match="no review of this site"):
        enter(state, [tmp_path / "d.json"], reader="x")
    asked(state)
    good = {"item": 1, "verdict": "release"}
    with pytest.raises(DataError, match="nobody is named"):
        enter(state, [saved(state, tmp_path / "d.json", good)], reader=" ")
    with pytest.raises(DataError, match="no review of this site"):
        enter(state, [saved(state, tmp_path / "d.json", good, of="1" * 16)], reader="x")
    file = saved(state, tmp_path / "d.json", good)
    with pytest.raises(DataError, match="decided twice"):
        enter(state, [file, file], reader="x")
    for text in ("", "[]", "[" * 100_000, '{"review": 1}'):
        file.write_text(text)
        with pytest.raises(DataError, match="no decisions"):
            enter(state, [file], reader="x")


def test_an_audit(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path, who: Pseudonymiser
) -> None:
    for i in range(9):
        scan(f"{i}.dcm", i)
    run()
    review = audit_review(state, who=who, images=4)
    assert (len(review.items), review.population) == (4, 9)
    assert audit_review(state, who=who, images=4) == review
    write_pages(review, state / PAGES, Language.EN)
    answers = [{"item": i, "verdict": "release"} for i in (1, 2, 3)]
    with pytest.raises(DataError, match="3 of 4 images"):
        enter(state, [saved(state, tmp_path / "a.json", *answers)], reader="x")
    answers.append({"item": 4, "verdict": "blacken", "boxes": [BOX]})  # type: ignore[dict-item]  # a test's own
    done = enter(state, [saved(state, tmp_path / "a.json", *answers)], reader="A. Reader")
    assert done.audit is not None
    assert (done.audit.missed, done.audit.looked_at, done.files) == (1, 4, 1)
    made = run()
    assert made.counts == {Fate.RELEASED: 9}
    assert (made.pixels.by_person, made.pixels.blackened) == (1, 1)
    again = audit_review(state, who=who, images=9)
    (item,) = [one for one in again.items if one.regions]
    write_pages(again, state / PAGES, Language.EN)
    other = [12, 20, 5, 9]
    answers = [
        {"item": one.number, "verdict": "blacken", "boxes": [other]}
        if one is item
        else {"item": one.number, "verdict": "release"}
        for one in again.items
    ]
    enter(state, [saved(state, tmp_path / "a.json", *answers)], reader="B. Reader")
    (kept,) = DecisionLog(path=state / DECISIONS).last().values()
    assert [one.to_json() for one in kept[About.PIXELS].regions] == [BOX, other], "what was black stays black"
    _, _, evidence = evidence_of(made)
    assert (evidence.estimate, evidence.n, evidence.n_events) == (0.25, 4, 1)
    assert evidence.interval is not None
    assert evidence.interval.high == pytest.approx(0.7514, abs=1e-3)
    page = write_report(made, tmp_path / "out", Language.EN).read_text()
    assert "of 9 released images 4 were drawn at random and looked at by a person; 1 still had text" in page
    assert "Reader" not in page + json.dumps(report_of(made))
    assert "抽查" in write_report(made, tmp_path / "out", Language.ZH).read_text()


def test_no_review_is_written_over_another(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path, who: Pseudonymiser
) -> None:
    for i in range(3):
        scan(f"{i}.dcm", i, **({"Modality": "US"} if i < 2 else {}))
    run()
    items = asked(state)
    first = last_review(state)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    mine = saved(state, tmp_path / "d.json", {"item": items["0.dcm"], "verdict": "release"})
    audit = write_pages(audit_review(state, who=who, images=1), state / PAGES, Language.EN)
    assert audit.parent != first
    assert "Orange" not in audit.read_text() + before["page-1.html"].decode(), "there are no boxes"
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    scan("later.dcm", 9, Modality="US")
    run()
    asked(state)
    assert open_reviews(state, but=last_review(state).name) == sorted([first, audit.parent])
    enter(state, [mine], reader="x")
    assert DecisionLog(path=state / DECISIONS).last()
    assert (first / "page-1.html").exists(), "one of its items is open"
    answer = {"review": first.name, "decisions": [{"item": items["1.dcm"], "verdict": "refuse"}]}
    mine.write_text(json.dumps(answer))
    enter(state, [mine], reader="x")
    assert not (first / "page-1.html").exists(), "pages of what is decided show patients for nothing"
    (first / REVIEW).write_text("{}")
    with pytest.raises(StorageError, match="damaged"):
        enter(state, [mine], reader="x")


def test_an_audit_after_an_audit_draws_anew(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path, who: Pseudonymiser
) -> None:
    for i in range(30):
        scan(f"{i}.dcm", i)
    run()
    drawn = []
    for _ in range(2):
        review = audit_review(state, who=who, images=5)
        page = write_pages(review, state / PAGES, Language.EN)
        answers = [{"item": one.number, "verdict": "release"} for one in review.items]
        (tmp_path / "d.json").write_text(json.dumps({"review": review.name, "decisions": answers}))
        enter(state, [tmp_path / "d.json"], reader="x")
        assert not page.exists()
        drawn.append({one.label for one in review.items})
    assert drawn[0] != drawn[1], "else the images that the first audit put right would stand for the rest"


def test_an_audit_of_nothing(scan: Callable[..., Path], run: Run, state: Path, who: Pseudonymiser) -> None:
    for ask in (lambda: waiting_review(state), lambda: audit_review(state, who=who, images=3)):
        with pytest.raises(DataError, match="nothing was prepared"):
            ask()
    scan("a.dcm", 1, Modality="US")
    run()
    with pytest.raises(DataError, match="no image"):
        audit_review(state, who=who, images=3)
    (state / WAITING).write_text("{")
    with pytest.raises(StorageError, match="can't be read"):
        waiting_review(state)


def test_bounds() -> None:
    assert upper_bound(0, 300) == 0.01
    assert upper_bound(0, 2) == 1.0
    assert upper_bound(5, 5) == 1.0
    assert upper_bound(1, 60) == pytest.approx(0.0766, abs=1e-4)
    for missed, looked_at in ((1, 0), (2, 1), (-1, 3)):
        with pytest.raises(InvalidInputError):
            upper_bound(missed, looked_at)


def test_damaged_logs_end_a_run(scan: Callable[..., Path], run: Run, state: Path) -> None:
    scan("a.dcm", 1)
    run()
    (state / DECISIONS).write_text("{}\n")
    with pytest.raises(StorageError, match="people decided"):
        run()
    (state / DECISIONS).unlink()
    assert DecisionLog(path=state / DECISIONS).last() == {}
    (state / AUDITS).write_text("x\n")
    with pytest.raises(StorageError, match="audits"):
        last_audit(state / AUDITS, "j")


def test_what_a_killed_run_could_not_note_goes(
    scan: Callable[..., Path], run: Run, state: Path, tmp_path: Path
) -> None:
    scan("a.dcm", 1)
    scan("b.dcm", 2)
    run()
    journal = next(state.glob("*-*.jsonl"))
    lines = journal.read_text().splitlines()
    (tmp_path / "in/b.dcm").unlink()
    journal.write_text("\n".join(line for line in lines if "1.dcm" in line or line == lines[0]) + "\n")
    made = run()
    assert made.counts == {Fate.RELEASED: 1}
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1
