"""The loss of finding lesions: from masks alone, to the encoder, and nothing where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from huizhen.core.streams import stream
from huizhen.core.study import Study
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Network
from huizhen.tasks.binary import total_loss
from huizhen.train.arrays import CaseData
from huizhen.train.fit import Fit
from huizhen.train.lesion_loss import lesion_loss, mask_loss

Maker = Callable[..., Fit]


def with_masks(data: CaseData, *, outlined: float = 1.0) -> CaseData:
    """Return pixels with a bright square where the mask is; a share of the images has no mask."""
    column = data.images["US"]
    pixels, rng = column.payload.copy(), np.random.default_rng(2)
    masks = np.zeros((len(pixels), *pixels.shape[2:]), bool)
    for number, (down, across) in enumerate(rng.integers(0, 20, (len(pixels), 2))):
        masks[number, down : down + 12, across : across + 12] = True
    pixels[:, 0][masks] = 255
    has_mask = rng.random(len(pixels)) < outlined
    return replace(data, images={"US": replace(column, payload=pixels, masks=masks, has_mask=has_mask)})


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study(mode="finetune", epochs=2, lesion_weight=0.5)


@pytest.fixture
def fit(study: Study, make_data: Callable[..., CaseData], make_fit: Maker) -> Fit:
    return make_fit(study, with_masks(make_data(24, pixels=True)))


def one_batch(fit: Fit) -> CaseBatch:
    return fit.drawn(fit.train, stream(1, "draw"), torch.Generator().manual_seed(1))


def test_masks_move_with_their_images(fit: Fit) -> None:
    bag = one_batch(fit).bags["US"]
    assert bag.lesions is not None
    mask = bag.lesions.mask
    inside = (bag.payload * mask).sum() / mask.sum()
    outside = (bag.payload * (1 - mask)).sum() / (1 - mask).sum()
    assert inside > outside + 0.15


def test_without_masks_it_is_zero_and_nothing_flows(
    fit: Fit, study: Study, make_network: Callable[..., Network]
) -> None:
    network, batch = make_network(study), one_batch(fit)
    bag = batch.bags["US"]
    assert bag.lesions is not None
    nobody = replace(bag.lesions, outlined=torch.zeros_like(bag.lesions.outlined))
    for lesions in (None, nobody):
        given = replace(batch, bags={"US": replace(bag, lesions=lesions)})
        assert lesion_loss(network(given), given) == 0


def test_images_without_a_mask_add_nothing(
    fit: Fit, study: Study, make_network: Callable[..., Network]
) -> None:
    network, batch = make_network(study).eval(), one_batch(fit)
    bag = batch.bags["US"]
    assert bag.lesions is not None
    outlined = torch.arange(len(bag.payload)) % 2 == 0
    masks = replace(bag.lesions, outlined=outlined)
    noisy = replace(masks, mask=torch.where(outlined[:, None, None, None], masks.mask, 1 - masks.mask))
    first, second = (replace(batch, bags={"US": replace(bag, lesions=given)}) for given in (masks, noisy))
    output = network(first)
    assert lesion_loss(output, first) == lesion_loss(output, second) > 0


def test_the_loss_reaches_the_encoder_and_falls(
    fit: Fit, study: Study, make_network: Callable[..., Network]
) -> None:
    network, batch = make_network(study).eval(), one_batch(fit)
    head = network.tokenizers["US"].lesion
    torch.nn.init.normal_(head.read[2].weight, std=0.1, generator=torch.Generator().manual_seed(1))
    before = lesion_loss(network(batch), batch)
    before.backward()
    first = next(p for name, p in network.named_parameters() if ".encoder." in name)
    assert first.grad is not None
    assert bool(first.grad.abs().sum() > 0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-4 * parameter.grad
    assert lesion_loss(network(batch), batch) < before


def test_a_right_map_costs_less_than_a_wrong_one() -> None:
    covered = torch.zeros(2, 1, 4, 4)
    covered[:, :, :2] = 1
    right, wrong = 20 * (covered - 0.5), 20 * (0.5 - covered)
    assert mask_loss(right, covered) < 0.01
    assert mask_loss(wrong, covered) > 5


def test_the_weight_counts_and_0_leaves_the_fit_as_it_was(
    fit: Fit, study: Study, make_network: Callable[..., Network]
) -> None:
    network, batch = make_network(study).eval(), one_batch(fit)
    plain = total_loss(network(batch), batch, study.network)
    expected = plain + 0.5 * lesion_loss(network(batch), batch)
    torch.testing.assert_close(fit._loss(network, batch), expected)
    off = replace(
        fit,
        study=study.model_copy(update={"training": study.training.model_copy(update={"lesion_weight": 0.0})}),
    )
    assert off._loss(network, batch) == plain


def test_a_fit_with_masks_is_the_same_from_the_same_seed_and_after_a_stop(
    fit: Fit,
    study: Study,
    make_network: Callable[..., Network],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = fit.run(make_network(study), tmp_path / "a")
    assert any("lesion" in name for name in whole.weights)
    monkeypatch.setattr("huizhen.train.fit.CHECKPOINT_EVERY_S", -1.0)
    epoch = Fit.epoch

    def stop(
        self: Fit, network: Network, optimiser: torch.optim.Optimizer, number: int, **more: object
    ) -> float:
        if number == 1:
            raise KeyboardInterrupt
        return epoch(self, network, optimiser, number, **more)  # type: ignore[arg-type]  # passed on

    with monkeypatch.context() as patched:
        patched.setattr(Fit, "epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            fit.run(make_network(study), tmp_path / "b")
    again = fit.run(make_network(study), tmp_path / "b")
    assert all(torch.equal(whole.weights[name], again.weights[name]) for name in whole.weights)


def test_it_needs_encoders_that_are_trained(make_study: Callable[..., Study]) -> None:
    with pytest.raises(ValidationError, match="lesion_weight trains the encoders"):
        make_study(mode="frozen", lesion_weight=0.5)
