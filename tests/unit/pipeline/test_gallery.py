"""The gallery: right and wrong cases alike, drawn by the study's seed, and of each what is hottest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.cohort import ImageRecord, Part
from huizhen.core.digests import digest_bytes
from huizhen.core.predictions import Predictions
from huizhen.pipeline.explain_gallery import (
    GALLERY_CASES,
    described,
    gallery_rows,
    places,
)
from huizhen.pipeline.explain_stage import _on_patient_scale


def table(true: int, missed: int, false: int, well: int, part: Part = Part.TEST) -> Predictions:
    """Return a table of so many true positives, missed, false alarms and true negatives."""
    cells = [(1, 1)] * true + [(1, 0)] * missed + [(0, 1)] * false + [(0, 0)] * well
    outcome, decision = (np.array([cell[k] for cell in cells], bool) for k in (0, 1))
    return Predictions(
        patient=np.array([f"P-{i}" for i in range(len(cells))]),
        site=np.array(["a"] * len(cells)),
        part=part,
        outcome=outcome,
        risk={"cman": decision * 0.8 + 0.1},
        decision={"cman": decision},
    )


def shown(predictions: Predictions, seed: int = 1) -> Counter[tuple[bool, bool]]:
    rows = gallery_rows(predictions, seed)
    assert len(set(rows)) == len(rows)
    pairs = zip(predictions.outcome[rows].tolist(), predictions.decision["cman"][rows].tolist(), strict=True)
    return Counter(pairs)


def test_the_four_cells_take_turns() -> None:
    assert set(shown(table(50, 50, 50, 50)).values()) == {GALLERY_CASES // 4}


def test_a_rare_cell_is_shown_whole() -> None:
    found = shown(table(50, 1, 0, 50))
    assert (found[True, False], found[False, True]) == (1, 0)
    assert found.total() == GALLERY_CASES


@pytest.mark.parametrize("counts", [(1, 0, 0, 0), (0, 0, 2, 1), (3, 0, 0, 4), (2, 2, 2, 2)])
def test_few_patients_are_all_shown_once(counts: tuple[int, int, int, int]) -> None:
    assert shown(table(*counts)).total() == sum(counts)


def test_the_seed_and_the_cohort_decide() -> None:
    internal, external = (table(50, 50, 50, 50, part) for part in (Part.TEST, Part.EXTERNAL))
    assert gallery_rows(internal, 1) == gallery_rows(internal, 1) != gallery_rows(internal, 2)
    assert gallery_rows(internal, 1) != gallery_rows(external, 1)


def bag(*masked: bool) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(
            patient_id="",
            modality="MRI",
            source=0,
            key=str(at),
            digest=digest_bytes(bytes([at])),
            view=f"slice {at + 1}",
            has_mask=has,
        )
        for at, has in enumerate(masked)
    )


def heat(*peaks: float) -> np.ndarray:
    maps = np.zeros((len(peaks), 4, 4), np.float32)
    maps[:, 1, 2] = peaks
    return maps


@pytest.mark.parametrize("masked", [(True, False, False), (False, False, True), (False, True, False)])
def test_heat_chooses_the_image_and_the_lesion_mask_does_not(masked: tuple[bool, ...]) -> None:
    (shown,) = places(bag(*masked), heat(0.2, 1.0, 0.4))
    assert (shown.number, shown.count, shown.hottest, shown.hottest_view) == (2, 3, 2, "slice 2")
    assert (shown.record.view, shown.peak) == ("slice 2", 1.0)


def test_a_small_bag_is_shown_whole() -> None:
    first, second = places(bag(True, False), heat(0.01, 1.0))
    assert [first.number, second.number] == [1, 2]
    assert [first.hottest, second.hottest] == [2, 2]
    assert first.peak == pytest.approx(0.01)


def test_without_any_heat_the_middle_image_is_shown() -> None:
    (shown,) = places(bag(True, False, False, False, False), heat(0, 0, 0, 0, 0))
    assert (shown.number, shown.peak) == (3, 0)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("R-CC", "CMAN heatmap MRI R CC"),
        ("slice 12", "CMAN heatmap MRI slice 12"),
        ("", "CMAN heatmap MRI"),
        ("a\\b\nc", "CMAN heatmap MRI a b c"),
        ("x" * 99, "CMAN heatmap MRI " + "x" * 39),
    ],
)
def test_the_series_is_named_by_side_and_view_or_slice(view: str, expected: str) -> None:
    (record,) = bag(False)
    assert described(replace(record, view=view)) == expected


def test_the_hottest_place_of_a_patients_images_is_1_whatever_the_networks_agreed_on() -> None:
    scaled = _on_patient_scale(heat(0.3, 1.2))
    assert scaled.max(axis=(1, 2)) == pytest.approx([0.25, 1.0])
    assert not _on_patient_scale(heat(0, 0)).any()
