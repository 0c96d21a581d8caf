"""Binary classification: the positive outcome's log-odds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from huizhen.core.study import Network as NetworkSettings
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Output

LABEL_SMOOTHING = 0.02


def task_loss(logit: Tensor, outcome: Tensor) -> Tensor:
    """Return the mean cross-entropy of log-odds (B,) against outcomes (B,), slightly smoothed."""
    target = outcome * (1 - 2 * LABEL_SMOOTHING) + LABEL_SMOOTHING
    return nn.functional.binary_cross_entropy_with_logits(logit, target)


def unimodal_loss(unimodal: Tensor, present: Tensor, outcome: Tensor) -> Tensor:
    """Return the mean cross-entropy of each present modality's own log-odds (B, M)."""
    target = outcome[:, None].expand_as(unimodal) * (1 - 2 * LABEL_SMOOTHING) + LABEL_SMOOTHING
    each = nn.functional.binary_cross_entropy_with_logits(unimodal, target, reduction="none")
    there = present.to(each.dtype)
    return (each * there).sum() / there.sum().clamp(min=1)


def alignment_loss(aligned: Tensor, present: Tensor, temperature: float) -> Tensor:
    """Return the contrastive loss that brings modalities of one case together, over all pairs of modalities.

    `aligned` (B, M, width) of unit length, `present` (B, M). Pairs of modalities with fewer than two cases
    that have both add nothing. Reference: Radford et al., CLIP, ICML 2021, figure 3 (symmetric InfoNCE).
    """
    losses: list[Tensor] = []
    for a in range(aligned.shape[1]):
        for b in range(a + 1, aligned.shape[1]):
            both = present[:, a] & present[:, b]
            if int(both.sum()) < 2:
                continue
            score = aligned[both, a] @ aligned[both, b].T / temperature
            target = torch.arange(len(score))
            losses += [
                nn.functional.cross_entropy(score, target),
                nn.functional.cross_entropy(score.T, target),
            ]
    return torch.stack(losses).mean() if losses else aligned.new_zeros(())


def total_loss(output: Output, batch: CaseBatch, settings: NetworkSettings) -> Tensor:
    """Return the task's loss, plus the unimodal and alignment terms where the network has them."""
    loss = task_loss(output.logit, batch.outcome)
    if output.unimodal is not None and output.unimodal.shape[1] > 1 and settings.unimodal_weight:
        loss = loss + settings.unimodal_weight * unimodal_loss(output.unimodal, batch.present, batch.outcome)
    if output.aligned is not None and output.aligned.shape[1] > 1 and settings.alignment_weight:
        loss = loss + settings.alignment_weight * alignment_loss(
            output.aligned, batch.present, settings.alignment_temperature
        )
    return loss
