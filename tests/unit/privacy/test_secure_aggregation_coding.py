"""Fixed point and counts: exact to what is stated, never beyond 32 bits, NaN and infinity refused."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.privacy.secure_aggregation.coding import CHUNK, Counts, FixedPoint


@pytest.mark.parametrize("sites", [2, 3, 64, 1000])
@pytest.mark.parametrize("clip", [0.01, 1.0, 8.0, 1e4])
def test_sums_of_the_largest_values_never_wrap_around(sites: int, clip: float) -> None:
    coding = FixedPoint.finest(sites=sites, clip=clip)
    for sign in (1, -1):
        largest = coding.encoded([np.array([sign * 2 * clip], np.float32)]).whole()
        total = (largest.view(np.int32).astype(np.int64) * sites)[0]
        assert sign * total > 0
        assert abs(total) < 2**31
    assert not FixedPoint(clip=clip, scale=coding.scale * 2).fits(sites) or coding.scale == 2**31


def test_the_mean_is_the_weighted_mean_to_the_stated_precision() -> None:
    rng = stream(1, "coding")
    coding = FixedPoint.finest(sites=3, clip=4.0, max_weight=200)
    weights = [200, 31, 7]
    updates = [rng.normal(0, 0.1, 3 * CHUNK + 11).astype(np.float32) for _ in weights]
    parts = [[u[:5].reshape(5, 1), u[5 : CHUNK + 9], u[CHUNK + 9 :]] for u in updates]
    total = sum(coding.encoded(p, weight=w).whole() for p, w in zip(parts, weights, strict=True))
    mean, weight = coding.decode(np.asarray(total, np.uint32))
    expected = sum(u.astype(float) * w for u, w in zip(updates, weights, strict=True)) / sum(weights)
    assert weight == sum(weights)
    step = coding.max_weight / (2 * coding.scale * weight)
    assert np.abs(mean - expected).max() < len(weights) * step + 1e-7 * np.abs(expected).max()


def test_elements_beyond_the_clip_are_cut_and_counted() -> None:
    coding = FixedPoint.finest(sites=2, clip=1.0)
    update = coding.encoded([np.array([0.5, -7.0, 3e38], np.float32)])
    mean, _ = coding.decode(update.whole())
    assert mean.tolist() == [0.5, -1.0, 1.0]
    assert update.clipped == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_refused(bad: float) -> None:
    values = np.zeros(CHUNK + 5, np.float32)
    values[-1] = bad
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        FixedPoint.finest(sites=3, clip=1.0).encoded([values]).whole()


def test_refusals_of_codings_and_updates() -> None:
    coding = FixedPoint.finest(sites=3, clip=1.0, max_weight=10)
    vector = np.zeros(3, np.float32)
    for weight in (0, -1, 11):
        with pytest.raises(InvalidInputError, match="weight outside"):
            coding.encoded([vector], weight=weight)
    with pytest.raises(InvalidInputError, match="float32"):
        coding.encoded([vector.astype(float)])  # type: ignore[list-item]  # what is refused
    with pytest.raises(InvalidInputError, match="fit into 32 bits"):
        FixedPoint.finest(sites=3, clip=1e10)
    with pytest.raises(InvalidInputError, match="fit into 32 bits"):
        FixedPoint.finest(sites=3, clip=1.0, max_weight=2**31)
    with pytest.raises(InvalidInputError, match="power of two"):
        FixedPoint(clip=1.0, scale=3)
    with pytest.raises(InvalidInputError, match="above 0"):
        FixedPoint(clip=float("nan"), scale=2)
    with pytest.raises(InvalidInputError, match="without weight"):
        coding.decode(np.zeros(4, np.uint32))


def test_counts_keep_their_values_and_their_bounds() -> None:
    coding = Counts(largest=1000)
    assert coding.encoded(np.array([0, 3, 1000])).whole().tolist() == [0, 3, 1000]
    for bad in (np.array([-1]), np.array([1001]), np.array([0.5]), np.zeros((2, 2), int)):
        with pytest.raises(InvalidInputError):
            coding.encoded(bad)
    assert coding.fits(4_294_967)
    assert not coding.fits(4_294_968)
    with pytest.raises(InvalidInputError):
        Counts(largest=0)
