"""The image folder reader: PNG, JPEG, TIFF or BMP with a labels table, or one folder a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import ImageRecord
from huizhen.core.digests import digest_file
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality, Source
from huizhen.data.readers.bags import chosen_slices
from huizhen.data.readers.image_files import count_pages, image_size, read_image, read_mask_image
from huizhen.data.readers.image_layout import ImageIndex, by_class, without_suffix
from huizhen.data.readers.interface import SILENT, Located, Scan
from huizhen.data.readers.keys import join_key, planes_digest, split_key
from huizhen.data.readers.labelled_files import Pairs, Problems, by_table, scan_pairs
from huizhen.data.readers.labels import Label, Labels, is_phantom, read_labels
from huizhen.data.readers.paths import leads_out, list_files
from huizhen.data.readers.scaling import to_channels
from huizhen.errors import UnreadableFileError

__all__ = ["ImageFolderReader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolderReader:
    """Reads a folder of images.

    With a labels table, rows name files. Without one, the first folder level is the outcome, as in BUSI:
    benign/, malignant/, normal/. Masks lie beside their image as "x_mask.png" ("x_mask_1.png" is a second
    lesion), or in the folder `source.masks` under the image's name, with or without "_mask".
    """

    source: Source
    place: Located
    modality: ImageModality

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Return the folder's images; a broken one becomes an exclusion.

        Raises `DataError` on an empty folder or a labels table that doesn't fit.
        """
        skip = [path for path in (self.place.labels, self.place.masks) if path is not None]
        files, strays = list_files(self.place.path, skip=skip)
        index, labels = ImageIndex.of(files), read_labels(self.source, self.place)
        pairs, problems = self._labelled(labels, index)
        if self.place.labels is None:
            rows = tuple(label for _, label in pairs)
            labels = Labels(rows=rows, asked=any(label.outcome for label in rows))
        masks = self._masked(index)
        return scan_pairs(
            pairs,
            problems + [("unreadable", file) for file in (*strays, *index.others)],
            labels,
            place=self.place,
            modality=self.modality.name,
            records_of=lambda file, label: self._records(file, label, has_mask=without_suffix(file) in masks),
            progress=progress,
        )

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Return the image (C, H, W) as `read_image` gives it. Raises `UnreadableFileError`."""
        [(file, page)] = split_key(record.key)
        return to_channels(read_image(self.place.path / file, page or 0), self.modality.channels)

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return the union (H, W) of the image's masks, or None.

        Raises `UnreadableFileError` if one is broken or of another size than the image.
        """
        [(file, _)] = split_key(record.key)
        found = self._mask_files(file) if record.has_mask else []
        if not found:
            return None
        size, masks = image_size(self.place.path / file), [read_mask_image(path) for path in found]
        if any(mask.shape != size for mask in masks):
            raise UnreadableFileError(
                "its mask is of another size", remedy="export both again", file=found[0].name
            )
        return np.asarray(np.logical_or.reduce(masks))

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return None: such files say nothing reliable of it."""
        return None

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return None: there is no DICOM file."""
        return None

    def _labelled(self, labels: Labels, index: ImageIndex) -> tuple[Pairs, Problems]:
        """Return each image with its label, and what can't be used."""
        if self.place.labels is not None:
            return by_table(labels, index.images, without_suffix)
        return by_class(index.images), []

    def _records(self, file: str, label: Label, *, has_mask: bool) -> list[ImageRecord]:
        """Return a file's records: one, or one a page that the bag takes."""
        path = self.place.path / file
        pages = count_pages(path)
        digest = digest_file(path)
        record = ImageRecord(
            patient_id=label.patient,
            modality=self.modality.name,
            source=self.place.index,
            key=join_key([(file, None)]),
            digest=digest,
            view=label.view,
            has_mask=has_mask,
            phantom=is_phantom(label.patient),
            duplicate_group=label.duplicate_group,
        )
        if pages == 1:
            return [record]
        return [
            replace(
                record,
                key=join_key([(file, page)]),
                digest=planes_digest([digest], [page]),
                view=f"frame {page + 1}",
            )
            for page in chosen_slices(pages, self.source.bag, self.modality.max_images)
        ]

    def _masked(self, index: ImageIndex) -> frozenset[str]:
        """Return the images, without suffix, that have a mask."""
        if self.place.masks is None:
            return frozenset(index.masks)
        files, _ = list_files(self.place.masks)
        found = ImageIndex.of(files)
        return frozenset({*found.masks, *map(without_suffix, found.images), *index.masks})

    def _mask_files(self, file: str) -> list[Path]:
        """Return the mask files of an image: those beside it, then those in the mask folder."""
        owner = Path(without_suffix(file))
        place, masks = self.place.path, self.place.masks
        found = _masks_in((place / owner).parent, place, apart=False).get(owner.name, ())
        if masks is not None:
            found += _masks_in((masks / owner).parent, masks, apart=True).get(owner.name, ())
        return list(found)


def _masks_in(folder: Path, root: Path, *, apart: bool) -> Mapping[str, tuple[Path, ...]]:
    """Return owner -> mask files of one folder, no links out of `root`; if `apart`, every image is a mask."""
    return _listed(folder, root, apart, folder.stat().st_mtime_ns) if folder.is_dir() else {}


@lru_cache(maxsize=16)
def _listed(folder: Path, root: Path, apart: bool, changed_ns: int) -> Mapping[str, tuple[Path, ...]]:
    """Return `_masks_in`, remembered until the folder changes."""
    files = (path for path in folder.iterdir() if path.is_file() and not leads_out(path, root))
    index = ImageIndex.of(sorted(path.name for path in files))
    found = {owner: tuple(folder / name for name in names) for owner, names in index.masks.items()}
    for name in index.images if apart else ():
        owner = without_suffix(name)
        found[owner] = (*found.get(owner, ()), folder / name)
    return found
