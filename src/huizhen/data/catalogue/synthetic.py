"""A made-up index of any size, for benchmarks and attacks: no patient stands behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import digest_value
from huizhen.core.streams import stream
from huizhen.data.catalogue.index import Columns, Index, write_index

__all__ = ["synthetic_index"]

WORDS = {
    "sex": ("", "F", "M", "O", "U"),
    "modality": ("", "CT", "MR", "MG", "US", "PT", "DX", "NM", "XA"),
    "manufacturer": ("", "SIEMENS", "GE", "PHILIPS", "TOSHIBA", "HOLOGIC", "FUJIFILM"),
    "body_part": ("", "BREAST", "CHEST", "ABDOMEN", "HEAD", "PELVIS", "PROSTATE", "COLON", "LUNG"),
    "diagnosis": (
        "",
        "SNOMEDCT254837009",
        "SNOMEDCT363406005",
        "SNOMEDCT363358000",
        "SNOMEDCT363484005",
        "SNOMEDCT399068003",
    ),
}


def synthetic_index(folder: Path, *, series: int, seed: int) -> Index:
    """Write an index of about `series` series to `folder`: some three a study, two studies a subject.

    Values are skewed as hospitals' are: few makers and modalities have most of it. Raises `StorageError`.
    """
    draw = stream(seed, "synthetic catalogue")
    subjects = max(1, series // 6)
    studies_of = 1 + draw.poisson(1.0, subjects)
    subject = np.repeat(np.arange(subjects, dtype=np.uint32), studies_of)
    series_of = 1 + draw.poisson(2.0, len(subject))
    study = np.repeat(np.arange(len(subject), dtype=np.uint32), series_of)
    ill = np.sort(draw.choice(subjects, subjects * 2 // 3, replace=False)).astype(np.uint32)
    columns = Columns(
        study=study,
        modality=_skewed(draw, len(WORDS["modality"]), len(study)),
        manufacturer=_skewed(draw, len(WORDS["manufacturer"]), len(study)),
        body_part=_skewed(draw, len(WORDS["body_part"]), len(study)),
        subject=subject,
        age=np.clip(draw.normal(58, 16, len(subject)), 0, 100).astype(np.int16),
        year=draw.integers(2005, 2026, len(subject)).astype(np.int16),
        sex=_skewed(draw, 3, subjects),
        person=np.sort(draw.integers(0, 2**63, subjects, dtype=np.uint64)),
        diagnosis_subject=ill,
        diagnosis=_skewed(draw, len(WORDS["diagnosis"]), len(ill)),
        diagnosis_age=np.clip(draw.normal(56, 15, len(ill)), 0, 100).astype(np.int16),
        diagnosis_year=draw.integers(2000, 2026, len(ill)).astype(np.int16),
    )
    return write_index(folder, columns, WORDS, digest_value(["synthetic", series, seed]))


def _skewed(draw: np.random.Generator, kinds: int, size: int) -> NDArray[np.uint16]:
    """Return codes from 1, each half as frequent again as the one before."""
    weights = 1.5 ** -np.arange(kinds - 1)
    return (1 + draw.choice(kinds - 1, size, p=weights / weights.sum())).astype(np.uint16)
