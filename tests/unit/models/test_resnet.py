"""ResNet-18 and ResNet-50: sizes, shapes, determinism, per-sample gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from huizhen.errors import InvalidInputError
from huizhen.models.encoders.resnet import Norm, ResNet, norm_layer, resnet18, resnet50

BUILDERS: list[Callable[..., ResNet]] = [resnet18, resnet50]
NORMS: list[Norm] = ["batch", "group"]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("build", "published"), [(resnet18, 11_176_512), (resnet50, 23_508_032)])
def test_parameter_counts_are_the_published_ones(
    build: Callable[..., ResNet], published: int, norm: Norm
) -> None:
    assert parameters(build(3, norm)) == published


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("build", "channels"), [(resnet18, 512), (resnet50, 2048)])
def test_output_is_a_token_map_at_stride_32(build: Callable[..., ResNet], channels: int, norm: Norm) -> None:
    network = build(1, norm).eval()
    with torch.no_grad():
        out = network(torch.zeros(2, 1, 96, 96))
    assert (network.channels, network.stride) == (channels, 32)
    assert out.shape == (2, channels, 3, 3)


def test_resnet50_strides_at_the_3x3_convolution() -> None:
    network = resnet50(3, "batch")
    strided = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert strided == ["stem.0"] + [
        f"blocks.{block}.{conv}" for block in (3, 7, 13) for conv in ("filter.0", "shortcut.0")
    ]


@pytest.mark.parametrize("build", BUILDERS)
def test_a_seeded_generator_gives_one_network_and_leaves_the_global_one_alone(
    build: Callable[..., ResNet],
) -> None:
    before = torch.random.get_rng_state()
    first, same, other = (build(1, "group", generator=torch.Generator().manual_seed(s)) for s in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(first.state_dict()["stem.0.weight"], other.state_dict()["stem.0.weight"])


def test_the_global_generator_also_determines_the_network() -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(11)
        networks.append(resnet18(1, "batch"))
    pairs = zip(networks[0].parameters(), networks[1].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_convolutions_are_drawn_with_variance_two_over_fan_out() -> None:
    network = resnet18(3, "batch", generator=torch.Generator().manual_seed(0))
    weight = next(
        p for n, p in network.named_parameters() if n == "blocks.7.second.0.weight"
    )  # (512, 512, 3, 3)
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_group_variant_has_no_buffers_and_mixes_no_samples(build: Callable[..., ResNet]) -> None:
    network = build(1, "group", generator=torch.Generator().manual_seed(1)).train()
    assert list(network.buffers()) == []
    images = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("build", "norm"), [(b, n) for b in BUILDERS for n in NORMS])
def test_nothing_is_changed_in_place(build: Callable[..., ResNet], norm: Norm) -> None:
    """Autograd keeps versions: a module whose input tensor's version moves changed it in place."""
    network = build(1, norm)
    seen: list[tuple[Tensor, int]] = []

    def remember(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        seen.extend((tensor, tensor._version) for tensor in (*args, out))

    for module in network.modules():
        module.register_forward_hook(remember)
    network(torch.randn(2, 1, 64, 64)).sum().backward()
    assert len(seen) > 50
    assert all(tensor._version == version for tensor, version in seen)


def sample_loss(network: nn.Module) -> Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]:
    def loss(weights: dict[str, Tensor], image: Tensor, target: Tensor) -> Tensor:
        tokens: Tensor = functional_call(network, weights, (image[None],))
        return (tokens.mean() - target) ** 2

    return loss


@pytest.mark.parametrize("build", BUILDERS)
def test_per_sample_gradients_of_the_group_variant_equal_a_loop(build: Callable[..., ResNet]) -> None:
    network = build(1, "group", generator=torch.Generator().manual_seed(3)).double()
    weights = {name: p.detach() for name, p in network.named_parameters()}
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(4)).double()
    targets = torch.tensor([0.0, 1.0]).double()
    loss = sample_loss(network)
    together = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images, targets)
    for index in range(2):
        alone = torch.autograd.grad(
            (network(images[index : index + 1]).mean() - targets[index]) ** 2, list(network.parameters())
        )
        for (name, batched), single in zip(together.items(), alone, strict=True):
            torch.testing.assert_close(batched[index], single, rtol=1e-7, atol=1e-10, msg=name)


@pytest.mark.parametrize("channels", [16, 31, 32, 64])
def test_group_norm_divides_any_width(channels: int) -> None:
    norm = norm_layer("group", channels)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == min(32, channels)
    assert norm(torch.randn(2, channels, 2, 2)).shape == (2, channels, 2, 2)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="layer"):
        resnet18(1, "layer")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidInputError, match="0 channels"):
        resnet50(0, "batch")
