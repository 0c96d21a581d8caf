"""What CMAN says of itself: a sum of evidence, and alignment with other modalities only."""

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


@pytest.mark.parametrize("layers", [1, 3])
def test_alignment_attends_to_other_modalities_only(
    make_network: NetworkMaker, make_batch: BatchMaker, layers: int
) -> None:
    cman = make_network(Variant.CMAN, layers=layers)
    assert isinstance(cman, Cman)
    found = torch.randn(1, 10, cman.modality.shape[1], requires_grad=True)
    tokens = torch.split(found, [4, 4, 2], 1)  # four tokens of MG, four of US, two columns
    masks = [torch.ones(t.shape[:2], dtype=torch.bool) for t in tokens]
    masks[1][0, 3] = False  # an image less
    owner = torch.tensor([0] * 4 + [1] * 4 + [2] * 2)
    aligned = cman._align(torch.randn(1, 3, found.shape[2]), tokens, masks)
    for modality in range(3):
        (moved,) = torch.autograd.grad(aligned[0, modality].square().sum(), found, retain_graph=True)
        heard = moved[0].abs().sum(-1) > 0  # (L,)
        assert torch.equal(heard, torch.cat(masks, 1)[0] & (owner != modality))
