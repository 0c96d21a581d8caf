"""A folder of raw files made ready for studies: each released, queued or refused; resumable; with a report.

::

    prepared = prepare(raw, out, state=site.path / "deid", policy=policy, who=who)
    prepared.counts[Fate.RELEASED]

`out/images/` holds what is released, `out/` the report: nothing in either tells who anybody was. What stays
at the site lies in `state`: the journal, `waiting.jsonl`, which names the files that wait or are refused, and
`patients.csv`, which gives each patient's pseudonym.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from huizhen.core.digests import Digest, digest_file, digest_value
from huizhen.core.files import storage_error, write_bytes, write_json
from huizhen.core.progress import Progress
from huizhen.core.table_cells import csv_text
from huizhen.data.deidentify.audits import AUDITS, last_audit
from huizhen.data.deidentify.census import take_census
from huizhen.data.deidentify.decisions import (
    DECISIONS,
    UNSAID,
    About,
    Decision,
    DecisionLog,
    decisions_digest,
    said_of,
)
from huizhen.data.deidentify.folders import claim, keep_apart, lines, tidy
from huizhen.data.deidentify.inspectors import check_engine
from huizhen.data.deidentify.jobs import Job, Setup, done_by_processes, done_here
from huizhen.data.deidentify.journal import Entry, Journal, Known
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.profile import STANDARD
from huizhen.data.deidentify.tally import Prepared, Tally
from huizhen.data.readers.interface import SILENT
from huizhen.data.readers.paths import list_files
from huizhen.errors import UnreadableFileError

__all__ = ["ACTIONS", "IMAGES", "LAST", "WAITING", "Prepared", "journal_path", "policy_digest", "prepare"]

IMAGES = "images"
"""Folder below the output in which the released files lie."""

ACTIONS = "actions.jsonl"
"""What was done to each released file, and why others are not: leaves, no value in it."""

WAITING = "waiting.jsonl"
"""The files that wait or are refused, with their paths: stays at the site."""

PATIENTS = "patients.csv"
"""Which patient has which pseudonym: stays at the site."""

LAST = "last.json"
"""Which folder was prepared last, and into which: for the review, at the site."""

_LEAST_FILES = {"none": 200, "ocr": 4}
"""Files that are worth a process of their own, which takes a second to start, without and with OCR."""
_VERSION = "deid-3"


def policy_digest(policy: DeidPolicy, who: Pseudonymiser) -> Digest:
    """Return what tells runs apart: the policy, the edition of the standard, and a fingerprint of the key."""
    return digest_value(
        [_VERSION, STANDARD, policy.model_dump(mode="json"), who.digest("fingerprint", "").hex()[:16]]
    )


def prepare(
    folder: Path,
    out: Path,
    *,
    state: Path,
    policy: DeidPolicy,
    who: Pseudonymiser,
    progress: Progress = SILENT,
    processes: int = 1,
) -> Prepared:
    """De-identify every file below `folder` into `out`, and return what became of them.

    Files that an earlier run has released, and that didn't change since, are left as they are; what may not
    leave any more is taken back; what people decided (`decisions`) is honoured. Several `processes` write the
    same bytes as one. Raises `DataError` on an empty folder, when `out` or `state` lies in `folder` or the
    other way round, or when `out` holds what another policy or key released; `PolicyError` where an engine
    that the policy asks for isn't installed; and `StorageError` when files can't be written, what people
    decided can't be read, or another run is under way.
    """
    folder, out, state = folder.resolve(), out.resolve(), state.resolve()
    keep_apart(folder, out, state)
    check_engine(policy.pixels)
    files, strays = list_files(folder, field=None)
    decided = DecisionLog(path=state / DECISIONS).last()
    census = take_census(folder, files, most_bytes=policy.largest_mib << 20, progress=progress)
    held = dict(census.held) | {stray: Outcome(fate=Fate.REFUSED, reason=Reason.LINK) for stray in strays}
    names = {file: who.file(file) for file in (*files, *strays)}
    run = policy_digest(policy, who)
    claim(out, run)
    journal = Journal(path=journal_path(state, run, out))
    known = journal.known()
    work = _Work(
        setup=Setup(folder=folder, images=out / IMAGES, policy=policy, who=who),
        held=held,
        known=known,
        decided=decided,
        marks={name: _mark(folder / file, decided.get(name, {})) for file, name in names.items()},
    )
    old = journal.path.exists()
    with journal.appending() as stream, progress.track("deidentify", len(names)) as advance:
        write_json(
            state / LAST, {"folder": os.fsencode(folder).hex(), "out": os.fsencode(out).hex(), "run": run}
        )
        tidy(out / IMAGES, known={one.place for one in known.values()} if old else None)
        todo = work.todo(names, advance)
        for entry in work.settled(names):
            _append(stream, entry)
            advance(1)
        for entry in work.entries(todo, processes):
            _append(stream, entry)
            advance(1)
    paths = {name: file for file, name in names.items()}
    _write_patients(state / PATIENTS, census.patients, who)
    with lines(out / ACTIONS) as leaving, lines(state / WAITING) as staying:
        tally = Tally(paths=paths, leaving=leaving, staying=staying)
        for entry in journal.last(work.marks):
            tally.take(entry)
    again = len(names) - len(todo) - sum(file in held for file in names)
    return tally.prepared(policy, run, again, last_audit(state / AUDITS, journal.path.name))


def journal_path(state: Path, run: Digest, out: Path) -> Path:
    """Return where the journal of a run into a folder lies."""
    return state / f"{run[:16]}-{digest_value(str(out))[:8]}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What a run knows of all files before it goes through them."""

    setup: Setup
    held: Mapping[str, Outcome]
    known: Mapping[str, Known]
    decided: Mapping[str, Mapping[About, Decision]]
    marks: Mapping[str, str]

    def todo(self, names: Mapping[str, str], advance: Callable[[int], None]) -> list[tuple[str, str]]:
        """Return the files (path, keyed name) that are to be done: not held, nor done before."""
        found = []
        for file, name in names.items():
            if file in self.held:
                continue
            if _is_done(self.setup.images, self.known.get(name), self.marks[name]):
                advance(1)
            else:
                found.append((file, name))
        return found

    def settled(self, names: Mapping[str, str]) -> Iterator[Entry]:
        """Yield the entries of files whose fate the first look settled, each copy taken back."""
        for file, name in names.items():
            if file in self.held:
                _retract(self.setup.images, self.known.get(name))
                yield Entry(file=name, mark=self.marks[name], outcome=self.held[file])

    def entries(self, todo: Sequence[tuple[str, str]], processes: int) -> Iterator[Entry]:
        """Yield the entries of the files to do, in their order."""
        hands = min(processes, -(-len(todo) // _LEAST_FILES[self.setup.policy.pixels.inspect]))
        jobs = (self._job(file, name) for file, name in todo)
        if hands <= 1:
            return done_here(self.setup, jobs)
        return done_by_processes(self.setup, jobs, processes=hands)

    def _job(self, file: str, name: str) -> Job:
        """Return the work on a file, what an earlier run released of it taken back."""
        _retract(self.setup.images, self.known.get(name))
        said, decisions = UNSAID, self.decided.get(name, {})
        if decisions:
            try:
                said = said_of(decisions, digest_file(self.setup.folder / file))
            except UnreadableFileError:
                said = UNSAID
        return Job(file=file, name=name, mark=self.marks[name], said=said)


def _mark(path: Path, decisions: Mapping[About, Decision]) -> str:
    """Return what changes with a file's content, its size and time, and with what people decided."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}{decisions_digest(decisions)}"


def _is_done(images: Path, known: Known | None, mark: str) -> bool:
    """Tell whether an earlier run did a file as it is now: it released it, and what it wrote is still there.

    What waits since its pixels were in doubt waits on; all else that didn't leave is tried again.
    """
    if known is None or not mark or known.mark != mark:
        return False
    if known.fate is Fate.RELEASED:
        return (images / known.place).is_file()
    return known.reason is Reason.DOUBTFUL_PIXELS


def _retract(images: Path, known: Known | None) -> None:
    """Take back what an earlier run released of a file that is looked at anew."""
    if known is not None and known.place:
        try:
            (images / known.place).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(images / known.place, error) from error


def _write_patients(path: Path, patients: Iterable[str], who: Pseudonymiser) -> None:
    """Write which patient has which pseudonym, for the site's own tables of labels."""
    rows = [["patient", "pseudonym"], *([one, who.patient(one)] for one in sorted(patients))]
    write_bytes(path, csv_text(rows).encode("utf-8", "surrogateescape"))


def _append(stream: IO[bytes], entry: Entry) -> None:
    """Write an entry at once: what is released before a crash is known after it."""
    stream.write(json.dumps(entry.to_json(), separators=(",", ":")).encode() + b"\n")
    stream.flush()
