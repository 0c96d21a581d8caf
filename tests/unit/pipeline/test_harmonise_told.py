"""Shown patients before and after: moved by what others gave, in halves where the site is an external one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from harmonise_cases import SITES, TRAIN, N, data, fit, study

from huizhen.pipeline.harmonise_fit import with_new_site
from huizhen.pipeline.harmonise_told import Shown, halves_of, told_of
from huizhen.train.harmony import patient_means
from huizhen.validate.assessments.harmonisation import BOTH

FAR = ["far" if k % 2 else site for k, site in enumerate(SITES)]


def shown_here() -> Shown:
    return Shown(
        data=data(),
        patients=np.array([f"p{k}" for k in range(N)]),
        sites=np.array(FAR),
        shown=~TRAIN,
        outside=np.array([site == "far" for site in FAR]),
        covariates=np.zeros((N, 0)),
    )


def test_an_external_patient_is_moved_by_the_other_half_alone() -> None:
    harmony = fit(data())
    found = told_of(study(), {"US": harmony}, shown_here())["US"]
    rows = np.flatnonzero(~TRAIN)
    features = patient_means(data().images["US"], rows)
    far = np.flatnonzero(np.array(FAR)[rows] == "far")
    one, two = far[::2], far[1::2]
    own = with_new_site(study(), features[two], harmony, np.zeros((len(two), 0)), "far")
    assert np.allclose(found.after[one], own.moved(features[one], "far", np.zeros((len(one), 0))))
    assert found.half[one].tolist() == [0] * len(one)
    assert found.half[two].tolist() == [1] * len(two)
    assert np.array_equal(found.before, features)


def test_a_development_patient_is_moved_by_its_training_patients_and_shown_with_both_halves() -> None:
    harmony = fit(data())
    found = told_of(study(), {"US": harmony}, shown_here())["US"]
    here = found.site == "east"
    assert (found.half[here] == BOTH).all()
    moved = harmony.moved(found.before[here], "east", np.zeros((int(here.sum()), 0)))
    assert np.array_equal(found.after[here], moved)
    assert found.after.shape[1] == 2


def test_halves_take_turns() -> None:
    assert halves_of(5).tolist() == [0, 1, 0, 1, 0]
