"""The npz reader: images as rows of one array, in the order of a labels table or by identifier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.digests import digest_bytes
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality, Source
from huizhen.data.readers.interface import SILENT, Located, Scan, image_order
from huizhen.data.readers.labels import Label, Labels, is_phantom, read_labels
from huizhen.data.readers.npz_members import load_member
from huizhen.data.readers.npz_rows import Pairing, pair_by_id, pair_in_order, pair_without_table
from huizhen.data.readers.scaling import full_range, ramp, robust_range, to_channels
from huizhen.data.readers.tables import plain_text
from huizhen.errors import DataError

__all__ = ["NpzReader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NpzReader:
    """Reads `source.array` (N, H, W) or (N, H, W, 3), integers or floats; colours may be three phases.

    Memory: a member stored without compression is mapped; a compressed one is unpacked once and kept (an
    array larger than memory must be saved with `np.savez`, not `np.savez_compressed`).
    """

    source: Source
    place: Located
    modality: ImageModality

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Return the rows that the labels table keeps; without a table each row is a patient.

        Raises `DataError` when table and array differ in length and no `ids` link them, or an array is
        absent or of another shape, and `UnreadableFileError` when the file is broken or needs pickle.
        """
        images, masks = self._images(), self._masks()
        labels = read_labels(self.source, self.place)
        pairing = self._pairing(labels, len(images))
        records: list[ImageRecord] = []
        about = f"{self.place.site} {self.modality.name}"
        with progress.track("ingest", len(pairing.pairs), about=about) as advance:
            for row, label in pairing.pairs:
                has_mask = masks is not None and bool(masks[row].any())
                records.append(self._record(images[row], row, label, has_mask=has_mask))
                advance(1)
        records.sort(key=image_order)
        exclusions = (
            *pairing.exclusions,
            *labels.nameless(self.place.site),
            *self._unlabelled(labels, records),
        )
        return Scan(
            images=tuple(records),
            outcomes=labels.outcomes(),
            contradicting=labels.contradicting(),
            exclusions=exclusions,
        )

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Return the image (C, H, W): integers as shares of their type's maximum.

        Floats outside [0, 1] are scaled by the image's 0.5-99.5 percentile range.
        """
        image = full_range(np.asarray(self._images()[int(record.key)]))
        known = image[np.isfinite(image)]
        if known.size and (known.min() < 0 or known.max() > 1):
            image = ramp(image, *robust_range(image))
        return to_channels(image, self.modality.channels)

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return the lesion mask (H, W) from `source.masks`, bits unpacked, or None where it is empty."""
        masks, width = self._masks(), self._images().shape[2]
        if masks is None or not record.has_mask:
            return None
        mask = masks[int(record.key)]
        if mask.shape[1] != width:
            mask = np.unpackbits(mask, axis=-1)[:, :width]
        return np.asarray(mask > 0)

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return None: an npz file says nothing of it."""
        return None

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return None: there is no DICOM file."""
        return None

    def _images(self) -> NDArray[Any]:
        """Return the image array, its shape and type checked."""
        images = load_member(self.place.path, self.source.array, field="site.source.array")
        colour = images.ndim == 4 and images.shape[3] == 3
        if (images.ndim == 3 or colour) and images.dtype.kind in "buif" and images.size:
            return images
        raise self._error(
            "array",
            f"the array has shape {images.shape} and type {images.dtype}",
            "give (N, H, W) or (N, H, W, 3) of integers or floats",
        )

    def _masks(self) -> NDArray[Any] | None:
        """Return the mask array, (N, H, W) or with its last axis packed into bits."""
        if self.source.masks is None:
            return None
        masks = load_member(self.place.path, self.source.masks, field="site.source.masks")
        count, height, width = self._images().shape[:3]
        packed = masks.dtype == np.uint8 and masks.shape == (count, height, -(-width // 8))
        if packed or (masks.shape == (count, height, width) and masks.dtype.kind in "bu"):
            return masks
        raise self._error(
            "masks",
            f"masks of shape {masks.shape} don't fit {count} images of {height} x {width}",
            "give booleans (N, H, W), or np.packbits(masks, axis=-1)",
        )

    def _ids(self, count: int) -> list[str] | None:
        """Return the images' identifiers, or None where the source names no such array."""
        if self.source.ids is None:
            return None
        ids = load_member(self.place.path, self.source.ids, field="site.source.ids")
        if ids.shape != (count,):
            raise self._error(
                "ids", f"ids of shape {ids.shape} don't fit {count} images", "give one an image"
            )
        return [plain_text(name) for name in ids.tolist()]

    def _pairing(self, labels: Labels, count: int) -> Pairing:
        """Return which label belongs to which row."""
        ids = self._ids(count)
        if self.place.labels is None:
            return pair_without_table(count, ids)
        if ids is None:
            return pair_in_order(labels, count, file=self.place.labels.name)
        return pair_by_id(labels, ids, site=self.place.site, file=self.place.path.name)

    def _record(self, image: NDArray[Any], row: int, label: Label, *, has_mask: bool) -> ImageRecord:
        """Return the record of one row; its digest is of shape, type and pixels."""
        kind = f"{image.shape}{image.dtype.str}".encode()
        return ImageRecord(
            patient_id=label.patient,
            modality=self.modality.name,
            source=self.place.index,
            key=str(row),
            digest=digest_bytes(kind + np.ascontiguousarray(image).tobytes()),
            view=label.view,
            has_mask=has_mask,
            phantom=is_phantom(label.patient),
            duplicate_group=label.duplicate_group,
        )

    def _unlabelled(self, labels: Labels, records: list[ImageRecord]) -> list[Exclusion]:
        """Return an exclusion for each patient without an outcome, named by file and row."""
        return [
            Exclusion(
                unit=one.unit,
                reason=one.reason,
                site=one.site,
                subject=f"{self.place.path.name}#{one.subject}",
            )
            for one in labels.unlabelled(records, self.place.site)
        ]

    def _error(self, key: str, message: str, remedy: str) -> DataError:
        """Return the error about one of the source's arrays."""
        return DataError(message, remedy=remedy, field=f"site.source.{key}", file=self.place.path.name)
