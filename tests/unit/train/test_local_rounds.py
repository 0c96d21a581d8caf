"""Local rounds with the real network: pooled steps, SCAFFOLD's variates, weights that stay, repetition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from huizhen.core.study import Study
from huizhen.core.study_federation import Federation, StrategyKind
from huizhen.errors import ModelError
from huizhen.models.network import Network
from huizhen.tasks.binary import total_loss
from huizhen.train.fit import CLIP_NORM, Fit, make_optimiser, set_rate
from huizhen.train.local import CONTROL, LocalFit, kept_files, own_weights, shared_weights

Weights = dict[str, np.ndarray]
NAMES = ("US", "clinic")


@pytest.fixture(autouse=True)
def precise() -> None:
    """Sums in one order."""
    torch.set_num_threads(1)


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    """Full batches, plain gradient steps, a loss that is a mean over patients, nothing drawn at random.

    The unimodal term is a mean over present modalities: with some missing, it weighs sites by those.
    """
    made = make_study(optimiser="sgd", batch_size=400, weight_decay=0.0, learning_rate=0.1)
    network = made.network.model_copy(
        update={"alignment_weight": 0.0, "unimodal_weight": 0.0, "dropout": 0.0, "modality_dropout": 0.0}
    )
    return made.model_copy(update={"network": network})


def weights_of(network: Network) -> Weights:
    return {name: value.numpy() for name, value in shared_weights(network).items()}


@pytest.fixture
def local(study, make_data, make_fit, tmp_path) -> Callable[..., LocalFit]:
    def make(rows: np.ndarray | None = None, folder: str = "site", **federation: object) -> LocalFit:
        data = make_data()
        one_copy = replace(data.images["US"], payload=data.images["US"].payload[:, :1])
        fit: Fit = make_fit(study, replace(data, images={"US": one_copy}))
        settings = Federation(**{"rounds": 4, **federation})
        if rows is not None:
            fit = replace(fit, train=rows)
        fit = replace(fit, epochs=settings.rounds * settings.local_epochs)
        return LocalFit(fit=fit, federation=settings, folder=tmp_path / folder)

    return make


def test_weighted_full_batch_steps_are_the_pooled_step(local, study, make_network):
    """The mean of the sites' changes, weighted by patients, is the change of one site with all of them."""
    parts = [np.arange(0, 20), np.arange(20, 50), np.arange(50, 80)]
    network = make_network(study)
    sent = weights_of(network)
    changes = [local(rows, f"site{i}").round(make_network(study), 0, sent)[0] for i, rows in enumerate(parts)]
    pooled, _ = local(np.arange(80), "pooled").round(make_network(study), 0, sent)
    counts = np.array([len(rows) for rows in parts])
    for name, expected in pooled.items():
        mean = sum(c[name].astype(float) * n for c, n in zip(changes, counts, strict=True)) / counts.sum()
        np.testing.assert_allclose(mean, expected, atol=1e-6)
    assert max(np.abs(change).max() for change in pooled.values()) > 1e-4


def gradient(fit: Fit, network: Network, weights: Mapping[str, torch.Tensor]) -> Weights:
    """Return the clipped gradient over all training patients, as a step takes it."""
    network.load_state_dict({**network.state_dict(), **weights})
    network.train()
    network.zero_grad()
    batch = fit.data.batch(fit.train, fit.names)
    total_loss(network(batch), batch, fit.study.network).backward()
    return {n: p.grad.detach().clone() for n, p in network.named_parameters() if p.grad is not None}


def clipped(found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    norm = torch.sqrt(sum((g**2).sum() for g in found.values()))
    factor = min(1.0, CLIP_NORM / (float(norm) + 1e-6))
    return {name: value * factor for name, value in found.items()}


def rates(local: LocalFit, study: Study, network: Network, steps: range) -> list[float]:
    optimiser = make_optimiser(network, study)
    found = []
    for step in steps:
        set_rate(optimiser, step / local.fit.planned_epochs)
        found.append(float(optimiser.param_groups[0]["lr"]))
    return found


def test_scaffolds_variates_are_the_published_ones(local, study, make_network):
    """Two rounds of two full-batch steps against algorithm 1, option II, step by step in numpy's order."""
    one = local(strategy=StrategyKind.SCAFFOLD, local_epochs=2, rounds=2)
    scratch, rng = make_network(study), np.random.default_rng(0)
    x = {n: torch.tensor(w) for n, w in weights_of(make_network(study)).items()}
    lead = {n: torch.tensor(rng.normal(size=w.shape).astype(np.float32) * 1e-2) for n, w in x.items()}
    own = {n: torch.zeros_like(w) for n, w in x.items()}
    for number in range(2):
        sent = {n: w.numpy() for n, w in x.items()} | {CONTROL + n: c.numpy() for n, c in lead.items()}
        change, _ = one.round(make_network(study), number, sent)
        y, used = dict(x), rates(one, study, scratch, range(2 * number, 2 * number + 2))
        for rate in used:
            raw = gradient(one.fit, scratch, y)
            step = clipped({n: g + lead[n] - own[n] for n, g in raw.items()})
            y = {n: w - rate * step[n] if n in step else w for n, w in y.items()}
        moved = set(raw)
        for n in moved:
            np.testing.assert_allclose(change[n], (y[n] - x[n]).numpy(), atol=2e-6)
            new = own[n] - lead[n] + (x[n] - y[n]) / sum(used)
            np.testing.assert_allclose(change[CONTROL + n], (new - own[n]).numpy(), atol=1e-3)
            own[n] = own[n] + torch.tensor(change[CONTROL + n])
        x = {n: w + torch.tensor(change[n]) for n, w in x.items()}


def test_fedprox_pulls_towards_the_rounds_weights(local, study, make_network):
    sent = weights_of(make_network(study))

    def moved(**federation: object) -> float:
        change, _ = local(None, str(federation), local_epochs=3, **federation).round(
            make_network(study), 0, sent
        )
        return float(np.sqrt(sum((c.astype(float) ** 2).sum() for c in change.values())))

    free = moved()
    assert moved(strategy=StrategyKind.FEDPROX, proximal=3.0) < 0.95 * free
    assert moved(strategy=StrategyKind.FEDPROX, proximal=0.0) == free


@pytest.mark.parametrize("kind", [StrategyKind.FEDADAM, StrategyKind.FEDYOGI])
def test_the_leads_optimisers_leave_the_sites_steps_as_they_are(local, study, make_network, kind):
    sent = weights_of(make_network(study))
    plain, _ = local(None, "a").round(make_network(study), 0, sent)
    found, _ = local(None, "b", strategy=kind).round(make_network(study), 0, sent)
    assert all(np.array_equal(plain[n], found[n]) for n in plain)


def test_weights_that_stay_neither_leave_nor_arrive_and_last(local, study, make_network):
    one = local(site_specific=("joint.*",))
    whole = weights_of(make_network(study))
    stay = {name for name in whole if one.federation.stays(name)}
    assert stay
    assert stay < set(whole)
    sent = {name: value for name, value in whole.items() if name not in stay}
    kept: list[Weights] = []
    for number in range(2):
        change, _ = one.round(make_network(study), number, sent)
        assert set(change) == set(sent)
        kept.append({n: w.numpy().copy() for n, w in own_weights(one.folder).items()})
    assert set(kept[0]) == stay
    assert any(not np.array_equal(kept[0][n], whole[n]) for n in stay)
    assert any(not np.array_equal(kept[0][n], kept[1][n]) for n in stay), "it goes on from its own"
    with pytest.raises(ModelError, match="of another network"):
        one.round(make_network(study), 2, whole)


def test_a_round_repeated_gives_the_same_change(local, study, make_network):
    one = local(strategy=StrategyKind.SCAFFOLD)
    sent = weights_of(make_network(study))
    sent |= {CONTROL + name: np.full_like(value, 1e-3) for name, value in sent.items()}
    for number in range(3):
        first, loss = one.round(make_network(study), number, sent)
        again, same = one.round(make_network(study), number, sent)
        assert loss == same
        assert all(np.array_equal(first[n], again[n]) for n in first)


def test_a_missed_round_loses_neither_variates_nor_weights_that_stay(local, study, make_network):
    """A site that was away for a round goes on from what it had."""
    one = local(strategy=StrategyKind.SCAFFOLD, site_specific=("joint.*",))
    sent = {n: w for n, w in weights_of(make_network(study)).items() if not one.federation.stays(n)}
    sent |= {CONTROL + name: np.full_like(value, 1e-3) for name, value in sent.items()}
    one.round(make_network(study), 0, sent)
    before = own_weights(one.folder)
    after_a_gap, _ = one.round(make_network(study), 2, sent)
    fresh, _ = replace(one, folder=one.folder / "other").round(make_network(study), 2, sent)
    assert any(not np.array_equal(after_a_gap[n], fresh[n]) for n in fresh)
    again, _ = one.round(make_network(study), 2, sent)
    assert all(np.array_equal(after_a_gap[n], again[n]) for n in again)
    assert set(own_weights(one.folder)) == set(before)


def test_a_damaged_file_is_passed_over_for_the_one_before(local, study, make_network):
    one = local(site_specific=("joint.*",))
    sent = {n: w for n, w in weights_of(make_network(study)).items() if not one.federation.stays(n)}
    for number in range(2):
        one.round(make_network(study), number, sent)
    first, second = kept_files(one.folder)
    whole = own_weights(one.folder)
    second.write_bytes(second.read_bytes()[:-1])
    earlier = own_weights(one.folder)
    assert any(not torch.equal(earlier[n], whole[n]) for n in whole)
    first.write_bytes(b"")
    assert own_weights(one.folder) == {}


def test_what_an_earlier_run_left_is_let_go(local, study, make_network):
    one = local()
    sent = weights_of(make_network(study))
    for number in (0, 1, 2, 3, 0):
        one.round(make_network(study), number, sent)
    assert [file.name for file in kept_files(one.folder)] == ["after-00000.safetensors"]
    for number in (1, 2, 3):
        one.round(make_network(study), number, sent)
    assert [int(file.stem[-5:]) for file in kept_files(one.folder)] == [1, 2, 3]


@pytest.mark.parametrize("wrong", ["missing", "shape", "more"])
def test_weights_of_another_network_are_refused(local, study, make_network, wrong):
    sent = weights_of(make_network(study))
    name = next(iter(sent))
    if wrong == "missing":
        del sent[name]
    elif wrong == "shape":
        sent[name] = np.zeros((3, 3, 3), np.float32)
    else:
        sent["more"] = np.zeros(1, np.float32)
    one = local()
    with pytest.raises(ModelError, match="of another network"):
        one.round(make_network(study), 0, sent)
    assert not kept_files(one.folder)


def test_a_site_may_have_one_class_only(local, study, make_network):
    one = local(np.arange(0, 40, 2))
    assert not one.fit.data.outcome[one.fit.train].any()
    change, loss = one.round(make_network(study), 0, weights_of(make_network(study)))
    assert np.isfinite(loss)
    assert all(np.isfinite(c).all() for c in change.values())
    assert isinstance(one.folder, Path)
