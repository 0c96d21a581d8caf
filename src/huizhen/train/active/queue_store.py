"""The annotation queue's file: one SQLite database a site, its schema and its version.

Write-ahead logging lets a reading room read while an import writes; every change is one transaction, so that
a process killed in the middle leaves the queue as it was. Nothing is ever deleted: a withdrawn case, a
retracted answer and a reopened decision stay, with who, when and why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huizhen.core.files import open_private, private_folder
from huizhen.errors import StorageError

__all__ = ["SCHEMA_VERSION", "connect", "converted", "create", "transaction"]

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0

SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE label (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY,
    withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1))
) WITHOUT ROWID;
CREATE TABLE request (
    round INTEGER NOT NULL, case_id TEXT NOT NULL REFERENCES cases, rank INTEGER NOT NULL,
    rule TEXT NOT NULL, score REAL NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (round, case_id)
) WITHOUT ROWID;
CREATE TABLE answer (
    number INTEGER PRIMARY KEY, case_id TEXT NOT NULL REFERENCES cases, reader TEXT NOT NULL,
    label TEXT NOT NULL REFERENCES label, at TEXT NOT NULL, source TEXT NOT NULL,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    retracted INTEGER NOT NULL DEFAULT 0 CHECK (retracted IN (0, 1))
);
CREATE UNIQUE INDEX one_answer_a_reader ON answer (case_id, reader) WHERE retracted = 0;
CREATE TABLE ruling (
    number INTEGER PRIMARY KEY, case_id TEXT NOT NULL REFERENCES cases,
    label TEXT NOT NULL REFERENCES label, adjudicator TEXT NOT NULL, at TEXT NOT NULL,
    lifted INTEGER NOT NULL DEFAULT 0 CHECK (lifted IN (0, 1))
);
CREATE UNIQUE INDEX one_ruling_a_case ON ruling (case_id) WHERE lifted = 0;
CREATE TABLE event (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, case_id TEXT NOT NULL,
    actor TEXT NOT NULL, why TEXT NOT NULL
);
"""


def create(path: Path, settings: dict[str, str], labels: tuple[str, ...]) -> None:
    """Write a new, empty queue file. Raises `StorageError` if there is one, or it can't be written."""
    if path.exists():
        raise StorageError(
            "is there already", remedy="open it, or choose another name for the new queue", file=str(path)
        )
    with converted(path):
        private_folder(path.parent)
        open_private(path).close()  # SQLite gives its other files the mode of this one
        base = sqlite3.connect(path, isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("BEGIN EXCLUSIVE")
            for statement in SCHEMA.split(";"):
                base.execute(statement)
            base.executemany("INSERT INTO setting VALUES (?, ?)", sorted(settings.items()))
            base.executemany("INSERT INTO label VALUES (?)", [(name,) for name in labels])
            base.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            base.execute("COMMIT")
        finally:
            base.close()


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a queue file. Raises `StorageError` if it isn't one of this version."""
    if not path.is_file():
        raise StorageError("is no file", remedy="create the queue first", file=str(path))
    with converted(path):
        base = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            base.row_factory = sqlite3.Row
            base.execute("PRAGMA foreign_keys = ON")
            base.execute("PRAGMA synchronous = FULL")
            version = base.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error:
            base.close()
            raise
    if version != SCHEMA_VERSION:
        base.close()
        raise StorageError(
            f"is of schema version {version}, not {SCHEMA_VERSION}",
            remedy="open it with the version of huizhen that wrote it",
            file=str(path),
        )
    return base


@contextmanager
def transaction(base: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the connection within one transaction: all of the block's changes are kept, or none."""
    with converted(path):
        base.execute("BEGIN IMMEDIATE")
        try:
            yield base
        except BaseException:
            base.execute("ROLLBACK")
            raise
        base.execute("COMMIT")


@contextmanager
def converted(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into `StorageError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"the annotation queue can't be used ({error})",
            remedy="check that it is a queue, that no other program holds it and that the disk has room",
            file=str(path),
        ) from error
