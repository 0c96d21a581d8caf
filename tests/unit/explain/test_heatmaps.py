"""Heatmaps: the token that matters is the peak, one scale a case and modality, nothing without evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, final

import pytest
import torch
from torch import Tensor, nn

from huizhen.errors import InvalidInputError
from huizhen.explain.heatmaps import _joined, _see, heatmaps, upsample
from huizhen.models.batch import Bag, CaseBatch
from huizhen.models.cman import Cman
from huizhen.models.encoders.efficientnet_lite import efficientnet_lite0
from huizhen.models.encoders.interface import Encoder
from huizhen.models.encoders.resnet import resnet18
from huizhen.models.network import Network, Output
from huizhen.models.tokens import ImageTokenizer

DEPTH = 4


@final
class Chosen(Network):
    """A network whose log-odds is a weighed sum of some tokens of its first modality, and nothing else."""

    def __init__(self, names: Sequence[str], weights: dict[int, float]) -> None:
        super().__init__({name: identity() for name in names})
        self.weights = weights

    def fuse(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Output:
        logit = torch.zeros(len(tokens[0]))
        for place, weight in self.weights.items():
            logit = logit + weight * tokens[0][:, place].sum(-1)
        return Output(logit=logit)


def identity() -> ImageTokenizer:
    """Return a tokenizer that leaves features as they are."""
    tokenizer = ImageTokenizer(DEPTH, DEPTH, None, 0.0)
    tokenizer.project = nn.Sequential()
    return tokenizer


def _lite(in_channels: int, norm: Literal["batch", "group"], *, generator: torch.Generator) -> Encoder:
    torch.manual_seed(int(generator.initial_seed()))
    return efficientnet_lite0(in_channels, norm, pretrained=False)


def pictures(n: int, size: int) -> CaseBatch:
    """Return n cases of one random image each."""
    draw = torch.Generator().manual_seed(5)
    payload = torch.randint(0, 256, (n, 1, size, size), generator=draw, dtype=torch.uint8)
    bag = Bag(payload=payload, case=torch.arange(n), slot=torch.zeros(n, dtype=torch.long), width=1)
    return CaseBatch(
        bags={"US": bag}, rows={}, present=torch.ones(n, 1, dtype=torch.bool), outcome=torch.zeros(n)
    )


def batch_of(*counts: int, names: Sequence[str] = ("US",), tokens: int = 9, seed: int = 0) -> CaseBatch:
    """Return cases with so many images each of every modality, of positive features."""
    draw = torch.Generator().manual_seed(seed)
    case = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    slot = torch.cat([torch.arange(count) for count in counts])

    def bag() -> Bag:
        payload = torch.rand(sum(counts), tokens, DEPTH, generator=draw) + 0.5
        return Bag(payload=payload, case=case, slot=slot, width=max(1, *counts))

    present = torch.tensor(counts)[:, None].expand(-1, len(names)) > 0
    return CaseBatch(
        bags={name: bag() for name in names}, rows={}, present=present, outcome=torch.zeros(len(counts))
    )


@pytest.mark.parametrize("place", [0, 4, 5, 8])
def test_the_only_token_that_matters_is_the_peak(place: int) -> None:
    heat = heatmaps(Chosen(["US"], {place: 1.0}), batch_of(1, 1))["US"]
    expected = torch.zeros(3, 3)
    expected[place // 3, place % 3] = 1
    assert torch.equal(heat, expected.expand(2, 3, 3))


def test_a_token_of_the_second_image_lights_the_second_image() -> None:
    heat = heatmaps(Chosen(["US"], {9 + 7: 1.0}), batch_of(2))["US"]
    assert heat[0].sum() == 0
    assert (heat[1, 2, 1], heat[1].sum()) == (1, 1)


def test_evidence_against_is_not_heat() -> None:
    heat = heatmaps(Chosen(["US"], {2: -5.0, 6: 0.1}), batch_of(1))["US"]
    assert (heat[0, 2, 0], heat[0, 0, 2], heat.sum()) == (1, 0, 1)


def test_without_evidence_for_it_all_is_zero_and_finite() -> None:
    assert torch.equal(heatmaps(Chosen(["US"], {2: -5.0}), batch_of(1, 2))["US"], torch.zeros(3, 3, 3))
    assert torch.equal(heatmaps(Chosen(["US"], {0: 0.0}), batch_of(1))["US"], torch.zeros(1, 3, 3))


def test_heat_is_proportional_to_the_contribution() -> None:
    batch = batch_of(1)
    heat = heatmaps(Chosen(["US"], {0: 1.0, 1: 3.0}), batch)["US"]
    share = batch.bags["US"].payload.sum(-1)[0]
    assert heat[0, 0, 1] == 1
    assert heat[0, 0, 0].item() == pytest.approx(float(share[0] / (3 * share[1])), rel=1e-5)


def test_images_of_a_case_share_a_scale_and_cases_do_not() -> None:
    batch = batch_of(2, 1)
    bag = batch.bags["US"]
    payload = torch.ones_like(bag.payload) * torch.tensor([1.0, 4.0, 0.001])[:, None, None]
    batch = replace(batch, bags={"US": replace(bag, payload=payload)})
    network = Chosen(["US"], dict.fromkeys(range(18), 1.0))
    heat = heatmaps(network, batch)["US"]
    assert heat.amax((1, 2)).tolist() == pytest.approx([0.25, 1, 1])


def test_modalities_have_scales_of_their_own() -> None:
    torch.manual_seed(0)
    network = Cman({"MG": identity(), "US": identity()}, width=DEPTH, heads=2, layers=1, dropout=0.0)
    batch = batch_of(1, 2, names=("MG", "US"))
    large = replace(batch.bags["MG"], payload=batch.bags["MG"].payload * 50)
    heat = heatmaps(network, replace(batch, bags={**batch.bags, "MG": large}))
    assert set(heat) == {"MG", "US"}
    for maps in heat.values():
        assert 0 <= maps.min() <= maps.max() <= 1
        peak = torch.stack([maps[0].max(), maps[1:].max()])
        assert all(value in (0, 1) for value in peak.tolist())


def test_a_case_looks_alike_alone_and_in_company() -> None:
    torch.manual_seed(0)
    network = Cman({"US": identity()}, width=DEPTH, heads=2, layers=1, dropout=0.3)
    batch = batch_of(1, 1, 1)
    together = heatmaps(network, batch)["US"]
    for case in range(3):
        zero = torch.zeros(1, dtype=torch.long)
        bag = Bag(payload=batch.bags["US"].payload[[case]], case=zero, slot=zero, width=1)
        alone = CaseBatch(
            bags={"US": bag}, rows={}, present=batch.present[[case]], outcome=batch.outcome[[case]]
        )
        torch.testing.assert_close(heatmaps(network, alone)["US"][0], together[case])


def test_cman_points_at_the_planted_token_after_learning_it() -> None:
    """The outcome is whether any token carries a sign; the peak is where it does."""
    torch.manual_seed(1)
    tokenizer = ImageTokenizer(DEPTH, 16, None, 0.0)
    network = Cman({"US": tokenizer}, width=16, heads=2, layers=1, dropout=0.0)
    draw = torch.Generator().manual_seed(2)

    def planted(n: int) -> tuple[CaseBatch, Tensor]:
        batch = batch_of(*[1] * n, seed=int(torch.randint(10**6, (), generator=draw)))
        payload = batch.bags["US"].payload - 1  # within half of 0
        place = torch.randint(9, (n,), generator=draw)
        sign = (torch.arange(n) % 2).float()
        payload[torch.arange(n), place, 0] += 3 * sign
        return replace(batch, bags={"US": replace(batch.bags["US"], payload=payload)}, outcome=sign), place

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(80):
        batch, _ = planted(64)
        loss = nn.functional.binary_cross_entropy_with_logits(network(batch).logit, batch.outcome)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    batch, place = planted(200)
    peak = heatmaps(network, batch)["US"].flatten(1).argmax(1)
    positive = batch.outcome == 1
    assert (peak == place)[positive].float().mean() > 0.9  # by chance one in nine


def test_the_network_is_not_changed() -> None:
    network = Cman({"US": identity()}, width=DEPTH, heads=2, layers=1, dropout=0.3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():  # asked where gradients are off, too
        heat = heatmaps(network, batch_of(1))["US"]
    assert not heat.requires_grad
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_batch_without_any_image_has_no_map() -> None:
    assert heatmaps(Chosen(["US"], {0: 1.0}), batch_of(0, 0))["US"].shape == (0, 3, 3)


def test_a_case_without_images_beside_others_is_passed_over() -> None:
    heat = heatmaps(Chosen(["US"], {0: 1.0}), batch_of(1, 0, 1))["US"]
    assert heat.shape == (2, 3, 3)
    assert heat.amax((1, 2)).tolist() == [1, 1]


def test_tokens_that_are_no_square_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="6 tokens"):
        heatmaps(Chosen(["US"], {0: 1.0}), batch_of(1, tokens=6))


def test_upsampling_keeps_bounds_place_and_proportion() -> None:
    heat = torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(0))
    heat[0], heat[1] = 0, 1
    wide = upsample(heat, 128)
    assert wide.shape == (5, 128, 128)
    assert 0 <= wide.min() <= wide.max() <= 1
    assert (wide[0].max(), wide[1].min()) == (0, 1)
    spot = torch.zeros(1, 4, 4)
    spot[0, 1, 2] = 1
    row, column = divmod(int(upsample(spot, 128).flatten().argmax()), 128)
    assert (row // 32, column // 32) == (1, 2)


@pytest.mark.parametrize("make", [resnet18, _lite])
def test_an_encoder_gives_finer_maps_and_the_same_answer(make: Callable[..., Encoder]) -> None:
    encoder = make(1, "group", generator=torch.Generator().manual_seed(3))
    tokenizer = ImageTokenizer(encoder.channels, 16, encoder, 0.0)
    network = Cman({"US": tokenizer}, width=16, heads=2, layers=1, dropout=0.0).eval()
    batch = pictures(3, 64)
    bag = batch.bags["US"]
    assert torch.equal(network.encode(batch)["US"], _see(encoder, bag).tokens)
    heat = heatmaps(network, batch)["US"]
    assert heat.shape == (3, 8, 8)
    assert [float(peak) in (0, 1) for peak in heat.amax((1, 2))] == [True] * 3


def test_frozen_encoders_are_given_beside_a_network_without() -> None:
    encoder = resnet18(1, "group", generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    whole = Cman({"US": ImageTokenizer(512, 16, encoder, 0.0)}, width=16, heads=2, layers=1, dropout=0.0)
    bare = Cman({"US": ImageTokenizer(512, 16, None, 0.0)}, width=16, heads=2, layers=1, dropout=0.0)
    bare.load_state_dict({n: v for n, v in whole.state_dict().items() if ".encoder." not in n})
    batch = pictures(4, 64)
    frozen = encoder.requires_grad_(False)
    torch.testing.assert_close(
        heatmaps(bare, batch, {"US": frozen})["US"], heatmaps(whole, batch)["US"], rtol=1e-5, atol=1e-6
    )


def test_heat_is_where_every_scale_sees_evidence() -> None:
    fine = torch.zeros(1, 4, 4)
    fine[0, 0, 0], fine[0, 3, 3] = 1.0, 0.9
    coarse = torch.zeros(1, 2, 2)
    coarse[0, 1, 1] = 1.0
    joined = _joined([fine, coarse])
    assert divmod(int(joined.flatten().argmax()), 4) == (3, 3)
    assert joined[0, 0, 0] == 0
