"""The gallery: heatmaps of a few tested cases as files, right and wrong, each with what is said under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, ImageRecord, Part
from huizhen.core.digests import Digest, digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_bytes
from huizhen.core.predictions import Predictions
from huizhen.core.streams import stream
from huizhen.core.study import ImageModality, Phases
from huizhen.data.pack import Pack
from huizhen.data.readers.interface import Reader
from huizhen.data.readers.keys import split_key
from huizhen.explain.panels import DARK, panel_png
from huizhen.pipeline.material import Readers
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.pipeline.stage import ARTEFACTS, Run

GALLERY_CASES: Final = 8
"""Cases per cohort whose heatmaps are kept as files: right and wrong, positive and negative alike."""

SHOWN_WHOLE: Final = 2
"""A bag of so many images or fewer is shown whole, of a larger one the hottest image."""

UIDS: Final = "heatmap-uids"
"""What the secret is derived for, under which heatmaps replace the UIDs of their sources."""

Heat = dict[str, dict[str, NDArray[np.float32]]]
"""Pseudonym -> modality -> heat (images of the bag, S, S) in [0, 1], 1 the hottest place of the bag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the gallery is made from: cases by pseudonym, packs by modality, and where pixels come from."""

    run: Run
    cases: Mapping[str, Case]
    packs: Mapping[str, Pack]
    readers: Readers
    model_digest: Digest
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One image of a case's bag: the `number`th of `count`, the `hottest`th being the hottest.

    `peak` is its hottest place on the bag's scale, `hottest_view` the hottest image's view.
    """

    record: ImageRecord
    number: int
    count: int
    hottest: int
    hottest_view: str
    peak: float


def gallery(scene: Scene, heat: Heat, part: Part, table: Predictions, folder: Path) -> list[Evidence]:
    """Keep overlays and DICOM heatmaps of a few cases, right and wrong, in `folder`; return the evidence."""
    evidence: list[Evidence] = []
    for row in gallery_rows(table, scene.run.study.seed):
        case = scene.cases[str(table.patient[row])]
        for modality, bag in case.images.items():
            maps = heat[case.pseudonym][modality]
            for place in places(bag, maps):
                kept = _kept(scene, case, place, maps[place.number - 1], COHORT_WORDS[part], folder)
                evidence.append(
                    _evidence(scene, place, kept, _judged(table, row, COHORT_WORDS[part]), folder)
                )
    return evidence


def gallery_rows(table: Predictions, seed: int) -> list[int]:
    """Return rows for the gallery: the four cells of the confusion table in turn, drawn at random in each."""
    rng = stream(seed, "gallery", table.part.value)
    decision = table.decision["cman"]
    cells = [
        rng.permutation(np.flatnonzero((table.outcome == truth) & (decision == said))).tolist()
        for truth, said in ((True, True), (True, False), (False, True), (False, False))
    ]
    rows: list[int] = []
    while len(rows) < GALLERY_CASES and any(cells):
        rows += [cell.pop() for cell in cells if cell]
    return rows[:GALLERY_CASES]


def places(bag: tuple[ImageRecord, ...], heat: NDArray[np.float32]) -> list[Place]:
    """Return which images of a `bag` are shown: all of a small one, else the hottest.

    `heat` (images, S, S). Heat alone decides, never a lesion mask: truth must not choose what is seen. Of
    equally hot images it is the first; where no image has any heat, the middle one.
    """
    peaks = heat.max(axis=(1, 2))
    hottest = int(np.argmax(peaks)) if peaks.max() > 0 else len(bag) // 2
    chosen = range(len(bag)) if len(bag) <= SHOWN_WHOLE else [hottest]
    return [
        Place(
            record=bag[at],
            number=at + 1,
            count=len(bag),
            hottest=hottest + 1,
            hottest_view=bag[hottest].view,
            peak=float(peaks[at]),
        )
        for at in chosen
    ]


def described(record: ImageRecord) -> str:
    """Return a heatmap's series description: modality, and side and view or slice as they are read aloud.

    >>> from huizhen.core.digests import digest_bytes
    >>> described(ImageRecord(patient_id="", modality="MG", source=0, key="", digest=digest_bytes(b""),
    ...     view="R-CC"))
    'CMAN heatmap MG R CC'
    """
    from huizhen.explain.dicom_export import DESCRIPTION_LENGTH

    view = "".join(letter if letter.isprintable() else " " for letter in record.view)
    words = f"CMAN heatmap {record.modality} {view.replace('-', ' ').replace(chr(92), ' ')}".split()
    return " ".join(words)[:DESCRIPTION_LENGTH].strip()


def _kept(
    scene: Scene, case: Case, place: Place, heat: NDArray[np.float32], cohort: str, folder: Path
) -> dict[str, str]:
    """Write one image's picture and its DICOM heatmap, the latter at image resolution; return their names."""
    from huizhen.explain.dicom_export import heatmap_dicom

    run, record, pack = scene.run, place.record, scene.packs[place.record.modality]
    native = pack.geometry(int(pack.rows([record])[0])).to_native(heat).clip(0, 1)
    reader = scene.readers[case.site, record.source]
    modality = next(m for m in run.study.image_modalities if m.name == record.modality)
    image = _picture(np.asarray(reader.pixels(record)), modality)
    mask = reader.mask(record) if record.has_mask else None
    stem = f"heatmaps/{cohort}/{case.pseudonym}-{record.modality}-{place.number}"
    names = {"file": f"{stem}.png", "dicom": f"{stem}.dcm"}
    picture = panel_png(image, native, mask=mask, phantom=run.study.phantom)
    write_bytes(folder / ARTEFACTS / names["file"], picture)
    first, *further = _planes(reader, record)
    made = heatmap_dicom(
        first[0],
        native,
        frame=first[1],
        further=[(path, frame) for path, frame in further if path],
        image=image,
        mask=mask,
        pseudonym=case.pseudonym,
        description=described(record),
        study_digest=run.study.digest,
        model_digest=scene.model_digest,
        made_at=scene.made_at,
        phantom=run.study.phantom,
        uid_secret=run.key.derive_secret(UIDS),
        instance_number=place.number,
    )
    write_bytes(folder / ARTEFACTS / names["dicom"], made)
    return names


def _evidence(
    scene: Scene, place: Place, names: Mapping[str, str], judged: Mapping[str, object], folder: Path
) -> Evidence:
    """Return what the ledger, and the dossier under the picture, says of one image."""
    said = {
        "view": place.record.view,
        "modality": place.record.modality,
        "image": place.number,
        "images": place.count,
        "hottest": place.hottest,
        "hottest_view": place.hottest_view,
        "peak": place.peak,
        "dark": place.peak < DARK,
    }
    return Evidence(
        key=f"heatmap/{judged['pseudonym']}/{place.record.modality}/{place.number}",
        metric="heatmap",
        stage="explain",
        descriptive=True,
        phantom=scene.run.study.phantom,
        inputs=(digest_file(folder / ARTEFACTS / names["file"]),),
        detail={**names, **judged, **said},
    )


def _judged(table: Predictions, row: int, cohort: str) -> Mapping[str, object]:
    """Return who a case is and how it was judged."""
    return {
        "risk": float(table.risk["cman"][row]),
        "outcome": bool(table.outcome[row]),
        "decision": bool(table.decision["cman"][row]),
        "cohort": cohort,
        "pseudonym": str(table.patient[row]),
    }


def _picture(pixels: NDArray[np.float32], modality: ImageModality) -> NDArray[np.float32]:
    """Return what a reader is shown of an image (C, H, W): colours (H, W, 3), or one grey plane (H, W).

    Of contrast phases that is the early one after contrast, in which lesions stand out.
    """
    if len(pixels) == 3 and modality.phases is Phases.AS_READ:
        return pixels.transpose(1, 2, 0)
    plane: NDArray[np.float32] = pixels[1 if len(pixels) == 3 else 0]
    return plane


def _planes(reader: Reader, record: ImageRecord) -> list[tuple[Path | None, int | None]]:
    """Return the DICOM files and frames behind an image, its phases in order; one None if it isn't DICOM."""
    path = reader.dataset_path(record)
    if path is None:
        return [(None, None)]
    planes = split_key(record.key)
    root = Path(str(path).removesuffix(planes[0][0]))
    return [(root / relative, frame) for relative, frame in planes]
