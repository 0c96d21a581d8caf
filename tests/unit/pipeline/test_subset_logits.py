"""Subsets are answered as if each were asked alone, and each image is encoded once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from huizhen.core.study import Study, Variant
from huizhen.models.build import build_network
from huizhen.models.network import Network
from huizhen.pipeline.subset_logits import subset_logits
from huizhen.train.arrays import CaseData, ImageColumn, TableColumn
from huizhen.train.fit import predict_logits

NAMES = ("MG", "US", "clinic")
KEEPS = {"all": None} | {"+".join(s): s for size in (1, 2) for s in combinations(NAMES, size)}
CASES = 11


def column(seed: int, *, pixels: bool, images: bool = True) -> ImageColumn:
    """Return up to two images for each case, or none for any."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, CASES) if images else np.zeros(CASES, int)
    shape = (int(counts.sum()), 1, 32, 32) if pixels else (int(counts.sum()), 1, 1, 512)
    payload = rng.integers(0, 256, shape).astype(np.uint8) if pixels else rng.normal(size=shape)
    return ImageColumn(
        payload=payload if pixels else payload.astype(np.float16),
        where=np.arange(shape[0]),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        features=not pixels,
    )


def cases(*, pixels: bool, us: bool = True) -> CaseData:
    images = {"MG": column(1, pixels=pixels), "US": column(2, pixels=pixels, images=us)}
    row = np.arange(CASES) % 4 > 0
    has = [np.diff(images[name].offsets) > 0 for name in ("MG", "US")]
    values = np.random.default_rng(3).normal(size=(CASES, 1)).astype(np.float32)
    return CaseData(
        names=NAMES,
        images=images,
        tables={"clinic": TableColumn(values=values, there=row[:, None])},
        present=np.stack([*has, row], 1),
        outcome=np.zeros(CASES, np.float32),
    )


@pytest.fixture
def network(make_study: Callable[..., Study]) -> Callable[..., Network]:
    """Build a network over the modalities, its weights away from their starting values."""

    def build(variant: Variant, *, pixels: bool) -> Network:
        image = {"kind": "image", "encoder": "resnet18", "pretrained": False, "size": 32}
        study = make_study(
            {"name": "MG", **image},
            {"name": "US", **image},
            {"name": "clinic", "kind": "table", "numeric": ["age"]},
            network={"width": 16, "heads": 2},
        )
        slices = {"clinic": [(0, 1)]}
        made = build_network(study, variant, NAMES, slices, frozen=not pixels, seed=4)
        with torch.no_grad():
            draw = torch.Generator().manual_seed(5)
            for weight in made.parameters():
                weight += 0.02 * torch.randn(weight.shape, generator=draw)
        return made

    return build


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("variant", [Variant.CMAN, Variant.LATE_AVERAGE])
@pytest.mark.parametrize("us", [True, False])
def test_the_numbers_are_those_of_asking_each_subset_alone(
    network: Callable[..., Network], pixels: bool, variant: Variant, us: bool
) -> None:
    made, data = network(variant, pixels=pixels), cases(pixels=pixels, us=us)
    rows: NDArray[np.int64] = np.array([7, 0, 3, 10, 4, 5, 8])
    together = subset_logits(made, data, rows, NAMES, KEEPS, batch_size=3)
    assert set(together) == set(KEEPS)
    answered = 0
    for name, keep in KEEPS.items():
        alone = predict_logits(made, data, rows, NAMES, keep=keep, batch_size=3)
        np.testing.assert_allclose(together[name], alone, rtol=0, atol=1e-6, equal_nan=True)
        assert np.array_equal(np.isnan(together[name]), ~data.answerable(keep or NAMES)[rows])
        answered += int(np.isfinite(alone).sum())
    assert answered > 20
    assert len({float(v) for values in together.values() for v in values if np.isfinite(v)}) > 10


def test_each_image_is_encoded_once_and_once_mirrored(
    network: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, data = network(Variant.CMAN, pixels=True), cases(pixels=True)
    seen: list[int] = []
    real = made.encode

    def counted(batch: object) -> dict[str, torch.Tensor]:
        found = real(batch)  # type: ignore[arg-type]  # a CaseBatch
        seen.append(sum(len(tokens) for tokens in found.values()))
        return found

    monkeypatch.setattr(made, "encode", counted)
    subset_logits(made, data, np.arange(CASES), NAMES, KEEPS)
    assert sum(seen) == 2 * sum(len(column.payload) for column in data.images.values())


def test_nobody_is_answered_with_nothing(network: Callable[..., Network]) -> None:
    made, data = network(Variant.CMAN, pixels=False), cases(pixels=False)
    found = subset_logits(made, data, np.arange(0), NAMES, KEEPS)
    assert all(values.shape == (0,) for values in found.values())
