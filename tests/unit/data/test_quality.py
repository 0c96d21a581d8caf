"""Quality control: each reason once, batches that are kept, settings that matter."""

from __future__ import annotations

import numpy as np
import pytest

import huizhen.data.quality as quality
from huizhen.core.digests import digest_value
from huizhen.core.progress import Silent
from huizhen.data.fingerprints import fingerprint
from huizhen.data.quality import BLANK_SD, inspect_images, inspect_pixels

STRIPES = np.tile(np.array([0.0, 1.0], np.float32), (8, 4))[None]


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (STRIPES, ""),
        (STRIPES * BLANK_SD * 2.1, ""),
        (STRIPES * BLANK_SD * 1.9, "blank"),
        (np.ones((1, 8, 8), np.float32), "blank"),
        (np.where(np.eye(8) > 0, np.inf, STRIPES), "non_finite"),
        (STRIPES[0], "wrong_modality"),
        (np.zeros((1, 0, 8), np.float32), "wrong_modality"),
        (np.repeat(STRIPES, 4, axis=0), "wrong_modality"),
    ],
)
def test_each_problem_is_named(pixels, problem):
    found = inspect_pixels(pixels.astype(np.float32), channels=1)
    assert found.problem == problem
    assert (found.fingerprint is None) == bool(problem)


def test_batches_are_kept_and_settings_tell_them_apart(shelf, cache, picture, monkeypatch):
    monkeypatch.setattr(quality, "BATCH", 3)
    for i in range(7):
        shelf.put(f"p{i}", None, picture(i))

    def inspect(records, settings="bag=image"):
        return inspect_images(
            records, shelf, channels=1, settings=digest_value(settings), cache=cache, progress=Silent()
        )

    found = inspect(shelf.found)
    assert [one.fingerprint for one in found] == [fingerprint(picture(i)) for i in range(7)]
    assert shelf.decoded == 7
    assert inspect(shelf.found) == found
    assert shelf.decoded == 7
    inspect(shelf.found[:6])
    assert shelf.decoded == 7  # both batches were seen
    inspect(shelf.found, settings="bag=frames")
    assert shelf.decoded == 14
