"""What every reader gives: a scan of its source, and later the pixels of each image that the scan found.

::

    reader = open_source(source, roots=[data_root], site="north", index=0, modality=mammography)
    scan = reader.scan()
    pixels = reader.pixels(scan.images[0])      # (C, H, W) float32 in [0, 1]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.progress import Progress, Silent
from huizhen.data.readers.keys import natural_order
from huizhen.data.readers.persons import Person

__all__ = ["SILENT", "Located", "Reader", "Row", "Scan", "image_order"]

SILENT: Progress = Silent()
"""Progress that nobody watches."""

Row = Mapping[str, float | str | None]
"""One patient's covariates: column -> number, text or None (missing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A source of one site with its paths found: what a reader is made from.

    `path` is a folder or a file, `labels` the labels table, `masks` the mask folder (None where the source
    names none, or names an array). `site` and `index` say which source of which site this is.
    """

    site: str
    index: int
    path: Path
    labels: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a reader found in its source.

    `images` are sorted by `image_order`. `rows` (table readers only) and `outcomes` go by patient id;
    an outcome is the cell's text, integers without ".0", distinct values in the order found. `exclusions`
    hold one entry per file, row or cell that could not be used: unreadable, absent_file, wrong_modality,
    mixed_patients, missing_patient, duplicate_id, exact_duplicate, other_series, missing_label, non_finite.

    A patient excluded as missing_label still has its images here: another source of the site may hold the
    label, and an unlabelled case may be wanted. An exclusion of unit "cell" (non_finite) leaves its patient
    in, with that covariate missing.

    `contradicting` gives the rows ("labels.csv:17") of patients with more than one distinct outcome,
    `persons` who the headers of a patient id's files name, `body_parts` the images by Body Part Examined.
    """

    images: tuple[ImageRecord, ...] = ()
    rows: Mapping[str, Row] = field(default_factory=dict)
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    contradicting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    persons: Mapping[str, frozenset[Person]] = field(default_factory=dict)
    body_parts: Mapping[str, int] = field(default_factory=dict)


class Reader(Protocol):
    """Reads one source of one site. Readers hold settings only: they can be sent to another process."""

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Find every image or row, going on past bad ones.

        Raises `DataError` when nothing can be read at all: no file, a broken table, an absent column.
        """
        ...

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Return the image (C, H, W) in [0, 1] at native resolution, C as the modality's `channels`.

        Values that the file holds as NaN or infinite stay so, for quality control to find. Raises
        `UnreadableFileError` when the file can't be decoded.
        """
        ...

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return the lesion mask (H, W) of an image, or None if it has none."""
        ...

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return the distance between rows and between columns in millimetres, or None if unknown."""
        ...

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return the DICOM file behind an image (the first phase's), or None if there is none."""
        ...


def image_order(record: ImageRecord) -> tuple[str, tuple[str | int, ...]]:
    """Return the key that a scan's images are sorted by: patient, then file with numbers in their order."""
    return record.patient_id, natural_order(record.key)
