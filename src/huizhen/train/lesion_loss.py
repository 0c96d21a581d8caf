"""The loss of finding lesions: how far a network's maps are from the masks that training hospitals gave."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from huizhen.models.batch import CaseBatch, Lesions
from huizhen.models.network import Output

SMOOTH = 1.0
"""Added to both sides of Dice, in places of the map, so that an empty mask has no 0 / 0."""


def lesion_loss(output: Output, batch: CaseBatch) -> Tensor:
    """Return the mean loss of `output.lesions` over modalities; 0 where no image of the batch has a mask.

    Images without a mask add nothing; an image whose mask is empty is one without a lesion.
    """
    losses: list[Tensor] = []
    for name, found in output.lesions.items():
        lesions = batch.bags[name].lesions
        if lesions is not None and bool(lesions.outlined.any()):
            losses.append(mask_loss(found[lesions.outlined], _covered(lesions, found.shape[-1])))
    return torch.stack(losses).mean() if losses else output.logit.new_zeros(())


def mask_loss(logit: Tensor, covered: Tensor) -> Tensor:
    """Return cross-entropy plus one less Dice of log-odds (n, 1, h, w) and covered shares (n, 1, h, w).

    Source: Milletari et al., V-Net, 3DV 2016, section 3 (Dice), here with sums instead of sums of squares.
    """
    cross = nn.functional.binary_cross_entropy_with_logits(logit, covered)
    share = logit.sigmoid()
    both, each = (share * covered).sum((1, 2, 3)), (share + covered).sum((1, 2, 3))
    return cross + (1 - (2 * both + SMOOTH) / (each + SMOOTH)).mean()


def _covered(lesions: Lesions, side: int) -> Tensor:
    """Return the share of each place of a map of `side` that the lesion covers (n, 1, side, side)."""
    return nn.functional.adaptive_avg_pool2d(lesions.mask[lesions.outlined], side)
