"""The gradient of each patient's loss, where a patient is a bag of images and rows.

A patient is the unit of privacy, so that all images of one count once. Hooks on layers (as Opacus has them)
see images, not patients; here each patient's loss is differentiated as a whole. Patients whose bags have
equal sizes go through the network together (torch.func.vmap), the others in groups of their own, so that no
padding can change a result. A modality that is absent is one blank image that the mask takes out.

The loss must be of one patient alone: a term that compares patients (contrastive alignment) has no
per-patient gradient. Set its weight to zero: it can't run here.

References: Yousefpour et al., Opacus, arXiv:2109.12298; torch.func, per-sample gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from huizhen.models.batch import Bag, CaseBatch, Row

__all__ = ["Loss", "groups_of_equal_shape", "patient", "patient_gradients"]

Loss = Callable[[Any, CaseBatch], Tensor]
"""From a network's output for a batch of one patient, and that batch, to a scalar."""

Shape = tuple[tuple[str, int], ...]


def patient(batch: CaseBatch, number: int) -> CaseBatch:
    """Return patient `number` of `batch` as a batch of one, with a blank image for each absent modality."""
    bags = {name: _bag(bag, number) for name, bag in batch.bags.items()}
    rows = {
        name: Row(values=row.values[number : number + 1], there=row.there[number : number + 1])
        for name, row in batch.rows.items()
    }
    present = batch.present[number : number + 1]
    return CaseBatch(bags=bags, rows=rows, present=present, outcome=batch.outcome[number : number + 1])


def _bag(bag: Bag, number: int) -> Bag:
    """Return one patient's images, in the order of their slots."""
    mine = torch.nonzero(bag.case == number)[:, 0]
    payload = bag.payload[mine]
    if not len(mine):
        payload = bag.payload.new_zeros(1, *bag.payload.shape[1:])
    return _dense(payload)


def _dense(payload: Tensor) -> Bag:
    """Return the bag of one patient who has the images `payload` (n, ...) and no others."""
    count = payload.shape[0]
    return Bag(
        payload=payload, case=torch.zeros(count, dtype=torch.long), slot=torch.arange(count), width=count
    )


def groups_of_equal_shape(batch: CaseBatch, largest: int) -> Iterator[list[int]]:
    """Yield patients in groups whose bags have equal sizes, at most `largest` in each."""
    counts = {
        name: torch.bincount(bag.case, minlength=len(batch)).tolist() for name, bag in batch.bags.items()
    }
    by_shape: dict[Shape, list[int]] = {}
    for number in range(len(batch)):
        shape = tuple((name, max(1, count[number])) for name, count in counts.items())
        by_shape.setdefault(shape, []).append(number)
    for members in by_shape.values():
        for start in range(0, len(members), largest):
            yield members[start : start + largest]


def patient_gradients(
    network: nn.Module, batch: CaseBatch, members: Sequence[int], loss: Loss
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the gradient of each member's loss by trainable parameter (G, *shape), and the losses (G,).

    `members`: patients of `batch` whose bags have equal sizes. Dropout is drawn for each patient apart.
    """
    trained = {n: p.detach() for n, p in network.named_parameters() if p.requires_grad}
    fixed = {n: p.detach() for n, p in network.named_parameters() if not p.requires_grad}
    fixed |= dict(network.named_buffers())
    singles = [patient(batch, number) for number in members]

    def one(weights: Mapping[str, Tensor], parts: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        case = _joined(parts)
        value = loss(functional_call(network, {**weights, **fixed}, (case,)), case)
        return value, value.detach()

    found, losses = vmap(grad(one, has_aux=True), in_dims=(None, 0), randomness="different")(
        trained, _stacked(singles)
    )
    return dict(found), losses


def _stacked(singles: Sequence[CaseBatch]) -> dict[str, Any]:
    """Return the tensors of patients, stacked in front."""
    first = singles[0]
    return {
        "bags": {name: torch.stack([s.bags[name].payload for s in singles]) for name in first.bags},
        "values": {name: torch.stack([s.rows[name].values for s in singles]) for name in first.rows},
        "there": {name: torch.stack([s.rows[name].there for s in singles]) for name in first.rows},
        "present": torch.stack([s.present for s in singles]),
        "outcome": torch.stack([s.outcome for s in singles]),
    }


def _joined(parts: Mapping[str, Any]) -> CaseBatch:
    """Return the batch of one patient from its tensors."""
    values, there = parts["values"], parts["there"]
    return CaseBatch(
        bags={name: _dense(payload) for name, payload in parts["bags"].items()},
        rows={name: Row(values=values[name], there=there[name]) for name in values},
        present=parts["present"],
        outcome=parts["outcome"],
    )
