"""The lesion head: learned from masks beside the answer, never asked for one."""

from __future__ import annotations

from dataclasses import replace

import torch

from huizhen.models.batch import Bag, CaseBatch, Lesions
from huizhen.models.cman import Cman
from huizhen.models.encoders.efficientnet_lite import EfficientNetLite0
from huizhen.models.encoders.resnet import resnet18
from huizhen.models.lesions import START, LesionHead, answering
from huizhen.models.tokens import ImageTokenizer

GENERATOR = torch.Generator().manual_seed(3)


def network(*, finds_lesions: bool = True) -> Cman:
    """Return a network of one image modality over a ResNet-18 with group normalisation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder = resnet18(1, "group")
        tokenizer = ImageTokenizer(512, 16, encoder, 0.0, finds_lesions=finds_lesions)
        return Cman({"US": tokenizer}, width=16, heads=2, layers=1, dropout=0.0)


def batch(*, lesions: bool) -> CaseBatch:
    """Return three patients of an image each, the last without a mask."""
    place = torch.arange(3)
    mask = torch.zeros(3, 1, 64, 64)
    mask[:2, :, 16:40, 16:40] = 1
    bag = Bag(
        payload=torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(3)),
        case=place,
        slot=place * 0,
        width=1,
        lesions=Lesions(mask=mask, outlined=torch.tensor([True, True, False])) if lesions else None,
    )
    return CaseBatch(
        bags={"US": bag}, rows={}, present=torch.ones(3, 1, dtype=torch.bool), outcome=place.float() % 2
    )


def test_masks_are_no_input() -> None:
    built = network().train()
    there, without = batch(lesions=True), batch(lesions=False)
    torch.testing.assert_close(built(there).logit, built(without).logit)
    bag = there.bags["US"]
    assert bag.lesions is not None
    other = replace(bag, lesions=replace(bag.lesions, mask=1 - bag.lesions.mask))
    assert torch.equal(built(replace(there, bags={"US": other})).logit, built(there).logit)


def test_lesions_are_looked_for_where_masks_come_and_a_head_is() -> None:
    assert network()(batch(lesions=True)).lesions["US"].shape == (3, 1, 8, 8)
    assert not network()(batch(lesions=False)).lesions
    assert not network(finds_lesions=False)(batch(lesions=True)).lesions


def test_a_fresh_head_says_the_same_everywhere() -> None:
    for encoder, side in ((EfficientNetLite0(1), 64), (resnet18(1, "batch"), 64)):
        maps = encoder.eval().maps(torch.rand(2, 1, side, side, generator=GENERATOR))
        assert [found.shape[1] for found in maps] == list(encoder.widths)
        assert torch.equal(LesionHead(encoder.widths)(maps), torch.full((2, 1, 8, 8), START))


def test_all_scales_are_heard() -> None:
    head = LesionHead((2, 3, 4))
    with torch.no_grad():
        for layer in head.read:
            layer.weight.fill_(1.0)
    maps = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 2, 2)]
    for place in range(3):
        given = [found + (number == place) for number, found in enumerate(maps)]
        torch.testing.assert_close(head(given), torch.full((1, 1, 8, 8), START + given[place].shape[1]))


def test_a_bag_thinned_keeps_masks_with_their_images() -> None:
    bag = batch(lesions=True).bags["US"]
    thin = bag.thinned(torch.tensor([False, True, True]))
    assert thin.lesions is not None
    assert bag.lesions is not None
    assert torch.equal(thin.lesions.mask, bag.lesions.mask[1:])
    assert thin.lesions.outlined.tolist() == [True, False]


def test_what_a_locked_model_answers_by_needs_no_head() -> None:
    taught, plain = network().eval(), network(finds_lesions=False).eval()
    assert answering(plain.state_dict()).keys() == plain.state_dict().keys()
    assert answering(taught.state_dict()).keys() < taught.state_dict().keys()
    plain.load_state_dict(answering(taught.state_dict()))
    assert torch.equal(plain(batch(lesions=False)).logit, taught(batch(lesions=True)).logit)
