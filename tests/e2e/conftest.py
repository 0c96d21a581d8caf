"""Small hospitals made of files: images with and without a blob, a table beside them, a study over both."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PATIENT = "patient-no-"
"""How patients' own ids begin: what no message, ledger or dossier may hold."""

STUDY = """\
name = "blobs"
title = "Blobs"
question = "Is there a blob?"
seed = 5
[task]
outcome = "blob"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
kind = "image"
pretrained = false
size = 32
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age"]
{sites}
[split]
{split}
[network]
variants = [{variants}]
width = 16
heads = 2
[training]
batch_size = 16
{training}
"""

SITE = """
[[site]]
name = "{name}"
role = "{role}"
[[site.source]]
reader = "images"
modality = "US"
path = "{name}"
labels = "{name}.csv"
columns = {{ patient = "patient", outcome = "outcome", image = "file" }}
[[site.source]]
reader = "table"
modality = "clinic"
path = "{name}.csv"
columns = {{ patient = "patient" }}
"""


@dataclass(frozen=True)
class Blobs:
    """What to write: sites with role and number of patients, and the settings of the study file."""

    sites: tuple[tuple[str, str, int], ...] = (("north", "development", 48), ("far", "external", 20))
    split: str = "tune = 0.25"
    variants: str = '"cman", "table_lr"'
    training: str = "epochs = 2"
    more: dict[str, str] = field(default_factory=dict)
    """Text of the study file that is replaced by other text."""

    def write(self, folder: Path) -> Path:
        """Write the hospitals and the study into `folder`, and return the study file."""
        for name, _, count in self.sites:
            write_hospital(folder, name, count)
        sites = "".join(SITE.format(name=name, role=role) for name, role, _ in self.sites)
        text = STUDY.format(sites=sites, split=self.split, variants=self.variants, training=self.training)
        for old, new in self.more.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "study.toml").write_text(text, encoding="utf-8")
        return folder / "study.toml"

    def but(self, **changes: object) -> Blobs:
        """Return other hospitals, or another study over them."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def write_hospital(folder: Path, name: str, count: int) -> None:
    """Write a folder of images, the blob's mask beside every second one, and their table."""
    rng = np.random.default_rng(sum(map(ord, name)))
    (folder / name).mkdir(parents=True)
    rows: list[list[object]] = []
    for i in range(count):
        event, stem = i % 2, f"{name}-{i}"  # the patient's own id stands in no file's name
        image, mask = rng.normal(90, 25, (32, 32)), np.zeros((32, 32), np.uint8)
        row, column = rng.integers(4, 20, 2)
        mask[row : row + 9, column : column + 9] = 255
        if event:
            image += mask / 255 * 90
            Image.fromarray(mask).save(folder / name / f"{stem}_mask.png")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{stem}.png")
        rows.append([f"{PATIENT}{stem}", event, f"{stem}.png", f"{rng.normal(50 + 5 * event, 8):.1f}"])
    write_table(folder / f"{name}.csv", rows)


def write_table(path: Path, rows: list[list[object]]) -> None:
    """Write a hospital's table."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["patient", "outcome", "file", "age"], *rows])


@pytest.fixture(scope="session")
def blobs() -> Callable[..., Blobs]:
    """Return `Blobs`."""
    return Blobs
