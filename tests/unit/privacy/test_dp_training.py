"""DP-SGD by patients: gradients equal a slow oracle's, each is clipped, noise and sampling are as stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from huizhen.core.study import Study, Variant
from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.models.batch import Bag, CaseBatch, Row
from huizhen.models.build import build_network
from huizhen.privacy.dp_settings import DpSettings
from huizhen.privacy.dp_training import (
    check_network,
    noise_generator,
    poisson_samples,
    private_optimiser,
    private_step,
    sample_generator,
)
from huizhen.privacy.patient_gradients import groups_of_equal_shape, patient_gradients

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # Opacus wraps plain layers
COUNTS = {"MG": (2, 1, 0, 3, 1, 2), "US": (1, 0, 2, 1, 1, 1)}
SECRET = bytes(range(32))


def study(norm: str) -> Study:
    image = {"kind": "image", "encoder": "resnet18", "pretrained": False, "size": 32, "norm": norm}
    columns = {"patient": "p", "outcome": "o"}
    source = {"modality": "clinic", "reader": "table", "path": "a", "columns": columns}
    return Study.model_validate(
        {
            "name": "s", "title": "A study", "question": "Is it?", "seed": 7,
            "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
            "modality": [
                {"name": "MG", **image},
                {"name": "US", **image},
                {"name": "clinic", "kind": "table", "numeric": ["age"], "categorical": ["er"]},
            ],
            "site": [{"name": "a", "source": [source]}],
            "network": {"width": 16, "heads": 2, "dropout": 0.0},
        }
    )  # fmt: skip


def network_of(*, frozen: bool, norm: str = "group") -> nn.Module:
    """Return a small CMAN with every parameter drawn."""
    built = build_network(
        study(norm), Variant.CMAN, ("MG", "US", "clinic"), {"clinic": [(0, 1), (1, 4)]}, frozen=frozen, seed=3
    )
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if ".encoder." not in name:
                parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.2)
    return built.train()


def bag_of(numbers: tuple[int, ...], draw: torch.Generator, pixels: bool) -> Bag:
    total = sum(numbers)
    payload = (
        torch.randint(0, 256, (total, 1, 32, 32), generator=draw, dtype=torch.uint8)
        if pixels
        else torch.randn(total, 4, 512, generator=draw)
    )
    return Bag(
        payload=payload,
        case=torch.tensor([i for i, n in enumerate(numbers) for _ in range(n)]),
        slot=torch.tensor([s for n in numbers for s in range(n)]),
        width=max(numbers),
    )


def batch_of(*, pixels: bool) -> CaseBatch:
    draw = torch.Generator().manual_seed(0)
    size = len(COUNTS["MG"])
    there = torch.rand(size, 2, generator=draw) < 0.8
    there[:, 0] = True
    return CaseBatch(
        bags={name: bag_of(numbers, draw, pixels) for name, numbers in COUNTS.items()},
        rows={"clinic": Row(values=torch.randn(size, 4, generator=draw), there=there)},
        present=torch.tensor([[COUNTS["MG"][i] > 0, COUNTS["US"][i] > 0, True] for i in range(size)]),
        outcome=(torch.arange(size) % 2).float(),
    )


def loss(output: Any, batch: CaseBatch) -> Tensor:
    own = binary_cross_entropy_with_logits(output.logit, batch.outcome)
    there = batch.present.to(own.dtype)
    each = binary_cross_entropy_with_logits(
        output.unimodal, batch.outcome[:, None].expand_as(output.unimodal), reduction="none"
    )
    return own + 0.3 * (each * there).sum() / there.sum()


def only(batch: CaseBatch, number: int) -> CaseBatch:
    """Return one patient in the form in which the pipeline would load that patient alone."""
    bags = {}
    for name, bag in batch.bags.items():
        mine = bag.case == number
        bags[name] = Bag(
            payload=bag.payload[mine],
            case=torch.zeros(int(mine.sum()), dtype=torch.long),
            slot=bag.slot[mine],
            width=max(1, int(mine.sum())),
        )
    rows = {n: Row(values=r.values[[number]], there=r.there[[number]]) for n, r in batch.rows.items()}
    return CaseBatch(bags=bags, rows=rows, present=batch.present[[number]], outcome=batch.outcome[[number]])


def oracle(network: nn.Module, batch: CaseBatch) -> list[dict[str, Tensor]]:
    """Return each patient's gradient by one backward pass a patient."""
    found = []
    for number in range(len(batch)):
        network.zero_grad(set_to_none=True)
        case = only(batch, number)
        loss(network(case), case).backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        grads = {n: p.grad for n, p in network.named_parameters()}
        sizes = dict(network.named_parameters())
        found.append({n: torch.zeros_like(sizes[n]) if g is None else g.clone() for n, g in grads.items()})
    network.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("frozen", [True, False], ids=["features", "encoder"])
def test_gradients_of_patients_equal_one_backward_pass_each(frozen: bool) -> None:
    network, batch = network_of(frozen=frozen), batch_of(pixels=not frozen)
    expected = oracle(network, batch)
    seen = set()
    for members in groups_of_equal_shape(batch, 4):
        found, losses = patient_gradients(network, batch, members, loss)
        assert losses.shape == (len(members),)
        for place, number in enumerate(members):
            seen.add(number)
            for name, gradient in found.items():
                torch.testing.assert_close(gradient[place], expected[number][name], rtol=2e-3, atol=2e-5)
    assert seen == set(range(len(batch)))
    assert len(list(groups_of_equal_shape(batch, 4))) < len(batch)  # some went together


def settings(**other: float) -> DpSettings:
    usual: dict[str, Any] = {"noise_multiplier": 1e-6, "clip_norm": 0.5, "sampling_rate": 0.5}
    return DpSettings(**(usual | {"patients": 12} | other))


def private(network: nn.Module, chosen: DpSettings, *names: str) -> Any:
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    return private_optimiser(optimiser, chosen, generator=noise_generator(SECRET, *names))


def moved(network: nn.Module, act: Callable[[], Any]) -> dict[str, Tensor]:
    """Return how each parameter was changed by `act`."""
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    act()
    return {n: p.detach() - before[n] for n, p in network.named_parameters()}


@pytest.mark.parametrize("group", [1, 2, 8])
def test_a_step_is_the_clipped_sum_over_patients_by_the_expected_batch(group: int) -> None:
    network, batch = network_of(frozen=True), batch_of(pixels=False)
    expected = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    norms = []
    for gradient in oracle(network, batch):
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradient.values()))
        norms.append(norm)
        for name, g in gradient.items():
            expected[name] -= g * min(1.0, 0.5 / norm) / 6.0
    assert min(norms) < 0.5 < max(norms) or min(norms) > 0.5
    optimiser = private(network, settings())
    change = moved(network, lambda: private_step(network, optimiser, batch, loss, group=group))
    for name, value in change.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)


def test_no_patient_moves_the_sum_by_more_than_the_clip() -> None:
    batch = batch_of(pixels=False)
    huge = replace(
        batch, rows={"clinic": replace(batch.rows["clinic"], values=batch.rows["clinic"].values * 1e4)}
    )
    network = network_of(frozen=True)
    change = moved(network, lambda: private_step(network, private(network, settings()), huge, loss))
    norm = math.sqrt(sum(float((c**2).sum()) for c in change.values()))
    assert norm <= 6 * 0.5 / 6.0 * 1.001


def test_noise_has_the_stated_size_also_when_nobody_was_drawn() -> None:
    network = network_of(frozen=True)
    chosen = settings(noise_multiplier=3.0)
    change = moved(network, lambda: private_step(network, private(network, chosen), None, loss))
    values = torch.cat([c.flatten() for c in change.values()])
    assert float(values.std()) == pytest.approx(3.0 * 0.5 / 6.0, rel=0.05)
    assert abs(float(values.mean())) < 5 * 0.25 / math.sqrt(len(values))


def test_noise_is_the_sites_secret_and_the_same_when_resumed() -> None:
    draw = [
        torch.randn(4, generator=noise_generator(secret, *names)).tolist()
        for secret, names in (
            (SECRET, ("s", 1)), (SECRET, ("s", 1)), (SECRET, ("s", 2)), (bytes(32), ("s", 1)),
        )
    ]  # fmt: skip
    assert draw[0] == draw[1]
    assert len({tuple(d) for d in draw}) == 3
    with pytest.raises(InvalidInputError, match="32 bytes"):
        sample_generator(b"short", "s")


def test_patients_are_drawn_independently_at_the_rate() -> None:
    patients = np.arange(100, 150)
    samples = list(poisson_samples(patients, 0.2, 4000, sample_generator(SECRET, "s")))
    sizes = np.array([len(s) for s in samples])
    assert sizes.mean() == pytest.approx(10, abs=0.25)
    assert sizes.var() == pytest.approx(50 * 0.2 * 0.8, rel=0.1)
    often = np.bincount(np.concatenate(samples), minlength=150)[100:] / 4000
    assert np.abs(often - 0.2).max() < 0.03
    assert any(len(s) == 0 for s in poisson_samples(patients[:2], 0.05, 50, sample_generator(SECRET, "t")))


def test_batch_normalisation_is_refused_with_the_fix() -> None:
    with pytest.raises(PrivacyError, match=r'normalise over the batch.*norm = "group"'):
        check_network(network_of(frozen=False, norm="batch"))
    check_network(network_of(frozen=False))
    check_network(nn.InstanceNorm2d(3))
    for layer in (nn.InstanceNorm2d(3, track_running_stats=True), nn.SyncBatchNorm(3)):
        with pytest.raises(PrivacyError):
            check_network(nn.Sequential(nn.Conv2d(3, 3, 1), layer))


def test_a_head_whose_rows_are_patients_gets_the_same_step_from_opacus() -> None:
    from opacus import GradSampleModule

    draw = torch.Generator().manual_seed(1)
    features, outcome = torch.randn(6, 5, generator=draw), (torch.arange(6) % 2).float()
    head = nn.Linear(5, 1)
    expected = torch.zeros(5)
    for x, y in zip(features, outcome, strict=True):
        p = head(x).sigmoid().detach() - y
        norm = float(p.abs()) * math.sqrt(float((x**2).sum()) + 1)
        expected -= p * x * min(1.0, 0.5 / norm) / 6.0
    before = head.weight.detach().clone()
    wrapped = GradSampleModule(head, loss_reduction="mean")
    optimiser = private(wrapped, settings())
    binary_cross_entropy_with_logits(wrapped(features)[:, 0], outcome).backward()
    optimiser.step()
    torch.testing.assert_close((head.weight - before)[0], expected, rtol=1e-3, atol=1e-5)


def test_a_gradient_that_is_not_finite_stops_the_step_before_anything_moves() -> None:
    network, batch = network_of(frozen=True), batch_of(pixels=False)
    values = batch.rows["clinic"].values.clone()
    values[0] = torch.nan
    optimiser = private(network, settings(sampling_rate=0.9))
    bad = replace(batch, rows={"clinic": replace(batch.rows["clinic"], values=values)})

    def act() -> None:
        with pytest.raises(PrivacyError, match="not finite"):
            private_step(network, optimiser, bad, loss)

    assert all(float(c.abs().max()) == 0 for c in moved(network, act).values())
    assert all(p.summed_grad is None for p in network.parameters())  # nor does the next step add it up


def test_settings_that_are_refused() -> None:
    assert settings().spend(7).steps == 7
    for bad in ({"clip_norm": 0.0}, {"clip_norm": math.inf}, {"patients": 0}, {"noise_multiplier": 0.0},
                {"sampling_rate": 0.0}):  # fmt: skip
        with pytest.raises(InvalidInputError):
            settings(**bad)
