"""The views of an image: as it is, mirrored, larger and smaller, and one answer from all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from huizhen.core.study import Study
from huizhen.models.batch import Bag, CaseBatch
from huizhen.models.network import Network
from huizhen.train.arrays import CaseData
from huizhen.train.fit import predict_logits
from huizhen.train.views import mirrored, views, zoomed


def batch(pixels: torch.Tensor) -> CaseBatch:
    place = torch.arange(len(pixels))
    bag = Bag(payload=pixels, case=place, slot=place * 0, width=1)
    return CaseBatch(
        bags={"US": bag}, rows={}, present=torch.ones(len(pixels), 1, dtype=torch.bool), outcome=place.float()
    )


def square(side: int) -> torch.Tensor:
    """Return a black image of 32 pixels with a white square of `side` in the middle."""
    pixels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    start = (32 - side) // 2
    pixels[..., start : start + side, start : start + side] = 255
    return pixels


def test_a_zoom_enlarges_about_the_middle() -> None:
    assert torch.equal(zoomed(batch(square(8)), 2.0).bags["US"].payload > 0.5, square(16) > 0)
    assert torch.equal(zoomed(batch(square(16)), 0.5).bags["US"].payload > 0.5, square(8) > 0)
    same = batch(square(8))
    assert zoomed(same, 1.0) is same


def test_a_bag_without_images_is_zoomed_too() -> None:
    assert zoomed(batch(square(8)[:0]), 2.0).bags["US"].payload.shape == (0, 1, 32, 32)


def test_every_zoom_is_shown_both_ways() -> None:
    given = batch(torch.randint(0, 256, (2, 1, 32, 32), generator=torch.Generator().manual_seed(1)).byte())
    shown = views(given, (0.8, 1.0))
    assert len(shown) == 4
    assert shown[2] is given
    assert torch.equal(shown[3].bags["US"].payload, given.bags["US"].payload.flip(-1))
    assert torch.equal(shown[1].bags["US"].payload, mirrored(shown[0]).bags["US"].payload)
    features = batch(torch.zeros(2, 4, 8))
    assert views(features, (0.8, 1.0)) == [features]


def test_the_answer_is_the_mean_over_zooms(
    make_study: Callable[..., Study], make_data: Callable[..., CaseData], make_network: Callable[..., Network]
) -> None:
    study = make_study(mode="finetune")
    data, network, rows = make_data(12, pixels=True), make_network(study), np.arange(12)
    assert tuple(network.zooms) == (1.0,)

    def answers(*zooms: float) -> np.ndarray:
        network.zooms = zooms
        return predict_logits(network, data, rows, ("US", "clinic"))

    one, two = answers(1.0), answers(1.5)
    with_image = data.present[:, 0]
    assert (one != two)[with_image].all()
    assert (one == two)[~with_image].all()
    np.testing.assert_allclose(answers(1.0, 1.5), (one + two) / 2, atol=1e-5)


def test_a_study_says_the_zooms_of_its_networks(
    make_study: Callable[..., Study], make_network: Callable[..., Network]
) -> None:
    study = make_study(mode="finetune")
    given = Study.model_validate(
        {**study.model_dump(), "network": {**study.network.model_dump(), "zooms": [0.8, 1]}}
    )
    assert tuple(make_network(given).zooms) == (0.8, 1.0)
    for wrong in ([], [0.1], [3.0]):
        with pytest.raises(ValidationError, match="zooms"):
            Study.model_validate(
                {**study.model_dump(), "network": {**study.network.model_dump(), "zooms": wrong}}
            )
