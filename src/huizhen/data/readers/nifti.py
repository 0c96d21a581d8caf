"""The NIfTI reader: .nii and .nii.gz, three-dimensional volumes or four-dimensional phases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import ImageRecord
from huizhen.core.digests import digest_file
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality, Source
from huizhen.data.readers.bags import chosen_phases, chosen_slices
from huizhen.data.readers.interface import SILENT, Located, Scan
from huizhen.data.readers.keys import join_key, planes_digest, split_key
from huizhen.data.readers.labelled_files import by_table, own_label, scan_pairs
from huizhen.data.readers.labels import Label, is_phantom, read_labels
from huizhen.data.readers.nifti_volumes import count_slices, read_volume
from huizhen.data.readers.paths import list_files
from huizhen.data.readers.scaling import ramp, robust_range
from huizhen.errors import UnreadableFileError

__all__ = ["NiftiReader", "volume_name"]

SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiReader:
    """Reads a folder with one volume a patient (or several: pre-treatment, left, right).

    Volumes are turned to the canonical orientation; slices lie across the axis of the largest spacing and
    are shown as a radiologist sees them (see `nifti_volumes`). The fourth dimension is contrast phases,
    which become channels. Masks lie in the folder `source.masks` under the same names.
    """

    source: Source
    place: Located
    modality: ImageModality

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Return the folder's slices; a broken volume becomes an exclusion.

        Raises `DataError` on an empty folder or a labels table that doesn't fit.
        """
        skip = [path for path in (self.place.labels, self.place.masks) if path is not None]
        files, strays = list_files(self.place.path, skip=skip)
        volumes = [file for file in files if volume_name(file) != file]
        others = [file for file in files if volume_name(file) == file]
        labels = read_labels(self.source, self.place)
        if self.place.labels is not None:
            pairs, problems = by_table(labels, volumes, volume_name)
        else:
            pairs, problems = [(file, _own_label(file, i)) for i, file in enumerate(volumes)], []
        return scan_pairs(
            pairs,
            problems + [("unreadable", file) for file in (*strays, *others)],
            labels,
            place=self.place,
            modality=self.modality.name,
            records_of=self._records,
            progress=progress,
        )

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Return the slice's phases (C, H, W), on one common 0.5-99.5 percentile range."""
        [(file, place)] = split_key(record.key)
        volume = read_volume(self.place.path / file)
        phases = volume.slice(place or 0)[list(chosen_phases(volume.phases, self.modality.channels))]
        return ramp(phases, *robust_range(phases))

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return the slice (H, W) of the patient's mask volume, or None. Raises if it doesn't fit."""
        [(file, place)] = split_key(record.key)
        path = self._mask_path(file)
        if path is None:
            return None
        volume, mask = read_volume(self.place.path / file), read_volume(path)
        if mask.shape != volume.shape:
            raise UnreadableFileError(
                f"the mask has shape {mask.shape}, its volume {volume.shape}",
                remedy="resample the mask to the volume",
                file=path.name,
            )
        return np.asarray(mask.slice(place or 0)[0] > 0)

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return the slice's in-plane spacing from the header."""
        [(file, _)] = split_key(record.key)
        return read_volume(self.place.path / file).spacing_mm

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return None: there is no DICOM file."""
        return None

    def _records(self, file: str, label: Label) -> list[ImageRecord]:
        """Return the records of a volume: its middle slice, or those that the bag takes."""
        path = self.place.path / file
        slices = count_slices(path)
        digest = digest_file(path)
        return [
            ImageRecord(
                patient_id=label.patient,
                modality=self.modality.name,
                source=self.place.index,
                key=join_key([(file, place)]),
                digest=planes_digest([digest], [place]),
                view=label.view or f"slice {place + 1}",
                has_mask=self._mask_path(file) is not None,
                phantom=is_phantom(label.patient),
                duplicate_group=label.duplicate_group,
            )
            for place in chosen_slices(slices, self.source.bag, self.modality.max_images)
        ]

    def _mask_path(self, file: str) -> Path | None:
        """Return the mask of a volume, compressed or not, or None."""
        if self.place.masks is None:
            return None
        owner = self.place.masks / volume_name(file)
        return next((path for end in SUFFIXES if (path := Path(f"{owner}{end}")).is_file()), None)


def volume_name(file: str) -> str:
    """Return a path without .nii or .nii.gz; unchanged if it has neither.

    >>> volume_name("p1/dce.nii.gz"), volume_name("notes.txt")
    ('p1/dce', 'notes.txt')
    """
    end = next((end for end in SUFFIXES if file.lower().endswith(end)), "")
    return file[: len(file) - len(end)]


def _own_label(file: str, position: int) -> Label:
    """Return a volume's label without a table: the patient is the first folder, or else the file's name."""
    return own_label(file, position, patient=volume_name(file).partition("/")[0])
