"""A content-addressed cache: what was computed once is found again by the digest of what it came from.

Every entry carries the digest of its own content, checked on each read. A damaged entry is moved aside to
`*.damaged`, computed anew and listed in `Cache.damaged`, so that a run can report it. Entries appear whole
or not at all, so that any number of processes may share a folder.

>>> import tempfile, numpy as np
>>> from pathlib import Path
>>> from huizhen.core.digests import digest_value
>>> cache = Cache(Path(tempfile.mkdtemp()))
>>> key = digest_value(["square", 3])
>>> cache.arrays(key, lambda: {"square": np.array([9])})["square"].tolist()
[9]
>>> cache.arrays(key, lambda: {})["square"].tolist()  # found, not made
[9]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from huizhen.core.digests import Digest, canonical_json, digest_value
from huizhen.core.files import storage_error, write_bytes
from huizhen.errors import StorageError

Arrays = Mapping[str, NDArray[Any]]
Held = TypeVar("Held")

STALE_S = 24 * 3600.0
"""Scratch files older than this belong to a process that was killed."""


class DamagedEntryError(StorageError):
    """An entry's content doesn't have the digest that was stored with it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"is damaged ({why})", remedy="delete it; it will be computed anew", file=str(path))


class Cache:
    """Entries under `folder`, each found by a key: the digest of everything that its content depends on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.verified: set[str] = set()
        """Large entries whose digest this process has already checked (see `huizhen.data.pack`)."""
        self._damaged: list[str] = []

    @property
    def damaged(self) -> tuple[str, ...]:
        """The entries, relative to the folder, that were found damaged and moved aside."""
        return tuple(self._damaged)

    @property
    def aside(self) -> tuple[str, ...]:
        """The entries whose damaged content lies aside in the folder, whichever process found them so."""
        found = (path.relative_to(self.folder) for path in self.folder.glob("*/*.damaged"))
        return tuple(sorted(str(path).removesuffix(".damaged") for path in found))

    def arrays(self, key: Digest, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays held under `key`, or make and keep them.

        Raises `StorageError` when the folder can't be read or written, and whatever `make` raises.
        """
        path = self.place(key, ".safetensors")
        held = self.held(path, lambda: _load_arrays(path, key))
        if held is None:
            held = {name: _packed(array) for name, array in make().items()}
            write_bytes(path, save(held, metadata={"digest": _digest_arrays(key, held)}))
        return held

    def values(self, key: Digest, make: Callable[[], Any]) -> Any:
        """Return the plain JSON value held under `key`, or make and keep it.

        What comes back went through JSON, so that tuples are lists. Raises `StorageError` as `arrays` does,
        and `InvalidInputError` when the value has no JSON form.
        """
        path = self.place(key, ".json")
        held = self.held(path, lambda: [_load_value(path, key)])
        if held is not None:
            return held[0]
        value = json.loads(canonical_json(make()))
        write_bytes(path, canonical_json({"digest": digest_value([key, value]), "value": value}))
        return value

    def place(self, key: Digest, suffix: str) -> Path:
        """Return where the entry `key` stands or would stand."""
        return self.folder / key[:2] / f"{key}{suffix}"

    def held(self, path: Path, load: Callable[[], Held]) -> Held | None:
        """Return what `load` reads from `path`, or None when nothing (whole) is there.

        A `DamagedEntryError` from `load` moves the entry aside. Raises `StorageError` on a failing disk.
        """
        if not path.exists():
            return None
        try:
            return load()
        except FileNotFoundError:  # taken away by another process since
            return None
        except DamagedEntryError:
            self.set_aside(path)
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def set_aside(self, path: Path) -> None:
        """Rename a damaged entry to `*.damaged` and remember it. Raises `StorageError` if that fails."""
        aside = path.with_name(f"{path.name}.damaged")
        try:
            if aside.is_dir():
                shutil.rmtree(aside)
            os.replace(path, aside)
        except FileNotFoundError:  # another process was first
            return
        except OSError as error:
            raise storage_error(aside, error) from error
        self._damaged.append(str(path.relative_to(self.folder)))

    def drop(self, key: Digest) -> None:
        """Forget the entry `key`, if there is one."""
        for suffix in (".safetensors", ".json"):
            self.place(key, suffix).unlink(missing_ok=True)

    def sweep(self, *, older_than_s: float = STALE_S) -> int:
        """Remove scratch that killed processes left behind; return how many pieces."""
        stale = [p for p in self.folder.glob("*/.*.part") if _age_s(p) > older_than_s]
        for path in stale:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(stale)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"can't be read ({error.strerror})",
        remedy="check the disk and the folder's permissions, or choose another cache folder",
        file=str(path),
    )


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` as safetensors needs it: C order, little endian."""
    return np.require(array, dtype=array.dtype.newbyteorder("<"), requirements="C")


def _digest_arrays(key: Digest, arrays: Arrays) -> Digest:
    content = hashlib.sha256(key.encode())
    for name in sorted(arrays):
        array = arrays[name]
        content.update(canonical_json([name, array.dtype.str, list(array.shape)]))
        content.update(array.tobytes())
    return Digest(content.hexdigest())


def _load_arrays(path: Path, key: Digest) -> dict[str, NDArray[Any]]:
    try:
        with safe_open(path, framework="numpy") as entry:
            arrays = {name: entry.get_tensor(name) for name in entry.keys()}  # noqa: SIM118 - not a mapping
            stated = (entry.metadata() or {}).get("digest")
    except (SafetensorError, ValueError, TypeError) as error:
        raise DamagedEntryError(path, "not a safetensors file") from error
    if stated != _digest_arrays(key, arrays):
        raise DamagedEntryError(path, "its content has another digest")
    return arrays


def _load_value(path: Path, key: Digest) -> Any:
    try:
        entry = json.loads(path.read_bytes())
        value, stated = entry["value"], entry["digest"]
        found = digest_value([key, value])
    except (ValueError, KeyError, TypeError) as error:  # InvalidInputError is a ValueError
        raise DamagedEntryError(path, "not an entry") from error
    if stated != found:
        raise DamagedEntryError(path, "its content has another digest")
    return value
