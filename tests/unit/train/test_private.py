"""A local round of DP-SGD: the secret alone decides the draw, and no noise means plain gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from huizhen.core.study import Study
from huizhen.core.study_federation import Federation, StrategyKind
from huizhen.errors import PrivacyError
from huizhen.privacy.dp_settings import DpSettings
from huizhen.train.local import LocalFit, shared_weights
from huizhen.train.private import PrivateEpochs

SECRET = bytes(range(32))


def apart(study: Study, **network: object) -> Study:
    """Return the study with a loss of each patient alone."""
    settings = study.network.model_copy(update={"alignment_weight": 0.0, **network})
    return study.model_copy(update={"network": settings})


def private(noise: float = 1.0, rate: float = 0.25, *, names: tuple[str | int, ...] = (1,)) -> PrivateEpochs:
    settings = DpSettings(noise_multiplier=noise, clip_norm=1.0, sampling_rate=rate, patients=80)
    return PrivateEpochs(settings=settings, steps=round(1 / rate), secret=SECRET, names=names)


@pytest.fixture
def local(make_study: Callable, make_data: Callable, make_fit: Callable, tmp_path: Path) -> LocalFit:
    fit = make_fit(apart(make_study()), make_data())
    return LocalFit(fit=fit, federation=Federation(rounds=4), folder=tmp_path)


def change_of(local: LocalFit, make_network: Callable, number: int = 0) -> dict[str, np.ndarray]:
    network = make_network(local.fit.study)
    sent = {n: w.numpy() for n, w in shared_weights(network).items()}
    return local.round(network, number, sent)[0]


def test_one_draw_gives_one_change(local, make_network):
    first, again, other = (
        change_of(replace(local, private=private(names=names)), make_network) for names in ((1,), (1,), (2,))
    )
    assert all(np.array_equal(first[n], again[n]) for n in first)
    assert any(not np.array_equal(first[n], other[n]) for n in first)


def test_the_studys_seed_decides_nothing(local, make_network):
    one = change_of(replace(local, private=private()), make_network)
    other = change_of(replace(local, fit=replace(local.fit, seed=99), private=private()), make_network)
    assert all(np.array_equal(one[n], other[n]) for n in one)


def test_a_step_is_no_longer_than_its_rate(make_study, make_data, make_fit, make_network, tmp_path):
    """With sgd, a clip of 1 and nearly no noise, a step moves the weights by less than its learning rate."""
    study = apart(make_study(optimiser="sgd", weight_decay=0.0, learning_rate=0.1), dropout=0.0)
    fit = make_fit(study, make_data())
    local = LocalFit(fit=fit, federation=Federation(rounds=4), folder=tmp_path, private=private(1e-6, 1.0))
    change = change_of(local, make_network)
    length = np.sqrt(sum(float((v**2).sum()) for v in change.values()))
    assert 0 < length <= 0.1 + 1e-4


def test_noise_is_as_large_as_stated(make_study, make_data, make_fit, make_network, tmp_path):
    study = apart(make_study(optimiser="sgd", weight_decay=0.0, learning_rate=1.0), dropout=0.0)
    local = LocalFit(
        fit=make_fit(study, make_data()),
        federation=Federation(rounds=1),
        folder=tmp_path,
        private=private(200.0, 1.0),
    )
    change = np.concatenate([v.reshape(-1) for v in change_of(local, make_network).values()])
    moved = change[change != 0]
    rate = 1e-3 / 0.1 * (0.495 * 2 + 0.01)  # set_rate at the very start
    assert moved.std() == pytest.approx(200.0 / 80 * rate, rel=0.05)


def test_the_strategys_pull_comes_after_the_noise(local, make_network):
    pulled = replace(
        local,
        federation=Federation(rounds=4, strategy=StrategyKind.FEDPROX, proximal=50.0),
        private=private(),
    )
    free = change_of(replace(local, private=private()), make_network)
    near = change_of(pulled, make_network)
    assert any(not np.array_equal(free[n], near[n]) for n in free)


def test_batch_statistics_are_refused(make_study, make_data, make_fit, make_network, tmp_path):
    study = apart(make_study(mode="finetune"))
    fit = make_fit(study, make_data(pixels=True))
    local = LocalFit(fit=fit, federation=Federation(rounds=1), folder=tmp_path, private=private())
    with pytest.raises(PrivacyError, match="normalise over the batch"):
        change_of(local, make_network)


def test_a_step_that_drew_nobody_moves_the_weights_too(local, make_network):
    settings = DpSettings(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=1e-9, patients=80)
    nobody = PrivateEpochs(settings=settings, steps=1, secret=SECRET, names=(1,))
    torch.manual_seed(0)
    change = change_of(replace(local, private=nobody), make_network)
    assert any(bool(np.abs(v).max() > 0) for v in change.values())
