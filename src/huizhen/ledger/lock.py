"""One writer at a time: an advisory lock on a file, released by the operating system when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from weakref import WeakSet

from huizhen.core.files import storage_error
from huizhen.errors import LedgerError

_held: WeakSet[WriterLock] = WeakSet()


class WriterLock:
    """The right to write the log that `path` stands for, held from construction until `release`.

    Raises `LedgerError` when another writer holds it, in this process or another, `StorageError` when the
    file can't be made. A forked child does not inherit it, so that a killed writer's orphans don't keep it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            self.release()
            raise self._refused() from error
        except OSError as error:
            self.release()
            raise storage_error(path, error) from error
        _held.add(self)

    def _refused(self) -> LedgerError:
        try:
            holder = self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            holder = ""
        return LedgerError(
            f"another writer{f' (process {holder})' if holder.isdigit() else ''} has this log open",
            remedy="wait until it has finished, or stop it; only one run may write a log at a time",
            file=str(self._path.parent),
        )

    @property
    def held(self) -> bool:
        """Whether this object, in this process, still holds the lock."""
        return self._handle is not None

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two writers lock different files."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock.release()  # closes the child's copy only; the parent's goes on holding the lock


os.register_at_fork(after_in_child=_let_go_in_child)
