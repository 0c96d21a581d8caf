"""Texts in pixels: every one is there, has ink, scales, and can be drawn again."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from huizhen.explain.lettering import DRAWN, LETTER_HEIGHT, Lettering, draw_lettering, lettered


@pytest.mark.parametrize("text", list(Lettering))
@pytest.mark.parametrize("height", [18, LETTER_HEIGHT])
def test_every_text_has_ink_at_any_height(text: Lettering, height: int) -> None:
    ink = lettered(text, height=height)
    assert ink.shape[0] == height
    assert 0 <= ink.min() < 0.05
    assert 0.7 < ink.max() <= 1
    assert 0.005 < float((ink > 0.4).mean()) < 0.5


def test_texts_differ_and_no_letter_is_a_box() -> None:
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    assert set(drawn) == {text.value for text in Lettering}
    assert len(set(drawn.values())) == len(drawn)
    letters = lettered(Lettering.RESEARCH_ZH)  # each of these is as wide as it is high: 28 pixels
    first, second = letters[:, 1:29], letters[:, 29:57]
    assert np.abs(first - second).mean() > 0.05


def test_texts_can_be_drawn_again_with_any_font() -> None:
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    drawn = draw_lettering(font)
    assert list(drawn) == [text.value for text in Lettering]
    with Image.open(io.BytesIO(base64.b64decode(drawn[Lettering.RESEARCH]))) as picture:
        assert picture.height == LETTER_HEIGHT
        assert np.asarray(picture.convert("L")).max() > 200
