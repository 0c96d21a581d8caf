"""Paths of a source: found under the roots, never outside them, and walked in one order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from huizhen.data.readers.keys import natural_order
from huizhen.errors import DataError

__all__ = ["Walk", "find_path", "leads_out", "list_files", "walk_folder"]

Walk = tuple[list[str], list[str]]
"""Relative paths of the files of a folder, and of what can't be entered: links out of it, closed folders."""

_NOT_DATA = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def find_path(relative: str, roots: Sequence[Path], *, field: str) -> Path:
    """Return the first of `roots` / `relative` that exists, resolved.

    Raises `DataError` (with `field`) when there is none, or when the path, or a link on it, leads outside
    every root.
    """
    escapes = False
    for root in roots:
        try:
            base = root.resolve()
            found = (base / relative).resolve()
            inside = found.is_relative_to(base)
            if inside and found.exists():
                return found
        except (OSError, ValueError):
            continue
        escapes = escapes or (not inside and (os.path.isabs(relative) or ".." in relative or found.exists()))
    if escapes:
        raise DataError(
            "leads outside the data root",
            remedy="give a path below it, without .. or links",
            field=field,
            file=relative,
        )
    raise DataError(
        "there is no such file or folder",
        remedy="put it under the data root ($HUIZHEN_DATA) or beside the study file, or correct the path",
        field=field,
        file=relative,
    )


def walk_folder(folder: Path, *, skip: Iterable[Path] = ()) -> Walk:
    """Return the files below `folder` (as "a/b.dcm") in natural order, and what can't be entered.

    That is links that lead out of it and folders that may not be read. Hidden files, files that operating
    systems leave behind and everything in `skip` are passed over. Links to folders are not followed.
    """
    skipped = set(skip)
    files: list[str] = []
    strays: list[str] = []

    def refused(error: OSError) -> None:
        strays.append(Path(str(error.filename)).relative_to(folder).as_posix())

    for where, folders, names in os.walk(folder, onerror=refused, followlinks=False):
        here = Path(where)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [f for f in folders if _is_data(f) and f not in links and here / f not in skipped]
        for name in filter(_is_data, names + links):
            path = here / name
            if path in skipped:
                continue
            if leads_out(path, folder):
                strays.append(path.relative_to(folder).as_posix())
            elif name not in links:
                files.append(path.relative_to(folder).as_posix())
    return sorted(files, key=natural_order), sorted(strays, key=natural_order)


def leads_out(path: Path, folder: Path) -> bool:
    """Tell whether a file of `folder`, which is resolved, is a link to something outside it."""
    return path.is_symlink() and not path.resolve().is_relative_to(folder)


def list_files(folder: Path, *, skip: Iterable[Path] = (), field: str | None = "site.source.path") -> Walk:
    """Return `walk_folder` of a folder that must hold something.

    Raises `DataError` if it doesn't, which names the `field` that said so.
    """
    if not folder.is_dir():
        raise DataError("is a file, not a folder", remedy="name the folder", field=field, file=folder.name)
    files, strays = walk_folder(folder, skip=skip)
    if not files and not strays:
        raise DataError(
            "the folder holds no file",
            remedy="check that it is the right folder",
            field=field,
            file=folder.name,
        )
    return files, strays


def _is_data(name: str) -> bool:
    """Tell whether a file or folder name may hold data."""
    return not name.startswith(".") and name.lower() not in _NOT_DATA
