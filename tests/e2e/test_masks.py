"""A network that learned from lesion masks, from a run to its predictions elsewhere: masks are no input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.pipeline.predict import predict
from huizhen.pipeline.run import run_study

STUDY = """\
name = "masked"
title = "Masked"
question = "Is the blob bright?"
seed = 3
[task]
outcome = "bright"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
pretrained = false
size = 32
[[site]]
name = "here"
[[site.source]]
reader = "npz"
modality = "US"
path = "scans.npz"
masks = "masks"
labels = "labels.csv"
columns = { patient = "who", outcome = "bright" }
[network]
variants = ["cman"]
width = 16
heads = 2
zooms = [1.0, 1.25]
[training]
mode = "finetune"
epochs = 1
batch_size = 16
lesion_weight = 0.5
"""


def write_hospital(folder: Path) -> Path:
    """Write 80 patients with a square that is brighter in events, its outline, and a study over them."""
    rng = np.random.default_rng(1)
    bright = np.arange(80) % 2
    masks = np.zeros((80, 40, 40), dtype=bool)
    for k, (top, left) in enumerate(rng.integers(4, 24, (80, 2))):
        masks[k, top : top + 10, left : left + 10] = True
    images = rng.integers(0, 90, (80, 40, 40)) + masks * (60 + 90 * bright)[:, None, None]
    np.savez(folder / "scans.npz", images=images.astype(np.uint8), masks=np.packbits(masks, axis=-1))
    rows = "".join(f"w{k:02},{bright[k]}\n" for k in range(80))
    (folder / "labels.csv").write_text(f"who,bright\n{rows}", encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_model_made_with_masks_answers_as_in_its_run(tmp_path: Path) -> None:
    study = write_hospital(tmp_path)
    done = run_study(
        study,
        out=tmp_path / "run",
        data_root=None,
        home=tmp_path / "home",
        progress=Silent(),
        language=Language.EN,
    )
    [tested] = done.dossier.rglob("predictions_test.csv")
    known = sorted(float(row["risk:cman"]) for row in rows_of(tested))
    assert done.model is not None
    plain = STUDY.replace('masks = "masks"\n', "").replace("lesion_weight = 0.5\n", "")
    told = {}
    for name, text in (("with", STUDY), ("without", plain)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        out = tmp_path / f"{name}.csv"
        predict(done.model, tmp_path / f"{name}.toml", out=out, progress=Silent())
        told[name] = out.read_bytes()
    assert told["with"] == told["without"]
    risks = np.array([float(row["risk"]) for row in rows_of(tmp_path / "with.csv")])
    assert len(risks) == 80
    assert all(np.abs(risks - one).min() < 1e-6 for one in known)
