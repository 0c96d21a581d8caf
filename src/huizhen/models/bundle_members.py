"""The networks that a bundle holds, by fold and member: anybody can make a bundle that is whole in itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn

from huizhen.errors import ModelError
from huizhen.models.bundle import Bundle

__all__ = ["check_preprocessing", "load_weights", "weights_of_members"]

MAIN: Final = "cman"
_NAME = re.compile(r"fold([0-9]{1,3})/([A-Za-z0-9_]{1,32})/(.+)")
_REMEDY = "fetch the model again, and compare its digest with the one in its dossier"


def weights_of_members(bundle: Bundle) -> dict[tuple[int, str], dict[str, Tensor]]:
    """Return (fold, member) -> a network's weights by parameter name, in order.

    Raises `ModelError` when there is none, a name is malformed, or a fold has no threshold or calibration.
    """
    members: dict[tuple[int, str], dict[str, Tensor]] = {}
    for name, value in bundle.weights.items():
        if not name.startswith("fold"):
            continue
        if (found := _NAME.fullmatch(name)) is None:
            raise ModelError("is no name of a weight", remedy=_REMEDY, field=name)
        members.setdefault((int(found[1]), found[2]), {})[found[3]] = value
    if not members:
        raise ModelError("holds no network", remedy=_REMEDY, field="weights")
    for fold in {fold for fold, _ in members}:
        if f"{MAIN}/fold{fold}" not in bundle.card.thresholds:
            raise ModelError(f"has no threshold for fold {fold}", remedy=_REMEDY, field="thresholds")
    return dict(sorted(members.items()))


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], *, field: str) -> None:
    """Put weights into a network. Raises `ModelError` unless names and shapes are those of the network."""
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelError(
            "weights are not those of the network that the card describes", remedy=_REMEDY, field=field
        ) from error


def check_preprocessing(bundle: Bundle) -> None:
    """Check that the card names preprocessing by its version and mode. Raises `ModelError`."""
    for modality, record in bundle.card.preprocessing.items():
        for key in ("version", "mode"):
            if not isinstance(record.get(key, ""), str):
                raise ModelError("is no text", remedy=_REMEDY, field=f"preprocessing.{modality}.{key}")
