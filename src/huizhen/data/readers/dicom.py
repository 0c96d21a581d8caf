"""The DICOM reader: a folder of files of any patients, sorted out by what their headers say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.dicom_modality import wanted_modality
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality, Source
from huizhen.data.readers.dicom_headers import read_dataset
from huizhen.data.readers.dicom_intake import find_headers
from huizhen.data.readers.dicom_pixels import render
from huizhen.data.readers.dicom_planes import spacing_of
from huizhen.data.readers.dicom_records import Drawn, group_studies, images_of
from huizhen.data.readers.dicom_values import text_of
from huizhen.data.readers.interface import SILENT, Located, Scan, image_order
from huizhen.data.readers.keys import join_key, planes_digest, split_key
from huizhen.data.readers.labels import Label, read_labels
from huizhen.data.readers.masks import MASK_SUFFIXES, read_mask_file
from huizhen.data.readers.paths import leads_out
from huizhen.data.readers.persons import Person

__all__ = ["DicomReader"]

_UID = re.compile(r"[0-9][0-9.]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomReader:
    """Reads a folder of DICOM files, in whatever subfolders.

    Mammograms, ultrasound pictures and the like are an image each, with their view ("L-CC"). Clips give
    frames. The slices of an MR, CT or PET study come from its best acquisition (see `dicom_stacks`), with
    contrast phases as channels. Labels are joined by Patient ID. Masks lie in the folder `source.masks`,
    named by SOP Instance UID (`<uid>.png`, `<uid>.npz` with "mask"); one of any phase that is a channel
    counts for its slice.
    """

    source: Source
    place: Located
    modality: ImageModality

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Return the folder's images; see `find_headers` and `Labels` for what is left out and why.

        The first file of each series that is not used is left out as other_series. Only objects of the
        source's `dicom_modality`, or else of the one that its modality is called after, are taken. Raises
        `DataError` on an empty folder or a labels table that doesn't fit.
        """
        site = self.place.site
        labels = read_labels(self.source, self.place)
        chosen, by_patient = labels.chosen_patients(), labels.by_patient()
        found = find_headers(
            self.place,
            wanted=wanted_modality(self.source),
            progress=progress,
            about=f"{site} {self.modality.name}",
        )
        masks = self._mask_names()
        records: list[ImageRecord] = []
        exclusions = list(found.exclusions)
        parts: Counter[str] = Counter()
        persons: dict[str, set[Person]] = {}
        for (patient, _), study in group_studies(found.headers).items():
            if chosen is not None and patient not in chosen:
                continue
            persons.setdefault(patient, set()).update(header.person for header in study)
            images, unused = images_of(
                study, bag=self.source.bag, most=self.modality.max_images, channels=self.modality.channels
            )
            records += [self._record(image, by_patient.get(patient), masks) for image in images]
            parts.update(image.planes[0][0].body_part for image in images)
            exclusions += [
                Exclusion(unit="image", reason="other_series", site=site, subject=header.file)
                for header in unused
            ]
        records.sort(key=image_order)
        exclusions += [*labels.nameless(site), *labels.unlabelled(records, site)]
        return Scan(
            images=tuple(records),
            outcomes=labels.outcomes(),
            contradicting=labels.contradicting(),
            exclusions=tuple(exclusions),
            persons={patient: frozenset(found) for patient, found in persons.items()},
            body_parts=dict(parts),
        )

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Return the image (C, H, W) in [0, 1], as `dicom_pixels.render` shows it."""
        files = [(self.place.path / file, frame) for file, frame in split_key(record.key)]
        return render(files, self.modality.channels)

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return the lesion mask (H, W), or None. Raises `UnreadableFileError` when it is broken."""
        return next((read_mask_file(path, frame) for path, frame in self._mask_files(record)), None)

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return the distance between rows and between columns, in the patient or else at the detector."""
        frame = split_key(record.key)[0][1] or 0
        return spacing_of(read_dataset(self._first_file(record), pixels=False), frame)

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return the DICOM file behind an image, the first phase's."""
        return self._first_file(record)

    def _first_file(self, record: ImageRecord) -> Path:
        return self.place.path / split_key(record.key)[0][0]

    def _record(self, image: Drawn, label: Label | None, masks: frozenset[str]) -> ImageRecord:
        """Return the record of an image."""
        header, _ = image.planes[0]
        frames = [frame for _, frame in image.planes]
        return ImageRecord(
            patient_id=header.patient,
            modality=self.modality.name,
            source=self.place.index,
            key=join_key([(one.file, frame) for one, frame in image.planes]),
            digest=planes_digest([one.digest for one, _ in image.planes], frames),
            view=label.view if label is not None and label.view else image.view,
            study_id=header.study,
            scanner=header.scanner,
            has_mask=any(one.instance in masks for one, _ in image.planes),
            phantom=header.phantom,
            duplicate_group=label.duplicate_group if label is not None else "",
        )

    def _mask_names(self) -> frozenset[str]:
        """Return the SOP Instance UIDs that have a mask file."""
        if self.place.masks is None:
            return frozenset()
        return frozenset(
            path.stem
            for path in self.place.masks.iterdir()
            if path.suffix.lower() in MASK_SUFFIXES and not leads_out(path, self.place.masks)
        )

    def _mask_files(self, record: ImageRecord) -> Iterator[tuple[Path, int | None]]:
        """Yield the mask files of an image's phases, each with the frame that it is for."""
        if self.place.masks is None or not record.has_mask:
            return
        for file, frame in split_key(record.key):
            uid = text_of(read_dataset(self.place.path / file, pixels=False), "SOPInstanceUID")
            for suffix in MASK_SUFFIXES if _UID.fullmatch(uid) else ():
                path = self.place.masks / f"{uid}{suffix}"
                if path.is_file() and not leads_out(path, self.place.masks):
                    yield path, frame
