"""Checkpoints: the whole state comes back in its layout; a damaged or foreign one changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from huizhen.core.study import Study
from huizhen.models.network import Network
from huizhen.train import fit as fitting
from huizhen.train.arrays import CaseData
from huizhen.train.checkpoints import History, load_checkpoint, save_checkpoint
from huizhen.train.fit import Fit

HISTORY = History(loss=[0.7, 0.1 + 0.2], tune_auc=[None, 0.75])


def trained(seed: int) -> tuple[nn.Module, torch.optim.Optimizer, dict[str, Tensor]]:
    """Return a small network, its optimiser after two steps, and an average."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 1))
    for p in network.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        network(torch.randn(4, 2, 4, 4)).square().sum().backward()
        optimiser.step()
    return network, optimiser, {name: value.clone() for name, value in network.state_dict().items()}


def everything(
    network: nn.Module, optimiser: torch.optim.Optimizer, average: dict[str, Tensor]
) -> list[Tensor]:
    state = optimiser.state_dict()["state"]
    return [
        *network.state_dict().values(),
        *average.values(),
        *(state[place][name] for place in sorted(state) for name in sorted(state[place])),
    ]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint of the network of seed 1."""
    network, optimiser, average = trained(1)
    save_checkpoint(tmp_path / "at", network, average, optimiser, HISTORY)
    return tmp_path / "at"


def test_everything_comes_back_in_the_layout_that_it_had(saved: Path) -> None:
    network, optimiser, average = trained(2)
    history = load_checkpoint(saved, network, average, optimiser)
    wanted_network, wanted_optimiser, wanted_average = trained(1)
    assert history == HISTORY
    found = everything(network, optimiser, average)
    wanted = everything(wanted_network, wanted_optimiser, wanted_average)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


def test_the_next_step_is_the_same_to_the_last_bit(saved: Path) -> None:
    runs = []
    for seed in (1, 2):
        network, optimiser, average = trained(seed)
        load_checkpoint(saved, network, average, optimiser)
        torch.manual_seed(3)
        optimiser.zero_grad()
        network(torch.randn(4, 2, 4, 4)).square().sum().backward()
        optimiser.step()
        runs.append(everything(network, optimiser, average))
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_without_a_file_there_is_no_history(tmp_path: Path) -> None:
    network, optimiser, average = trained(2)
    assert load_checkpoint(tmp_path / "none", network, average, optimiser) == History()


def damages(data: bytes) -> dict[str, bytes]:
    def flipped(place: int) -> bytes:
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return {
        "empty": b"",
        "short": data[:20],
        "cut": data[: len(data) // 2],
        "one byte less": data[:-1],
        "one byte more": data + b"\0",
        "another digest": flipped(0),
        "another header": flipped(45),
        "another weight": flipped(len(data) - 3),
        "zeros": bytes(len(data)),
        "text": b"not a checkpoint at all, but long enough to look like one" * 9,
    }


@pytest.mark.parametrize("damage", damages(bytes(100)))
def test_a_damaged_file_changes_nothing_and_is_removed(saved: Path, damage: str) -> None:
    saved.write_bytes(damages(saved.read_bytes())[damage])
    network, optimiser, average = trained(2)
    before = [value.clone() for value in everything(network, optimiser, average)]
    assert load_checkpoint(saved, network, average, optimiser) == History()
    after = everything(network, optimiser, average)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not saved.exists()


def test_another_networks_checkpoint_changes_nothing(saved: Path) -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 1))
    optimiser = torch.optim.AdamW(network.parameters())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert load_checkpoint(saved, network, None, optimiser) == History()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_checkpoint_without_the_average_that_is_wanted_is_not_used(tmp_path: Path) -> None:
    network, optimiser, average = trained(1)
    save_checkpoint(tmp_path / "at", network, None, optimiser, HISTORY)
    assert load_checkpoint(tmp_path / "at", network, average, optimiser) == History()


def test_a_fit_survives_a_damaged_checkpoint(
    make_study: Callable[..., Study],
    make_data: Callable[..., CaseData],
    make_fit: Callable[..., Fit],
    make_network: Callable[..., Network],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", -1.0)
    study, data = make_study(epochs=2), make_data(40)
    whole = make_fit(study, data).run(make_network(study), tmp_path / "at")
    content = (tmp_path / "at").read_bytes()
    (tmp_path / "at").write_bytes(content[: len(content) - 100] + bytes(100))
    again = make_fit(study, data).run(make_network(study), tmp_path / "at")
    assert all(torch.equal(again.weights[name], value) for name, value in whole.weights.items())
