"""What CMAN says of itself: a sum of evidence, alignment with other modalities only, attention by token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from huizhen.core.study import Variant
from huizhen.models.batch import CaseBatch
from huizhen.models.cman import Cman
from huizhen.models.network import Network

NetworkMaker = Callable[..., Network]
BatchMaker = Callable[..., CaseBatch]


@pytest.fixture
def cman(make_network: NetworkMaker) -> Cman:
    network = make_network(Variant.CMAN)
    assert isinstance(network, Cman)
    return network


def test_attention_covers_the_tokens_that_are_there_and_no_others(cman: Cman, make_batch: BatchMaker) -> None:
    batch = make_batch()
    attention = cman(batch).attention
    assert set(attention) == {"MG", "US"}
    for name, place in (("MG", 0), ("US", 1)):
        bag, weight = batch.bags[name], attention[name]  # (B, width, T)
        there = torch.zeros(5, bag.width, dtype=torch.bool)
        there[bag.case, bag.slot] = True
        assert weight.shape == (5, bag.width, 4)
        assert torch.all((weight.sum(-1) > 0) == there)
        assert torch.equal(there.any(1), batch.present[:, place])
        # its own pool's share, and the mean share over the summaries of the others
        assert weight.sum((1, 2)).max() < 2


def test_aligned_modalities_have_unit_length(cman: Cman, make_batch: BatchMaker) -> None:
    aligned = cman(make_batch()).aligned
    assert aligned is not None
    torch.testing.assert_close(aligned.norm(dim=-1), torch.ones(5, 3))


def test_a_fresh_network_is_prior_plus_what_each_modality_says(
    make_study: Callable[..., object], make_batch: BatchMaker
) -> None:
    """Trust starts at 1 and the joint term at 0, so that training begins as a sum of single opinions."""
    from huizhen.models.build import build_network

    slices = {"clinic": [(0, 1), (1, 4)]}
    network = build_network(
        make_study(),  # type: ignore[arg-type]  # the fixture returns a Study
        Variant.CMAN,
        ("MG", "US", "clinic"),
        slices,
        frozen=True,
        seed=3,
    ).eval()
    output, present = network(batch := make_batch()), batch.present.float()
    assert output.unimodal is not None
    torch.testing.assert_close(output.logit, (output.unimodal * present).sum(1))


def test_one_modality_alone_gets_the_logit_of_a_network_that_knows_no_other(
    cman: Cman, make_network: NetworkMaker, make_batch: BatchMaker
) -> None:
    """Hiding all others is the same as never having had them, given the same weights for what remains."""
    batch = make_batch(bags={"MG": (1, 2), "US": (2, 1)})
    alone = make_network(Variant.SINGLE, names=("US",))
    own = dict(alone.state_dict())
    for name, value in cman.state_dict().items():
        parts = name.split(".")
        if parts[0] in ("pools", "tidy", "own", "trust", "shared") and parts[1] == "1":
            own[".".join([parts[0], "0", *parts[2:]])] = value
        elif parts[0] in ("pool_queries", "modality"):
            own[name] = value[1:2]
        elif parts[0] in ("layers", "prior", "joint") or name.startswith("tokenizers.US"):
            own[name] = value
    alone.load_state_dict(own)
    single = CaseBatch(
        bags={"US": batch.bags["US"]}, rows={}, present=batch.present[:, 1:2], outcome=batch.outcome
    )
    hidden = cman(batch.restricted(torch.tensor([False, True, False])))
    torch.testing.assert_close(alone(single).logit, hidden.logit)


def test_alignment_attends_to_other_modalities_only(cman: Cman, make_batch: BatchMaker) -> None:
    seen: list[torch.Tensor] = []
    for layer in cman.layers:
        layer.attend.register_forward_hook(lambda module, args, out: seen.append(out[1]))
    cman(make_batch(bags={"MG": (1, 1), "US": (1, 1)}))
    [weights] = seen  # (B, M, L): four tokens of MG, four of US, two columns
    owner = torch.tensor([0] * 4 + [1] * 4 + [2] * 2)
    for modality in range(3):
        assert torch.all(weights[:, modality, owner == modality] == 0)
        assert weights[:, modality, owner != modality].sum() > 0


@pytest.mark.parametrize("layers", [1, 3])
def test_layers_share_the_attention_that_tokens_receive(
    make_network: NetworkMaker, make_batch: BatchMaker, layers: int
) -> None:
    output = make_network(Variant.CMAN, layers=layers)(make_batch())
    assert all(weight.sum((1, 2)).max() < 2 for weight in output.attention.values())
