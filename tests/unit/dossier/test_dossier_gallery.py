"""Under every heatmap: which image of how many, which is the hottest, how hot it is, and whether dark."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.words import Language
from huizhen.dossier.blocks import Gallery
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import content_of
from huizhen.dossier.record import Record
from huizhen.dossier.sections.explanation import explanation
from huizhen.dossier.wording import Text
from huizhen.ledger.reading import read_log


@pytest.fixture(scope="module")
def record(run: Any) -> Record:
    """What the made-up run's ledger holds."""
    return content_of(read_log(run.ledger)).record


def captions(record: Record, language: Language) -> list[str]:
    """Return what stands under each picture."""
    (gallery,) = [block for block in explanation(record).blocks if isinstance(block, Gallery)]
    found: list[str] = []
    for case in gallery.cases:
        for picture in case.pictures:
            texts = [p.text if isinstance(p, Cited) else p for p in picture.caption]
            found.append("".join(t.to_json()[language.value] for t in texts if isinstance(t, Text)))
    return found


@pytest.mark.parametrize(
    ("language", "place", "named", "unnamed", "dark"),
    [
        (
            Language.EN,
            "image 2 of 7",
            "hottest image: 5 (L-MLO)",
            "hottest image: 5 ·",
            "no evidence for it in this image",
        ),
        (
            Language.ZH,
            "第 2 幅，共 7 幅",
            "热度最高：第 5 幅（L-MLO）",
            "热度最高：第 5 幅 ·",
            "本图无支持证据",
        ),
    ],
)
def test_captions_say_which_image_and_how_hot(
    record: Record, language: Language, place: str, named: str, unnamed: str, dark: str
) -> None:
    found = captions(record, language)
    assert found
    assert all(place in caption for caption in found)
    assert {(named in c) != (unnamed in c) for c in found} == {True}
    assert {("0.02" in c, dark in c) for c in found} == {(True, True), (False, False)}
