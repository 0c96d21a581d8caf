"""The few texts that stand in the pixels of heatmap pictures, in English and Chinese, drawn once and kept.

Fonts with Chinese letters are large and no Python package that huizhen needs brings one, so the texts lie
beside this file as pictures. They were drawn with Noto Sans CJK SC (SIL Open Font License 1.1, which leaves
what is drawn with a font free); `python -m huizhen.explain.lettering FONT > lettering.json` draws them again.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

LETTER_HEIGHT: Final = 40
"""Rows of every drawn text."""
LETTER_SIZE: Final = 28
DRAWN: Final = Path(__file__).with_name("lettering.json")


class Lettering(StrEnum):
    """What can be written into pixels."""

    PHANTOM = "PHANTOM 仿真"
    RESEARCH = "RESEARCH, NOT FOR DIAGNOSIS"
    RESEARCH_ZH = "研究用，不作诊断"
    IMAGE = "IMAGE 原图"
    OVERLAY = "OVERLAY 叠加"
    OUTLINE = "LESION MASK 病灶标注"
    DARK = "NO EVIDENCE FOR IT IN THIS IMAGE"
    DARK_ZH = "本图无支持证据"
    LOW = "0"
    HIGH = "1"


@cache
def lettered(text: Lettering, *, height: int = LETTER_HEIGHT) -> NDArray[np.float32]:
    """Return `text` as ink (height, W) in [0, 1], W as wide as it needs; `height` in pixels.

    >>> lettered(Lettering.PHANTOM, height=20).shape[0]
    20
    """
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(_drawn()[text]))) as picture:
        width = max(1, round(picture.width * height / picture.height))
        scaled = picture.convert("L").resize((width, height), Image.Resampling.BICUBIC)
    ink: NDArray[np.float32] = (np.asarray(scaled) / 255).astype(np.float32)
    ink.setflags(write=False)
    return ink


def draw_lettering(font: Path) -> dict[str, str]:
    """Return text -> PNG in base64, every text drawn with the font file `font`."""
    from PIL import Image, ImageDraw, ImageFont

    letters = ImageFont.truetype(font, LETTER_SIZE, index=2 if font.suffix == ".ttc" else 0)
    drawn: dict[str, str] = {}
    for text in Lettering:
        picture = Image.new("L", (round(letters.getlength(text)) + 2, LETTER_HEIGHT))
        ImageDraw.Draw(picture).text((1, LETTER_HEIGHT // 2), text, 255, letters, anchor="lm")
        stream = io.BytesIO()
        picture.quantize(16).save(stream, "PNG", optimize=True)
        drawn[text.value] = base64.b64encode(stream.getvalue()).decode()
    return drawn


@cache
def _drawn() -> Mapping[str, str]:
    held: dict[str, str] = json.loads(DRAWN.read_text(encoding="utf-8"))
    return held


if __name__ == "__main__":
    json.dump(draw_lettering(Path(sys.argv[1])), sys.stdout, ensure_ascii=False, indent=0)
    sys.stdout.write("\n")
