"""Odd images are scored against others of their site, and small groups are left alone."""

from __future__ import annotations

import numpy as np

from huizhen.core.streams import stream
from huizhen.data.checks.image_statistics import image_statistics
from huizhen.pipeline.checks.images import FLAGGED, LEAST, NEIGHBOURS, odd_images


def pictures(n: int) -> list[np.ndarray]:
    draw = stream(1, "images")
    rough = np.kron(draw.random((n, 1, 8, 8)), np.ones((1, 1, 8, 8)))
    return list(np.clip(0.2 + 0.6 * rough + draw.normal(0, 0.02, (n, 1, 64, 64)), 0, 1).astype(np.float32))


def test_noise_and_a_stranger_stand_out() -> None:
    shown = pictures(80)
    shown[3] = np.clip(shown[3] + stream(2, "n").normal(0, 0.3, (1, 64, 64)), 0, 1).astype(np.float32)
    shown[9] = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (1, 64, 1))
    score, why = odd_images([image_statistics(one) for one in shown], np.arange(80))
    assert set(np.argsort(-score)[:2].tolist()) == {3, 9}
    assert score[[3, 9]].min() > FLAGGED
    assert why[3] in ("noise", "sharpness", "contrast", "span", "saturated")
    assert (score > FLAGGED).mean() < 0.1
    assert NEIGHBOURS not in why[3]


def test_few_images_are_not_judged() -> None:
    score, why = odd_images([image_statistics(one) for one in pictures(LEAST - 1)], np.arange(LEAST - 1))
    assert score.tolist() == [0] * (LEAST - 1)
    assert set(why) == {""}
