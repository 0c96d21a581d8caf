"""Where a fit stands after an epoch, so that a killed run goes on with the same numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from huizhen.core.files import write_bytes


@dataclass(slots=True)
class History:
    """What each finished epoch gave: mean training loss and tuning AUC (None where it is undefined)."""

    loss: list[float] = field(default_factory=list)
    tune_auc: list[float | None] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    network: torch.nn.Module,
    average: dict[str, Tensor] | None,
    optimiser: torch.optim.Optimizer,
    history: History,
) -> None:
    """Write the whole state of a fit (safetensors; the history in its metadata), whole or not at all."""
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in (average or {}).items()}
    for place, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{place}/{name}": torch.as_tensor(value) for name, value in state.items()}
    metadata = {"history": json.dumps({"loss": history.loss, "tune_auc": history.tune_auc})}
    write_bytes(path, save({name: value.detach().contiguous() for name, value in tensors.items()}, metadata))


def load_checkpoint(
    path: Path,
    network: torch.nn.Module,
    average: dict[str, Tensor] | None,
    optimiser: torch.optim.Optimizer,
) -> History:
    """Restore what `save_checkpoint` wrote and return the history; an empty one when there is nothing usable.

    A checkpoint is only a short cut: one that can't be read is left aside and the fit starts again.
    """
    if not path.exists():
        return History()
    data = path.read_bytes()
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        record = json.loads(header["__metadata__"]["history"])
    except (SafetensorError, KeyError, ValueError):
        path.unlink()
        return History()
    network.load_state_dict(_under("network/", tensors))
    if average is not None:
        average.update(_under("average/", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser/", tensors).items():
        place, _, key = name.partition("/")
        state.setdefault(int(place), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return History(loss=record["loss"], tune_auc=record["tune_auc"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose name starts with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
