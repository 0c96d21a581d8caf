"""What a data check finds: images spoilt on purpose, values of another unit, codes for missing, known copies.

    OMP_NUM_THREADS=1 nice python studies/data_checks.py OUT --data DATA

Writes OUT/data_checks.json. Each spoiling is put into 24 images of one ultrasound scanner (BUS-BRA, Logiq 5),
five times over; the others are as they are: what is odd among them by itself counts as a false alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from real_patients import codes, study_parser, table
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from huizhen.core.files import write_json
from huizhen.core.streams import stream
from huizhen.data.checks.columns import Odd, odd_values
from huizhen.data.checks.image_statistics import image_statistics
from huizhen.data.fingerprints import as_codes, compare, fingerprint
from huizhen.pipeline.checks.images import FLAGGED, odd_images

Picture = NDArray[np.float32]
SPOILT, SEEDS = 24, 5
DISTANCES = (0, 10, 20, 30, 40, 50)


def written(picture: Picture, draw: np.random.Generator) -> Picture:
    """Return a picture with a line of text burned in."""
    page = Image.fromarray((picture * 255).astype(np.uint8))
    place = (int(draw.integers(5, 40)), int(draw.integers(5, 110)))
    ImageDraw.Draw(page).text(place, f"ID {int(draw.integers(10**6, 10**7))}", fill=255)
    return np.asarray(page, dtype=np.float32) / 255


def boxed(picture: Picture, draw: np.random.Generator) -> Picture:
    """Return a picture between black bars."""
    found = np.zeros_like(picture)
    edge = int(draw.integers(25, 40))
    found[edge:-edge] = picture[edge:-edge]
    return found


def spoilings(mri: Picture) -> dict[str, Callable[[Picture, np.random.Generator], Picture]]:
    """Return what is done to a picture, by name; `mri` (n, H, W) are slices that stand in for it."""
    return {
        "noise (sd 0.16)": lambda p, d: np.clip(p + d.normal(0, 0.16, p.shape), 0, 1).astype(np.float32),
        "noise (sd 0.04)": lambda p, d: np.clip(p + d.normal(0, 0.04, p.shape), 0, 1).astype(np.float32),
        "blur (sd 2.5 pixels)": lambda p, _: gaussian_filter(p, 2.5),
        "blur (sd 1 pixel)": lambda p, _: gaussian_filter(p, 1.0),
        "grey values inverted": lambda p, _: 1 - p,
        "grey values doubled": lambda p, _: np.clip(2 * p, 0, 1),
        "turned upside down": lambda p, _: p[::-1].copy(),
        "text burned in": written,
        "black bars": boxed,
        "another organ (breast MRI)": lambda _, d: mri[int(d.integers(len(mri)))],
    }


def images(data: Path) -> dict[str, Any]:
    """Return for each spoiling the AUC against the others, the share flagged, and the share listed first."""
    rows = {row["ID"]: row for row in table(data / "us_busbra/labels.csv")}
    with np.load(data / "us_busbra/busbra_128.npz") as file:
        kept = np.array(["Logiq 5" in rows[str(name)]["Device"] for name in file["ids"]])
        shown = file["images"][kept].astype(np.float32) / 255
        patient = codes([rows[str(name)]["Case"] for name in file["ids"][kept]])
    with np.load(next((data / "mri_breastdcedl").glob("*.npz"))) as file:
        key = next(name for name in file.files if file[name].ndim == 4)
        mri = file[key][::8][..., 1].astype(np.float32) / 255
    plain = [image_statistics(picture[None]) for picture in shown]
    score, _ = odd_images(plain, patient)
    result: dict[str, Any] = {"images": len(shown), "flagged_as_they_are": int((score > FLAGGED).sum())}
    for name, spoil in spoilings(mri).items():
        found = [_one(shown, plain, patient, spoil, stream(seed, "spoil", name)) for seed in range(SEEDS)]
        result[name] = np.array(found).mean(axis=0).tolist() + np.array(found).std(axis=0, ddof=1).tolist()
    return result


def _one(
    shown: Picture,
    plain: list[Any],
    patient: NDArray[np.int64],
    spoil: Callable[[Picture, np.random.Generator], Picture],
    draw: np.random.Generator,
) -> list[float]:
    chosen = draw.choice(len(shown), SPOILT, replace=False)
    some = list(plain)
    for k in chosen:
        some[k] = image_statistics(np.asarray(spoil(shown[k], draw), dtype=np.float32)[None])
    score, _ = odd_images(some, patient)
    wrong = np.zeros(len(shown), dtype=np.bool_)
    wrong[chosen] = True
    ranks = rankdata(score)
    n = len(shown)
    auc = (ranks[wrong].sum() - SPOILT * (SPOILT + 1) / 2) / (SPOILT * (n - SPOILT))
    first = wrong[np.argsort(-score, kind="stable")[:SPOILT]].mean()
    return [float(auc), float((score[wrong] > FLAGGED).mean()), float(first)]


def copies(data: Path) -> dict[str, Any]:
    """Return how many pairs of BUSI images are within each distance, and of its marked pairs how many."""
    rows = {row["id"]: row for row in table(data / "us_busi/labels.csv")}
    with np.load(data / "us_busi/busi_128.npz") as file:
        names = [str(name) for name in file["ids"]]
        prints = [fingerprint(picture[None].astype(np.float32) / 255) for picture in file["images"]]
    group = codes([rows[name]["dup_group"] for name in names])
    label = codes([rows[name]["label"] for name in names])
    pairs = np.zeros((len(names), len(names)), dtype=np.uint8)
    for row, column, distances in compare(as_codes(prints)):
        pairs[row : row + len(distances), column : column + distances.shape[1]] = distances
    upper = np.triu_indices(len(names), 1)
    apart, same = pairs[upper], group[upper[0]] == group[upper[1]]
    crossing = label[upper[0]] != label[upper[1]]
    return {
        "images": len(names),
        "marked_pairs": int(same.sum()),
        "marked_crossing_labels": int((same & crossing).sum()),
        "distances_of_marked": sorted(int(d) for d in apart[same]),
        "within": {
            str(limit): {
                "pairs": int((apart <= limit).sum()),
                "marked": int((apart[same] <= limit).sum()),
                "crossing_labels": int(((apart <= limit) & crossing).sum()),
            }
            for limit in DISTANCES
        },
    }


def values(data: Path) -> dict[str, Any]:
    """Return what is odd in the heart disease table as it is, and of values put into another unit."""
    rows = table(data / "uci_heart_disease_4_hospitals/heart_4_hospitals.csv")
    result: dict[str, Any] = {}
    for name in ("age", "trestbps", "chol", "thalach", "oldpeak"):
        held = [float(row[name]) if row[name] not in ("", "-9", "-9.0") else None for row in rows]
        as_it_is = odd_values(name, held)
        counts = {why.value: sum(odd.why is why for odd in as_it_is) for why in Odd}
        result[name] = {"values": sum(v is not None for v in held), "as_it_is": counts}
        result[name]["zeros"] = sum(v == 0 for v in held)
    for name, factor in (("chol", 1 / 38.67), ("trestbps", 0.1), ("thalach", 0.1), ("age", 12.0)):
        found, false = [], []
        for seed in range(SEEDS):
            draw = stream(seed, "units", name)
            held = [
                float(r[name]) if r[name] not in ("", "-9", "-9.0") and float(r[name]) > 0 else None
                for r in rows
            ]
            known = [k for k, value in enumerate(held) if value is not None]
            before = {odd.row for odd in odd_values(name, held)}
            mixed = set(draw.choice(known, 15, replace=False).tolist())
            given = [value * factor if k in mixed and value else value for k, value in enumerate(held)]
            odd = {one.row for one in odd_values(name, given)}
            found.append(len(odd & mixed) / 15)
            false.append(len(odd - mixed - before))
        result[f"{name} by {factor:.4g}"] = {
            "found": float(np.mean(found)),
            "new_false_alarms": float(np.mean(false)),
        }
    return result


def main() -> None:
    """Measure all three."""
    arguments = study_parser(__doc__).parse_args()
    parts = {"images": images, "copies": copies, "values": values}
    write_json(arguments.out / "data_checks.json", {k: part(arguments.data) for k, part in parts.items()})


if __name__ == "__main__":
    main()
