"""The folders of a preparation: kept apart, claimed by one policy and key, and tidied after a killed run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from huizhen.core.digests import Digest
from huizhen.core.files import open_private, private_folder, storage_error, write_json
from huizhen.data.deidentify.profile import STANDARD
from huizhen.errors import DataError

__all__ = ["CLAIM", "as_line", "claim", "claimed", "keep_apart", "keep_apart_from", "lines", "tidy"]

CLAIM = "deid.json"
"""By which policy and key the folder is written."""

CLAIMS = frozenset({CLAIM, "deid-text.json"})
"""Files that say of a folder that it is a preparation's, of images or of texts."""


def keep_apart(folder: Path, out: Path, state: Path) -> None:
    """Raise `DataError` where what is written would lie in what is read, or the other way round."""
    if not folder.is_dir():
        raise DataError(
            "is a file, not a folder" if folder.exists() else "there is no such folder",
            remedy="name the folder of the raw files",
            file=folder.name,
        )
    keep_apart_from(out, state, reads=lambda one: one.is_relative_to(folder) or folder.is_relative_to(one))


def keep_apart_from(out: Path, state: Path, *, reads: Callable[[Path], bool]) -> None:
    """Raise `DataError` where `out` or `state` is what a run `reads`, or the site's folder would leave."""
    for one in (out, state):
        if reads(one):
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


def claim(out: Path, run: Digest) -> None:
    """Note by which policy and key `out` is written. Raises `DataError` where it was by another."""
    if not claimed(out, CLAIM, {"policy": run, "standard": STANDARD}):
        raise DataError(
            "holds what another policy or another key released",
            remedy="choose another folder for what leaves, or use the same policy and key",
            file=out.name,
        )


def claimed(out: Path, name: str, run: Mapping[str, str]) -> bool:
    """Note in the file `name` by which `run` a folder is written, and tell whether it is this one's.

    Runs are told apart by their "policy". Raises `DataError` where the file is damaged, and where the folder
    holds what no preparation wrote: it would leave unseen, or be taken for what a killed run left.
    """
    path = out / name
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise DataError("is damaged", remedy="choose another folder for what leaves", file=name) from error
    if found is None:
        _refuse_others(out)
        write_json(path, dict(run))
        return True
    return isinstance(found, dict) and found.get("policy") == run["policy"]


def _refuse_others(out: Path) -> None:
    """Raise `DataError` where a folder that nobody claimed holds anything but hidden files."""
    try:
        names = os.listdir(out) if out.is_dir() else []
    except OSError as error:
        raise storage_error(out, error) from error
    if not set(names) & CLAIMS and any(not name.startswith(".") for name in names):
        raise DataError(
            "holds files that no preparation wrote, and they would leave too",
            remedy="choose an empty folder, or a new one, for what leaves",
            file=out.name,
        )


def tidy(images: Path, *, known: Container[str] | None, ending: str = "dcm") -> None:
    """Remove what a killed run had begun to write, and what it wrote and could not note any more.

    `known` has the places of all noted files, which have an `ending`; None where there is no journal yet:
    nothing can be told.
    """
    for path in (*images.rglob(".*.part"), *images.parent.glob(".*.part")):
        path.unlink(missing_ok=True)
    if known is None:
        return
    for path in images.rglob(f"*.{ending}"):
        if path.relative_to(images).as_posix() not in known:
            path.unlink(missing_ok=True)


@contextmanager
def lines(path: Path) -> Iterator[Callable[[object], None]]:
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
    stream.write(as_line(value))


def as_line(value: object) -> bytes:
    """Return a value as a line of JSON that people can read: names in any script, lone surrogates escaped.

    >>> as_line({"file": "出院.txt"}).decode()
    '{"file":"出院.txt"}\\n'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"
