"""A folder or a table of texts made ready for studies: each document cleaned, queued or refused.

What leaves lies in one folder: the texts under pseudonyms, and the actions without any value. What stays lies
in the site's own: the journal, the list of what waits with its names, and a sample for review. A killed run
goes on where it stood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huizhen.core.digests import Digest, digest_value
from huizhen.core.files import storage_error, write_bytes, write_text
from huizhen.core.progress import Progress
from huizhen.core.table_cells import csv_text
from huizhen.data.deidentify.folders import as_line, claimed, keep_apart_from, tidy
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify_text.apart import Cleaner, Done
from huizhen.data.deidentify_text.journal import TextEntry, TextJournal, line_of
from huizhen.data.deidentify_text.known_table import KnownPatients
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.sources import Document, Source, TableSource
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable
from huizhen.data.readers.interface import SILENT
from huizhen.errors import DataError

__all__ = ["ACTIONS", "TEXTS", "WAITING", "PreparedTexts", "prepare_texts", "text_run_digest"]

TEXTS = "texts"
"""Folder below the output in which the released texts lie."""

ACTIONS = "actions.jsonl"
"""What was done to each released text, without its values: leaves."""

WAITING = "texts-waiting.jsonl"
"""The documents that wait or are refused, with their paths: stays at the site."""

MAPS = "texts-actions.jsonl"
"""The places of what was replaced in the originals: stays at the site."""

CLAIM = "deid-text.json"
"""By which policy, key and known values the folder is written."""

_VERSION = "deid-text-4"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTexts:
    """What a preparation came to: counts only. `kinds` counts replacements by (kind, recogniser)."""

    policy: Digest
    counts: Mapping[Fate, int]
    reasons: Mapping[tuple[Fate, TextReason], int]
    kinds: Mapping[tuple[str, str], int]
    patients: int
    characters: int
    known: int
    """Documents that an earlier run had done already."""
    listed: int
    """Patients of whom the site said something to look for."""

    @property
    def documents(self) -> int:
        """All documents that were looked at."""
        return sum(self.counts.values())


def text_run_digest(policy: TextPolicy, who: Pseudonymiser, known: KnownPatients) -> Digest:
    """Return what tells runs apart: the policy, fingerprints of the key and of what is known of patients."""
    said = repr(sorted(known.patients.items(), key=lambda item: item[0]))
    return digest_value(
        [
            _VERSION,
            policy.model_dump(mode="json"),
            who.digest("fingerprint", "").hex()[:16],
            who.digest("text-known", said).hex()[:16],
        ]
    )


def prepare_texts(
    source: Source,
    out: Path,
    *,
    state: Path,
    policy: TextPolicy,
    who: Pseudonymiser,
    known: KnownPatients,
    progress: Progress = SILENT,
) -> PreparedTexts:
    """Clean every document of `source` into `out`, and return what became of them.

    Documents that an earlier run has done, and that didn't change, are left as they are. Raises `DataError`
    when `out`, `state` and the source lie in each other or `out` holds what another policy, key or table of
    known values released; `StorageError` when they can't be written or another run is under way;
    `InvalidInputError` without presidio.
    """
    out, state = out.resolve(), state.resolve()
    _keep_apart(source, out, state)
    run = text_run_digest(policy, who, known)
    _claim(out, run)
    journal = TextJournal(path=state / f"text-{run[:16]}-{digest_value(str(out))[:8]}.jsonl")
    work = _Work(
        out=out,
        who=who,
        known=known,
        cleaner=Cleaner(policy=policy, who=who),
        is_table=isinstance(source, TableSource),
        done=journal.known(),
    )
    old = journal.path.exists()
    marks: dict[str, str] = {}
    names: dict[str, str] = {}
    again = 0
    with journal.appending() as stream, work.cleaner, progress.track("deidentify", len(source)) as advance:
        tidy(out / TEXTS, known={place for *_, place in work.done.values()} if old else None, ending="txt")
        for document in source.documents():
            name = who.file(document.name)
            marks[name], names[name] = document.mark, document.name
            entry = work.do(document, name)
            again += entry is None
            if entry is not None:
                stream.write(line_of(entry))
                stream.flush()
            advance(1)
    tally = _Tally(names=names)
    for entry in journal.last(marks):
        tally.take(entry)
    if isinstance(source, TableSource):
        _write_table(source, out, journal, marks, who)
    _write_lines(out / ACTIONS, tally.leaving)
    _write_lines(state / WAITING, tally.waiting)
    _write_lines(state / MAPS, tally.staying)
    return tally.prepared(run, again, len(known.patients))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What a run knows while it goes through the documents."""

    out: Path
    who: Pseudonymiser
    known: KnownPatients
    cleaner: Cleaner
    is_table: bool
    done: Mapping[str, tuple[str, Fate, str]]

    def do(self, document: Document, name: str) -> TextEntry | None:
        """Clean, queue or refuse a document; return its entry, or None where an earlier run did it."""
        before = self.done.get(name)
        if before and before[0] == document.mark and document.mark and self._stands(before):
            return None
        self._retract(before)
        reason = document.reason or (None if document.patient else TextReason.MISSING_PATIENT)
        if reason is not None:
            return TextEntry(file=name, mark=document.mark, fate=_fate(reason), reason=reason)
        try:
            done = self.cleaner.done(document, self.known.of(document.patient))
        except Unreadable as error:
            reason = error.reason
        else:
            return self._released(document, name, done)
        return TextEntry(file=name, mark=document.mark, fate=_fate(reason), reason=reason)

    def _released(self, document: Document, name: str, done: list[Done]) -> TextEntry:
        """Return the entry of a document whose texts were cleaned, and written where it is a file."""
        cleaned = [one.cleaned for one in done]
        if any(one.residue for one in cleaned):
            return TextEntry(file=name, mark=document.mark, fate=Fate.QUEUED, reason=TextReason.RESIDUE)
        patient = self.who.patient(document.patient)
        place = f"{patient}/{name}.txt"
        if not self.is_table:
            write_text(self.out / TEXTS / place, cleaned[0].text)
        return TextEntry(
            file=name,
            mark=document.mark,
            fate=Fate.RELEASED,
            place="" if self.is_table else place,
            patient=patient,
            characters=sum(len(one.text) for one in done),
            actions=tuple(
                tuple(
                    (a.kind.value, a.recogniser, a.offset, a.length, a.new_offset, a.new_length)
                    for a in one.actions
                )
                for one in cleaned
            ),
            texts=tuple(one.text for one in cleaned) if self.is_table else (),
        )

    def _stands(self, before: tuple[str, Fate, str]) -> bool:
        """Tell whether what an earlier run released is still there; what waits is looked at anew."""
        if before[1] is not Fate.RELEASED:
            return False
        return self.is_table or (self.out / TEXTS / before[2]).is_file()

    def _retract(self, before: tuple[str, Fate, str] | None) -> None:
        """Take back what an earlier run released of a document that is looked at anew."""
        if before is not None and before[2]:
            path = self.out / TEXTS / before[2]
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(path, error) from error


def _fate(reason: TextReason) -> Fate:
    """Return what becomes of a document for a reason: what a person at the site can mend waits."""
    waits = (TextReason.MISSING_PATIENT, TextReason.ENCODING, TextReason.RESIDUE)
    return Fate.QUEUED if reason in waits else Fate.REFUSED


@dataclass(slots=True, kw_only=True)
class _Tally:
    """The counts of a preparation, and the lines that are written of each document."""

    names: Mapping[str, str]
    counts: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[tuple[Fate, TextReason]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    characters: int = 0
    leaving: list[object] = field(default_factory=list)
    staying: list[object] = field(default_factory=list)
    waiting: list[object] = field(default_factory=list)

    def take(self, entry: TextEntry) -> None:
        """Count an entry."""
        self.counts[entry.fate] += 1
        if entry.reason is not None:
            self.reasons[entry.fate, entry.reason] += 1
            said = {"fate": entry.fate.value, "reason": entry.reason.value}
            self.leaving.append({"file": entry.file, **said})
            self.waiting.append({"file": self.names[entry.file], "name": entry.file, **said})
            return
        self.patients.add(entry.patient)
        self.characters += entry.characters
        self.kinds.update((action[0], action[1]) for text in entry.actions for action in text)
        file = entry.place or entry.file
        self.leaving.append(
            {"file": file, "actions": [[[a[0], a[1], a[4], a[5]] for a in text] for text in entry.actions]}
        )
        self.staying.append({"file": file, "actions": entry.actions})

    def prepared(self, run: Digest, again: int, listed: int) -> PreparedTexts:
        """Return the sum."""
        return PreparedTexts(
            policy=run,
            counts=self.counts,
            reasons=self.reasons,
            kinds=self.kinds,
            patients=len(self.patients),
            characters=self.characters,
            known=again,
            listed=listed,
        )


def _write_table(
    source: TableSource, out: Path, journal: TextJournal, marks: dict[str, str], who: Pseudonymiser
) -> None:
    """Write the released rows in the table's order: pseudonym, kept columns, texts."""
    done = {one.file: one for one in journal.last(marks) if one.fate is Fate.RELEASED}
    rows: list[list[object]] = [["patient", *source.keep, *source.columns]]
    for document in source.documents():
        if entry := done.get(who.file(document.name)):
            rows.append([entry.patient, *document.kept, *entry.texts])
    write_text(out / TEXTS / "texts.csv", csv_text(rows))


def _write_lines(path: Path, values: list[object]) -> None:
    """Write a line of JSON for each value, whole or not at all."""
    write_bytes(path, b"".join(map(as_line, values)))


def _keep_apart(source: Source, out: Path, state: Path) -> None:
    """Raise `DataError` where what is written would lie in what is read, or the other way round."""
    if isinstance(source, TableSource):
        beside = source.path.parent.resolve()
        keep_apart_from(out, state, reads=lambda one: one == beside)
    else:
        read = source.folder.resolve()
        keep_apart_from(out, state, reads=lambda one: one.is_relative_to(read) or read.is_relative_to(one))


def _claim(out: Path, run: Digest) -> None:
    """Note by which policy and key `out` is written. Raises `DataError` where it was by another."""
    if not claimed(out, CLAIM, {"policy": run}):
        raise DataError(
            "holds what another policy, key or table of known values released",
            remedy="choose another folder for what leaves, or use the same ones",
            file=out.name,
        )
