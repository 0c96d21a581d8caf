"""Fingerprints: steady under what leaves an image the same, far apart otherwise, compared exactly."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huizhen.data.fingerprints import BITS, Fingerprint, as_codes, compare, distance, fingerprint


def test_different_images_are_far_apart(picture):
    prints = [fingerprint(picture(seed)) for seed in range(40)]
    nearest = min(int(block.min()) for _, _, block in compare(as_codes(prints)))
    assert nearest > 64


def test_the_same_image_recompressed_rescaled_padded_or_mirrored_is_near(picture):
    blocks = Image.fromarray((picture(3)[0, ::4, ::4] * 255).astype(np.uint8))
    grey = blocks.resize((120, 120), Image.Resampling.BICUBIC)
    image = np.asarray(grey, np.float32)[None] / 255
    base = fingerprint(image)
    buffer = io.BytesIO()
    grey.save(buffer, "JPEG", quality=60)
    changed = {
        "jpeg": np.asarray(Image.open(buffer), np.float32) / 255,
        "rescaled": np.asarray(grey.resize((200, 170)), np.float32) / 255,
        "padded": np.pad(image[0], ((40, 10), (0, 30))),
        "mirrored": image[0, :, ::-1],
        "brighter": image[0] * 0.7 + 0.2,
    }
    for name, pixels in changed.items():
        assert distance(base, fingerprint(pixels[None])) <= (35 if name == "rescaled" else 12), name
    assert distance(base, fingerprint(np.repeat(image, 3, axis=0))) == 0


def test_distances_are_those_of_counting_bits_one_by_one(monkeypatch):
    monkeypatch.setattr("huizhen.data.fingerprints.BLOCK", 7)
    rng = np.random.default_rng(0)
    bits = rng.random((20, BITS)) < 0.5
    bits[:, 0] = False
    prints = [Fingerprint(np.packbits(row).tobytes()) for row in bits]
    mirror = np.tile(np.arange(16) % 2 == 1, 16)
    seen = np.full((20, 20), -1)
    for row, column, block in compare(as_codes(prints)):
        seen[row : row + block.shape[0], column : column + block.shape[1]] = block
    for i in range(20):
        for j in range(i + 1, 20):
            same, mirrored = (bits[i] != bits[j]).sum(), (bits[i] != bits[j] ^ mirror).sum()
            assert seen[i, j] == min(same, mirrored) == distance(prints[i], prints[j])


@pytest.fixture(scope="module")
def real_data() -> Path:
    """The folder of real data."""
    folder = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (folder / "us_busi").is_dir():
        pytest.skip("no real data: set HUIZHEN_DATA")
    return folder


def real_distances(file: Path, patients: list[str]) -> np.ndarray:
    """Return the distances between images of different patients."""
    with np.load(file, allow_pickle=False) as held:
        images = held["images"][: len(patients)].astype(np.float32) / 255
    who = np.array(patients)
    found = []
    for row, column, block in compare(as_codes([fingerprint(image[None]) for image in images])):
        here, there = who[row : row + block.shape[0]], who[column : column + block.shape[1]]
        found.append(block[(here[:, None] != there[None]) & (block < BITS - 1)])
    return np.concatenate(found)


@pytest.mark.realdata
def test_different_patients_are_far_apart(real_data):
    with (real_data / "us_busbra" / "labels.csv").open(newline="") as table:
        patients = [row["Case"] for row in csv.DictReader(table)]
    assert real_distances(real_data / "us_busbra" / "busbra_128.npz", patients).min() >= 70


@pytest.mark.realdata
def test_frames_of_one_sweep_are_found(real_data):
    found = real_distances(real_data / "us_busi" / "busi_128.npz", [str(i) for i in range(780)])
    assert (found <= 3).sum() < 10  # what a tight limit would find
    assert 180 <= (found <= 32).sum() <= 210
