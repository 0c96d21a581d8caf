"""Keeping the best epoch: lowest loss on tuning patients, the untouched network included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from huizhen.core.study import Study
from huizhen.models.network import Network
from huizhen.train import fit as fitting
from huizhen.train.arrays import CaseData
from huizhen.train.checkpoints import History
from huizhen.train.fit import Fit, predict_logits

NAMES = ("US", "clinic")
Maker = Callable[..., Network]


def tune_loss(network: Network, fit: Fit) -> float:
    """Return the mean log-loss on tuning patients."""
    logits = predict_logits(network, fit.data, fit.tune, NAMES)
    return float(np.logaddexp(0, np.where(fit.data.outcome[fit.tune] == 1, -logits, logits)).mean())


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_the_kept_weights_are_those_with_the_lowest_tuning_loss(
    average: float,
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Maker,
    tmp_path: Path,
) -> None:
    study = make_study(keep="best", epochs=6, learning_rate=0.03, average_weights=average)
    fit, network = make_fit(study, make_data(60, signal=0.3)), make_network(study)
    fitted = fit.run(network, tmp_path / "at")
    assert len(fitted.history.tune_loss) == 7
    assert fitted.history.kept_epoch < 6, "nothing to choose: the last epoch was the best"
    network.load_state_dict(dict(fitted.weights))
    assert tune_loss(network, fit) == pytest.approx(min(fitted.history.tune_loss), abs=1e-9)


def test_a_fit_that_only_makes_it_worse_keeps_the_start(
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Maker,
    tmp_path: Path,
) -> None:
    study = make_study(keep="best", epochs=3)
    data = make_data(90)
    fit = make_fit(study, data)
    upside_down = data.outcome.copy()
    upside_down[fit.train] = 1 - upside_down[fit.train]
    network = make_network(study)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    fitted = replace(fit, data=replace(data, outcome=upside_down)).run(network, tmp_path / "at")
    assert fitted.history.kept_epoch == 0
    assert all(torch.equal(fitted.weights[name], value) for name, value in start.items())


def test_the_last_epoch_is_kept_unless_asked(
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Maker,
    tmp_path: Path,
) -> None:
    study = make_study(epochs=2)
    network = make_network(study)
    fitted = make_fit(study, make_data(60)).run(network, tmp_path / "at")
    assert fitted.history.tune_loss == []
    assert fitted.history.kept_epoch == 2
    assert all(torch.equal(fitted.weights[name], value) for name, value in network.state_dict().items())


def test_without_tuning_patients_the_last_epoch_is_kept(
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Maker,
    tmp_path: Path,
) -> None:
    study = make_study(keep="best", epochs=2)
    fit = replace(make_fit(study, make_data(60)), tune=np.array([], np.int64))
    assert fit.run(make_network(study), tmp_path / "at").history.kept_epoch == 2


def test_a_fit_that_was_stopped_keeps_the_same_weights(
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stop falls after the best epoch, so that its weights can only come from the checkpoint."""
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", -1.0)
    study = make_study(keep="best", epochs=6, learning_rate=0.03)
    data = make_data(60, signal=0.3)
    whole = make_fit(study, data).run(make_network(study), tmp_path / "whole")
    assert whole.history.kept_epoch < 5
    epochs = [0]

    def stop(*given: object, **named: object) -> float:
        epochs[0] += 1
        if epochs[0] > 5:
            raise InterruptedError
        return original(*given, **named)

    original = Fit.epoch
    monkeypatch.setattr(Fit, "epoch", stop)
    with pytest.raises(InterruptedError):
        make_fit(study, data).run(make_network(study), tmp_path / "at")
    monkeypatch.setattr(Fit, "epoch", original)
    again = make_fit(study, data).run(make_network(study), tmp_path / "at")
    assert again.history == whole.history
    assert all(torch.equal(again.weights[name], value) for name, value in whole.weights.items())


@pytest.mark.parametrize(("losses", "kept"), [([], 2), ([0.5, 0.6, 0.7], 0), ([0.7, 0.5, 0.5], 1)])
def test_of_equal_epochs_the_first_is_kept(losses: list[float], kept: int) -> None:
    assert History(loss=[1.0, 1.0], tune_auc=[None, None], tune_loss=losses).kept_epoch == kept
