"""Building networks from a study: reproducible, torch's generator left alone, encoders of stated width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from huizhen.core.study import ImageModality, Study, Variant
from huizhen.errors import ModelError
from huizhen.models.baselines import Concatenation, LateAverage
from huizhen.models.build import ENCODER_CHANNELS, build_network
from huizhen.models.cman import Cman
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.network import Network

NAMES = ("MG", "US", "clinic")
SLICES = {"clinic": [(0, 1), (1, 4)]}
MakeStudy = Callable[..., Study]


def built(study: Study, variant: Variant = Variant.CMAN, *, frozen: bool = True, seed: int = 1) -> Network:
    return build_network(study, variant, NAMES, SLICES, frozen=frozen, seed=seed)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_seed_gives_one_network_and_leaves_torchs_generator_alone(
    make_study: MakeStudy, frozen: bool
) -> None:
    before = torch.random.get_rng_state()
    first, same, other = (built(make_study(), frozen=frozen, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        (Variant.CMAN, Cman),
        (Variant.SINGLE, Cman),
        (Variant.SPECIALIST, Cman),
        (Variant.CONCATENATION, Concatenation),
        (Variant.LATE_AVERAGE, LateAverage),
    ],
)
def test_every_variant_is_its_network(make_study: MakeStudy, variant: Variant, kind: type) -> None:
    assert isinstance(built(make_study(), variant), kind)


def test_the_regression_is_no_network(make_study: MakeStudy) -> None:
    with pytest.raises(ModelError, match="no network"):
        built(make_study(), Variant.TABLE_LR)


def test_frozen_networks_hold_no_encoder(make_study: MakeStudy) -> None:
    frozen, whole = (built(make_study(), frozen=value) for value in (True, False))
    assert not any(".encoder." in name for name in frozen.state_dict())
    assert any(".encoder." in name for name in whole.state_dict())


def test_modalities_stand_in_the_studys_order(make_study: MakeStudy) -> None:
    network = build_network(make_study(), Variant.CMAN, ("clinic", "MG"), SLICES, frozen=True, seed=1)
    assert list(network.names) == ["MG", "clinic"]


@pytest.mark.parametrize("name", sorted(ENCODER_CHANNELS))
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_encoders_have_the_stated_width_and_stride(name: str, norm: str) -> None:
    modality = ImageModality.model_validate(
        {"name": "MG", "encoder": name, "pretrained": False, "size": 64, "channels": 2, "norm": norm}
    )
    encoder = make_encoder(modality).eval()
    with torch.no_grad():
        grid = encoder(torch.zeros(1, 2, 64, 64))
    assert grid.shape == (1, ENCODER_CHANNELS[name], 2, 2)
    assert (encoder.channels, encoder.stride) == (ENCODER_CHANNELS[name], 32)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_take_the_layout_of_the_weights(channels: int) -> None:
    """One channel too, though `contiguous` can't tell its layouts apart: that cost half the speed."""
    modality = ImageModality(name="US", pretrained=False, channels=channels)
    with torch.no_grad():
        grid = make_encoder(modality).eval()(torch.zeros(2, channels, 96, 96))
    assert grid.is_contiguous(memory_format=torch.channels_last)
    assert not grid.is_contiguous()
