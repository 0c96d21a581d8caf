"""Noise on the aggregate: sites' shares add up to what was promised; no site counts beyond the clip."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.privacy.client_noise import clipped_update, noise_share


def test_shares_of_the_least_sites_have_the_promised_deviation() -> None:
    shares = [
        noise_share(50_000, noise_multiplier=2.0, clip_norm=0.5, least_sites=4, rng=stream(n, "noise"))
        for n in range(6)
    ]
    assert np.sum(shares[:4], axis=0).std() == pytest.approx(1.0, rel=0.02)
    assert np.sum(shares, axis=0).std() > 1.0
    assert shares[0].dtype == np.float32


def test_an_update_is_scaled_to_the_clip_and_small_ones_stay() -> None:
    update = stream(1, "update").normal(0, 1, 1000).astype(np.float32)
    clipped = clipped_update(update, clip_norm=0.7)
    assert 0.699 < np.linalg.norm(clipped.astype(float)) <= 0.7
    assert np.corrcoef(clipped, update)[0, 1] > 0.999999
    assert clipped_update(clipped, clip_norm=0.7) is clipped


def test_what_is_refused() -> None:
    for update, clip in (
        (np.array([np.nan]), 1.0),
        (np.array([np.inf]), 1.0),
        (np.ones(2), 0.0),
        (np.ones(2), np.inf),
    ):
        with pytest.raises(InvalidInputError):
            clipped_update(update.astype(np.float32), clip_norm=clip)
    for noise, clip, sites in ((0.0, 1.0, 2), (1.0, 0.0, 2), (1.0, 1.0, 0)):
        with pytest.raises(InvalidInputError):
            noise_share(3, noise_multiplier=noise, clip_norm=clip, least_sites=sites, rng=stream(1, "n"))
