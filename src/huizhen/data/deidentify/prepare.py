"""A folder of raw files made ready for studies: each released, queued or refused; resumable; with a report.

::

    prepared = prepare(raw, out, state=site.path / "deid", policy=policy, who=who)
    prepared.counts[Fate.RELEASED]

`out/images/` holds what is released, `out/` the report: nothing in either tells who anybody was. What stays
at the site lies in `state`: the journal, `waiting.jsonl`, which names the files that wait or are refused, and
`patients.csv`, which gives each patient's pseudonym.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO

from huizhen.core.digests import Digest, digest_value
from huizhen.core.files import open_private, private_folder, storage_error, write_bytes, write_json
from huizhen.core.progress import Progress
from huizhen.data.deidentify.census import take_census
from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.journal import Entry, Journal
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.pixels import PixelInspector
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.profile import STANDARD
from huizhen.data.readers.interface import SILENT
from huizhen.data.readers.paths import list_files
from huizhen.errors import DataError

__all__ = ["ACTIONS", "IMAGES", "WAITING", "Prepared", "policy_digest", "prepare"]

IMAGES = "images"
"""Folder below the output in which the released files lie."""

ACTIONS = "actions.jsonl"
"""What was done to each released file, and why others are not: leaves, no value in it."""

WAITING = "waiting.jsonl"
"""The files that wait or are refused, with their paths: stays at the site."""

PATIENTS = "patients.csv"
"""Which patient has which pseudonym: stays at the site."""

CLAIM = "deid.json"
"""By which policy and key the folder is written."""

_VERSION = "deid-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a preparation came to. `actions` counts by (path of tags, action, rule), over released files."""

    standard: str
    options: tuple[str, ...]
    policy: Digest
    counts: Mapping[Fate, int]
    reasons: Mapping[tuple[Fate, Reason], int]
    patients: int
    kept: int
    actions: Mapping[tuple[str, str, str], int]
    known: int
    """Files that an earlier run had done already."""

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return sum(self.counts.values())


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
    inspector: PixelInspector | None = None,
) -> Prepared:
    """De-identify every file below `folder` into `out`, and return what became of them.

    Files that an earlier run has released, and that didn't change since, are left as they are; what may not
    leave any more is taken back. Raises `DataError` on an empty folder, when `out` or `state` lies in
    `folder` or the other way round, or when `out` holds what another policy or key released; and
    `StorageError` when they can't be written, or another run is under way.
    """
    folder, out, state = folder.resolve(), out.resolve(), state.resolve()
    _keep_apart(folder, out, state)
    files, strays = list_files(folder)
    census = take_census(folder, files, most_bytes=policy.largest_mib << 20, progress=progress)
    held = dict(census.held) | {stray: Outcome(fate=Fate.REFUSED, reason=Reason.LINK) for stray in strays}
    names = {file: who.file(file) for file in (*files, *strays)}
    run = policy_digest(policy, who)
    _claim(out, run)
    journal = Journal(path=state / f"{run[:16]}-{digest_value(str(out))[:8]}.jsonl")
    work = _Work(
        folder=folder,
        out=out,
        policy=policy,
        who=who,
        inspector=inspector,
        held=held,
        known=journal.known(),
        marks={name: _mark(folder / file) for file, name in names.items()},
    )
    again = 0
    with journal.appending() as stream, progress.track("deidentify", len(names)) as advance:
        _tidy(out / IMAGES)
        for file, name in names.items():
            entry = work.do(file, name)
            again += entry is None
            if entry is not None:
                _append(stream, entry)
            advance(1)
    paths = {name: file for file, name in names.items()}
    _write_patients(state / PATIENTS, census.patients, who)
    with _lines(out / ACTIONS) as leaving, _lines(state / WAITING) as staying:
        tally = _Tally(paths=paths, leaving=leaving, staying=staying)
        for entry in journal.last(work.marks):
            tally.take(entry)
    return tally.prepared(policy, run, again)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What a run knows of all files before it goes through them."""

    folder: Path
    out: Path
    policy: DeidPolicy
    who: Pseudonymiser
    inspector: PixelInspector | None
    held: Mapping[str, Outcome]
    known: Mapping[str, tuple[str, Fate, str]]
    marks: Mapping[str, str]

    def do(self, file: str, name: str) -> Entry | None:
        """Release, queue or refuse a file; return its entry, or None where an earlier run released it."""
        fate, known = self.held.get(file), self.known.get(name)
        if fate is None and _is_done(self.out, known, self.marks[name]):
            return None
        _retract(self.out, known)
        outcome = fate or deidentify_file(
            self.folder / file,
            self.out / IMAGES,
            policy=self.policy,
            who=self.who,
            inspector=self.inspector,
        )
        return Entry(file=name, mark=self.marks[name], outcome=outcome)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """The counts of a preparation, and the lines that are written of each file: one leaves, one stays."""

    paths: Mapping[str, str]
    leaving: Callable[[object], None]
    staying: Callable[[object], None]
    counts: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[tuple[Fate, Reason]] = field(default_factory=Counter)
    actions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    kept: int = 0

    def take(self, entry: Entry) -> None:
        """Count an entry, and write its lines."""
        one = entry.outcome
        self.counts[one.fate] += 1
        if one.reason is not None:
            self.reasons[one.fate, one.reason] += 1
            said = {"fate": one.fate.value, "reason": one.reason.value}
            self.staying({"file": self.paths[entry.file], "name": entry.file, **said})
            self.leaving({"file": entry.file, **said})
            return
        done = [(each.path, each.action.value, each.rule.value) for each in one.done]
        self.actions.update(done)
        self.patients.add(one.patient)
        self.kept += one.kept
        self.leaving({"file": one.place, "fate": one.fate.value, "kept": one.kept, "done": done})

    def prepared(self, policy: DeidPolicy, run: Digest, again: int) -> Prepared:
        """Return the sum."""
        return Prepared(
            standard=STANDARD,
            options=tuple(option.value for option in policy.options),
            policy=run,
            counts=self.counts,
            reasons=self.reasons,
            patients=len(self.patients),
            kept=self.kept,
            actions=self.actions,
            known=again,
        )


def _keep_apart(folder: Path, out: Path, state: Path) -> None:
    """Raise `DataError` where what is written would lie in what is read, or the other way round."""
    if not folder.is_dir():
        raise DataError(
            "there is no such folder", remedy="name the folder of the raw files", file=folder.name
        )
    for one in (out, state):
        if one.is_relative_to(folder) or folder.is_relative_to(one):
            raise DataError(
                "lies in the folder that is read, or the other way round",
                remedy="choose a folder beside it",
                file=one.name,
            )
    if state.is_relative_to(out):
        raise DataError(
            "the site's folder lies in the folder that leaves",
            remedy="choose another folder for what leaves",
            file=out.name,
        )


def _claim(out: Path, run: Digest) -> None:
    """Note by which policy and key `out` is written. Raises `DataError` where it was by another."""
    try:
        found = json.loads((out / CLAIM).read_text(encoding="utf-8")) if (out / CLAIM).exists() else None
    except (OSError, ValueError) as error:
        raise DataError("is damaged", remedy="choose another folder for what leaves", file=CLAIM) from error
    if found is None:
        write_json(out / CLAIM, {"policy": run, "standard": STANDARD})
    elif not isinstance(found, dict) or found.get("policy") != run:
        raise DataError(
            "holds what another policy or another key released",
            remedy="choose another folder for what leaves, or use the same policy and key",
            file=out.name,
        )


def _tidy(images: Path) -> None:
    """Remove what a killed run had begun to write."""
    for path in images.rglob(".*.part"):
        path.unlink(missing_ok=True)


def _mark(path: Path) -> str:
    """Return what changes with a file's content: its size and time of change."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"


def _is_done(out: Path, known: tuple[str, Fate, str] | None, mark: str) -> bool:
    """Tell whether an earlier run released a file as it is now, and what it wrote is still there."""
    if known is None or not mark or known[0] != mark:
        return False
    return known[1] is Fate.RELEASED and (out / IMAGES / known[2]).is_file()


def _retract(out: Path, known: tuple[str, Fate, str] | None) -> None:
    """Take back what an earlier run released of a file that is looked at anew."""
    if known is not None and known[2]:
        try:
            (out / IMAGES / known[2]).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(out / IMAGES / known[2], error) from error


def _write_patients(path: Path, patients: Iterable[str], who: Pseudonymiser) -> None:
    """Write which patient has which pseudonym, for the site's own tables of labels."""
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["patient", "pseudonym"])
    rows.writerows((patient, who.patient(patient)) for patient in sorted(patients))
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _append(stream: IO[bytes], entry: Entry) -> None:
    """Write an entry at once: what is released before a crash is known after it."""
    stream.write(json.dumps(entry.to_json(), separators=(",", ":")).encode() + b"\n")
    stream.flush()


@contextmanager
def _lines(path: Path) -> Iterator[Callable[[object], None]]:
    """Yield a function that writes a line of JSON to a file, which is whole or absent."""
    name = path.with_name(f".{path.name}.part")
    try:
        private_folder(path.parent)
        name.unlink(missing_ok=True)
        with open_private(name) as stream:
            yield lambda value: _write_line(stream, value)
        os.replace(name, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        name.unlink(missing_ok=True)


def _write_line(stream: IO[bytes], value: object) -> None:
    stream.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
