"""The weights that a study's lead gave a site: held for a later process too, and fixed by the lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from huizhen.core.digests import Digest, canonical_json, digest_value
from huizhen.core.files import write_bytes, write_json
from huizhen.core.study import Study
from huizhen.errors import FederationError, ModelError
from huizhen.federate.strategies.interface import Weights
from huizhen.models.network import Network
from huizhen.pipeline.federated_plan import FederatedModel
from huizhen.pipeline.federated_regression import regression_from
from huizhen.train.local import shared_weights
from huizhen.train.table_regression import TableRegression

__all__ = ["LOCKED", "SiteModels", "digest_weights", "holds_of"]

LOCKED = "locked.json"
TAKEN = "taken.json"


def digest_weights(weights: Weights) -> str:
    """Return the SHA-256 over names, shapes and bytes of `weights`, in the order of names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name])
        found.update(canonical_json([name, list(array.shape), str(array.dtype)]))
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def holds_of(study: Study, models: Iterable[str], model: FederatedModel) -> int:
    """Return how often weights of `model` are held: at the end, and before each query round."""
    if study.active is None or model.name != next(iter(models)):
        return 1
    return 1 + len(study.active.budgets)


@dataclass(kw_only=True)
class SiteModels:
    """The `models` of a study at a site whose `folder` keeps them.

    `fresh` gives a network of first weights, `own` the weights of a model that never left the site, `shapes`
    those of a clinical regression's weights. `planned`: how often other weights
    of a model are held in this study.
    """

    folder: Path
    models: Mapping[str, FederatedModel]
    fresh: Callable[[FederatedModel], Network]
    own: Callable[[str], Mapping[str, Tensor]]
    shapes: Callable[[FederatedModel], Mapping[str, tuple[int, ...]]]
    planned: Callable[[FederatedModel], int]
    _regressions: dict[str, TableRegression] = field(default_factory=dict)
    _held: dict[str, Network] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)

    def hold(self, model: FederatedModel, weights: Weights) -> None:
        """Keep the weights of `model`, also for a process after this one.

        Raises `FederationError` when others are locked, or the study plans no more of this model;
        `ModelError` when they are of another network.
        """
        from safetensors.numpy import save

        digest = digest_weights(weights)
        if (locked := self.locked()) and locked.get(model.name) != digest:
            raise FederationError(
                "the models are locked, and these are other weights",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        network = None if model.regression else self.fresh(model)
        expected = {name: tuple(w.shape) for name, w in shared_weights(network).items()} if network else {}
        if (expected or dict(self.shapes(model))) != {
            name: tuple(np.shape(w)) for name, w in weights.items()
        }:
            raise ModelError(
                "the finished weights are of another network",
                remedy="run the same version of huizhen everywhere",
                field="weights",
            )
        self._count(model, digest)
        if self._digests.get(model.name) != digest:
            arrays = {n: np.asarray(w, order="C") for n, w in weights.items()}
            write_bytes(self._file(model.name), save(arrays))
        self._take(model, network, weights)

    def _count(self, model: FederatedModel, digest: str) -> None:
        """Note that these weights are held. Raises `FederationError` when the study plans no more."""
        file = self.folder / "held" / TAKEN
        taken = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        mine = taken.get(model.name, [])
        if digest in mine:
            return
        if len(mine) >= self.planned(model):
            raise FederationError(
                f"the study plans no more weights of {model.name} to be held",
                remedy="a changed model is another study: sign a new one",
                field="model",
            )
        write_json(file, {**taken, model.name: [*mine, digest]})

    def _take(self, model: FederatedModel, network: Network | None, weights: Weights) -> None:
        """Have a model's weights at hand."""
        self._digests[model.name] = digest_weights(weights)
        if network is None:
            self._regressions[model.name] = regression_from(weights)
        else:
            self._held[model.name] = self._whole(model.name, network, weights)

    def regression(self, model: str) -> TableRegression:
        """Return a clinical regression that is held. Raises `FederationError` without it."""
        self._recall()
        if model not in self._regressions:
            raise _not_held(model)
        return self._regressions[model]

    def held(self, model: str) -> tuple[Network, str]:
        """Return a model with the weights that were last held, and their digest.

        Raises `FederationError` without any.
        """
        self._recall()
        if model not in self._held:
            raise _not_held(model)
        return self._held[model], self._digests[model]

    def lock(self, digest: str) -> None:
        """Fix the held models. Raises `FederationError` without any, or when others were locked before."""
        self._recall()
        record = {"digest": digest, "weights": dict(sorted(self._digests.items()))}
        if self.locked() not in ({}, record["weights"]):
            raise FederationError(
                "other models were locked for this study here",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        if not self._digests:
            raise FederationError(
                "no model is held here", remedy="send the finished weights first", field="lock"
            )
        write_json(self.folder / LOCKED, record)

    def locked(self) -> dict[str, str]:
        """Return what was locked here: model -> digest of its weights; empty before."""
        file = self.folder / LOCKED
        if not file.exists():
            return {}
        return dict(json.loads(file.read_text(encoding="utf-8"))["weights"])

    def lock_digest(self) -> Digest:
        """Return the digest of what was locked, as the lead's ledger has it. Raises `FederationError`."""
        file = self.folder / LOCKED
        if not file.exists():
            raise FederationError("nothing is locked here", remedy="lock the models first", field="lock")
        return Digest(json.loads(file.read_text(encoding="utf-8"))["digest"])

    @property
    def digests(self) -> Mapping[str, str]:
        """Model -> digest of the weights that are held."""
        self._recall()
        return dict(self._digests)

    def _file(self, model: str) -> Path:
        return self.folder / "held" / f"{digest_value(model)[:16]}.safetensors"

    def _whole(self, model: str, network: Network, weights: Weights) -> Network:
        """Return `network` with the weights, and those that never left this site in their places."""
        import torch

        shared = {name: torch.tensor(np.asarray(value)) for name, value in weights.items()}
        network.load_state_dict({**network.state_dict(), **shared, **self.own(model)})
        return network.eval()

    def _recall(self) -> None:
        """Take up the weights that a process before this one was given."""
        from safetensors.numpy import load_file

        for name, model in self.models.items():
            if name not in self._digests and self._file(name).exists():
                network = None if model.regression else self.fresh(model)
                self._take(model, network, load_file(self._file(name)))


def _not_held(model: str) -> FederationError:
    return FederationError(
        f"the weights of {model} are not held here", remedy="send the finished weights first", field="model"
    )
