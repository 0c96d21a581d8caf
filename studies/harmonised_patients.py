"""Patients of several hospitals whose features studies/harmonisation.py compares: images, sites, features.

Features are of a patient: the mean over the images' tokens of the frozen EfficientNet-Lite0, or histograms of
oriented gradients (HOG) as in the data's plain baseline, the mean over images. Both are kept in a folder by
the digest of the pixels that they were made from.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.digests import digest_bytes
from huizhen.core.files import private_folder
from huizhen.core.study import ImageModality
from huizhen.train.features import encode_images, frozen_encoder

Floats = NDArray[np.float64]
ORIENTATIONS, CELL, SIZE, SEED = 9, 16, 128, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """n images `pixels` (n, C, S, S) uint8, and of each its patient, site, hospital and outcome (n,)."""

    name: str
    pixels: NDArray[np.uint8]
    patient: NDArray[np.str_]
    site: NDArray[np.str_]
    hospital: NDArray[np.str_]
    outcome: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """n patients: `features` (n, p), and of each its site, hospital and outcome (n,)."""

    features: Floats
    site: NDArray[np.str_]
    hospital: NDArray[np.str_]
    outcome: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.outcome)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Patients:
        """Return some of them."""
        return Patients(
            features=self.features[rows],
            site=self.site[rows],
            hospital=self.hospital[rows],
            outcome=self.outcome[rows],
        )


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return a CSV's rows."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def ultrasound(data: Path) -> Pictures:
    """BUS-BRA by scanner, and BUSI without its normal images and one of each group of near-duplicates."""
    here, there = rows_of(data / "us_busbra/labels.csv"), rows_of(data / "us_busi/labels.csv")
    with np.load(data / "us_busbra/busbra_128.npz") as file:
        first = file["images"]
    with np.load(data / "us_busi/busi_128.npz") as file:
        second = file["images"]
    seen: set[str] = set()
    kept = []
    for i, row in enumerate(there):
        if row["label"] != "normal" and row["dup_group"] not in seen:
            kept.append(i)
            seen |= {row["dup_group"]} - {"", "0"}
    scanner = [row["Device"].split("@")[0].strip() for row in here]
    return Pictures(
        name="us",
        pixels=np.concatenate([first, second[kept]])[:, None],
        patient=np.array([f"a{row['Case']}" for row in here] + [f"b{i}" for i in kept]),
        site=np.array(scanner + ["BUSI"] * len(kept)),
        hospital=np.array(["BUS-BRA"] * len(here) + ["BUSI"] * len(kept)),
        outcome=np.array(
            [row["Pathology"] == "malignant" for row in here]
            + [there[i]["label"] == "malignant" for i in kept]
        ),
    )


def mri(data: Path) -> Pictures:
    """Duke, I-SPY1 and I-SPY2: slices of three contrast phases; the outcome is triple-negative."""
    rows = rows_of(data / "mri_breastdcedl/labels.csv")
    with np.load(data / "mri_breastdcedl/mri_112_rgb.npz") as file:
        pixels = file["images"].transpose(0, 3, 1, 2)
    site = np.array([row["cohort"] for row in rows])
    wide = np.zeros((len(pixels), 3, SIZE, SIZE), np.uint8)
    from huizhen.data.preprocess import letterbox

    for i, picture in enumerate(pixels):
        wide[i] = letterbox(picture.astype(np.float32) / 255, size=SIZE, channels=3)
    return Pictures(
        name="mri",
        pixels=wide,
        patient=np.array([row["pid"] for row in rows]),
        site=site,
        hospital=site,
        outcome=np.array([row["label"] == "1" for row in rows]),
    )


def patients_of(pictures: Pictures, features: Floats) -> Patients:
    """Return patients with the mean of their images' features; malignant where any image is."""
    names, first, place = np.unique(pictures.patient, return_index=True, return_inverse=True)
    counts = np.bincount(place)
    sums = np.zeros((len(names), features.shape[1]))
    np.add.at(sums, place, features)
    event = np.zeros(len(names), bool)
    np.logical_or.at(event, place, pictures.outcome)
    return Patients(
        features=sums / counts[:, None],
        site=pictures.site[first],
        hospital=pictures.hospital[first],
        outcome=event,
    )


def kept(folder: Path, kind: str, pictures: Pictures, make: Callable[[NDArray[np.uint8]], Floats]) -> Floats:
    """Return features (n, p) of pictures, from the folder where they are there."""
    private_folder(folder)
    path = folder / f"{pictures.name}-{kind}-{digest_bytes(pictures.pixels.tobytes())[:16]}.npy"
    if not path.exists():
        np.save(path, make(pictures.pixels), allow_pickle=False)
    return np.load(path, allow_pickle=False)


def network(pixels: NDArray[np.uint8]) -> Floats:
    """Return the mean over tokens of the frozen encoder's features (n, 1280)."""
    encoder = frozen_encoder(ImageModality(name="US", size=SIZE, channels=pixels.shape[1]), SEED)
    generator, found = torch.Generator(), []
    for start in range(0, len(pixels), 32):
        block = encode_images(encoder, pixels[start : start + 32], copies=1, generator=generator)
        found.append(block[:, 0].astype(np.float64).mean(1))
    return np.concatenate(found)


def gradients(pixels: NDArray[np.uint8]) -> Floats:
    """Return histograms of oriented gradients (n, 1764 a channel): 9 orientations, cells of 16 pixels.

    Blocks of 2 x 2 cells, L2-Hys. Reference: Dalal & Triggs, CVPR 2005.
    """
    return np.stack([np.concatenate([_gradients(plane) for plane in image]) for image in pixels])


def _gradients(plane: NDArray[np.uint8]) -> Floats:
    image = np.sqrt(plane.astype(np.float64) / 255)
    down, right = np.gradient(image)
    size = np.hypot(down, right)
    bin_ = np.minimum((np.arctan2(down, right) % np.pi / np.pi * ORIENTATIONS).astype(int), ORIENTATIONS - 1)
    side = plane.shape[0] // CELL
    cells = np.zeros((side, side, ORIENTATIONS))
    y, x = np.indices(plane.shape) // CELL
    np.add.at(cells, (y, x, bin_), size)
    blocks = np.concatenate([cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], -1)
    for _ in range(2):
        blocks = blocks / np.sqrt((blocks**2).sum(-1, keepdims=True) + 1e-6)
        blocks = np.minimum(blocks, 0.2)
    return blocks.ravel()
