"""The questions that wait for readers at a site, over all studies that ask there, and readers' answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.files import write_text
from huizhen.core.table_cells import csv_text
from huizhen.errors import DataError
from huizhen.federate.site.folder import SiteFolder
from huizhen.train.active.answer_files import Imported
from huizhen.train.active.label_files import import_labels
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import State

__all__ = ["QUEUE", "Question", "enter_labels", "open_questions", "study_queue", "write_questions"]

QUEUE = "queue.sqlite"
COLUMNS = ("case", "patient", "images", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A case that wants a label: of which study and query round, what it is at the site, and how it stands.

    `patient` and `images` are the hospital's own names; they stay at the site.
    """

    study: str
    query: int
    rank: int
    case: str
    patient: str
    images: tuple[str, ...]
    reason: str
    state: State
    answers: int
    readers: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    """A study that asks for labels: its name, and the folder of its labels."""

    name: str
    folder: Path

    def asked(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield query round and record of each case that was asked, in order."""
        for file in sorted(self.folder.glob("asked-*.json")):
            record = json.loads(file.read_text(encoding="utf-8"))
            for case in record["cases"]:
                yield int(record["query"]), case


def open_questions(site: SiteFolder, *, study: str | None = None, reader: str = "") -> tuple[Question, ...]:
    """Return what waits for an answer, or an adjudicator, the best cases first.

    With `reader`, only what that reader hasn't answered and may. Raises `DataError` when no study here asks
    for labels, `StorageError` when a queue can't be read.
    """
    found: list[Question] = []
    for one in _studies(site, study):
        with Queue.open(one.folder / QUEUE) as queue:
            found += _questions(one, queue, reader)
    return tuple(found)


def _questions(study: _Study, queue: Queue, reader: str) -> Iterator[Question]:
    """Yield one study's open questions."""
    given = Counter(item.case for item in queue.answers())
    mine = {item.case for item in queue.answers() if item.reader == reader}
    states = queue.states()
    for query, case in study.asked():
        state = states.get(str(case["case"]))
        if state not in (State.OPEN, State.DISPUTED):
            continue
        if reader and (state is State.DISPUTED or case["case"] in mine):
            continue
        yield Question(
            study=study.name,
            query=query,
            rank=int(case["rank"]),
            case=str(case["case"]),
            patient=str(case["patient"]),
            images=tuple(f"{name}: {key}" for name, keys in case["images"].items() for key in keys),
            reason=str(case["reason"]),
            state=state,
            answers=given[case["case"]],
            readers=queue.readers,
            labels=queue.label_names,
        )


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """Write a CSV of questions with an empty column to fill in. Raises `StorageError`."""
    rows = [[q.case, q.patient, "; ".join(q.images), ""] for q in questions]
    write_text(path, csv_text([COLUMNS, *rows]))


def enter_labels(
    site: SiteFolder,
    path: Path,
    *,
    reader: str,
    study: str | None = None,
    adjudicate: bool = False,
    withdraw: bool = False,
) -> Imported:
    """Enter a CSV's labels as the answers of `reader`, all or none; rows without a label are left for later.

    `adjudicate`: they settle cases that the readers disagree on. `withdraw`: the cases named can't be
    labelled and are taken out. Raises `DataError` that lists every wrong row.
    """
    with study_queue(site, study) as queue:
        return import_labels(queue, path, reader=reader, adjudicate=adjudicate, withdraw=withdraw)


@contextmanager
def study_queue(site: SiteFolder, study: str | None = None) -> Iterator[Queue]:
    """Yield the queue of `study`, or of the one study that asks here. Raises `DataError`."""
    found = _studies(site, study)
    if len(found) > 1:
        raise DataError(
            f"{len(found)} studies ask for labels here: {', '.join(one.name for one in found)}",
            remedy="say which with --study",
            field="study",
        )
    with Queue.open(found[0].folder / QUEUE) as queue:
        yield queue


def _studies(site: SiteFolder, name: str | None) -> list[_Study]:
    """Return the studies that ask readers here, by name. Raises `DataError` if there is none."""
    found = [
        _Study(name=_name_of(file.parent.parent), folder=file.parent)
        for file in sorted(site.path.glob(f"studies/*/labels/{QUEUE}"))
    ]
    kept = [one for one in found if name is None or one.name == name]
    if not kept:
        named = f" of the name {name}" if name and found else ""
        raise DataError(
            f"no study{named} has asked for labels here",
            remedy="wait until the study's lead asks, or check the site's folder",
            field="study",
            file=str(site.path),
        )
    return sorted(kept, key=lambda one: (one.name, str(one.folder)))


def _name_of(folder: Path) -> str:
    """Return the name of the study that a folder is of, as the lead's invitation says it."""
    invitation = json.loads((folder / "invitation.json").read_text(encoding="utf-8"))
    return str(json.loads(invitation["definition"])["name"])
