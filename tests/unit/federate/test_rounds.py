"""Rounds over real workers and messages, in one process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import SITES, WEIGHTS, learner, toy

from huizhen.errors import FederationError
from huizhen.federate.outbox import read_outbox
from huizhen.federate.rounds import Training
from huizhen.federate.statistics.delong import DeLong, bins_of
from huizhen.federate.statistics.runner import conduct
from huizhen.validate.discrimination import auc


def training(one, tmp_path: Path, patients: int = 120) -> Training:
    return Training(
        lead=one.lead,
        federation=one.study.federation,
        model="cman/fold0/member0",
        folder=tmp_path / "rounds",
        sites=one.lead.invite(),
        patients=patients,
    )


def pooled(rounds: int, sites=SITES) -> dict[str, np.ndarray]:
    """Return what the same gradient steps over all patients together give."""
    data = [learner(name, 30 + 10 * i) for i, name in enumerate(sites)]
    data[0].x = np.concatenate([d.x for d in data])
    data[0].y = np.concatenate([d.y for d in data])
    weights = dict(WEIGHTS)
    for number in range(rounds):
        change = data[0].train("m", number, weights).change
        weights = {name: weights[name] + change[name] for name in weights}
    return weights


@pytest.mark.parametrize("secure", [True, False])
def test_full_batch_steps_are_the_pooled_gradient_steps(tmp_path, secure):
    one = toy(tmp_path, {"secure": secure}, policy={"plain_updates": True})
    done = training(one, tmp_path).run(WEIGHTS)
    for name, expected in pooled(3).items():
        np.testing.assert_allclose(done.weights[name], expected, atol=1e-6)
    assert done.sites == (SITES,) * 3


def test_updates_leave_masked_only_and_are_noted(tmp_path):
    one = toy(tmp_path)
    training(one, tmp_path).run(WEIGHTS)
    sent = list(read_outbox(one.folders["east"].path))
    kinds = {item.kind for item in sent}
    assert kinds == {"accepted", "ready", "advertised", "shared", "masked", "endorsed", "unmasked"}
    assert all(item.size > 0 and item.study == one.study.digest for item in sent)


def test_a_site_keeps_plain_updates_to_itself_by_default(tmp_path):
    one = toy(tmp_path, {"secure": False})
    with pytest.raises(FederationError, match="plain_updates: updates leave this site under secure"):
        training(one, tmp_path).run(WEIGHTS)


def test_rounds_go_on_after_the_last_whole_one(tmp_path):
    whole = training(toy(tmp_path / "a"), tmp_path / "a").run(WEIGHTS)
    one = toy(tmp_path / "b")
    training(toy(tmp_path / "c", {"rounds": 2}), tmp_path / "b").run(WEIGHTS)
    again = training(one, tmp_path / "b").run(WEIGHTS)
    assert all(one.learners[name].trained == 1 for name in SITES)
    for name in WEIGHTS:
        np.testing.assert_array_equal(again.weights[name], whole.weights[name])


@pytest.mark.parametrize("broken", ["shape", "huge", "nan"])
def test_a_wrong_update_is_left_out(tmp_path, broken):
    one = toy(tmp_path, {"secure": False, "rounds": 1, "quorum": 0.6}, policy={"plain_updates": True})
    one.learners["west"].broken = broken
    done = training(one, tmp_path).run(WEIGHTS)
    assert done.sites == (("east", "north"),)
    assert all(np.isfinite(value).all() for value in done.weights.values())


def test_below_quorum_the_missing_sites_are_named(tmp_path):
    one = toy(tmp_path, {"secure": False, "rounds": 1, "quorum": 1.0}, policy={"plain_updates": True})
    one.learners["west"].broken = "shape"
    with pytest.raises(FederationError, match=r"2 of 3 sites answered.*missing: west"):
        training(one, tmp_path).run(WEIGHTS)


@pytest.mark.parametrize("aggregation", ["median", "trimmed_mean"])
def test_robust_rules_bear_a_poisoned_site(tmp_path, aggregation):
    sites = tuple(f"s{i}" for i in range(5))
    one = toy(
        tmp_path,
        {"secure": False, "rounds": 5, "aggregation": aggregation, "untrusted": 0.2},
        sites=sites,
        policy={"plain_updates": True},
    )
    honest = training(one, tmp_path / "honest", 250).run(WEIGHTS)
    one.learners["s4"].y = 1 - one.learners["s4"].y
    one.learners["s4"].x = one.learners["s4"].x * 40
    poisoned = training(one, tmp_path / "poisoned", 250).run(WEIGHTS)
    apart = max(np.abs(honest.weights[n] - poisoned.weights[n]).max() for n in WEIGHTS)
    one2 = toy(tmp_path / "mean", {"secure": False, "rounds": 5}, sites=sites, policy={"plain_updates": True})
    one2.learners["s4"] = one.learners["s4"]
    mean = training(one2, tmp_path / "mean", 250).run(WEIGHTS)
    far = max(np.abs(honest.weights[n] - mean.weights[n]).max() for n in WEIGHTS)
    assert apart < 0.3 < far


def test_a_norm_bound_holds_under_secure_aggregation(tmp_path):
    one = toy(tmp_path, {"rounds": 1, "maximum_norm": 0.01})
    done = training(one, tmp_path).run(WEIGHTS)
    moved = np.sqrt(sum((np.asarray(v) ** 2).sum() for v in done.weights.values()))
    assert 0.005 < moved <= 0.010001


def test_grouped_median_sums_by_group(tmp_path):
    sites = tuple(f"s{i}" for i in range(6))
    federation = {"aggregation": "grouped_median", "groups": 3, "rounds": 2}
    one = toy(tmp_path, federation, sites=sites)
    done = training(one, tmp_path, 330).run(WEIGHTS)
    assert done.sites == (sites, sites)
    assert np.abs(done.weights["bias"]).max() > 0


def test_site_specific_weights_do_not_travel(tmp_path):
    one = toy(tmp_path, {"rounds": 1, "site_specific": ["nothing*"]})
    assert training(one, tmp_path).federation.stays("nothing.bias")
    assert not training(one, tmp_path).federation.stays("bias")


def test_a_statistic_over_secure_sums_is_the_pooled_one(tmp_path):
    one = toy(tmp_path)
    one.lead.invite()
    found = conduct(DeLong(models=1), one.lead.exchange("scores", secure=True)).result
    data = [one.learners[name] for name in SITES]
    outcome = np.concatenate([d.y for d in data]) == 1
    score = 1 / (1 + np.exp(-np.concatenate([d.x[:, 0] for d in data])))
    assert found.aucs[0] == pytest.approx(auc(outcome, bins_of(score).astype(float)), abs=1e-10)
    assert found.n_pos == outcome.sum()
