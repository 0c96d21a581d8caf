"""Files that are whole or absent: write beside, flush, rename."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from huizhen.errors import StorageError


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the `StorageError` for an operating-system error at `path`."""
    return StorageError(
        f"can't be written ({error.strerror})",
        remedy="free space on the disk, or choose a folder that may be written",
        file=str(path),
    )


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that aren't there, so that only their owner may enter them.

    One that is there keeps its mode. Raises `OSError`.
    """
    for folder in [*reversed(path.parents), path]:
        folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> IO[bytes]:
    """Return a file open for appending, made if there is none for its owner alone. Raises `OSError`."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either its old content or all of the new. Raises `StorageError`."""
    try:
        private_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise storage_error(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all. NaN is refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder that becomes `path` when the block ends well and vanishes when it doesn't.

    An existing `path` is never overwritten. Raises `StorageError`.
    """
    try:
        private_folder(path.parent)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield scratch
        os.replace(scratch, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
