"""Finders of text in a picture, offline, in English and Chinese: rapidocr, and tesseract as its peer.

    finder = RapidFinder()
    for found in finder.find(picture):      # (rows, columns) or with 3 colours, 8 bits
        found.region, found.score

What is read stays in memory: a patient's name is in no record, message or file.
"""

from __future__ import annotations

import csv
import io
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from huizhen.data.deidentify.regions import Region
from huizhen.errors import PolicyError

__all__ = ["Found", "RapidFinder", "TesseractFinder", "TextFinder"]

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What looks like text: where, how sure its reading is (0 to 1), and what was read, never shown."""

    region: Region
    score: float
    text: str = field(default="", repr=False)


class TextFinder(Protocol):
    """Finds text in one picture."""

    def find(self, picture: Picture) -> list[Found]:
        """Return what looks like text; a box with score 0 was found and couldn't be read."""
        ...


class RapidFinder:
    """PP-OCR's detector and reader by rapidocr-onnxruntime, whose wheel carries both models.

    `box_score` is the detector's threshold: lower finds more. Raises `PolicyError` where it isn't installed.
    """

    def __init__(self, *, threads: int = 1, box_score: float = 0.3, unclip: float = 1.8) -> None:
        try:
            import rapidocr_onnxruntime
        except ImportError as error:
            raise PolicyError(
                "the policy asks for OCR, and its engine isn't installed",
                remedy="pip install 'huizhen[deid]'",
                field="pixels.inspect",
            ) from error
        self._engine: Any = rapidocr_onnxruntime.RapidOCR(
            intra_op_num_threads=threads, inter_op_num_threads=1
        )
        self._engine.text_det.limit_side_len = 32  # pictures come at the scale at which they are to be seen
        self._engine.text_det.postprocess_op.box_thresh = box_score
        self._engine.text_det.postprocess_op.unclip_ratio = unclip

    def find(self, picture: Picture) -> list[Found]:
        """Return the boxes that the detector finds, each with its reading."""
        colour = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
        colour = np.ascontiguousarray(colour)
        boxes, _ = self._engine.auto_text_det(colour)
        if boxes is None:
            return []
        crops, _, _ = self._engine.text_cls(self._engine.get_crop_img_list(colour, boxes))
        readings, _ = self._engine.text_rec(crops)
        return [
            Found(region=_around(box), score=float(score), text=str(text))
            for box, (text, score) in zip(boxes, readings, strict=True)
        ]


def _around(box: NDArray[np.float32]) -> Region:
    """Return the upright rectangle around four points (x, y)."""
    left, top = (int(one) for one in np.floor(box.min(axis=0)))
    right, bottom = (int(one) for one in np.ceil(box.max(axis=0)))
    return Region(top=top, bottom=bottom + 1, left=left, right=right + 1)


class TesseractFinder:
    """Debian's tesseract with eng and chi_sim, by its command line: an optional peer, for comparison.

    Raises `PolicyError` where the program or a language isn't installed.
    """

    def __init__(self, *, seconds: float = 120) -> None:
        self._seconds = seconds
        if not {"eng", "chi_sim"} <= self._languages:
            raise PolicyError(
                "tesseract isn't installed, or lacks English or simplified Chinese",
                remedy="apt install tesseract-ocr tesseract-ocr-chi-sim",
            )

    @cached_property
    def _languages(self) -> set[str]:
        try:
            listed = subprocess.run(
                ["tesseract", "--list-langs"], capture_output=True, timeout=self._seconds, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return set()
        return set(listed.stdout.decode("utf-8", "replace").split())

    def find(self, picture: Picture) -> list[Found]:
        """Return the words that it reads anywhere in the picture (page segmentation mode 11, sparse text)."""
        rows, columns = picture.shape[:2]
        kind = b"P6" if picture.ndim == 3 else b"P5"
        image = kind + f"\n{columns} {rows}\n255\n".encode() + np.ascontiguousarray(picture).tobytes()
        try:
            done = subprocess.run(
                ["tesseract", "stdin", "stdout", "-l", "eng+chi_sim", "--psm", "11", "tsv"],
                input=image,
                capture_output=True,
                timeout=self._seconds,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise PolicyError(
                "tesseract failed on a picture", remedy="use rapidocr, which needs no program"
            ) from error
        table = csv.DictReader(
            io.StringIO(done.stdout.decode("utf-8", "replace")), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        return [found for row in table if (found := _word(row)) is not None]


def _word(row: dict[str, str]) -> Found | None:
    """Return a line of tesseract's table as a find; None where it is no word."""
    text, score = (row.get("text") or "").strip(), float(row["conf"])
    if not text or score < 0:
        return None
    left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
    region = Region(top=top, bottom=top + height, left=left, right=left + width)
    return Found(region=region, score=score / 100, text=text)
