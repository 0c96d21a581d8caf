"""The material of fits and predictions: cases as arrays, made when a stage first needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.digests import Digest, digest_value
from huizhen.core.study import ImageModality, TableModality
from huizhen.data.pack import Pack, images_of, pack_images
from huizhen.data.readers.interface import Reader
from huizhen.data.readers.open import open_source
from huizhen.data.splits import Fold
from huizhen.data.tables import TableEncoding
from huizhen.models.build import ENCODER_CHANNELS
from huizhen.models.encoders.interface import Encoder
from huizhen.pipeline.covariates import covariates_of
from huizhen.pipeline.stage import Run
from huizhen.train.arrays import CaseData, ImageColumn, TableColumn
from huizhen.train.features import cached_features
from huizhen.train.harmony import Harmony, harmonised

Readers = Mapping[tuple[str, int], Reader]


def open_readers(run: Run) -> Readers:
    """Return the reader of every image source, by site and number."""
    modalities = {m.name: m for m in run.study.modality}
    return {
        (site.name, index): open_source(
            source, roots=run.roots, site=site.name, index=index, modality=modalities[source.modality]
        )
        for site in run.study.site
        for index, source in enumerate(site.source)
    }


@dataclass(slots=True)
class Columns:
    """The image columns of some cases, packed (and, for frozen encoders, encoded) on first use."""

    run: Run
    cases: tuple[Case, ...]
    augmented: bool
    """Whether features of augmented copies are wanted as well: for training cases only."""
    _made: dict[str, tuple[ImageColumn, Pack]] | None = None

    @property
    def made(self) -> dict[str, tuple[ImageColumn, Pack]]:
        """Return modality -> (column, pack)."""
        if self._made is None:
            readers = open_readers(self.run)
            self._made = {m.name: self._column(m, readers) for m in self.run.study.image_modalities}
        return self._made

    def _column(self, modality: ImageModality, readers: Readers) -> tuple[ImageColumn, Pack]:
        """Return one modality's column and the pack behind it.

        No tested patient need have a modality; that nobody can learn it is an error of the pack.
        """
        run, study = self.run, self.run.study
        images = images_of(self.cases, modality.name)
        if not images and not self.augmented:
            return _nothing(modality, len(self.cases), features=study.training.mode == "frozen")
        pack = pack_images(images, readers, modality, run.cache, run.progress)
        frozen = study.training.mode == "frozen"
        payload: NDArray[Any] = pack.pixels
        if frozen:
            copies = study.training.view_augment if self.augmented else 1
            payload = cached_features(
                pack, modality, run.cache, copies=copies, seed=study.seed, progress=run.progress
            )
        counts = [len(case.images.get(modality.name, ())) for case in self.cases]
        column = ImageColumn(
            payload=payload,
            where=pack.rows(record for _, record in images),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            features=frozen,
            masks=pack.masks if study.training.lesion_weight else None,
            has_mask=pack.has_mask if study.training.lesion_weight else None,
        )
        return column, pack


def _nothing(modality: ImageModality, cases: int, *, features: bool) -> tuple[ImageColumn, Pack]:
    """Return the column and the pack of a modality that none of the cases has."""
    side = modality.size
    pack = Pack(
        modality=modality.name,
        pixels=np.zeros((0, modality.channels, side, side), np.uint8),
        masks=None,
        has_mask=np.zeros(0, np.bool_),
        native=np.zeros((0, 2), np.int32),
        index={},
        digest=digest_value([]),
    )
    tokens = (side // Encoder.stride) ** 2
    payload: NDArray[Any] = pack.pixels
    if features:
        payload = np.zeros((0, 1, tokens, ENCODER_CHANNELS[modality.encoder.value]), np.float16)
    where = np.zeros(0, np.int64)
    column = ImageColumn(
        payload=payload, where=where, offsets=np.zeros(cases + 1, np.int64), features=features
    )
    return column, pack


@dataclass(frozen=True)
class Material:
    """Cases with their columns; the tables are encoded by a fold's training patients."""

    run: Run
    cases: tuple[Case, ...]
    columns: Columns

    @cached_property
    def place(self) -> dict[str, int]:
        """Pseudonym -> row."""
        return {case.pseudonym: row for row, case in enumerate(self.cases)}

    def data(
        self, encodings: Mapping[str, TableEncoding], harmonies: Mapping[str, Harmony] | None = None
    ) -> CaseData:
        """Return the cases as arrays: tables by `encodings`, image features by `harmonies`, by modality."""
        study = self.run.study
        names = tuple(m.name for m in study.modality)
        found = CaseData(
            names=names,
            images={name: column for name, (column, _) in self.columns.made.items()},
            tables={m.name: table_column(self.cases, m, encodings[m.name]) for m in study.table_modalities},
            present=np.array([[name in case.modalities for name in names] for case in self.cases], bool),
            outcome=np.array(
                [np.nan if case.outcome is None else case.outcome for case in self.cases], np.float32
            ),
        )
        if not harmonies:
            return found
        kept = covariates_of(study, found, encodings)
        return harmonised(found, harmonies, [case.site for case in self.cases], kept.values)


def table_column(cases: Sequence[Case], modality: TableModality, encoding: TableEncoding) -> TableColumn:
    """Return one table modality's encoded rows of `cases`; absent rows are all missing."""
    empty = dict.fromkeys((*modality.numeric, *modality.categorical))
    values, there = encoding.apply_all(case.covariates.get(modality.name, empty) for case in cases)
    return TableColumn(values=values, there=there)


def encodings_of(run: Run, cases: Sequence[Case], fold: Fold) -> dict[str, TableEncoding]:
    """Return each table modality's encoding, fitted on the fold's training patients."""
    train = [case for case in cases if fold.parts.get(case.pseudonym) is Part.TRAIN]
    return {
        m.name: TableEncoding.fit([c.covariates[m.name] for c in train if m.name in c.covariates], m)
        for m in run.study.table_modalities
    }


def slices_of(encodings: Mapping[str, TableEncoding]) -> dict[str, list[tuple[int, int]]]:
    """Return table modality -> each column's features within the encoded row."""
    return {
        name: [(column.start, column.stop) for column in encoding.columns]
        for name, encoding in encodings.items()
    }


def cases_digest(cases: Sequence[Case]) -> Digest:
    """Return a digest over what models may learn from: pseudonyms, sites, images, covariates, outcomes."""
    return digest_value(
        [
            [
                case.pseudonym,
                case.site,
                case.outcome,
                {name: [record.digest for record in bag] for name, bag in case.images.items()},
                {name: dict(row) for name, row in case.covariates.items()},
            ]
            for case in cases
        ]
    )
