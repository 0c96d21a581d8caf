"""Local training for one round of a federation: from the lead's weights to what a site changed in them.

The optimiser's moments, the site's control variate (SCAFFOLD) and the weights that stay at the site are kept
in a file a round, so that the same round asked again, also after a crash, gives the same change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from huizhen.core.files import write_bytes
from huizhen.core.study_federation import Federation, StrategyKind
from huizhen.errors import ModelError
from huizhen.models.network import Network
from huizhen.train.checkpoints import optimiser_tensors, restore_optimiser
from huizhen.train.fit import Fit, make_optimiser
from huizhen.train.memory import keep_freed_memory
from huizhen.train.private import PrivateEpochs

CONTROL, OWN, KEPT = "control/", "own_control/", "kept/"
AFTER, KEPT_ROUNDS = "after-", 2
Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFit:
    """One model's local training at a site; `folder` keeps what lasts from round to round."""

    fit: Fit
    federation: Federation
    folder: Path
    private: PrivateEpochs | None = None
    """With it every step is one of DP-SGD."""

    def round(
        self, network: Network, number: int, sent: Arrays
    ) -> tuple[dict[str, NDArray[np.float32]], float]:
        """Train `network` for the round `number` from `sent`; return the change by name, and the mean loss.

        With SCAFFOLD `sent` and the change also hold the control variates ("control/..."). Raises
        `ModelError` on weights of another network or a loss that isn't finite, `PrivacyError` where
        patients can't be kept apart. A site may have one class only.
        """
        keep_freed_memory()
        optimiser = make_optimiser(network, self.fit.study)
        kept = self._before(number)
        begin = self._begin(network, sent, kept)
        restore_optimiser(optimiser, kept)
        control = {n[len(CONTROL) :]: torch.tensor(v) for n, v in sent.items() if n.startswith(CONTROL)}
        own = {n: kept.get(OWN + n, torch.zeros_like(v)) for n, v in control.items()}
        moved = _Moved(optimiser)
        losses = [
            self._epoch(network, optimiser, epoch, self._correction(begin, control, own, moved))
            for epoch in self._epochs(number)
        ]
        after = shared_weights(network)
        change = {name: after[name] - begin[name] for name in begin}
        if control:
            new = self._control(network, begin, control, own, moved)
            change |= {CONTROL + name: new[name] - own[name] for name in new}
            own = new
        self._keep(number, network, optimiser, own)
        return {name: value.numpy() for name, value in change.items()}, float(np.mean(losses))

    def _epoch(
        self,
        network: Network,
        optimiser: torch.optim.Optimizer,
        epoch: int,
        correct: Callable[[Network], None],
    ) -> float:
        """Run one epoch, private or not, and return its mean loss."""
        if self.private is not None:
            return self.private.epoch(self.fit, network, optimiser, epoch, correct=correct)
        return self.fit.epoch(network, optimiser, epoch, correct=correct)

    def _epochs(self, number: int) -> range:
        """Return the epochs of a round, counted over all rounds."""
        each = self.federation.local_epochs
        return range(number * each, (number + 1) * each)

    def _begin(self, network: Network, sent: Arrays, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put `sent` and the site's own weights into the network; return the shared ones as they came."""
        shared = {n: w for n, w in shared_weights(network).items() if not self.federation.stays(n)}
        given = {name: value for name, value in sent.items() if not name.startswith(CONTROL)}
        if {n: v.shape for n, v in given.items()} != {n: tuple(w.shape) for n, w in shared.items()}:
            raise ModelError(
                "the round's weights are of another network",
                remedy="run the same version of huizhen and the same study everywhere",
                field="weights",
            )
        begin = {name: torch.tensor(value) for name, value in given.items()}
        own = {name[len(KEPT) :]: value for name, value in kept.items() if name.startswith(KEPT)}
        network.load_state_dict({**network.state_dict(), **own, **begin})
        return begin

    def _correction(
        self,
        begin: Mapping[str, Tensor],
        control: Mapping[str, Tensor],
        own: Mapping[str, Tensor],
        moved: _Moved,
    ) -> Callable[[Network], None]:
        """Return what the strategy adds to each gradient."""
        proximal = self.federation.proximal if self.federation.strategy is StrategyKind.FEDPROX else 0.0

        @torch.no_grad()
        def correct(network: Network) -> None:
            moved.note()
            for name, parameter in network.named_parameters():
                if parameter.grad is None or name not in begin:
                    continue
                if proximal:
                    parameter.grad.add_(parameter - begin[name], alpha=proximal)
                if name in control:
                    parameter.grad.add_(control[name] - own[name])

        return correct

    def _control(
        self,
        network: Network,
        begin: Mapping[str, Tensor],
        control: Mapping[str, Tensor],
        own: Mapping[str, Tensor],
        moved: _Moved,
    ) -> dict[str, Tensor]:
        """Return the site's new control variate: option II of SCAFFOLD, over the steps' summed rates."""
        rates = moved.rates(network)
        after = shared_weights(network)
        return {
            name: own[name] - control[name] + (begin[name] - after[name]) / rates[name]
            if rates.get(name)
            else torch.zeros_like(own[name])
            for name in control
        }

    def _before(self, number: int) -> dict[str, Tensor]:
        """Return what was kept after the last round before `number`: the site may have missed some."""
        return _kept([file for file in kept_files(self.folder) if _number(file) < number])

    def _keep(
        self, number: int, network: Network, optimiser: torch.optim.Optimizer, own: Mapping[str, Tensor]
    ) -> None:
        """Keep what lasts to the next round; two rounds before stay, for a lead that was set back.

        What stands there of later rounds is of an earlier run, and let go.
        """
        tensors = optimiser_tensors(optimiser)
        tensors |= {OWN + name: value for name, value in own.items()}
        tensors |= {KEPT + name: w for name, w in network.state_dict().items() if self.federation.stays(name)}
        data = save({name: value.detach().contiguous() for name, value in tensors.items()})
        files = kept_files(self.folder)
        earlier = [file for file in files if _number(file) < number]
        for file in [*earlier[:-KEPT_ROUNDS], *(file for file in files if _number(file) > number)]:
            file.unlink()
        name = f"{AFTER}{number:05d}.safetensors"
        write_bytes(self.folder / name, hashlib.sha256(data).digest() + data)


class _Moved:
    """The sum of each parameter's learning rates over a round's steps."""

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self._optimiser = optimiser
        self._sums = [0.0] * len(optimiser.param_groups)

    def note(self) -> None:
        """Note the rates of the step that is being made."""
        self._sums = [
            total + float(group["lr"])
            for total, group in zip(self._sums, self._optimiser.param_groups, strict=True)
        ]

    def rates(self, network: Network) -> dict[str, float]:
        """Return each parameter's summed rate by name."""
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        return {
            names[id(parameter)]: total
            for total, group in zip(self._sums, self._optimiser.param_groups, strict=True)
            for parameter in group["params"]
        }


def kept_files(folder: Path) -> list[Path]:
    """Return the files that rounds kept in `folder`, the earliest round first."""
    return sorted(folder.glob(f"{AFTER}*.safetensors"))


def _number(file: Path) -> int:
    return int(file.stem.removeprefix(AFTER))


def _kept(files: Sequence[Path]) -> dict[str, Tensor]:
    """Return the content of the last of `files` that is whole; nothing without one."""
    for file in reversed(files):
        content = file.read_bytes()
        if hashlib.sha256(content[32:]).digest() == content[:32]:
            return load(content[32:])
    return {}


def own_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights that stay at a site, as its last round kept them in `folder`, by name."""
    kept = _kept(kept_files(folder))
    return {name.removeprefix(KEPT): value for name, value in kept.items() if name.startswith(KEPT)}


def shared_weights(network: Network) -> dict[str, Tensor]:
    """Return the network's float32 weights and running statistics by name: what federations share."""
    return {
        name: value.detach().clone()
        for name, value in network.state_dict().items()
        if value.dtype == torch.float32
    }
