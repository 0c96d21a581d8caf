"""The generative model: its best AUC against closed forms, its posterior against what happens."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.data.phantom import PhantomSpec, best_reachable_auc, breast_trio_spec, modality_subsets
from huizhen.data.phantom.latent import auc_and_error, best_aucs, draw, log_odds
from huizhen.data.phantom.spec import MODALITIES
from huizhen.errors import InvalidInputError

ALL = frozenset(MODALITIES)


def plain_spec(*, label_noise: float = 0.0, missing: float = 0.0, unreliable: float = 1.0) -> PhantomSpec:
    """One hospital; by default everything is present, reliable and truly labelled, and all have a lesion."""
    trio = breast_trio_spec(patients_per_hospital=10)
    hospital = replace(
        trio.hospitals[0], label_noise=label_noise, missing=dict.fromkeys(MODALITIES, missing), prevalence=0.4
    )
    return PhantomSpec(
        hospitals=(hospital,),
        deltas={"MG": 1.2, "MRI": 1.5, "US": 0.9},
        unreliable=dict.fromkeys(MODALITIES, unreliable),
        healthy=0.0,
    )


@pytest.mark.parametrize("subset", modality_subsets(), ids=lambda subset: "+".join(sorted(subset)))
def test_best_auc_meets_the_closed_form(subset: frozenset[str]) -> None:
    spec = plain_spec()
    distance = np.sqrt(sum(spec.deltas[m] ** 2 for m in subset))
    expected = NormalDist().cdf(distance / np.sqrt(2))
    auc, error = best_reachable_auc(spec, "alder", subset, seed=3)
    assert abs(auc - expected) < 4 * error
    assert 0 < error < 0.002


def test_label_noise_lowers_the_best_auc_as_far_as_it_must() -> None:
    clean, _ = best_reachable_auc(plain_spec(), "alder", ALL, seed=3)
    flip, prevalence = 0.1, 0.4
    noisy, error = best_reachable_auc(plain_spec(label_noise=flip), "alder", ALL, seed=3)
    positive = prevalence * (1 - flip) + (1 - prevalence) * flip
    right = prevalence * (1 - flip) / positive  # share of recorded positives that are positive
    wrong = prevalence * flip / (1 - positive)  # share of recorded negatives that are positive
    expected = 0.5 + (clean - 0.5) * (right - wrong)  # mixtures of the two score distributions
    assert noisy < clean - 0.05
    assert abs(noisy - expected) < 5 * error


def test_missing_modalities_lower_the_best_auc() -> None:
    whole, _ = best_reachable_auc(plain_spec(), None, ALL, seed=3, draws=50_000)
    partly, _ = best_reachable_auc(plain_spec(missing=0.4), None, ALL, seed=3, draws=50_000)
    single, _ = best_reachable_auc(plain_spec(missing=0.4), None, frozenset({"MRI"}), seed=3, draws=50_000)
    present, _ = best_reachable_auc(plain_spec(), None, frozenset({"MRI"}), seed=4, draws=50_000)
    assert partly < whole - 0.03
    assert single == pytest.approx(
        present, abs=0.01
    )  # among those who have it, absence of others is no matter


def test_every_patient_has_a_modality_and_rates_are_kept() -> None:
    spec = plain_spec(missing=0.5)
    present = draw(spec, spec.hospitals[0], stream(1, "test"), 40_000).present
    assert present.any(axis=1).all()
    assert present.mean(axis=0) == pytest.approx(np.full(3, 0.5 / (1 - 0.5**3)), abs=0.015)


def test_posterior_means_what_it_says() -> None:
    spec = breast_trio_spec(label_noise=0.05)
    hospital = spec.hospitals[1]
    latent = draw(spec, hospital, stream(2, "test"), 200_000)
    score = log_odds(spec, hospital, latent, ALL)
    risk = 1 / (1 + np.exp(-score))
    for low in np.arange(0.0, 1.0, 0.1):
        chosen = (risk >= low) & (risk < low + 0.1)
        error = np.sqrt(0.25 / chosen.sum())
        assert abs(latent.recorded[chosen].mean() - risk[chosen].mean()) < 4 * error


def test_nuisance_and_presence_do_not_tell_the_class() -> None:
    spec = breast_trio_spec()
    latent = draw(spec, spec.hospitals[0], stream(3, "test"), 100_000)
    for column in (latent.density, latent.background, latent.radius_mm, latent.depth, latent.obscurity):
        auc, error = auc_and_error(column, latent.malignant)
        assert abs(auc - 0.5) < 4 * error
    for k in range(3):
        auc, error = auc_and_error(latent.present[:, k].astype(float), latent.malignant)
        assert abs(auc - 0.5) < 4 * error


def test_weighing_case_by_case_beats_weighing_alike() -> None:
    spec = replace(breast_trio_spec(label_noise=0.0), healthy=0.0)
    hospital = spec.hospitals[0]
    latent = draw(spec, hospital, stream(4, "test"), 100_000)
    best, error = auc_and_error(log_odds(spec, hospital, latent, ALL), latent.recorded)
    alike, _ = auc_and_error((latent.rendered * latent.present).sum(axis=1), latent.recorded)
    assert best > alike + 0.02
    assert error < 0.002


def test_trio_reaches_what_it_was_chosen_for() -> None:
    spec = breast_trio_spec()
    for group in (spec.hospitals[:3], spec.hospitals[3:]):
        best = best_aucs(spec, group, modality_subsets(), seed=5, draws=60_000)
        for modality in MODALITIES:
            assert 0.80 < best[frozenset({modality})][0] < 0.87
        assert 0.92 < best[ALL][0] < 0.96
        for subset in modality_subsets():
            assert best[subset][0] <= best[ALL][0]


def test_hidden_evidence_tells_less() -> None:
    clear, _ = best_reachable_auc(plain_spec(), None, ALL, seed=3, draws=50_000)
    hidden, _ = best_reachable_auc(plain_spec(unreliable=0.1), None, ALL, seed=3, draws=50_000)
    assert hidden < clear - 0.03


def test_patients_without_a_wanted_modality_get_no_score() -> None:
    spec = plain_spec(missing=0.6)
    latent = draw(spec, spec.hospitals[0], stream(5, "test"), 500)
    score = log_odds(spec, spec.hospitals[0], latent, {"US"})
    assert np.array_equal(np.isnan(score), ~latent.present[:, 2])


def test_no_lesion_is_certainly_benign() -> None:
    spec = replace(plain_spec(), healthy=0.5)
    latent = draw(spec, spec.hospitals[0], stream(6, "test"), 2_000)
    assert not latent.malignant[~latent.lesion].any()
    score = log_odds(spec, spec.hospitals[0], latent, ALL)
    assert score[~latent.lesion].max() < score[latent.lesion].min()


def test_same_seed_same_answer() -> None:
    spec = breast_trio_spec()
    first = best_reachable_auc(spec, "cedar", ALL, seed=8, draws=5_000)
    assert first == best_reachable_auc(spec, "cedar", ALL, seed=8, draws=5_000)
    assert first != best_reachable_auc(spec, "cedar", ALL, seed=9, draws=5_000)


def test_one_class_gives_no_auc() -> None:
    auc, error = auc_and_error(np.array([0.1, 0.2, 0.3]), np.array([True, True, True]))
    assert np.isnan(auc)
    assert np.isnan(error)


@pytest.mark.parametrize("subset", [frozenset(), frozenset({"CT"}), frozenset({"MG", "CT"})])
def test_unknown_modalities_are_refused(subset: frozenset[str]) -> None:
    with pytest.raises(InvalidInputError, match="modalities"):
        best_reachable_auc(plain_spec(), None, subset, seed=1, draws=1_000)


def test_unknown_hospital_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(InvalidInputError, match="alder"):
        best_reachable_auc(plain_spec(), "elsewhere", ALL, seed=1, draws=1_000)
