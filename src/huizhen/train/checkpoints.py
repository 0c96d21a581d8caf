"""Where a fit stands after an epoch, so that a killed run goes on with the same numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from huizhen.core.files import write_bytes

DIGEST_BYTES = 32
"""A checkpoint begins with the SHA-256 of the rest."""


@dataclass(slots=True)
class History:
    """What each finished epoch gave: mean training loss and tuning AUC (None where it is undefined).

    `tune_loss` has one more: it begins with the loss before the first step. It is empty unless the fit keeps
    its best epoch.
    """

    loss: list[float] = field(default_factory=list)
    tune_auc: list[float | None] = field(default_factory=list)
    tune_loss: list[float] = field(default_factory=list)

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are kept: 0 before the first step, else the number of finished ones.

        >>> History(loss=[0.6, 0.5], tune_auc=[0.7, 0.6], tune_loss=[0.7, 0.65, 0.68]).kept_epoch
        1
        """
        if not self.tune_loss:
            return len(self.loss)
        return self.tune_loss.index(min(self.tune_loss))


def save_checkpoint(
    path: Path,
    network: torch.nn.Module,
    average: dict[str, Tensor] | None,
    optimiser: torch.optim.Optimizer,
    history: History,
    best: dict[str, Tensor] | None = None,
) -> None:
    """Write the whole state of a fit (safetensors; the history in its metadata), whole or not at all."""
    tensors = {**_state(network, average, best), **optimiser_tensors(optimiser)}
    metadata = {"history": json.dumps(asdict(history))}
    data = save({name: value.detach().contiguous() for name, value in tensors.items()}, metadata)
    write_bytes(path, hashlib.sha256(data).digest() + data)


def load_checkpoint(
    path: Path,
    network: torch.nn.Module,
    average: dict[str, Tensor] | None,
    optimiser: torch.optim.Optimizer,
    best: dict[str, Tensor] | None = None,
) -> History:
    """Restore what `save_checkpoint` wrote and return the history; an empty one when there is nothing usable.

    A checkpoint is only a short cut: a damaged one, or one of another network, is removed before anything is
    restored, and the fit starts again.
    """
    if not path.exists():
        return History()
    content = path.read_bytes()
    stated, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    tensors = load(data) if hashlib.sha256(data).digest() == stated else {}
    own = _state(network, average, best)
    if any(name not in tensors or tensors[name].shape != value.shape for name, value in own.items()):
        path.unlink()
        return History()
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
    restore_optimiser(optimiser, tensors)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    record = json.loads(header["__metadata__"]["history"])
    return History(**record)


def _state(
    network: torch.nn.Module, average: dict[str, Tensor] | None, best: dict[str, Tensor] | None
) -> dict[str, Tensor]:
    """Return the own tensors of the network, its average and its best epoch, by the names of a checkpoint."""
    parts = {"network": network.state_dict(), "average": average or {}, "best": best or {}}
    return {f"{part}/{name}": value for part, held in parts.items() for name, value in held.items()}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state by the names of a checkpoint."""
    return {
        f"optimiser/{place}/{name}": torch.as_tensor(value)
        for place, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimiser_tensors` gave, each tensor laid out as its parameter is.

    Of another layout it would have the same values and yet give other ones in the last bit.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser/"):
            _, place, key = name.split("/")
            parameter = parameters[int(place)]
            alike = value.shape == parameter.shape
            state.setdefault(int(place), {})[key] = (
                torch.empty_like(parameter.detach()).copy_(value) if alike else value
            )
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
