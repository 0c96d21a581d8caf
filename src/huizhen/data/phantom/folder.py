"""A finished phantom study on disk: where its parts lie, and its truth, read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from huizhen.core.digests import digest_file
from huizhen.data.phantom.latent import subset_name
from huizhen.data.phantom.spec import MODALITIES
from huizhen.errors import DataError, InvalidInputError, UnreadableFileError

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomFolder:
    """A whole phantom study under `root`; `hospitals` in the order of its specification."""

    root: Path
    hospitals: tuple[str, ...]

    @classmethod
    def open(cls, root: Path) -> Self:
        """Return the study at `root`. Raises `DataError` if not whole, `UnreadableFileError` if damaged."""
        manifest = read_manifest(root)
        if manifest is None:
            raise DataError("holds no whole phantom study", remedy="generate it first", file=str(root))
        return cls(root=root, hospitals=tuple(manifest["hospitals"]))

    def dicom(self, hospital: str) -> Path:
        """Return the folder of the hospital's DICOM files, one folder a patient."""
        return self.root / hospital / "dicom"

    def labels(self, hospital: str) -> Path:
        """Return the hospital's table of recorded outcomes (patient, outcome)."""
        return self.root / hospital / "labels.csv"

    def masks(self, hospital: str) -> Path:
        """Return the folder of lesion masks, named by SOP Instance UID."""
        return self.root / hospital / "masks"

    def latent(self) -> list[dict[str, str]]:
        """Return the rows of truth/latent.csv, one a patient."""
        path = self.root / "truth" / "latent.csv"
        try:
            return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(
                "can't be read", remedy="generate the phantom again", file=str(path)
            ) from error

    def best_auc(self) -> dict[str, Any]:
        """Return truth/best_auc.json: group -> subset -> {"auc", "standard_error"} under "groups"."""
        result: dict[str, Any] = _read_json(self.root / "truth" / "best_auc.json")
        return result

    def check(self) -> None:
        """Re-hash every file. Raises `DataError` if one was altered, removed or added."""
        manifest = read_manifest(self.root)
        listed: dict[str, str] = manifest["files"] if manifest else {}
        found = {str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()} - {MANIFEST}
        odd = sorted(set(listed) ^ found)
        odd = odd or [
            f for f in sorted(listed) if manifest and digest_file(self.root / f) != manifest["files"][f]
        ]
        if odd:
            raise DataError(
                f"{len(odd)} file(s) are not as generated, first {odd[0]}",
                remedy="delete the folder and generate the phantom again",
                file=str(self.root),
            )


def score_column(modalities: frozenset[str] | None = None) -> str:
    """Return the column of latent.csv that holds the best log-odds for `modalities` (all if None).

    >>> score_column(frozenset({"US", "MG"}))
    'log_odds_MG+US'
    """
    wanted = frozenset(MODALITIES) if modalities is None else modalities
    if not wanted or not wanted <= set(MODALITIES):
        raise InvalidInputError(
            "unknown or no modality", remedy=f"use {', '.join(MODALITIES)}", field="modalities"
        )
    return f"log_odds_{subset_name(wanted)}"


def best_score(row: Mapping[str, str], modalities: frozenset[str] | None = None) -> float:
    """Return the exact log-odds of a recorded malignant outcome for one row of latent.csv.

    With the patient's modalities among `modalities` (all if None); NaN if there is none.

    >>> row = {"log_odds_MG": "0.5", "log_odds_US": ""}
    >>> best_score(row, frozenset({"MG"})), best_score(row, frozenset({"US"}))
    (0.5, nan)
    """
    text = row[score_column(modalities)]
    return float(text) if text else float("nan")


def read_manifest(root: Path) -> dict[str, Any] | None:
    """Return the manifest of a whole study, or None where there is none. Raises `UnreadableFileError`."""
    path = root / MANIFEST
    if not path.exists():
        return None
    manifest: dict[str, Any] = _read_json(path)
    return manifest


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(
            "is not readable JSON", remedy="delete it and generate the phantom again", file=str(path)
        ) from error
