"""Case data: which images go to which case and slot, in any order of cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from huizhen.train.arrays import CaseData, ImageColumn

NAMES = ("US", "clinic")


@pytest.fixture
def column() -> ImageColumn:
    """Four cases with 2, 0, 1 and 3 images; the payload holds its own row number, twice (two copies)."""
    payload = np.stack([np.arange(6), np.arange(6) + 10], 1)[:, :, None, None].astype(np.float16)
    return ImageColumn(
        payload=payload, where=np.array([5, 4, 3, 0, 1, 2]), offsets=np.array([0, 2, 2, 3, 6]), features=True
    )


def test_images_follow_their_case(column: ImageColumn) -> None:
    bag = column.bag(np.array([3, 1, 0, 3]), None)
    assert bag.payload[:, 0, 0].tolist() == [0, 1, 2, 5, 4, 0, 1, 2]
    assert bag.case.tolist() == [0, 0, 0, 2, 2, 3, 3, 3]
    assert bag.slot.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert bag.width == 3


def test_cases_without_images_give_an_empty_bag(column: ImageColumn) -> None:
    bag = column.bag(np.array([1, 1]), None)
    assert (tuple(bag.payload.shape), bag.width) == ((0, 1, 1), 1)


def test_copies_are_drawn_for_training_and_plain_otherwise(column: ImageColumn) -> None:
    rng = np.random.default_rng(0)
    cases = np.array([3] * 400)
    drawn = column.bag(cases, rng).payload[:, 0, 0].numpy()
    assert set(drawn) == {0, 1, 2, 10, 11, 12}
    assert np.mean(drawn >= 10) == pytest.approx(0.5, abs=0.05)
    assert set(column.bag(cases, None).payload[:, 0, 0].tolist()) == {0, 1, 2}


def test_pixels_stay_bytes() -> None:
    pixels = np.arange(2 * 4).reshape(2, 1, 2, 2).astype(np.uint8)
    column = ImageColumn(payload=pixels, where=np.array([1, 0]), offsets=np.array([0, 1, 2]), features=False)
    bag = column.bag(np.array([0, 1]), np.random.default_rng(0))
    assert bag.payload.numpy().dtype == np.uint8
    assert bag.payload[0].flatten().tolist() == [4, 5, 6, 7]


def test_masks_come_with_their_images_and_for_training_alone() -> None:
    pixels = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 1, 2, 2), np.uint8)
    masks = np.stack([np.eye(2, dtype=bool), np.ones((2, 2), bool), np.zeros((2, 2), bool)])
    masks.flags.writeable = False
    column = ImageColumn(
        payload=pixels,
        where=np.array([2, 1, 0]),
        offsets=np.array([0, 2, 3]),
        features=False,
        masks=masks,
        has_mask=np.array([True, True, False]),
    )
    assert column.bag(np.array([0, 1]), None).lesions is None
    drawn = column.bag(np.array([1, 0]), np.random.default_rng(0))
    assert drawn.lesions is not None
    assert drawn.payload[:, 0, 0, 0].tolist() == [0, 2, 1]
    assert drawn.lesions.mask.sum((1, 2, 3)).tolist() == [2, 0, 4]
    assert drawn.lesions.outlined.tolist() == [True, False, True]


def test_memory_maps_are_copied(tmp_path: object, make_data: Callable[..., CaseData]) -> None:
    """A batch may be changed without a warning that its array is read-only."""
    data = make_data(6)
    payload = data.images["US"].payload
    payload.flags.writeable = False
    batch = data.batch(np.arange(6), NAMES)
    batch.bags["US"].payload.add_(1)
    assert payload is data.images["US"].payload


def test_a_batch_holds_what_was_asked_for_in_that_order(make_data: Callable[..., CaseData]) -> None:
    data, cases = make_data(10), np.array([7, 2])
    batch = data.batch(cases, ("clinic", "US"))
    assert batch.present.tolist() == data.present[cases][:, ::-1].tolist()
    assert batch.outcome.tolist() == data.outcome[cases].tolist()
    assert batch.rows["clinic"].values.numpy() == pytest.approx(data.tables["clinic"].values[cases])
    assert "US" not in data.batch(cases, ("clinic",)).bags


def test_who_can_be_answered_and_who_is_complete(make_data: Callable[..., CaseData]) -> None:
    data = make_data(30)
    assert data.answerable(NAMES).all()
    assert np.array_equal(data.answerable(("US",)), data.present[:, 0])
    assert np.array_equal(data.complete(NAMES), data.present[:, 0])
    assert data.complete(()).all()
