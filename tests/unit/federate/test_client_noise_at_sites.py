"""Noise that hides whether a hospital took part: each site's share, the same when it is asked again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import study, toy

from huizhen.errors import StudyError
from huizhen.federate.quorum import enough_of
from huizhen.federate.rounds import Training
from huizhen.federate.site.checks import noised, weight_of

CHANGE = {"a": np.zeros((300, 200), np.float32), "b": np.zeros(4000, np.float32)}
SECRET, OTHER = bytes(32), bytes([1]) * 32
NOISY = {"rounds": 3, "client_noise": 1.5, "maximum_norm": 0.2}


def test_without_client_noise_nothing_is_added_and_patients_count():
    plain = study({"rounds": 3})
    assert noised(CHANGE, plain, SECRET, "s") is CHANGE
    assert weight_of(41, plain) == 41


def test_a_share_is_as_large_as_the_fewest_sites_need():
    hidden = study(NOISY, tuple(f"site{i}" for i in range(9)))
    found = noised(CHANGE, hidden, SECRET, "s", "m", "0", "digest")
    flat = np.concatenate([found["a"].ravel(), found["b"]])
    fewest = enough_of(enough_of(9, 0.66), 0.66)
    assert fewest < 9
    assert flat.std() == pytest.approx(1.5 * 0.2 / np.sqrt(fewest), rel=0.02)
    assert abs(flat.mean()) < 5 * flat.std() / np.sqrt(flat.size)
    assert {name: part.dtype for name, part in found.items()} == dict.fromkeys(CHANGE, np.float32)
    assert weight_of(41, hidden) == 1


@pytest.mark.parametrize("changed", [0, 1, 2, 3], ids=["study", "model", "round", "question"])
def test_the_same_question_gets_the_same_noise_and_another_does_not(changed):
    hidden = study(NOISY)
    names = ["s", "m", "0", "digest"]
    first = noised(CHANGE, hidden, SECRET, *names)
    assert np.array_equal(first["a"], noised(CHANGE, hidden, SECRET, *names)["a"])
    assert not np.array_equal(first["a"], noised(CHANGE, hidden, OTHER, *names)["a"])
    names[changed] = "other"
    assert not np.array_equal(first["a"], noised(CHANGE, hidden, SECRET, *names)["a"])


@pytest.mark.parametrize(
    "setting",
    [
        {"client_noise": 1.0},
        {"client_noise": 1.0, "maximum_norm": 1.0, "secure": False},
        {"client_noise": 1.0, "maximum_norm": 1.0, "aggregation": "grouped_median", "groups": 3},
    ],
    ids=["no norm", "in the clear", "grouped"],
)
def test_noise_goes_with_a_norm_under_a_secure_mean(setting):
    with pytest.raises((StudyError, ValueError), match="client_noise"):
        study({"rounds": 3, **setting})


def test_a_round_s_mean_carries_the_noise_of_all_sites_over_their_count(tmp_path):
    quiet, noisy = (
        toy(tmp_path / name, {"rounds": 1, "maximum_norm": 0.2, "client_noise": multiplier})
        for name, multiplier in (("quiet", 1e-6), ("noisy", 50.0))
    )
    moved = []
    for one in (quiet, noisy):
        training = Training(
            lead=one.lead,
            federation=one.study.federation,
            model="cman/fold0/member0",
            folder=tmp_path / f"rounds-{len(moved)}",
            sites=one.lead.invite(),
            patients=120,
        )
        begin = {"slope": np.zeros((2, 2), np.float32), "bias": np.zeros(1, np.float32)}
        moved.append(training.run(begin).weights)
    gap = max(np.abs(moved[0][name] - moved[1][name]).max() for name in moved[0])
    assert gap > 0.5  # 50 times .2 over three sites, and nothing that a step of .2 could do
    assert max(np.abs(part).max() for part in moved[0].values()) < 0.21
