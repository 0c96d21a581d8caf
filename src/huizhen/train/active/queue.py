"""The annotation queue of a site: cases asked, readers' answers, disagreement settled, and where a label is
from.

    with Queue.open(path) as queue:
        queue.ask(requests, round_number=3)            # from a query rule
        for task in queue.worklist("reader-1"): ...    # the best cases first
        queue.answer([Answer(case="HZ-7F", reader="reader-1", label="benign", source="reading room")])
        queue.adjudicate("HZ-7F", "malignant", adjudicator="reader-9", why="biopsy known")
        labels = queue.labels()

A case is settled by a majority of its readers (more than half of at least as many answers as the queue
wants), or by an adjudicator. It holds pseudonyms only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from huizhen.errors import DataError, InvalidInputError
from huizhen.train.active.queue_records import Answer, Label, Request, State, Task, settled
from huizhen.train.active.queue_store import connect, converted, create, transaction

__all__ = ["Queue"]


def utc_now() -> str:
    """Return the time in ISO 8601, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Queue:
    """An open queue file; close it, or use it in a `with` block."""

    def __init__(self, path: Path, *, now: Callable[[], str] = utc_now) -> None:
        self.path = path
        self._now = now
        self._base = connect(path)
        settings = {row["name"]: row["value"] for row in self._rows("SELECT name, value FROM setting")}
        self.site = settings["site"]
        self.readers = int(settings["readers"])
        self.simulation = settings["simulation"] == "1"
        self.label_names = tuple(row[0] for row in self._rows("SELECT name FROM label ORDER BY name"))

    @classmethod
    def create(
        cls, path: Path, *, site: str, labels: Sequence[str], readers: int = 1, simulation: bool = False
    ) -> Self:
        """Write a new queue that wants `readers` answers a case, each one of `labels`, and open it.

        Only a `simulation` takes an oracle's answers. Raises `InvalidInputError` on fewer than two labels,
        one twice or empty, or no reader, `StorageError` if the file is there or can't be written.
        """
        names = tuple(name.strip() for name in labels)
        if len(set(names)) < 2 or len(set(names)) < len(names) or "" in names:
            raise InvalidInputError("labels are fewer than two, twice or empty", remedy="name each one once")
        if readers < 1:
            raise InvalidInputError(f"{readers} readers a case", remedy="want at least one")
        create(path, {"site": site, "readers": str(readers), "simulation": str(int(simulation))}, names)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a queue file. Raises `StorageError` if it isn't one, or is of another version."""
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        """Return the queue."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def ask(self, requests: Sequence[Request], *, round_number: int) -> int:
        """Enter a round's requests and return how many are new; the same request twice changes nothing.

        Raises `DataError` when a case is withdrawn, or was asked otherwise in this round.
        """
        with self._changing() as base:
            known = {
                row["case_id"]: (row["rank"], row["rule"])
                for row in base.execute(
                    "SELECT case_id, rank, rule FROM request WHERE round = ?", [round_number]
                )
            }
            new = [item for item in requests if item.case not in known]
            if any(known[item.case] != (item.rank, item.rule) for item in requests if item.case in known):
                raise DataError(
                    f"round {round_number} was asked already, with other ranks or another rule",
                    remedy="give the new requests a round of their own",
                    field="round_number",
                )
            for item in new:
                base.execute("INSERT INTO cases (case_id) VALUES (?) ON CONFLICT DO NOTHING", [item.case])
                self._refuse_withdrawn(item.case)
                base.execute(
                    "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [round_number, item.case, item.rank, item.rule, item.score, item.reason, self._now()],
                )
        return len(new)

    def answer(self, answers: Sequence[Answer]) -> int:
        """Enter answers, all or none, and return how many are new; one that is there already is passed over.

        Raises `DataError` on a case that wasn't asked or is withdrawn, a label that the queue doesn't know, a
        second and different answer by the same reader, or a simulated answer outside a simulation.
        """
        with self._changing():
            return sum(self._enter(item) for item in answers)

    def retract(self, case: str, reader: str, *, actor: str, why: str) -> None:
        """Take a reader's answer back, so that he may answer anew. Raises `DataError` if there is none."""
        with self._changing() as base:
            done = base.execute(
                "UPDATE answer SET retracted = 1 WHERE case_id = ? AND reader = ? AND retracted = 0",
                [case, reader],
            )
            if not done.rowcount:
                raise _refused(case, "has no answer of this reader", "look at its answers")
            self._note("retracted", case, actor, why)

    def adjudicate(self, case: str, label: str, *, adjudicator: str, why: str) -> None:
        """Settle a case over its readers. Raises `DataError` on an unknown case or label, or a second
        ruling."""
        with self._changing() as base:
            self._refuse_unknown(case, label)
            try:
                base.execute(
                    "INSERT INTO ruling (case_id, label, adjudicator, at) VALUES (?, ?, ?, ?)",
                    [case, label, adjudicator, self._now()],
                )
            except sqlite3.IntegrityError as error:
                raise _refused(case, "has a ruling already", "reopen it first") from error
            self._note("adjudicated", case, adjudicator, why)

    def reopen(self, case: str, *, actor: str, why: str) -> None:
        """Lift a case's ruling and retract its answers, so that it is read anew; all stays on record."""
        with self._changing() as base:
            self._refuse_unknown(case)
            base.execute("UPDATE ruling SET lifted = 1 WHERE case_id = ?", [case])
            base.execute("UPDATE answer SET retracted = 1 WHERE case_id = ?", [case])
            base.execute("UPDATE cases SET withdrawn = 0 WHERE case_id = ?", [case])
            self._note("reopened", case, actor, why)

    def withdraw(self, case: str, *, actor: str, why: str) -> None:
        """Take a case out, e.g. because consent ended: it is asked and used no more. `reopen` undoes it."""
        with self._changing() as base:
            self._refuse_unknown(case)
            base.execute("UPDATE cases SET withdrawn = 1 WHERE case_id = ?", [case])
            self._note("withdrawn", case, actor, why)

    def worklist(self, reader: str, *, limit: int = 50) -> tuple[Task, ...]:
        """Return what `reader` may read next: cases neither settled nor his already, latest round first."""
        states = self.states()
        mine = {
            row[0]
            for row in self._rows("SELECT case_id FROM answer WHERE reader = ? AND retracted = 0", reader)
        }
        rows = self._rows("SELECT * FROM request ORDER BY round DESC, rank, case_id")
        found: dict[str, Task] = {}
        for row in rows:
            case = row["case_id"]
            if case not in found and case not in mine and states[case] is State.OPEN:
                found[case] = Task(
                    case=case,
                    round_number=row["round"],
                    rank=row["rank"],
                    rule=row["rule"],
                    reason=row["reason"],
                )
        return tuple(found.values())[:limit]

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers that stand, in the order in which they came, of cases that aren't withdrawn."""
        rows = self._rows(
            "SELECT answer.* FROM answer JOIN cases USING (case_id)"
            " WHERE retracted = 0 AND withdrawn = 0 ORDER BY number"
        )
        return tuple(
            Answer(
                case=row["case_id"],
                reader=row["reader"],
                label=row["label"],
                source=row["source"],
                simulated=bool(row["simulated"]),
                at=row["at"],
            )
            for row in rows
        )

    def states(self) -> Mapping[str, State]:
        """Return each case's state."""
        labels, given = {label.case for label in self.labels()}, self._by_case()
        return {
            row["case_id"]: State.WITHDRAWN
            if row["withdrawn"]
            else State.SETTLED
            if row["case_id"] in labels
            else State.DISPUTED
            if len(given.get(row["case_id"], ())) >= self.readers
            else State.OPEN
            for row in self._rows("SELECT * FROM cases ORDER BY case_id")
        }

    def labels(self) -> tuple[Label, ...]:
        """Return the labels of the settled cases by case, with where each is from."""
        rulings = {row["case_id"]: row for row in self._rows("SELECT * FROM ruling WHERE lifted = 0")}
        kept = [row["case_id"] for row in self._rows("SELECT case_id FROM cases WHERE withdrawn = 0")]
        given = self._by_case()
        found = []
        for case in sorted(kept):
            ruling = rulings.get(case)
            named = (ruling["label"], ruling["adjudicator"]) if ruling else None
            label = settled(case, given.get(case, ()), wanted=self.readers, ruling=named)
            found += [label] if label else []
        return tuple(found)

    def events(self) -> tuple[tuple[str, str, str, str, str], ...]:
        """Return what was done beyond answers, in order: time, kind, case, actor, why."""
        rows = self._rows("SELECT at, kind, case_id, actor, why FROM event ORDER BY number")
        return tuple((row[0], row[1], row[2], row[3], row[4]) for row in rows)

    def _by_case(self) -> Mapping[str, tuple[Answer, ...]]:
        found: dict[str, tuple[Answer, ...]] = {}
        for item in self.answers():
            found[item.case] = (*found.get(item.case, ()), item)
        return found

    def check(self, item: Answer) -> bool:
        """Tell whether an answer is new. Raises `DataError` as `answer` does; changes nothing."""
        self._refuse_unknown(item.case, item.label)
        self._refuse_withdrawn(item.case)
        if not item.reader.strip():
            raise _refused(item.case, "has an answer without a reader", "name who answered")
        if item.simulated != self.simulation:
            kind = "simulated" if item.simulated else "real"
            raise _refused(item.case, f"has a {kind} answer", "keep simulations in a queue of their own")
        there = self._rows(
            "SELECT label FROM answer WHERE case_id = ? AND reader = ? AND retracted = 0",
            item.case,
            item.reader,
        )
        if there and there[0][0] != item.label:
            raise _refused(
                item.case, "has another answer by the same reader", "retract the first one, then answer anew"
            )
        return not there

    def check_known(self, case: str, label: str) -> None:
        """Raise `DataError` on a case that wasn't asked or is withdrawn, or a label that the queue lacks."""
        self._refuse_unknown(case, label)
        self._refuse_withdrawn(case)

    def _enter(self, item: Answer) -> bool:
        """Enter one answer; tell whether it is new."""
        if not self.check(item):
            return False
        self._base.execute(
            "INSERT INTO answer (case_id, reader, label, at, source, simulated) VALUES (?, ?, ?, ?, ?, ?)",
            [item.case, item.reader, item.label, item.at or self._now(), item.source, int(item.simulated)],
        )
        return True

    def _refuse_unknown(self, case: str, label: str | None = None) -> None:
        if not self._rows("SELECT 1 FROM cases WHERE case_id = ?", case):
            raise DataError(  # what stands there may be a patient's name: it isn't shown
                "a case that was never asked",
                remedy="answer cases of the worklist only, under their pseudonyms",
                field="case",
            )
        if label is not None and label not in self.label_names:
            raise _refused(
                case,
                "has an answer that is no label of this queue",
                f"use one of {', '.join(self.label_names)}",
            )

    def _refuse_withdrawn(self, case: str) -> None:
        if self._rows("SELECT 1 FROM cases WHERE case_id = ? AND withdrawn = 1", case):
            raise _refused(case, "is withdrawn", "leave it out, or reopen it if it was withdrawn by mistake")

    def _note(self, kind: str, case: str, actor: str, why: str) -> None:
        self._base.execute(
            "INSERT INTO event (at, kind, case_id, actor, why) VALUES (?, ?, ?, ?, ?)",
            [self._now(), kind, case, actor, why],
        )

    def _rows(self, query: str, *values: str) -> list[sqlite3.Row]:
        with converted(self.path):
            return self._base.execute(query, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with transaction(self._base, self.path) as base:
            yield base


def _refused(case: str, why: str, remedy: str) -> DataError:
    return DataError(f"case {case} {why}", remedy=remedy, field="case")
