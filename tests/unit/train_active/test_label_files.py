"""One reader's labels from a CSV: all or none, every wrong row named, rulings and cases taken out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from huizhen.errors import DataError
from huizhen.train.active.label_files import import_labels
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Answer, Request, State


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """A queue with four cases asked of two readers."""
    with Queue.create(tmp_path / "q.sqlite", site="north", labels=["benign", "malignant"], readers=2) as made:
        asked = [Request(case=f"P-{i}", rank=i, rule="fahl", score=0.1, reason="r") for i in range(1, 5)]
        made.ask(asked, round_number=1)
        yield made


def write(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_filled_rows_go_in_and_empty_ones_wait(queue, tmp_path):
    path = write(tmp_path, "case,patient,label\nP-1,Ann,benign\nP-2,Bo,\nP-3,Cy,malignant\n")
    assert import_labels(queue, path, reader="ann").new == 2
    again = import_labels(queue, path, reader="ann")
    assert (again.new, again.known) == (0, 2)
    assert {a.case: (a.label, a.source) for a in queue.answers()} == {
        "P-1": ("benign", "labels.csv row 1"),
        "P-3": ("malignant", "labels.csv row 3"),
    }


def test_cells_written_for_spreadsheets_are_read_as_they_were_meant(tmp_path):
    with Queue.create(tmp_path / "q.sqlite", site="north", labels=["-", "+"], readers=1) as queue:
        queue.ask([Request(case="=1", rank=1, rule="fahl", score=0.1, reason="r")], round_number=1)
        path = write(tmp_path, "case,label\n'=1,'+\n")
        assert import_labels(queue, path, reader="ann").new == 1
        assert [(a.case, a.label) for a in queue.answers()] == [("=1", "+")]


def test_every_wrong_row_is_named_at_once_and_nothing_goes_in(queue, tmp_path):
    queue.answer([Answer(case="P-4", reader="ann", label="benign", source="before")])
    text = "case,label\nSmith,benign\nP-1,maybe\nP-2,benign\nP-2,benign\nP-4,malignant\n"
    with pytest.raises(DataError) as caught:
        import_labels(queue, write(tmp_path, text), reader="ann")
    said = caught.value.message
    for part in (
        "row 1: a case that was never asked",
        "row 2: case P-1 has an answer that is no label",
        "row 4: the case of row 3 again",
        "row 5: case P-4 has another answer by the same reader",
    ):
        assert part in said
    assert "Smith" not in said
    assert len(queue.answers()) == 1


@pytest.mark.parametrize(
    ("text", "reader", "reason"),
    [
        ("case,label\nP-1,\n", "ann", "no row has a label"),
        ("case,label\nP-1,benign\n", " ", "nobody is named"),
        ("patient,label\nP-1,benign\n", "ann", "no column case"),
    ],
)
def test_a_file_that_says_nothing_is_refused(queue, tmp_path, text, reader, reason):
    with pytest.raises(DataError, match=reason):
        import_labels(queue, write(tmp_path, text), reader=reader)


def test_only_what_readers_disagree_on_is_adjudicated(queue, tmp_path):
    said = [("ann", "benign"), ("bo", "malignant")]
    queue.answer([Answer(case="P-1", reader=who, label=what, source="") for who, what in said])
    path = write(tmp_path, "case,label\nP-1,benign\nP-2,benign\n")
    with pytest.raises(DataError, match="row 2: case P-2 is open"):
        import_labels(queue, path, reader="chief", adjudicate=True)
    assert queue.states()["P-1"] is State.DISPUTED
    import_labels(queue, write(tmp_path, "case,label\nP-1,benign\n"), reader="chief", adjudicate=True)
    assert [(one.case, one.label, one.how.value) for one in queue.labels()] == [
        ("P-1", "benign", "adjudicator")
    ]


def test_cases_that_cannot_be_labelled_are_taken_out(queue, tmp_path):
    import_labels(queue, write(tmp_path, "case\nP-1\nP-3\n"), reader="ann", withdraw=True)
    assert [case for case, state in queue.states().items() if state is State.WITHDRAWN] == ["P-1", "P-3"]
    with pytest.raises(DataError, match="row 1: case P-1 is withdrawn"):
        import_labels(queue, write(tmp_path, "case\nP-1\n"), reader="ann", withdraw=True)
