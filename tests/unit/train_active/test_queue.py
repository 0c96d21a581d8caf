"""The annotation queue: readers, disagreement, provenance, and what it refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from huizhen.errors import DataError, InvalidInputError, StorageError
from huizhen.train.active.oracle import Oracle
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Answer, How, Request, State

CASES = ("P-1", "P-2", "P-3", "P-4")


def requests(*cases: str) -> list[Request]:
    return [
        Request(case=case, rank=rank, rule="fahl", score=1 / rank, reason=f"why {case}")
        for rank, case in enumerate(cases, start=1)
    ]


def said(case: str, reader: str, label: str, *, simulated: bool = False) -> Answer:
    return Answer(case=case, reader=reader, label=label, source="reading room", simulated=simulated)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """A queue that wants two readers, with four cases asked."""
    with Queue.create(tmp_path / "queue.db", site="north", labels=["benign", "malignant"], readers=2) as made:
        made.ask(requests(*CASES), round_number=1)
        yield made


def test_the_worklist_is_in_order_of_rank_and_says_why(queue: Queue) -> None:
    tasks = queue.worklist("a")
    assert [task.case for task in tasks] == list(CASES)
    assert tasks[0].reason == "why P-1"
    assert [task.case for task in queue.worklist("a", limit=2)] == ["P-1", "P-2"]


def test_a_later_round_comes_first(queue: Queue) -> None:
    queue.ask(requests("P-9", "P-4"), round_number=2)
    assert [task.case for task in queue.worklist("a")] == ["P-9", "P-4", "P-1", "P-2", "P-3"]


def test_a_reader_does_not_see_what_he_has_read_nor_what_is_settled(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "benign"), said("P-2", "a", "benign"), said("P-2", "b", "benign")])
    assert [task.case for task in queue.worklist("a")] == ["P-3", "P-4"]
    assert [task.case for task in queue.worklist("c")] == ["P-1", "P-3", "P-4"]


def test_a_majority_settles_and_names_its_readers(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "malignant"), said("P-1", "b", "malignant")])
    (label,) = queue.labels()
    assert (label.case, label.label, label.how, label.by) == ("P-1", "malignant", How.MAJORITY, ("a", "b"))
    assert (label.answers, label.dissent, label.simulated) == (2, 0, False)


def test_disagreement_waits_for_an_adjudicator_who_is_named(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "malignant"), said("P-1", "b", "benign")])
    assert queue.states()["P-1"] is State.DISPUTED
    assert queue.labels() == ()
    queue.adjudicate("P-1", "benign", adjudicator="head", why="follow-up of two years")
    (label,) = queue.labels()
    assert (label.label, label.how, label.by, label.dissent) == ("benign", How.ADJUDICATOR, ("head",), 1)
    assert queue.events()[-1][1:] == ("adjudicated", "P-1", "head", "follow-up of two years")
    with pytest.raises(DataError, match="ruling already") as caught:
        queue.adjudicate("P-1", "malignant", adjudicator="other", why="")
    assert "reopen" in caught.value.remedy


def test_a_third_reader_breaks_the_tie(queue: Queue) -> None:
    queue.answer([said("P-1", r, v) for r, v in [("a", "malignant"), ("b", "benign"), ("c", "benign")]])
    (label,) = queue.labels()
    assert (label.label, label.by, label.dissent) == ("benign", ("b", "c"), 1)


def test_a_reopened_case_is_read_anew_and_its_past_is_kept(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "malignant"), said("P-1", "b", "malignant")])
    queue.reopen("P-1", actor="head", why="wrong patient shown")
    assert queue.states()["P-1"] is State.OPEN
    assert queue.worklist("a")[0].case == "P-1"
    queue.answer([said("P-1", "a", "benign"), said("P-1", "b", "benign")])
    assert queue.labels()[0].label == "benign"
    with sqlite3.connect(queue.path) as base:
        assert base.execute("SELECT COUNT(*) FROM answer WHERE retracted = 1").fetchone()[0] == 2
    base.close()


def test_a_withdrawn_case_gives_no_label_and_takes_no_answer(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "benign"), said("P-1", "b", "benign")])
    queue.withdraw("P-1", actor="office", why="consent ended")
    assert queue.labels() == ()
    assert queue.answers() == ()
    assert queue.states()["P-1"] is State.WITHDRAWN
    with pytest.raises(DataError, match="withdrawn"):
        queue.answer([said("P-1", "c", "benign")])
    with pytest.raises(DataError, match="withdrawn"):
        queue.ask(requests("P-1"), round_number=2)
    queue.reopen("P-1", actor="office", why="consent given again")
    assert queue.states()["P-1"] is State.OPEN


def test_a_retracted_answer_can_be_given_anew(queue: Queue) -> None:
    queue.answer([said("P-1", "a", "benign")])
    queue.retract("P-1", "a", actor="a", why="slip of the mouse")
    queue.answer([said("P-1", "a", "malignant")])
    assert [item.label for item in queue.answers()] == ["malignant"]
    with pytest.raises(DataError, match="no answer"):
        queue.retract("P-1", "b", actor="b", why="")


def test_a_second_answer_by_the_same_reader_is_refused_and_the_same_again_is_passed_over(
    queue: Queue,
) -> None:
    assert queue.answer([said("P-1", "a", "benign")]) == 1
    assert queue.answer([said("P-1", "a", "benign")]) == 0
    with pytest.raises(DataError, match="same reader") as caught:
        queue.answer([said("P-1", "a", "malignant")])
    assert "retract" in caught.value.remedy
    assert [item.label for item in queue.answers()] == ["benign"]


def test_one_bad_answer_keeps_all_of_its_batch_out(queue: Queue) -> None:
    with pytest.raises(DataError):
        queue.answer([said("P-1", "a", "benign"), said("P-2", "a", "unclear")])
    assert queue.answers() == ()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (said("John Smith", "a", "benign"), "never asked"),
        (said("P-1", "a", "it is cancer"), "no label"),
        (said("P-1", " ", "benign"), "without a reader"),
        (said("P-1", "a", "benign", simulated=True), "simulated"),
    ],
)
def test_what_does_not_fit_is_refused_without_showing_what_was_written(
    queue: Queue, answer: Answer, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        queue.answer([answer])
    assert caught.value.remedy
    assert "Smith" not in str(caught.value)
    assert "cancer" not in str(caught.value)


def test_asking_the_same_round_again_changes_nothing_but_another_one_is_refused(queue: Queue) -> None:
    assert queue.ask(requests(*CASES), round_number=1) == 0
    with pytest.raises(DataError, match="asked already"):
        queue.ask(requests("P-2", "P-1"), round_number=1)


def test_what_was_entered_is_there_after_closing(queue: Queue) -> None:
    queue.answer([said("P-3", "a", "benign")])
    queue.close()
    with Queue.open(queue.path) as again:
        assert (again.site, again.readers, again.simulation) == ("north", 2, False)
        assert [item.case for item in again.answers()] == ["P-3"]
        assert again.answers()[0].at.endswith("+00:00")


def test_a_killed_import_leaves_no_half(queue: Queue) -> None:
    def answers() -> Iterator[Answer]:
        yield said("P-1", "a", "benign")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue.answer(answers())  # type: ignore[arg-type]  # stands for a process that dies between two
    assert queue.answers() == ()


def test_two_connections_work_side_by_side(queue: Queue) -> None:
    with Queue.open(queue.path) as other:
        queue.answer([said("P-1", "a", "benign")])
        other.answer([said("P-1", "b", "benign")])
        assert [label.case for label in queue.labels()] == ["P-1"]
    with sqlite3.connect(queue.path) as base:
        assert base.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    base.close()


def test_files_that_are_no_queue_are_refused(tmp_path: Path, queue: Queue) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database, but long enough to look like one" * 50)
    with pytest.raises(StorageError, match=r"broken\.db"):
        Queue.open(broken)
    with pytest.raises(StorageError, match="no file"):
        Queue.open(tmp_path / "absent.db")
    with pytest.raises(StorageError, match="already"):
        Queue.create(queue.path, site="north", labels=["a", "b"])
    with sqlite3.connect(queue.path) as base:
        base.execute("PRAGMA user_version = 7")
    base.close()
    with pytest.raises(StorageError, match="version 7"):
        Queue.open(queue.path)


@pytest.mark.parametrize(
    ("labels", "readers"), [(["a"], 1), (["a", "a"], 1), (["a", " "], 1), (["a", "b"], 0)]
)
def test_a_queue_without_sense_is_not_made(tmp_path: Path, labels: list[str], readers: int) -> None:
    with pytest.raises(InvalidInputError):
        Queue.create(tmp_path / "q.db", site="north", labels=labels, readers=readers)
    assert not (tmp_path / "q.db").exists()


def test_the_oracle_answers_simulations_only_and_says_so(tmp_path: Path, queue: Queue) -> None:
    truth = {f"P-{i}": "benign" for i in range(200)}
    with pytest.raises(InvalidInputError, match="real queue"):
        Oracle(truth=truth, seed=1).answers(queue)
    with Queue.create(tmp_path / "s.db", site="s", labels=["benign", "malignant"], simulation=True) as played:
        played.ask(requests(*truth), round_number=1)
        given = Oracle(truth=truth, seed=1, error_rate=0.25).answers(played)
        assert given == Oracle(truth=truth, seed=1, error_rate=0.25).answers(played)
        assert 0.15 < sum(item.label == "malignant" for item in given) / 200 < 0.35
        played.answer(given)
        assert all(label.simulated for label in played.labels())
        assert len(played.labels()) == 200
        with pytest.raises(DataError, match="real answer"):
            played.answer([said("P-1", "human", "benign")])
        played.ask(requests("P-x"), round_number=2)
        with pytest.raises(InvalidInputError, match="1 cases"):
            Oracle(truth=truth, seed=1).answers(played)
