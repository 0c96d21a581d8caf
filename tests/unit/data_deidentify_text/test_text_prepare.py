"""Folders and tables of texts: what leaves, what stays, what waits, and going on where a run was killed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from huizhen.core.words import Language, load_words
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify_text.apart import Cleaner, Done
from huizhen.data.deidentify_text.kinds import Kind
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.known_table import KnownPatients
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.prepare import ACTIONS, TEXTS, WAITING, prepare_texts
from huizhen.data.deidentify_text.report import evidence_of_texts, report_of_texts, write_text_report
from huizhen.data.deidentify_text.review import write_review
from huizhen.data.deidentify_text.sources import Document, open_source
from huizhen.data.deidentify_text.unreadable import TextReason
from huizhen.errors import DataError, StorageError

MARKER = "Quellhorst"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    for name, data in {
        f"{MARKER}/{MARKER}_ct.txt": f"Patient: {MARKER}, Anna. MRN: 77123. Seen on 2026-03-05.".encode(),
        f"{MARKER}/notes.md": "患者张伟，男，于2026年3月8日入院。".encode("gb18030"),
        "4712/page.html": b"<p>Dr. Okonkwo</p>",
        "4712/scan.txt": b"\x89PNG\r\n\x1a\n",
        "4712/empty.txt": b"",
        "4712/latin.txt": "Größe über".encode("latin-1"),
        "4712/scan.jpg": b"\xff\xd8",
        "loose.txt": b"Dr. Okonkwo",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "4712" / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "elsewhere.txt").write_text("Dr. Okonkwo")
    return folder


NOBODY = KnownPatients({}, {})


def run(raw: Path, tmp_path: Path, who: Pseudonymiser, *, known: KnownPatients = NOBODY, **options: object):
    policy = TextPolicy(**options)
    source = open_source(raw, known=known, policy=policy)
    return prepare_texts(
        source, tmp_path / "out", state=tmp_path / "state", policy=policy, who=who, known=known
    )


def leaving(tmp_path: Path) -> str:
    return "".join(
        str(path.relative_to(tmp_path)) + path.read_text(encoding="utf-8")
        for path in sorted((tmp_path / "out").rglob("*"))
        if path.is_file()
    )


def test_each_document_has_its_fate(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    done = run(raw, tmp_path, who)
    assert done.counts == {Fate.RELEASED: 3, Fate.QUEUED: 2, Fate.REFUSED: 4}
    assert done.reasons == {
        (Fate.QUEUED, TextReason.MISSING_PATIENT): 1,
        (Fate.QUEUED, TextReason.ENCODING): 1,
        (Fate.REFUSED, TextReason.EMPTY): 1,
        (Fate.REFUSED, TextReason.NOT_TEXT): 1,
        (Fate.REFUSED, TextReason.UNKNOWN_KIND): 1,
        (Fate.REFUSED, TextReason.LINK): 1,
    }
    assert done.patients == 2
    folder = tmp_path / "out" / TEXTS / who.patient(MARKER)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{who.file(f'{MARKER}/{name}')}.txt" for name in (f"{MARKER}_ct.txt", "notes.md")
    )
    waiting = [json.loads(line)["file"] for line in (tmp_path / "state" / WAITING).read_text().splitlines()]
    assert {"loose.txt", "4712/latin.txt"} <= set(waiting)


def test_nothing_that_leaves_names_anybody(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    done = run(raw, tmp_path, who)
    write_text_report(done, tmp_path / "out", Language.EN)
    text = leaving(tmp_path)
    for value in (
        MARKER,
        MARKER.lower(),
        "Anna",
        "77123",
        "2026-03-05",
        "张伟",
        "3月8日",
        "Okonkwo",
        "loose",
        "4712/",
    ):
        assert value not in text, value


def test_two_texts_of_a_patient_move_by_the_same_days(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    run(raw, tmp_path, who)
    import re
    from datetime import date

    text = leaving(tmp_path)
    english = date.fromisoformat(re.search(r"Seen on (\d{4}-\d\d-\d\d)", text)[1])
    chinese = date(*map(int, re.search(r"于(\d+)年(\d+)月(\d+)日", text).groups()))
    assert (chinese - english).days == 3


def test_a_second_run_does_only_what_is_new(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    first = run(raw, tmp_path, who)
    again = run(raw, tmp_path, who)
    assert (first.known, again.known) == (0, 3)
    assert again.counts == first.counts
    (raw / "4712" / "page.html").write_text("<p>Dr. Okonkwo and Dr. Adeyemi</p>")
    third = run(raw, tmp_path, who)
    assert third.known == 2
    assert third.kinds["name", "name_title"] == first.kinds["name", "name_title"] + 1


def test_a_killed_run_goes_on(
    raw: Path, tmp_path: Path, who: Pseudonymiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_done, calls = Cleaner.done, []

    def killed(self: Cleaner, document: Document, known: Known) -> list[Done]:
        done = true_done(self, document, known)
        calls.append(document)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Cleaner, "done", killed)
    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, who)
    assert not (tmp_path / "out" / ACTIONS).exists()
    monkeypatch.setattr(Cleaner, "done", true_done)
    done = run(raw, tmp_path, who)
    assert (done.known, done.counts[Fate.RELEASED]) == (1, 3)


def test_what_a_killed_run_began_or_could_not_note_is_taken_away(
    raw: Path, tmp_path: Path, who: Pseudonymiser
) -> None:
    run(raw, tmp_path, who)
    before = set((tmp_path / "out").rglob("*"))
    begun = next((tmp_path / "out" / TEXTS).iterdir())
    for path in (begun / ".a.txt.x1.part", begun / "unnoted.txt", tmp_path / "out" / ".actions.jsonl.x.part"):
        path.write_text(MARKER)
    run(raw, tmp_path, who)
    assert set((tmp_path / "out").rglob("*")) == before


def test_one_bad_text_ends_itself_only(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    (raw / "4712" / "odd.html").write_text("<p>x<![foo]>")
    (raw / "4712" / "slow.txt").write_text("1/" * 500_000)
    done = run(raw, tmp_path, who, seconds_per_document=10)
    assert done.counts[Fate.RELEASED] == 3
    assert done.reasons[Fate.REFUSED, TextReason.DAMAGED] == 1
    assert done.reasons[Fate.REFUSED, TextReason.TOO_SLOW] == 1


def test_what_may_not_leave_any_more_is_taken_back(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    run(raw, tmp_path, who)
    page = raw / "4712" / "page.html"
    (released,) = (tmp_path / "out" / TEXTS / who.patient("4712")).iterdir()
    page.write_bytes(b"%PDF")
    done = run(raw, tmp_path, who)
    assert not released.exists()
    assert done.counts[Fate.RELEASED] == 2


def test_another_policy_key_or_table_needs_another_folder(
    raw: Path, tmp_path: Path, who: Pseudonymiser
) -> None:
    run(raw, tmp_path, who)
    with pytest.raises(DataError, match="another policy"):
        run(raw, tmp_path, who, all_tags=True)
    with pytest.raises(DataError, match="another policy"):
        run(raw, tmp_path, Pseudonymiser(secret=b"another" * 8))
    with pytest.raises(DataError, match="another policy"):
        run(raw, tmp_path, who, known=KnownPatients({"4712": Known(patient="4712", names=("X",))}, {}))


def test_two_runs_at_once_are_refused(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    run(raw, tmp_path, who)
    (journal,) = (tmp_path / "state").glob("text-*.jsonl")
    from huizhen.data.deidentify_text.journal import TextJournal

    with TextJournal(path=journal).appending(), pytest.raises(StorageError, match="under way"):
        run(raw, tmp_path, who)


@pytest.mark.parametrize("place", ["raw", "raw/out"])
def test_folders_within_each_other_are_refused(
    raw: Path, tmp_path: Path, who: Pseudonymiser, place: str
) -> None:
    policy = TextPolicy()
    source = open_source(raw, known=NOBODY, policy=policy)
    with pytest.raises(DataError, match="lies in the folder that is read"):
        prepare_texts(
            source, tmp_path / place, state=tmp_path / "state", policy=policy, who=who, known=NOBODY
        )


def test_a_known_patient_gives_loose_files_their_owner(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    known = KnownPatients({"4712": Known(patient="4712", names=("Adeyemi^Tunde",))}, {"loose.txt": "4712"})
    (raw / "loose.txt").write_text("tunde came")
    done = run(raw, tmp_path, who, known=known, tags=(Kind.NAME,))
    assert (Fate.QUEUED, TextReason.MISSING_PATIENT) in done.reasons  # the folder of nobody known
    assert "[NAME] came" in leaving(tmp_path)


def test_what_still_names_the_patient_waits(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    known = KnownPatients({"4712": Known(patient="4712", texts=("Hidden Valley Ward",))}, {})
    (raw / "4712" / "page.html").write_text("<p>of Hidden Valley Ward</p>")
    done = run(raw, tmp_path, who, known=known, keep=(Kind.ADDRESS,))
    assert done.reasons[Fate.QUEUED, TextReason.RESIDUE] == 1
    assert "Hidden" not in leaving(tmp_path)


def test_a_large_document_and_a_huge_line(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    (raw / "4712" / "page.html").unlink()
    (raw / "4712" / "line.txt").write_text("clear lungs " * 2000 + "Dr. Okonkwo " + "clear lungs " * 2000)
    (raw / "4712" / "huge.txt").write_text("x" * ((1 << 20) + 1))
    done = run(raw, tmp_path, who, largest_mib=1)
    assert done.reasons[Fate.REFUSED, TextReason.TOO_LARGE] == 1
    assert "Okonkwo" not in leaving(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table(tmp_path: Path, who: Pseudonymiser, ending: str) -> None:
    table = tmp_path / f"reports.{ending}"
    frame = pd.DataFrame(
        {
            "patient_id": ["4711", "", "4711", "4712"],
            "report": ["Dr. Okonkwo on 2026-03-05", "Dr. Okonkwo", "", "患者张伟，男"],
            "impression": ["=1+1", "x", "", "normal"],
            "label": ["1", "0", "1", "0"],
            "secret": [MARKER] * 4,
        }
    )
    frame.to_csv(table, index=False) if ending == "csv" else frame.to_parquet(table)
    policy = TextPolicy(tags=(Kind.NAME, Kind.DATE))
    source = open_source(table, known=NOBODY, policy=policy, keep=("label",))
    given = {"state": tmp_path / "state", "policy": policy, "who": who, "known": NOBODY}
    done = prepare_texts(source, tmp_path / "out", **given)
    assert done.reasons == {(Fate.QUEUED, TextReason.MISSING_PATIENT): 1, (Fate.REFUSED, TextReason.EMPTY): 1}
    with (tmp_path / "out" / TEXTS / "texts.csv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["patient", "label", "report", "impression"],
        [who.patient("4711"), "1", "Dr. [NAME] on [DATE]", "'=1+1"],
        [who.patient("4712"), "0", "患者[NAME]，男", "normal"],
    ]
    assert prepare_texts(source, tmp_path / "out", **given).known == 2
    assert MARKER not in leaving(tmp_path)


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("who,what\n1,x\n")
    with pytest.raises(DataError, match="no column of texts"):
        open_source(table, known=NOBODY, policy=TextPolicy())
    with pytest.raises(DataError, match="no such file"):
        open_source(tmp_path / "absent", known=NOBODY, policy=TextPolicy())
    assert open_source(table, known=NOBODY, policy=TextPolicy(), columns=("what",), patient="who")


def test_the_report_counts_and_the_review_shows(raw: Path, tmp_path: Path, who: Pseudonymiser) -> None:
    done = run(raw, tmp_path, who)
    report = report_of_texts(done)
    assert report["documents"] == {"released": 3, "queued": 2, "refused": 4}
    assert sum(row["replaced"] for row in report["kinds"]) == sum(done.kinds.values())
    (evidence,) = evidence_of_texts(done)
    assert (evidence.estimate, evidence.n, evidence.unit) == (3.0, 9, "document")
    policy = TextPolicy(sample=2)
    source = open_source(raw, known=NOBODY, policy=policy)
    for language in Language:
        page = write_text_report(done, tmp_path / "out", language).read_text(encoding="utf-8")
        assert load_words("huizhen.data.deidentify_text", language)["title"] in page
        review = write_review(
            source,
            tmp_path / "out",
            state=tmp_path / "state",
            policy=policy,
            who=who,
            known=NOBODY,
            language=language,
        )
        assert review.read_text(encoding="utf-8").count("<section") == 2
        assert review.is_relative_to(tmp_path / "state")


def test_words_of_both_languages_fit() -> None:
    english, chinese = (load_words("huizhen.data.deidentify_text", language) for language in Language)
    assert set(english) == set(chinese)
    assert {f"reason.{reason.value}" for reason in TextReason} <= set(english)
    assert {f"kind.{kind.value}" for kind in Kind} <= set(english)
