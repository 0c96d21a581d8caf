"""N4 on a known shading."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.harmonise.bias_field import bias_field, without_bias
from huizhen.errors import InvalidInputError


def shaded() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a disc of two tissues, its shading, and where each pixel belongs to the darker tissue."""
    y, x = np.mgrid[:96, :96] / 96
    disc = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.2
    squares = (np.floor(6 * x) + np.floor(5 * y)) % 2
    noise = np.random.default_rng(0).normal(0, 0.005, disc.shape)
    tissue = np.where(disc, 0.3 + 0.15 * squares + noise, 0)
    return tissue, np.exp(0.8 * (x - 0.5) + 0.5 * (y - 0.5) ** 2), disc & (squares == 0)


def test_the_field_is_found() -> None:
    tissue, field, dark = shaded()
    found = bias_field((tissue * field).astype(np.float32))
    assert np.corrcoef(np.log(found[dark]), np.log(field[dark]))[0, 1] > 0.99


def test_one_tissue_is_one_level_again_in_all_phases() -> None:
    tissue, field, dark = shaded()
    phases = np.stack([tissue * field, 1.5 * tissue * field]).astype(np.float32)
    flat = without_bias(phases)

    def spread(x: np.ndarray) -> float:
        return float(x[dark].std() / x[dark].mean())

    assert spread(flat[0]) < 0.25 * spread(phases[0])
    assert np.allclose(flat[1][dark] / flat[0][dark], 1.5, atol=1e-4)
    assert (flat[:, tissue == 0] == 0).all()


def test_nothing_to_go_by_has_no_shading() -> None:
    assert (bias_field(np.zeros((32, 32))) == 1).all()
    assert (bias_field(np.full((32, 32), 0.5)) == 1).all()


@pytest.mark.parametrize("bad", [np.full((8, 8), np.nan), np.full((8, 8), -1.0), np.zeros(8)])
def test_what_is_no_image_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="no finite image"):
        bias_field(bad)
