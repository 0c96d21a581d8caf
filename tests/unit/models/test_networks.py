"""One contract for CMAN and the networks it is compared with: absence, order, subsets, gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from huizhen.core.study import Variant
from huizhen.models.batch import Bag, CaseBatch, Row
from huizhen.models.network import Network

VARIANTS = [Variant.CMAN, Variant.CONCATENATION, Variant.LATE_AVERAGE]
NAMES = ("MG", "US", "clinic")
SUBSETS = [some for size in (1, 2, 3) for some in combinations(range(3), size)]
NetworkMaker = Callable[..., Network]
BatchMaker = Callable[..., CaseBatch]
every_network = pytest.mark.parametrize("variant", VARIANTS)


def shown(batch: CaseBatch, some: tuple[int, ...]) -> CaseBatch:
    return batch.restricted(torch.tensor([place in some for place in range(3)]))


def with_other_payload(batch: CaseBatch, hidden: int) -> CaseBatch:
    """Return the batch with everything about one modality replaced."""
    name = NAMES[hidden]
    if name in batch.rows:
        row = batch.rows[name]
        return replace(batch, rows={name: Row(values=row.values * -3 + 50, there=~row.there)})
    bag = batch.bags[name]
    return replace(batch, bags={**batch.bags, name: replace(bag, payload=bag.payload * -3 + 50)})


@every_network
@pytest.mark.parametrize("hidden", range(3))
def test_an_absent_modalitys_payload_never_matters(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant, hidden: int
) -> None:
    network, batch = make_network(variant), make_batch()
    some = tuple(place for place in range(3) if place != hidden)
    before = network(shown(batch, some))
    after = network(shown(with_other_payload(batch, hidden), some))
    assert torch.equal(before.logit, after.logit)
    if before.unimodal is not None and after.unimodal is not None:
        assert torch.equal(before.unimodal[:, list(some)], after.unimodal[:, list(some)])


@every_network
def test_a_present_modalitys_payload_does_matter(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant
) -> None:
    network, batch = make_network(variant), make_batch()
    for place in range(3):
        moved = network(with_other_payload(batch, place)).logit != network(batch).logit
        assert torch.equal(moved, batch.present[:, place])


@every_network
def test_permuting_cases_permutes_outputs(
    make_network: NetworkMaker,
    make_batch: BatchMaker,
    permuted: Callable[[CaseBatch, list[int]], CaseBatch],
    variant: Variant,
) -> None:
    network, batch, order = make_network(variant), make_batch(), [3, 0, 4, 2, 1]
    before, after = network(batch), network(permuted(batch, order))
    torch.testing.assert_close(after.logit, before.logit[order])


@every_network
def test_a_case_is_answered_alike_alone_and_in_company(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant
) -> None:
    network, batch = make_network(variant), make_batch()
    together = network(batch).logit
    for case in range(len(batch)):
        torch.testing.assert_close(network(only(batch, case)).logit[0], together[case])


def only(batch: CaseBatch, case: int) -> CaseBatch:
    """Return the batch of one case."""

    def own(bag: Bag) -> Bag:
        mine = bag.case == case
        count = int(mine.sum())
        zeros = torch.zeros(count, dtype=torch.long)
        return Bag(payload=bag.payload[mine], case=zeros, slot=torch.arange(count), width=max(1, count))

    return CaseBatch(
        bags={name: own(bag) for name, bag in batch.bags.items()},
        rows={n: Row(values=r.values[[case]], there=r.there[[case]]) for n, r in batch.rows.items()},
        present=batch.present[[case]],
        outcome=batch.outcome[[case]],
    )


@every_network
@pytest.mark.parametrize("some", SUBSETS)
def test_every_subset_is_answered(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant, some: tuple[int, ...]
) -> None:
    output = make_network(variant)(shown(make_batch(), some))
    assert torch.isfinite(output.logit).all()
    assert output.logit.shape == (5,)


@every_network
def test_no_modality_at_all_is_finite(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant
) -> None:
    output = make_network(variant)(shown(make_batch(), ()))
    assert torch.isfinite(output.logit).all()
    torch.testing.assert_close(output.logit, output.logit[:1].expand(5))  # nothing is known: all are alike


@every_network
def test_a_network_of_fewer_modalities_ignores_the_others(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant
) -> None:
    batch = make_batch()
    own = CaseBatch(
        bags={"US": batch.bags["US"]}, rows=batch.rows, present=batch.present[:, 1:], outcome=batch.outcome
    )
    output = make_network(variant, names=("US", "clinic"))(own)
    assert torch.isfinite(output.logit).all()
    if output.aligned is not None:
        assert output.aligned.shape == (5, 2, 16)


@every_network
@pytest.mark.parametrize("frozen", [True, False])
def test_gradient_flows_to_every_parameter_when_everything_is_present(
    make_network: NetworkMaker, make_batch: BatchMaker, variant: Variant, frozen: bool
) -> None:
    network = make_network(variant, frozen=frozen).train()
    output = network(make_batch(bags={"MG": (1, 2, 1), "US": (2, 1, 1)}, pixels=not frozen))
    total = output.logit.square().sum()
    if output.aligned is not None:
        total = (
            total + (output.aligned[:, 0] * output.aligned[:, 1].flip(0)).sum() + output.aligned[:, 2].sum()
        )
    total.backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # attention ignores what all keys share, so a key's bias has no gradient: softmax is shift invariant
    assert [name for name in without if not name.endswith("key.bias")] == []


@every_network
def test_per_sample_gradients_equal_a_loop(make_network: NetworkMaker, variant: Variant) -> None:
    """From features, over images and a row: what sample-level privacy needs of tokenizers and fusion."""
    network = make_network(variant, names=("MG", "clinic"))
    features = torch.randn(3, 2, 4, 512, generator=torch.Generator().manual_seed(6))
    assert_per_sample(network, features)


def test_per_sample_gradients_from_pixels(make_network: NetworkMaker) -> None:
    """With a group-normalised encoder as a study builds it."""
    network = make_network(Variant.CMAN, frozen=False, names=("MG", "clinic")).double()
    assert_per_sample(
        network, torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(7)).double()
    )


def assert_per_sample(network: Network, payload: Tensor, *, rtol: float = 1e-3, atol: float = 1e-5) -> None:
    """Compare vmap over cases (n, images, ...) of one bag and a row with one case at a time."""
    weights = {name: p.detach() for name, p in network.named_parameters()}
    values = torch.randn(len(payload), 1, 4, generator=torch.Generator().manual_seed(8)).to(payload.dtype)

    def loss(weights: dict[str, Tensor], images: Tensor, row: Tensor) -> Tensor:
        place = torch.arange(len(images))
        batch = CaseBatch(
            bags={"MG": Bag(payload=images, case=place * 0, slot=place, width=len(images))},
            rows={"clinic": Row(values=row, there=torch.ones(1, 2, dtype=torch.bool))},
            present=torch.ones(1, 2, dtype=torch.bool),
            outcome=torch.ones(1),
        )
        logit: Tensor = functional_call(network, weights, (batch,)).logit
        return nn.functional.softplus(-logit).sum()

    together = vmap(grad(loss), in_dims=(None, 0, 0))(weights, payload, values)
    for sample in range(len(payload)):
        alone = grad(loss)(weights, payload[sample], values[sample])
        for name, value in alone.items():
            torch.testing.assert_close(together[name][sample], value, rtol=rtol, atol=atol, msg=name)


def test_concatenation_and_averaging_pool_by_the_mean(
    make_network: NetworkMaker, make_batch: BatchMaker
) -> None:
    """A bag that shows one image twice is that image once; CMAN's attention would say the same."""
    for variant in VARIANTS:
        network = make_network(variant)
        once = make_batch(bags={"MG": (1, 1), "US": (1, 1)})
        twice = replace(once, bags={**once.bags, "MG": doubled(once.bags["MG"])})
        if variant is not Variant.CMAN:
            torch.testing.assert_close(network(twice).logit, network(once).logit)
        else:
            assert not torch.allclose(network(twice).logit, network(once).logit)  # the null token gets less


def doubled(bag: Bag) -> Bag:
    count = len(bag.payload)
    return Bag(
        payload=bag.payload.repeat_interleave(2, 0),
        case=bag.case.repeat_interleave(2),
        slot=torch.tensor([0, 1]).repeat(count),
        width=2,
    )


def test_late_averaging_is_the_mean_of_what_is_present(
    make_network: NetworkMaker, make_batch: BatchMaker
) -> None:
    output = make_network(Variant.LATE_AVERAGE)(batch := make_batch())
    assert output.unimodal is not None
    there = batch.present.float()
    torch.testing.assert_close(output.logit, (output.unimodal * there).sum(1) / there.sum(1))
