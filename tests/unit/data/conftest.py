"""A hospital in memory: what readers would give, without files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.digests import digest_bytes
from huizhen.core.progress import Progress, Silent
from huizhen.core.study import AnyModality, Source, Study
from huizhen.data.cache import Cache
from huizhen.data.intake import Intake, intake
from huizhen.data.readers.interface import Scan
from huizhen.errors import UnreadableFileError


def photo(seed: int, *, side: int = 40, channels: int = 1) -> NDArray[np.float32]:
    """Return a smooth image (C, side, side) that looks like no other seed's."""
    grid = np.random.default_rng(seed).random((channels, 10, 10), dtype=np.float32)
    return np.kron(grid, np.ones((1, side // 10, side // 10), np.float32))


@dataclass
class Shelf:
    """One source of one site, filled by a test; it is its own reader."""

    modality: str = "US"
    found: list[ImageRecord] = field(default_factory=list)
    pictures: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    rows: dict[str, Mapping[str, float | str | None]] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exclusions: list[Exclusion] = field(default_factory=list)
    source: int = 0
    path: str = ""
    patients: str = "all"
    decoded: int = 0

    def put(
        self,
        patient: str,
        outcome: str | None,
        picture: NDArray[np.float32] | None = None,
        *,
        mask: NDArray[np.bool_] | None = None,
        **about: Any,
    ) -> ImageRecord:
        """Add one image of `patient`, by default one that looks like no other."""
        key = about.pop("key", f"{patient}/{len(self.found)}.png")
        picture = photo(crc32(f"{patient} {len(self.found)}".encode())) if picture is None else picture
        record = ImageRecord(
            patient_id=patient,
            modality=self.modality,
            source=self.source,
            key=key,
            digest=digest_bytes(picture.tobytes()),
            has_mask=mask is not None,
            **about,
        )
        self.found.append(record)
        self.pictures[key] = picture
        if mask is not None:
            self.masks[key] = mask
        if outcome is not None:
            self.outcomes[patient] = (*self.outcomes.get(patient, ()), outcome)
        return record

    def scan(self, progress: Progress | None = None) -> Scan:
        return Scan(
            images=tuple(self.found),
            rows=self.rows,
            outcomes=self.outcomes,
            exclusions=tuple(self.exclusions),
        )

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        self.decoded += 1
        if record.key not in self.pictures:
            raise UnreadableFileError("is cut short", remedy="copy it again", file=record.key)
        return self.pictures[record.key]

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        return self.masks.get(record.key)

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        return None

    def dataset_path(self, record: ImageRecord) -> Path | None:
        return None


@dataclass
class Hospitals:
    """Sites and their shelves; `take` runs the intake over them."""

    folder: Path
    shelves: dict[str, list[Shelf]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    own_ids: set[str] = field(default_factory=set)

    def site(self, name: str, *modalities: str, role: str = "development") -> Shelf:
        """Add a site with one shelf a modality (US unless named) and return its first shelf."""
        self.roles[name] = role
        self.shelves[name] = [
            Shelf(modality=modality, source=i) for i, modality in enumerate(modalities or ("US",))
        ]
        return self.shelves[name][0]

    @property
    def study(self) -> Study:
        """The study file that these hospitals would have."""
        sites = [
            {
                "name": name,
                "role": self.roles[name],
                "patient_ids": "own" if name in self.own_ids else "shared",
                "source": [_source(shelf, name) for shelf in shelves],
            }
            for name, shelves in self.shelves.items()
        ]
        return Study.model_validate(
            {
                "name": "s",
                "title": "A study",
                "question": "Is it?",
                "seed": 7,
                "task": {"outcome": "malignancy", "positive": ["malignant"], "negative": ["benign"]},
                "modality": [
                    {"name": "US", "kind": "image", "size": 32},
                    {"name": "MG", "kind": "image", "size": 32, "max_images": 2},
                    {"name": "clinic", "kind": "table", "numeric": ["age"], "categorical": ["er"]},
                ],
                "site": sites,
                **self.settings,
            }
        )

    def open(
        self, source: Source, *, roots: Sequence[Path], site: str, index: int, modality: AnyModality
    ) -> Shelf:
        """Stand in for `open_source`."""
        assert modality.name == source.modality
        return self.shelves[site][index]

    def take(self, *, cache: Cache | None = None) -> Intake:
        """Run the intake."""
        return intake(
            self.study,
            roots=[self.folder],
            pseudonym_secret=b"secret",
            cache=cache or Cache(self.folder / "cache"),
            progress=Silent(),
            open_reader=self.open,
        )


def _source(shelf: Shelf, site: str) -> dict[str, Any]:
    table = shelf.modality == "clinic"
    return {
        "reader": "table" if table else "images",
        "modality": shelf.modality,
        "path": shelf.path or f"{site}/{shelf.modality}",
        "labels": None if table else "labels.csv",
        "columns": {"patient": "patient", "outcome": "label" if shelf.patients == "all" else None},
        "patients": shelf.patients,
    }


@pytest.fixture
def hospitals(tmp_path: Path) -> Hospitals:
    """No hospital yet."""
    return Hospitals(folder=tmp_path)


@pytest.fixture
def picture() -> Callable[..., NDArray[np.float32]]:
    """Return `photo`."""
    return photo


@pytest.fixture
def shelf() -> Shelf:
    """One empty source."""
    return Shelf()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")
