"""What stays at the site: which images, values, dates and copies are odd, and a page with pictures of them.

images.csv, values.csv and copies.csv name cases; pictures.html shows the oddest images. No value of a table
is written: whoever mends it looks it up. All are for their owner alone (mode 0600).
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np

from huizhen.core.files import private_folder, storage_error, write_text
from huizhen.core.table_cells import csv_text
from huizhen.core.words import Language, load_words
from huizhen.pipeline.checks.check import Checked
from huizhen.pipeline.pages import Page, Pictures, Said, Title

__all__ = ["COPIES", "IMAGES", "PICTURES", "VALUES", "write_private"]

IMAGES = "images.csv"
VALUES = "values.csv"
COPIES = "copies.csv"
PICTURES = "pictures.html"
_ROOM = "huizhen.pipeline.checks"
MOST_SHOWN = 24
"""Pictures of each site and modality."""
SIDE = 152


def write_private(found: Checked, folder: Path, *, language: Language, pictures: bool) -> None:
    """Write the lists to `folder`, and with `pictures` the page. Raises `StorageError`."""
    try:
        private_folder(folder)
        os.chmod(folder, 0o700)
    except OSError as error:
        raise storage_error(folder, error) from error
    write_text(
        folder / IMAGES,
        csv_text([("site", "modality", "case", "image", "view", "score", "why"), *_images(found)]),
    )
    write_text(
        folder / VALUES,
        csv_text([("site", "table", "case", "line", "column", "why", "factor"), *_values(found)]),
    )
    write_text(folder / COPIES, csv_text([("group", "site", "case"), *_copies(found)]))
    if pictures and found.images:
        write_text(folder / PICTURES, _page(found, language).html())


def _images(found: Checked) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for group in found.images:
        for k in np.argsort(-group.score, kind="stable").tolist():
            if not group.flagged[k]:
                break
            case, record = group.case[k], group.record[k]
            named = (group.site, group.modality, case.patient_id, record.key, record.view)
            rows.append((*named, round(float(group.score[k]), 2), group.why[k]))
    return rows


def _values(found: Checked) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (one.site, one.modality, case.patient_id, "", one.column, odd.why.value, odd.factor)
        for one in found.columns
        for case, odd in one.odd
    ]
    return rows + [
        (one.site, one.file, "", line, odd.column, odd.why.value, "")
        for one in found.dates
        for line, odd in one.odd
    ]


def _copies(found: Checked) -> list[tuple[object, ...]]:
    cases = {case.pseudonym: case for case in found.taken.cohort.cases}
    return [
        (number, cases[name].site, cases[name].patient_id)
        for number, group in enumerate(found.taken.links, 1)
        for name in group
        if name in cases
    ]


def _page(found: Checked, language: Language) -> Page:
    words = load_words(_ROOM, language)
    parts: list[Title | Said | Pictures] = [Said(words["pictures.stay"], "warn")]
    for group in found.images:
        order = np.argsort(-group.score, kind="stable")[:MOST_SHOWN].tolist()
        shown = []
        for k in order:
            record = group.record[k]
            pixels = found.taken.readers[group.site, record.source].pixels(record)
            why = words[f"why.{group.why[k]}"] if group.why[k] else ""
            under = f"{group.case[k].patient_id} {record.view} · {group.score[k]:.1f} {why}"
            shown.append((_data_url(np.asarray(pixels)), under))
        parts += [Title(f"{group.site} {group.modality}"), Pictures(shown)]
    return Page(title=words["pictures.title"].format(study=found.study.title), language=language, parts=parts)


def _data_url(pixels: np.ndarray) -> str:
    """Return an image (C, H, W) in [0, 1] as a small PNG within a URL."""
    from PIL import Image

    grey = np.clip(pixels.mean(axis=0) * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((2 * SIDE, 2 * SIDE))
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
