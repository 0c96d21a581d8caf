"""Burned-in text: what the inspector finds with rapidocr and with tesseract, and what it blackens besides.

    PYTHONPATH=src OMP_NUM_THREADS=1 python benchmarks/bench_burned_in.py --images 100 --clean 60

Names, numbers, dates and hospitals in English and Chinese are drawn over real ultrasound (BUS-BRA), MR
(BreastDCEDL), and sample CT, MR, XA and mammogram, in sizes, greys, places and fonts drawn by a seed; the
same inspector looks with either finder. A string is found where 95 % of its ink is blackened. The same
grounds without text give what is blackened for nothing (BUS-BRA's own few marks count as such). Of the sample
files' own burned-in identifiers, `REAL` has the places, taken by eye. Data: $HUIZHEN_DATA, or ../shared/data.
Fonts: Debian's fonts-dejavu-core, fonts-liberation and fonts-noto-cjk.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.core.streams import stream
from huizhen.data.deidentify.looking import TextInspector
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.text_finders import RapidFinder, TesseractFinder
from huizhen.data.readers.dicom_headers import quiet

ROOT = Path(os.environ.get("HUIZHEN_DATA") or Path(__file__).resolve().parents[2] / "shared/data")
FONTS = Path("/usr/share/fonts")
LATIN = (
    "truetype/dejavu/DejaVuSans.ttf",
    "truetype/dejavu/DejaVuSansMono-Bold.ttf",
    "truetype/liberation/LiberationSans-Regular.ttf",
    "truetype/liberation/LiberationSansNarrow-Bold.ttf",
    "truetype/liberation/LiberationMono-Regular.ttf",
)
CHINESE = ("opentype/noto/NotoSansCJK-Regular.ttc", "opentype/noto/NotoSerifCJK-Bold.ttc")
HEIGHTS, CONTRASTS = (7, 9, 12, 16, 24, 40), (25, 50, 100, 255)
FAMILY = ("WEBER", "SMITH", "Okafor", "GARCIA", "Nguyen", "MUELLER", "Ivanova", "TANAKA", "Rossi", "KOWALSKI")
GIVEN = ("ANNEMARIE", "John A", "Chidi", "MARIA", "Linh", "HANS-PETER", "Olga", "YUKI", "Giulia", "EWA")
SURNAMES, NAMES = "王李张刘陈杨黄赵周吴", ("秀英", "伟", "小明", "建国", "丽华", "志强", "婷", "子涵")
HOSPITALS = ("St. Mary Hospital", "UNIV. KLINIKUM", "Harbor View Med Ctr", "CITY BREAST CLINIC")
ZH_HOSPITALS = ("北京协和医院", "市第一人民医院", "华西医院超声科", "妇幼保健院")

REAL = (
    ("deid__GREYSCALE_IMAGE.dcm", (3, 24, 5, 285)),
    ("deid__GREYSCALE_IMAGE.dcm", (3, 24, 388, 690)),
    ("deid__GREYSCALE_IMAGE.dcm", (3, 24, 820, 1015)),
    ("pydicom__examples_palette.dcm", (34, 52, 94, 265)),
    ("pydicom__examples_palette.dcm", (34, 52, 327, 510)),
    ("pydicom__examples_palette.dcm", (8, 24, 668, 774)),
    ("pydicom__examples_palette.dcm", (34, 52, 668, 781)),
    ("WG04__US1_J2KI.dcm", (25, 39, 19, 169)),
    ("WG04__US1_J2KI.dcm", (42, 55, 280, 359)),
    ("WG04__US1_J2KI.dcm", (41, 56, 549, 618)),
    ("presidio__2_ORIGINAL.dcm", (1, 17, 1, 234)),
    ("presidio__2_ORIGINAL.dcm", (15, 28, 4, 115)),
    ("presidio__0_ORIGINAL_compressed.dcm", (4, 48, 4, 815)),
    ("presidio__0_ORIGINAL_compressed.dcm", (48, 82, 17, 364)),
)
"""Identifiers of the sample files: top, bottom, left, right of their ink, by eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A string on a picture: its ink, and what it is."""

    ink: NDArray[np.bool_]
    language: str
    height: int
    contrast: int
    ground: str
    turned: bool


def grounds(draw: np.random.Generator, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield grounds without text, in turns of their kinds."""
    with np.load(ROOT / "us_busbra/busbra_128.npz") as found:
        ultrasound = found["images"]
    with np.load(next((ROOT / "mri_breastdcedl").glob("*.npz"))) as found:
        breast = next(found[name] for name in found.files if found[name].ndim == 4)
    samples = [
        sample(name) for name in ("WG04__CT2_J2KR", "WG04__CT1_J2KI", "WG04__MR4_JPLL", "WG04__XA1_J2KI")
    ]
    film = sample("WG04__MG1_J2KI")[1400:2400, 1500:2500]
    for i in range(count):
        if i % 3 == 0:
            yield "ultrasound", larger(ultrasound[draw.integers(len(ultrasound))], 640)
        elif i % 3 == 1:
            yield "breast MR", larger(breast[draw.integers(len(breast))][..., 1], 448)
        else:
            which = int(draw.integers(len(samples) + 1))
            yield ("mammogram", film) if which == len(samples) else ("CT, MR, XA", samples[which])


def sample(name: str) -> NDArray[np.uint8]:
    """Return a sample file's image as 8 bits."""
    values = pydicom.dcmread(ROOT / f"dicom_phi_and_multimodality/files/{name}.dcm").pixel_array.astype(float)
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip((values - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def larger(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a small picture enlarged."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def string(draw: np.random.Generator, language: str) -> str:
    """Return a made-up name, number, date or hospital, or two of them."""
    day = f"{draw.integers(1930, 2024)}-{draw.integers(1, 13):02d}-{draw.integers(1, 29):02d}"
    if language == "en":
        name = f"{draw.choice(FAMILY)}{draw.choice(['^', ', ', ' '])}{draw.choice(GIVEN)}"
        kinds = [name, f"{name} {day}", f"ID: {draw.integers(10**6, 10**8)}", f"DOB {day.replace('-', '/')}",
                 f"MRN {draw.integers(10**7, 10**9)}", str(draw.choice(HOSPITALS)), day]  # fmt: skip
    else:
        name = draw.choice(list(SURNAMES)) + draw.choice(NAMES)
        year, month, date = day.split("-")
        kinds = [
            name,
            f"{name} 女 {draw.integers(20, 90)}岁",
            f"住院号:{draw.integers(10**6, 10**8)}",
            f"{year}年{int(month)}月{int(date)}日",
            str(draw.choice(ZH_HOSPITALS)),
            f"姓名:{name}",
        ]
    return str(draw.choice(kinds))


def burned(
    draw: np.random.Generator, ground: str, image: NDArray[np.uint8], strings: int
) -> tuple[NDArray[np.uint8], list[Written]]:
    """Return a picture with strings drawn onto it that don't touch each other."""
    picture = image.astype(float)
    taken = np.zeros(image.shape, dtype=bool)
    written: list[Written] = []
    for _ in range(strings * 6):
        if len(written) == strings:
            break
        language = str(draw.choice(["en", "zh"]))
        height, contrast = int(draw.choice(HEIGHTS)), int(draw.choice(CONTRASTS))
        turned = draw.random() < 0.06
        mask = drawn(draw, string(draw, language), language, height, turned=turned)
        if mask.shape[0] + 8 >= image.shape[0] or mask.shape[1] + 8 >= image.shape[1]:
            continue
        banner = draw.random() < 0.4
        top = int(draw.integers(2, image.shape[0] // 8 + 3 if banner else image.shape[0] - mask.shape[0] - 2))
        top = min(top, image.shape[0] - mask.shape[0] - 2)
        left = int(draw.integers(2, image.shape[1] - mask.shape[1] - 2))
        place = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        if taken[
            max(0, top - height) : top + mask.shape[0] + height,
            max(0, left - height) : left + mask.shape[1] + height,
        ].any():
            continue
        level = float(np.median(picture[place]))
        up = level + contrast <= 255 or level < 128
        value = min(255.0, level + contrast) if up else max(0.0, level - contrast)
        if contrast < 255 and abs(value - level) < 0.8 * contrast:
            continue
        picture[place] = picture[place] * (1 - mask) + value * mask
        ink = np.zeros(image.shape, dtype=bool)
        ink[place] = mask > 0.5
        taken[place] = True
        written.append(
            Written(
                ink=ink, language=language, height=height, contrast=contrast, ground=ground, turned=turned
            )
        )
    return picture.round().astype(np.uint8), written


def drawn(
    draw: np.random.Generator, text: str, language: str, height: int, *, turned: bool
) -> NDArray[np.float64]:
    """Return a text's ink, 0 to 1, of capitals (Chinese: signs) of a height in pixels."""
    path = str(FONTS / draw.choice(LATIN if language == "en" else CHINESE))
    probe = ImageFont.truetype(path, 100).getbbox("H" if language == "en" else "国")
    font = ImageFont.truetype(path, max(4, round(100 * height / (probe[3] - probe[1]))))
    left, top, right, bottom = (int(one) for one in font.getbbox(text))
    paper = Image.new("L", (right - left + 2, bottom - top + 2), 0)
    ImageDraw.Draw(paper).text((1 - left, 1 - top), text, fill=255, font=font)
    mask = np.asarray(paper, dtype=float) / 255
    return np.rot90(mask).copy() if turned else mask


def dataset_of(image: NDArray[np.uint8]) -> Dataset:
    """Return a picture as a DICOM image of which nothing else is known."""
    data = Dataset()
    data.Rows, data.Columns = image.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = image.tobytes() + b"\0" * (image.size % 2)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return data


def covered(regions: tuple[Region, ...], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of what is blackened."""
    mask = np.zeros(shape, dtype=bool)
    for one in regions:
        mask[one.top : one.bottom, one.left : one.right] = True
    return mask


def wilson(found: int, n: int) -> dict[str, float | int]:
    """Return a share with its 95 % Wilson interval."""
    z, share = 1.959964, found / n
    middle, half = (share + z * z / 2 / n), z * float(np.sqrt(share * (1 - share) / n + z * z / 4 / n / n))
    scale = 1 + z * z / n
    return {"share": round(share, 4), "low": round((middle - half) / scale, 4),
            "high": round((middle + half) / scale, 4), "n": n}  # fmt: skip


def mean_of(values: list[float], draw: np.random.Generator) -> dict[str, float | int]:
    """Return a mean with its 95 % bootstrap interval over images."""
    all_values = np.array(values)
    means = [all_values[draw.integers(0, len(values), len(values))].mean() for _ in range(2000)]
    low, high = np.percentile(means, (2.5, 97.5))
    return {"mean": round(float(all_values.mean()), 4), "low": round(float(low), 4),
            "high": round(float(high), 4), "n": len(values)}  # fmt: skip


def near(ink: NDArray[np.bool_], height: int) -> tuple[slice, slice]:
    """Return the rectangle around ink, with a margin of its height: what is rightly blackened."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return np.s_[
        max(0, rows[0] - height) : rows[-1] + height, max(0, columns[0] - height) : columns[-1] + height
    ]


def measure(
    name: str, finder: Any, policy: PixelPolicy, images: int, clean: int, seed: int
) -> dict[str, Any]:
    """Return all measures of one finder."""
    inspector = TextInspector(finder=finder, policy=policy)
    cells: dict[str, list[bool]] = defaultdict(list)
    ink_found = ink_all = 0
    beside, seconds, waits = [], [], []
    place = stream(seed, "burned-in", "grounds")
    for i, (ground, image) in enumerate(grounds(place, images)):
        picture, written = burned(stream(seed, "burned-in", i), ground, image, 5)
        start = time.perf_counter()
        seen = inspector.inspect(dataset_of(picture))
        seconds.append(time.perf_counter() - start)
        mask = covered(seen.regions, picture.shape)
        waits.append(not seen.sure)
        for one in written:
            share = float(mask[one.ink].mean())
            ink_found, ink_all = ink_found + int(mask[one.ink].sum()), ink_all + int(one.ink.sum())
            tall = f"{one.height} px, contrast {one.contrast}"
            for cell in ("all", one.language, f"height {one.height}", f"contrast {one.contrast}", tall,
                         "turned by 90 degrees" if one.turned else "upright", one.ground):  # fmt: skip
                cells[cell].append(share >= 0.95)
            if one.height >= 9 and one.contrast >= 50:
                cells["9 px and contrast 50 or more"].append(share >= 0.95)
                cells[f"9 px and contrast 50 or more, {one.language}"].append(share >= 0.95)
            mask[near(one.ink, one.height)] = False
        beside.append(100 * float(mask.mean()))
    nothing: dict[str, list[float]] = defaultdict(list)
    clean_waits, clean_seconds = [], []
    for ground, image in grounds(stream(seed, "burned-in", "clean"), clean):
        start = time.perf_counter()
        seen = inspector.inspect(dataset_of(image))
        clean_seconds.append(time.perf_counter() - start)
        for kind in ("all", ground):
            nothing[kind].append(100 * float(covered(seen.regions, image.shape).mean()))
        clean_waits.append(not seen.sure)
    draw = stream(seed, "burned-in", "bootstrap")
    return {
        "finder": name,
        "strings found": {cell: wilson(sum(hits), len(hits)) for cell, hits in sorted(cells.items())},
        "ink covered": {"share": round(ink_found / max(1, ink_all), 4), "pixels": ink_all},
        "images that wait": wilson(sum(waits), len(waits)) if waits else None,
        "masked beside the text, % of the image": mean_of(beside, draw) if beside else None,
        "clean images: masked, %": {kind: mean_of(values, draw) for kind, values in nothing.items()},
        "clean images: nothing masked": wilson(sum(v == 0 for v in nothing["all"]), clean) if clean else None,
        "clean images that wait": wilson(sum(clean_waits), len(clean_waits)) if clean else None,
        "seconds an image, median": round(float(np.median(seconds + clean_seconds)), 2),
    }


def real(finder: Any, policy: PixelPolicy) -> dict[str, Any]:
    """Return which identifiers of the sample files are blackened, by OCR alone, and by layouts too."""
    found: dict[str, Any] = {}
    with quiet():
        for layouts in (False, True):
            by = policy.model_copy(update={"layouts": layouts})
            inspector = TextInspector(finder=finder, policy=by)
            masks = {}
            for name in {name for name, _ in REAL}:
                data = pydicom.dcmread(ROOT / "dicom_phi_and_multimodality/files" / name)
                masks[name] = covered(inspector.inspect(data).regions, (data.Rows, data.Columns))
            shares = [
                float(masks[name][top:bottom, left:right].mean()) for name, (top, bottom, left, right) in REAL
            ]
            found["with layouts" if layouts else "OCR alone"] = wilson(
                sum(s >= 0.95 for s in shares), len(shares)
            )
    return found


def main() -> None:
    """Run both finders and print the results as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--clean", type=int, default=60)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--finder", choices=("rapidocr", "tesseract", "both"), default="both")
    parser.add_argument("--text-score", type=float, default=0.5)
    parser.add_argument("--box-score", type=float, default=0.3)
    parser.add_argument("--show", type=Path, help="write the first burned pictures here and stop")
    given = parser.parse_args()
    if given.show:
        place = stream(given.seed, "burned-in", "grounds")
        for i, (ground, image) in enumerate(grounds(place, given.images)):
            Image.fromarray(burned(stream(given.seed, "burned-in", i), ground, image, 5)[0]).save(
                given.show / f"{i}.png"
            )
        return
    policy = PixelPolicy(inspect="ocr", text_score=given.text_score)
    makers: dict[str, Callable[[], Any]] = {
        "rapidocr": lambda: RapidFinder(box_score=given.box_score),
        "tesseract": TesseractFinder,
    }
    chosen = list(makers) if given.finder == "both" else [given.finder]
    results = []
    for name in chosen:
        finder = makers[name]()
        result = measure(name, finder, policy, given.images, given.clean, given.seed)
        results.append(result | {"sample files' identifiers": real(finder, policy)})
    print(json.dumps(results, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
