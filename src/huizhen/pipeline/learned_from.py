"""Who was learned from: an index, kept by whoever runs a study, of the patients that each model used.

A file a study below `learned/` of the folder that outlasts runs: the site's own, or $HUIZHEN_HOME of a run
over all sites. Patients stand there under keyed names, in sets that lines refer to; nothing of it leaves. A
line is written before the use that it is about, so that none is missing, whenever a process is killed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from huizhen.core.cohort import Case
from huizhen.core.digests import canonical_json, digest_value
from huizhen.core.files import private_folder, storage_error
from huizhen.data.consent.barred import person_key
from huizhen.errors import LedgerError
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.stage import Run

__all__ = ["ALL", "How", "Learned", "Learning", "learned_by", "read_learned"]

FOLDER = "learned"
ALL = "*"
"""Stands for every model of a study that is made in one run."""


class How(StrEnum):
    """What a patient's data did for a model."""

    TRAINED = "trained"
    TUNED = "tuned"
    TESTED = "tested"
    POOLED = "pooled"
    """Whom readers are asked about was chosen among these, labelled or not."""
    ASKED = "asked"
    """Readers were asked for a label."""
    DROPPED = "dropped"
    """What had learned from exactly these patients was deleted before it was tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """One use of patients of `site`, by keyed names: for `model` of a study, in `round` if it has any."""

    study: str
    digest: str
    version: int
    site: str
    how: How
    model: str
    round: int | None
    people: frozenset[str]
    file: str
    """The study file, where whoever ran it had one."""
    folder: str
    """The folder of the run."""


@final
@dataclass(kw_only=True)
class Learned:
    """The index of one study, written by its run."""

    file: Path
    study: str
    digest: str
    version: int
    study_file: str
    folder: str
    secret: bytes
    _known: set[bytes] = field(default_factory=set)

    def note(self, how: How, model: str, cases: Iterable[Case], *, number: int | None = None) -> None:
        """Note, durably, that the `cases` are used for `model`, once. Raises `StorageError`."""
        by_site: dict[str, set[str]] = {}
        for case in cases:
            key = person_key(self.secret, case.site, case.patient_id)
            by_site.setdefault(case.site, set()).add(key)
        for site, people in sorted(by_site.items()):
            members = sorted(people)
            known = digest_value(members)[:32]
            one = {"study": self.study, "digest": self.digest, "version": self.version, "site": site}
            use = {"how": how.value, "model": model, "round": number, "people": known}
            where = {"file": self.study_file, "folder": self.folder}
            self._append({"people": known, "members": members}, {**one, **use, **where})

    def _append(self, *records: Mapping[str, Any]) -> None:
        """Append those of the lines that aren't there yet."""
        lines = [canonical_json(record) for record in records]
        if self._known.issuperset(lines):
            return
        try:
            private_folder(self.file.parent)
            handle = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "r+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                content = stream.read()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):  # cut short by a crash, before the use
                    os.ftruncate(handle, whole)
                self._known = set(content[:whole].splitlines())
                new = [line for line in dict.fromkeys(lines) if line not in self._known]
                stream.write(b"".join(line + b"\n" for line in new))
                stream.flush()
                os.fsync(handle)
                self._known.update(new)
        except OSError as error:
            raise storage_error(self.file, error) from error


def learned_by(run: Run, study_file: Path | None = None) -> Learned:
    """Return the index of a run's study, in its own folder where it keeps nothing beyond itself."""
    whole = run.whole or run.study
    return Learned(
        file=(run.kept or run.folder) / FOLDER / f"{whole.digest[:16]}.jsonl",
        study=whole.name,
        digest=whole.digest,
        version=whole.version,
        study_file="" if study_file is None else str(study_file.resolve()),
        folder=str(run.folder.resolve()),
        secret=people_secret(run.key),
    )


def read_learned(kept: Path) -> Iterator[Learning]:
    """Yield what the indexes in a folder hold, study by study. Raises `LedgerError` on a damaged one."""
    for file in sorted((kept / FOLDER).glob("*.jsonl")):
        content = file.read_bytes()
        people: dict[str, frozenset[str]] = {}
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            try:
                record = json.loads(line)
                if "members" in record:
                    people[record["people"]] = frozenset(map(str, record["members"]))
                else:
                    yield _learning(record, people)
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerError(
                    f"line {number} of the index of who was learned from can't be read",
                    remedy="put it back from a backup, or have every model of the study made anew",
                    file=str(file),
                ) from error


def _learning(record: Mapping[str, Any], people: Mapping[str, frozenset[str]]) -> Learning:
    return Learning(
        study=str(record["study"]),
        digest=str(record["digest"]),
        version=int(record["version"]),
        site=str(record["site"]),
        how=How(record["how"]),
        model=str(record["model"]),
        round=None if record["round"] is None else int(record["round"]),
        people=people[record["people"]],
        file=str(record["file"]),
        folder=str(record["folder"]),
    )
