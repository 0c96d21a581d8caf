"""Answers from files: nothing lost, and errors that name file, row and remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from huizhen.errors import DataError, UnreadableFileError
from huizhen.train.active.answer_files import import_csv, import_folder
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Request

HEAD = "case,reader,label\n"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """A queue with five cases asked; one label begins another."""
    with Queue.create(tmp_path / "queue.db", site="north", labels=["1", "10", "benign"], readers=2) as made:
        made.ask(
            [Request(case=f"P-{i}", rank=i, rule="random", score=0.0, reason="r") for i in range(1, 6)],
            round_number=1,
        )
        yield made


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_goes_in_with_its_rows_as_source(queue: Queue, tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.csv", "case;reader;label;at\nP-1;a;benign;2026-03-01T09:30:00+00:00\nP-2;a;10;\n"
    )
    done = import_csv(queue, path)
    assert (done.new, done.known) == (2, 0)
    first, second = queue.answers()
    assert (first.source, first.at) == ("a.csv row 1", "2026-03-01T09:30:00+00:00")
    assert (second.source, second.label) == ("a.csv row 2", "10")


def test_the_same_file_grown_longer_adds_only_what_is_new(queue: Queue, tmp_path: Path) -> None:
    import_csv(queue, write(tmp_path, "a.csv", HEAD + "P-1,a,benign\n"))
    done = import_csv(queue, write(tmp_path, "a.csv", HEAD + "P-1,a,benign\nP-2,a,benign\n"))
    assert (done.new, done.known) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "row", "says", "remedy"),
    [
        ("P-1,a,benign\nJane Doe,a,benign\n", 2, "never asked", "worklist"),
        ("P-1,a,cancer\n", 1, "no label", "use one of"),
        ("P-1,a,benign\nP-2,a\n", 2, "cut off", "complete"),
        ("P-1,a,benign\nP-2,a,benign\nP-1,a,10\n", 3, "row 1", "stands by"),
        ("P-2,a,benign\nP-1,b,1", 2, "line end", "line end"),
        ("P-1,,benign\n", 1, "empty", "complete"),
    ],
)
def test_a_bad_row_keeps_the_whole_file_out_and_is_named(
    queue: Queue, tmp_path: Path, rows: str, row: int, says: str, remedy: str
) -> None:
    path = write(tmp_path, "answers.csv", HEAD + rows)
    with pytest.raises(DataError) as caught:
        import_csv(queue, path)
    assert "answers.csv" in str(caught.value)
    assert f"row {row}: " in caught.value.message
    assert says in caught.value.message
    assert remedy in caught.value.message
    assert "import the file again" in caught.value.remedy
    assert "Doe" not in str(caught.value)
    assert "cancer" not in str(caught.value)
    assert queue.answers() == ()
    assert path.read_text(encoding="utf-8") == HEAD + rows


def test_a_repaired_file_goes_in(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        import_csv(queue, write(tmp_path, "a.csv", HEAD + "P-1,a,benign\nP-2,a,ben"))
    assert import_csv(queue, write(tmp_path, "a.csv", HEAD + "P-1,a,benign\nP-2,a,benign\n")).new == 2


def test_a_second_answer_by_the_same_reader_is_named_with_its_row(queue: Queue, tmp_path: Path) -> None:
    import_csv(queue, write(tmp_path, "a.csv", HEAD + "P-1,a,benign\n"))
    with pytest.raises(DataError, match=r"row 2: .*same reader.*retract"):
        import_csv(queue, write(tmp_path, "b.csv", HEAD + "P-2,a,benign\nP-1,a,10\n"))
    assert len(queue.answers()) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("case,reader\nP-1,a\n", DataError),
        ("", DataError),
        ("case,reader,label\nP-1,a,1\x00\n", UnreadableFileError),
    ],
)
def test_a_table_of_another_kind_is_refused(
    queue: Queue, tmp_path: Path, text: str, error: type[DataError]
) -> None:
    with pytest.raises(error, match=r"a\.csv"):
        import_csv(queue, write(tmp_path, "a.csv", text))


def test_a_time_that_is_none_is_refused(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: the time isn't ISO 8601"):
        import_csv(queue, write(tmp_path, "a.csv", "case,reader,label,at\nP-1,a,benign,yesterday\n"))


def test_a_folder_takes_good_files_and_names_bad_ones(queue: Queue, tmp_path: Path) -> None:
    box = tmp_path / "box"
    answer = {"case": "P-1", "reader": "a", "label": "benign"}
    write(box, "1.json", json.dumps(answer))
    write(box, "2.json", json.dumps(answer)[:-9])
    write(box, "3.json", json.dumps({**answer, "case": "unheard of"}))
    write(box, "4.json", json.dumps([answer]))
    write(box, "5.csv", HEAD + "P-2,a,benign\n")
    write(box, "6.csv", HEAD + "P-3,a,unsure\n")
    write(box, ".7.json", "{")
    write(box, "8.json.part", "{")
    done = import_folder(queue, box)
    assert (done.new, done.known) == (2, 0)
    assert [item.file for item in done.refused] == ["2.json", "3.json", "4.json", "6.csv"]
    assert all(item.reason and item.remedy for item in done.refused)
    assert "row 1" in done.refused[-1].reason
    assert {item.case for item in queue.answers()} == {"P-1", "P-2"}
    again = import_folder(queue, box)
    assert (again.new, again.known) == (0, 2)
    assert len(list(box.iterdir())) == 8


def test_a_folder_that_is_not_there_is_refused(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="absent"):
        import_folder(queue, tmp_path / "absent")
