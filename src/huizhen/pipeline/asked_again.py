"""The locked model asked again: the same tested patients, their images and rows shown otherwise.

Images are altered on the square that the network sees, before contrast phases are taken apart: there a
length means the same for every source, and what isn't altered comes out as it went in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Case, ImageRecord, Part
from huizhen.core.progress import Advance
from huizhen.core.study import ImageModality, Phases
from huizhen.data.corruptions.cells import Row
from huizhen.data.corruptions.interface import Image
from huizhen.data.pack import Pack, images_of, pack_images
from huizhen.data.preprocess import letterbox
from huizhen.data.splits import Fold
from huizhen.data.tables import TableEncoding
from huizhen.models.encoders.interface import Encoder
from huizhen.pipeline.asked import Asked
from huizhen.pipeline.covariates import covariates_of
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.material import open_readers, table_column
from huizhen.pipeline.stage import Run
from huizhen.train.arrays import CaseData, ImageColumn, TableColumn
from huizhen.train.features import encode_images
from huizhen.train.fit import predict_logits
from huizhen.train.harmony import harmonised

__all__ = ["Cells", "Images", "Scene", "as_read", "as_shown", "mask_of", "packs_of", "risks"]

CHUNK_BYTES = 64 * 2**20
"""About so many bytes of pixels are shown at a time, or one patient's where these are more."""
MOST_CASES = 64
ENCODED = 32
"""Images encoded at a time."""

Images = Callable[[Case, ImageModality], NDArray[np.uint8]]
"""What is shown of a case's modality: images (k, C, S, S), none where it is hidden."""
Cells = Callable[[Case, TableEncoding, Row], Row]
"""What is shown of a case's encoded row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who is asked, by which locked networks: `cases` of one tested `part`, `packs` of their images as read.

    `decisions`: the model's in each fold. A case is answered by the folds in which it stands in `part`.
    """

    run: Run
    cases: tuple[Case, ...]
    part: Part
    folds: tuple[Fold, ...]
    networks: tuple[Asked, ...]
    decisions: Mapping[int, Decision]
    encoders: Mapping[str, Encoder]
    packs: Mapping[str, Pack]


def packs_of(run: Run, tested: Sequence[Case], wanted: Sequence[Case]) -> dict[str, Pack]:
    """Return modality -> the images of `wanted` cases on their squares, before phases are taken apart.

    Where nothing is taken apart that is the pack that all `tested` were predicted from, which the cache has.
    """
    readers, found = open_readers(run), dict[str, Pack]()
    for modality in run.study.image_modalities:
        plain = modality.phases is Phases.AS_READ
        images = images_of(tested if plain else wanted, modality.name)
        if images:
            source = modality.model_copy(update={"phases": Phases.AS_READ})
            found[modality.name] = pack_images(images, readers, source, run.cache, run.progress)
    return found


def as_read(pack: Pack, record: ImageRecord) -> Image:
    """Return an image (C, h, w) in [0, 1] as it lies in its square, without the empty margin."""
    [row] = pack.rows([record])
    down, across = pack.geometry(int(row)).inner
    return np.asarray(pack.pixels[row][:, down, across], dtype=np.float32) / np.float32(255)


def mask_of(pack: Pack, record: ImageRecord) -> NDArray[np.bool_] | None:
    """Return an image's lesion mask (h, w), cut as `as_read`; None where it has none or an empty one."""
    [row] = pack.rows([record])
    if pack.masks is None or not pack.has_mask[row] or not pack.masks[row].any():
        return None
    down, across = pack.geometry(int(row)).inner
    return np.asarray(pack.masks[row][down, across])


def as_shown(pixels: Image, modality: ImageModality) -> NDArray[np.uint8]:
    """Return an image (C, h, w) in [0, 1] as the network's square (C, S, S), phases taken apart."""
    return letterbox(pixels, size=modality.size, channels=modality.channels, phases=modality.phases)


def risks(
    scene: Scene, images: Images, advance: Advance, *, cells: Cells | None = None, tables: bool = True
) -> NDArray[np.float64]:
    """Return CMAN's calibrated risks (n,) of the scene's cases, shown by `images` and `cells`.

    Without `tables` rows of covariates are hidden. A case that nothing is shown of gets NaN.
    """
    found = [
        _odds(scene, _chunk_data(scene, chunk, images), chunk, advance, cells, tables)
        for chunk in _chunks(scene)
    ]
    return np.asarray(expit(np.concatenate(found)))


def _chunks(scene: Scene) -> Iterator[tuple[Case, ...]]:
    """Yield the cases in order, as many at a time as `CHUNK_BYTES` holds."""
    each = {m.name: m.channels * m.size**2 for m in scene.run.study.image_modalities}
    held, chunk = 0, list[Case]()
    for case in scene.cases:
        size = sum(len(bag) * each[name] for name, bag in case.images.items())
        if chunk and (held + size > CHUNK_BYTES or len(chunk) == MOST_CASES):
            yield tuple(chunk)
            held, chunk = 0, []
        held += size
        chunk.append(case)
    yield tuple(chunk)


def _chunk_data(scene: Scene, cases: tuple[Case, ...], images: Images) -> dict[str, ImageColumn]:
    """Return the image columns of a few cases; of frozen encoders their features."""
    return {
        m.name: _column(scene, m, [images(case, m) for case in cases])
        for m in scene.run.study.image_modalities
    }


def _column(scene: Scene, modality: ImageModality, shown: Sequence[NDArray[np.uint8]]) -> ImageColumn:
    payload = np.concatenate(
        [np.zeros((0, modality.channels, modality.size, modality.size), np.uint8), *shown]
    )
    frozen = modality.name in scene.encoders
    return ImageColumn(
        payload=_encoded(scene.encoders[modality.name], payload, modality.size) if frozen else payload,
        where=np.arange(len(payload), dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(bag) for bag in shown])]).astype(np.int64),
        features=frozen,
    )


def _encoded(encoder: Encoder, pixels: NDArray[np.uint8], size: int) -> NDArray[np.float16]:
    """Return features (n, 1, T, D) of plain `pixels` (n, C, S, S), a few at a time."""
    parts = [np.zeros((0, 1, (size // encoder.stride) ** 2, encoder.channels), np.float16)]
    for start in range(0, len(pixels), ENCODED):
        block = pixels[start : start + ENCODED]
        parts.append(encode_images(encoder, block, copies=1, generator=torch.Generator()))
    return np.concatenate(parts)


def _odds(
    scene: Scene,
    columns: Mapping[str, ImageColumn],
    cases: tuple[Case, ...],
    advance: Advance,
    cells: Cells | None,
    tables: bool,
) -> NDArray[np.float64]:
    """Return calibrated log-odds (n,) of a few cases: members averaged in a fold, then folds averaged."""
    by_fold: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for asked in scene.networks:
        tested = [scene.folds[asked.fold].parts.get(c.pseudonym) is scene.part for c in cases]
        data = _case_data(scene, asked, cases, columns, cells, tables)
        everyone = np.full(len(cases), np.nan)
        rows = np.flatnonzero(tested)
        everyone[rows] = predict_logits(asked.network, data, rows, asked.modalities)
        by_fold[asked.fold].append(everyone)
    advance(len(cases))
    total, count = np.zeros(len(cases)), np.zeros(len(cases))
    for fold, logits in by_fold.items():
        how = scene.decisions[fold].platt
        odds = how.intercept + how.slope * np.mean(logits, axis=0)
        total += np.nan_to_num(odds)
        count += ~np.isnan(odds)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.where(count == 0, np.nan, count))


def _case_data(
    scene: Scene,
    asked: Asked,
    cases: tuple[Case, ...],
    columns: Mapping[str, ImageColumn],
    cells: Cells | None,
    tables: bool,
) -> CaseData:
    """Return a few cases as one network is shown them."""
    study = scene.run.study
    names = tuple(m.name for m in study.modality)
    shown = {name: np.diff(column.offsets) > 0 for name, column in columns.items()}
    for m in study.table_modalities:
        shown[m.name] = np.array([tables and m.name in case.modalities for case in cases], bool)
    rows = {
        m.name: _altered(
            table_column(cases, m, asked.encodings[m.name]), cases, asked.encodings[m.name], cells
        )
        for m in study.table_modalities
    }
    found = CaseData(
        names=names,
        images=columns,
        tables=rows,
        present=np.stack([shown[name] for name in names], 1),
        outcome=np.full(len(cases), np.nan, np.float32),
    )
    kept = covariates_of(study, found, asked.encodings)
    return harmonised(found, asked.harmonies, [case.site for case in cases], kept.values)


def _altered(
    column: TableColumn, cases: Sequence[Case], encoding: TableEncoding, cells: Cells | None
) -> TableColumn:
    """Return a table's rows as `cells` shows them."""
    if cells is None:
        return column
    found = [
        cells(case, encoding, (values, there))
        for case, values, there in zip(cases, column.values, column.there, strict=True)
    ]
    return TableColumn(values=np.stack([row[0] for row in found]), there=np.stack([row[1] for row in found]))
