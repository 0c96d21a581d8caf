"""The index of a site's images: a row a series in columns on disk, memory-mapped, never leaving the site.

Series lie by study and studies by subject, so that a study's or subject's series are neighbours. Values of
coded columns are whole numbers into a list of words; 0 is "not said". Missing numbers are -1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest, digest_bytes, digest_value
from huizhen.core.files import whole_folder, write_bytes, write_json
from huizhen.errors import StorageError

__all__ = ["CODED", "Columns", "Index", "open_index", "write_index"]

MANIFEST = "index.json"
FORM = "catalogue-1"
CODED = ("sex", "modality", "manufacturer", "body_part", "diagnosis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The arrays of an index: n series, s studies, p subjects, d diagnoses."""

    study: NDArray[np.uint32]
    """(n,) the study of each series, growing."""
    modality: NDArray[np.uint16]
    """(n,)"""
    manufacturer: NDArray[np.uint16]
    """(n,)"""
    body_part: NDArray[np.uint16]
    """(n,)"""
    subject: NDArray[np.uint32]
    """(s,) the subject of each study, growing."""
    age: NDArray[np.int16]
    """(s,) years at the study."""
    year: NDArray[np.int16]
    """(s,)"""
    sex: NDArray[np.uint16]
    """(p,)"""
    person: NDArray[np.uint64]
    """(p,) a keyed hash of each subject's id, growing: tells who came and went between two indices."""
    diagnosis_subject: NDArray[np.uint32]
    """(d,)"""
    diagnosis: NDArray[np.uint16]
    """(d,)"""
    diagnosis_age: NDArray[np.int16]
    """(d,)"""
    diagnosis_year: NDArray[np.int16]
    """(d,)"""


@dataclass(frozen=True, kw_only=True)  # without slots: starts of groups are worked out once
class Index:
    """An open index. `words` are the values of each coded column; `source` names what it was built from."""

    columns: Columns
    words: Mapping[str, Sequence[str]]
    digest: Digest
    source: Digest

    @property
    def series(self) -> int:
        """How many series there are."""
        return len(self.columns.study)

    @property
    def studies(self) -> int:
        """How many studies."""
        return len(self.columns.subject)

    @property
    def subjects(self) -> int:
        """How many subjects."""
        return len(self.columns.sex)

    @cached_property
    def study_ends(self) -> NDArray[np.int64]:
        """(s,) the last series of each study."""
        return np.searchsorted(self.columns.study, np.arange(self.studies), side="right") - 1

    @cached_property
    def subject_ends(self) -> NDArray[np.int64]:
        """(p,) the last study of each subject."""
        return np.searchsorted(self.columns.subject, np.arange(self.subjects), side="right") - 1

    @cached_property
    def subject_of_series(self) -> NDArray[np.uint32]:
        """(n,)"""
        return self.columns.subject[self.columns.study]

    def code(self, column: str, value: str) -> int:
        """Return the number of a value in a coded column; -1 where nobody has it."""
        words = self.words[column]
        return words.index(value) if value in words else -1


def write_index(folder: Path, columns: Columns, words: Mapping[str, Sequence[str]], source: Digest) -> Index:
    """Write an index to `folder`, which must not be there, and open it. Raises `StorageError`."""
    with whole_folder(folder) as scratch:
        digests = {}
        for name in Columns.__slots__:
            data = np.ascontiguousarray(getattr(columns, name))
            digests[name] = [digest_bytes(data.tobytes()), data.dtype.str, len(data)]
            write_bytes(scratch / f"{name}.bin", data.tobytes())
        manifest = {
            "form": FORM,
            "source": source,
            "words": {name: list(words[name]) for name in CODED},
            "columns": digests,
        }
        write_json(scratch / MANIFEST, manifest)
    return open_index(folder)


def open_index(folder: Path) -> Index:
    """Return the index in `folder`, its columns mapped. Raises `StorageError` when damaged or absent."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["form"] != FORM:
            raise ValueError("another form")
        arrays = {
            name: _mapped(folder / f"{name}.bin", *manifest["columns"][name][1:])
            for name in Columns.__slots__
        }
        words = {name: tuple(map(str, manifest["words"][name])) for name in CODED}
        return Index(
            columns=Columns(**arrays),
            words=words,
            digest=digest_value([manifest["columns"], manifest["words"]]),
            source=Digest(manifest["source"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "holds no index of a catalogue, or a damaged one",
            remedy="build it with: huizhen catalogue publish",
            file=str(folder),
        ) from error


def _mapped(path: Path, dtype: str, length: int) -> NDArray[Any]:
    """Return a column as its file holds it. Raises `ValueError` on another size."""
    kind = np.dtype(dtype)
    if path.stat().st_size != kind.itemsize * length:
        raise ValueError("another size")
    return np.asarray(np.memmap(path, kind, "r", shape=(length,))) if length else np.empty(0, kind)
