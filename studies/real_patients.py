"""Real patients that studies share: what is read of each data set, by which encoder, and from which sites.

A script in this folder imports it by name. Nothing here draws a split or fits what is compared.
"""

from __future__ import annotations

import argparse
import csv
import io
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.files import write_bytes
from huizhen.core.streams import stream, stream_seed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EPOCHS, BATCH, ENCODER_SEED = 10, 32, 20


def study_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return what reads OUT and --data, which each study on real patients is given."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    return parser


def table(path: Path) -> list[dict[str, str]]:
    """Return a CSV's rows."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def coded(rows: Sequence[dict[str, str]], numeric: Sequence[str], categorical: Sequence[str]) -> Floats:
    """Return columns as numbers: one a category, NaN where missing, and one that says what is missing."""
    columns: list[Floats] = []
    for name in numeric:
        columns.append(np.array([number(row[name]) for row in rows]))
    for name in categorical:
        cells = [row[name].strip() for row in rows]
        for value in sorted(set(cells) - {"", "-9"}):
            columns.append(np.array([np.nan if c in ("", "-9") else float(c == value) for c in cells]))
    missing = [np.isnan(column) for column in columns]
    flags = {flag.tobytes(): flag.astype(float) for flag in missing if flag.sum() >= 5}
    common = [column for column in columns if (np.nan_to_num(column) != 0).sum() >= 5]
    return np.column_stack([*common, *flags.values()])


def number(cell: str) -> float:
    """Return a cell as a number; NaN if it is none, or the code for missing."""
    try:
        value = float(cell)
    except ValueError:
        return float("nan")
    return float("nan") if value == -9 else value


def codes(values: Sequence[str]) -> Ints:
    """Return each value's place among the sorted different ones."""
    return np.unique(np.array(values), return_inverse=True)[1].astype(np.int64)


def heart(data: Path, _cache: Path) -> tuple[Floats, NDArray[np.bool_], Ints]:
    """UCI heart disease: 920 patients of four hospitals."""
    rows = table(data / "uci_heart_disease_4_hospitals/heart_4_hospitals.csv")
    numeric = ("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak", "ca")
    features = coded(rows, numeric, ("cp", "restecg", "slope", "thal"))
    return features, np.array([float(row["num"]) > 0 for row in rows]), codes([r["hospital"] for r in rows])


def nodes(data: Path, _cache: Path) -> tuple[Floats, NDArray[np.bool_], Ints]:
    """Axillary nodes at Duke, by the columns of studies/axillary_nodes.toml; sites are the scanner models."""
    study = tomllib.loads((Path(__file__).parent / "axillary_nodes.toml").read_text(encoding="utf-8"))
    tables = [modality for modality in study["modality"] if modality["kind"] == "table"]
    stage = "Tumor Characteristics / Staging(Nodes)#(Nx replaced by -1)[N]"
    rows = table(data / "duke_breast_multimodal_tabular/duke_clinical_mammo_us_mri_features.csv")
    rows = [row for row in rows if row[stage] in ("0", "1", "2", "3")]
    numeric, categorical = (
        [c for t in tables for c in t.get(kind, [])] for kind in ("numeric", "categorical")
    )
    site = codes([row["MRI Technical Information / Manufacturer Model Name"] for row in rows])
    return coded(rows, numeric, categorical), np.array([row[stage] != "0" for row in rows]), site


def ecg(data: Path, cache: Path) -> tuple[Floats, NDArray[np.bool_], Ints]:
    """CinC 2017: atrial fibrillation against normal and other rhythm; the set names no hospital."""
    folder = data / "ecg_cinc2017_af"
    rows = table(folder / "labels.csv")
    kept = np.array([row["label"] != "~" for row in rows])
    outcome = np.array([row["label"] == "A" for row in rows])[kept]

    def make() -> Floats:
        with np.load(folder / "ecg_100hz_30s_int16.npz") as file:
            signals = file["x"] / float(file["units_per_mV"])
        valid = [int(row["n_valid"]) for row in rows]
        return np.array([rhythm(signals[i, : valid[i]]) for i in np.flatnonzero(kept)])

    return cached(cache / "ecg.npy", make), outcome, np.zeros(len(outcome), dtype=np.int64)


def rhythm(signal: Floats, rate: int = 100) -> Floats:
    """Return 24 features of one lead: the beats' intervals, power in six bands, and shape."""
    from scipy import signal as processing
    from scipy import stats

    signal = signal - np.median(signal)
    band = processing.butter(3, [5, 20], "band", fs=rate, output="sos")
    energy = np.convolve(np.gradient(processing.sosfiltfilt(band, signal)) ** 2, np.ones(10) / 10, "same")
    energy = np.minimum(energy, np.quantile(energy, 0.98))
    beats, _ = processing.find_peaks(energy, distance=30, height=0.35 * np.quantile(energy, 0.97))
    found: list[Any] = [*intervals(np.diff(beats) / rate, len(signal) / rate)]
    at, power = processing.welch(signal, rate, nperseg=min(512, len(signal)))
    total = power[(at > 0.5) & (at < 45)].sum() + 1e-12
    for low, high in ((0.5, 3), (3, 5), (5, 9), (9, 15), (15, 25), (25, 45)):
        found.append(np.log(power[(at >= low) & (at < high)].sum() / total + 1e-6))
    share = power / power.sum()
    found.append(-(share * np.log(share + 1e-15)).sum())
    found += [stats.skew(signal), stats.kurtosis(signal), np.log(signal.std() + 1e-3)]
    return np.array(found, dtype=np.float64)


def intervals(rr: Floats, seconds: float) -> Iterator[Any]:
    """Yield 14 features of intervals between beats in seconds; NaN with fewer than four."""
    if len(rr) < 4:
        yield from [np.nan] * 14
        return
    step, mean = np.diff(rr), rr.mean()
    share = np.histogram(rr / np.median(rr), bins=12, range=(0.4, 1.6))[0] / len(rr)
    share = share[share > 0]
    yield from (mean, rr.std(), np.sqrt((step**2).mean()), np.mean(np.abs(step) > 0.05), rr.std() / mean)
    yield from (np.median(np.abs(step)) / mean, -(share * np.log(share)).sum())
    yield np.mean(step[1:] * step[:-1] < 0)
    yield np.corrcoef(rr[1:], rr[:-1])[0, 1] if min(rr[1:].std(), rr[:-1].std()) > 1e-9 else 0.0
    yield from (rr.min(), rr.max(), len(rr) / seconds)
    yield from (np.log(np.median(np.abs(step)) / mean + 1e-3), np.log(rr.std() / mean + 1e-3))


def ultrasound(data: Path, cache: Path) -> tuple[Floats, NDArray[np.bool_], Ints]:
    """BUS-BRA by an encoder tuned at another hospital (BUSI); one row a patient, sites are scanners."""
    rows = table(data / "us_busbra/labels.csv")
    features = cached(cache / "busbra.npy", lambda: encoded(data))  # in the order of the images
    with np.load(data / "us_busbra/busbra_128.npz") as file:
        by_id = {row["ID"]: row for row in rows}
        images = [by_id[str(name)] for name in file["ids"]]
    patient = codes([f"{int(row['Case']):05d}" for row in images])
    mean = np.zeros((patient.max() + 1, features.shape[1]))
    np.add.at(mean, patient, features)
    first = [images[int(i)] for i in np.unique(patient, return_index=True)[1]]
    malignant = np.array([row["Pathology"] == "malignant" for row in first])
    return mean / np.bincount(patient)[:, None], malignant, codes([row["Device"] for row in first])


def first_images(data: Path) -> tuple[Ints, list[dict[str, str]]]:
    """Return which image of BUS-BRA is each patient's first (n,), and the row of each in the table."""
    rows = {row["ID"]: row for row in table(data / "us_busbra/labels.csv")}
    with np.load(data / "us_busbra/busbra_128.npz") as file:
        images = [rows[str(name)] for name in file["ids"]]
    first = np.unique([int(row["Case"]) for row in images], return_index=True)[1]
    return first, [images[int(i)] for i in first]


def encoded(data: Path) -> Floats:
    """Tune EfficientNet-Lite0 on BUSI for malignancy; return its features (1875, 1280) of BUS-BRA."""
    import torch
    from torch import nn

    from huizhen.core.study import EncoderKind, ImageModality
    from huizhen.models.encoders.choose import make_encoder
    from huizhen.models.encoders.interface import normalise, tokens_of
    from huizhen.train.augment import augment

    label = {row["id"]: row["label"] for row in table(data / "us_busi/labels.csv")}
    with np.load(data / "us_busi/busi_128.npz") as file:
        kept = np.array([label[str(name)] != "normal" for name in file["ids"]])
        pixels, names = file["images"][kept], file["ids"][kept]
    outcome = torch.tensor([float(label[str(name)] == "malignant") for name in names])
    torch.manual_seed(stream_seed(ENCODER_SEED, "encoder"))
    encoder = make_encoder(
        ImageModality(
            name="US",
            kind="image",
            title="US",
            encoder=EncoderKind.EFFICIENTNET_LITE0,
            size=128,
            channels=1,
            max_images=4,
        )
    )
    head = nn.Linear(encoder.channels, 1)
    rates = [3e-4, 2e-3]
    groups = [
        {"params": part.parameters(), "lr": rate} for part, rate in zip((encoder, head), rates, strict=True)
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-2)
    batches = len(outcome) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, total_steps=EPOCHS * batches, pct_start=0.1
    )
    for epoch in range(EPOCHS):
        encoder.train()
        order = stream(ENCODER_SEED, "epoch", epoch).permutation(len(outcome))
        generator = torch.Generator().manual_seed(stream_seed(ENCODER_SEED, "augment", epoch))
        for batch in range(batches):
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            shown = augment(torch.from_numpy(pixels[rows]).float()[:, None] / 255, generator)[0]
            feature = nn.functional.dropout(tokens_of(encoder(normalise(shown))).mean(1), 0.2)
            loss = nn.functional.binary_cross_entropy_with_logits(head(feature)[:, 0], outcome[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimiser.step()
            schedule.step()
        print(f"encoder: epoch {epoch + 1} of {EPOCHS}", flush=True)
    encoder.eval()
    with np.load(data / "us_busbra/busbra_128.npz") as file, torch.inference_mode():
        images = torch.from_numpy(file["images"]).float()[:, None] / 255
        both = [
            tokens_of(encoder(normalise(view))).mean(1) / 2
            for part in torch.split(images, 64)
            for view in (part, part.flip(-1))
        ]
    return torch.cat([a + b for a, b in zip(both[::2], both[1::2], strict=True)]).double().numpy()


def cached(path: Path, make: Callable[[], Floats]) -> Floats:
    """Return an array from its file, or make it and write it."""
    if not path.exists():
        stream_ = io.BytesIO()
        np.save(stream_, make())
        write_bytes(path, stream_.getvalue())
    found: Floats = np.load(path, allow_pickle=False).astype(np.float64)
    return found


LOADERS = {"heart": heart, "nodes": nodes, "ecg": ecg, "ultrasound": ultrasound}
