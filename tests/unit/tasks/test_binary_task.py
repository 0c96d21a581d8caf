"""The binary task's losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from huizhen.core.study import Network as NetworkSettings
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Output
from huizhen.tasks.binary import LABEL_SMOOTHING, alignment_loss, task_loss, total_loss, unimodal_loss


def entropy(logit: float, outcome: int) -> float:
    """Return the smoothed cross-entropy, written out."""
    p = 1 / (1 + math.exp(-logit))
    target = 1 - LABEL_SMOOTHING if outcome else LABEL_SMOOTHING
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def test_the_task_loss_is_the_mean_smoothed_cross_entropy() -> None:
    logits, outcome = [2.0, -1.0, 0.5], [1, 1, 0]
    expected = sum(map(entropy, logits, outcome)) / 3
    found = task_loss(torch.tensor(logits), torch.tensor(outcome).float())
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_task_loss_is_least_at_the_smoothed_odds() -> None:
    best = math.log((1 - LABEL_SMOOTHING) / LABEL_SMOOTHING)
    losses = [task_loss(torch.tensor([best + d]), torch.ones(1)).item() for d in (-0.1, 0, 0.1)]
    assert losses[1] == min(losses)


def test_the_unimodal_loss_counts_present_modalities_alone() -> None:
    unimodal = torch.tensor([[1.0, 50.0], [-2.0, 0.5]])
    present = torch.tensor([[True, False], [True, True]])
    expected = (entropy(1, 1) + entropy(-2, 0) + entropy(0.5, 0)) / 3
    found = unimodal_loss(unimodal, present, torch.tensor([1.0, 0.0]))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_unimodal_loss_of_nothing_present_is_zero() -> None:
    assert unimodal_loss(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool), torch.ones(2)).item() == 0


class TestAlignment:
    """The contrastive loss between modalities of one case."""

    @staticmethod
    def unit(*angles_deg: float) -> torch.Tensor:
        return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles_deg])

    def test_two_cases_by_hand(self) -> None:
        a, b = self.unit(0, 90), self.unit(30, 60)
        aligned = torch.stack([a, b], 1)  # (2 cases, 2 modalities, 2)
        t = 0.5
        s = [[math.cos(math.radians(x - y)) / t for y in (30, 60)] for x in (0, 90)]

        def row(right: float, wrong: float) -> float:
            return -math.log(math.exp(right) / (math.exp(right) + math.exp(wrong)))

        from_a = (row(s[0][0], s[0][1]) + row(s[1][1], s[1][0])) / 2
        from_b = (row(s[0][0], s[1][0]) + row(s[1][1], s[0][1])) / 2
        found = alignment_loss(aligned, torch.ones(2, 2, dtype=torch.bool), t)
        assert found.item() == pytest.approx((from_a + from_b) / 2, rel=1e-6)

    def test_perfect_alignment_approaches_zero_and_confusion_the_logarithm_of_n(self) -> None:
        apart = torch.eye(4)
        present = torch.ones(4, 2, dtype=torch.bool)
        assert alignment_loss(torch.stack([apart, apart], 1), present, 0.05).item() < 1e-6
        same = torch.ones(4, 2, 4) / 2
        assert alignment_loss(same, present, 0.05).item() == pytest.approx(math.log(4), rel=1e-6)

    def test_cases_that_lack_one_of_a_pair_never_matter(self) -> None:
        aligned = torch.nn.functional.normalize(
            torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(0)), dim=-1
        )
        present = torch.tensor([[1, 1], [1, 0], [1, 1], [0, 1]], dtype=torch.bool)
        other = aligned.clone()
        other[1], other[3] = other[3].clone(), other[1].clone()
        both = present.all(1)
        expected = alignment_loss(aligned[both], present[both], 0.1)
        assert alignment_loss(aligned, present, 0.1) == alignment_loss(other, present, 0.1) == expected

    def test_pairs_with_fewer_than_two_cases_add_nothing(self) -> None:
        aligned = torch.nn.functional.normalize(
            torch.randn(3, 3, 8, generator=torch.Generator().manual_seed(1)), dim=-1
        )
        present = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
        first_two = alignment_loss(aligned[:, :2], present[:, :2], 0.1)
        assert alignment_loss(aligned, present, 0.1) == first_two
        nothing = alignment_loss(aligned, torch.eye(3, dtype=torch.bool), 0.1)
        assert nothing.item() == 0

    def test_the_loss_pulls_a_case_together(self) -> None:
        aligned = torch.stack([self.unit(0, 90), self.unit(30, 60)], 1).requires_grad_()
        alignment_loss(aligned, torch.ones(2, 2, dtype=torch.bool), 0.5).backward()
        assert aligned.grad is not None
        step = torch.nn.functional.normalize(aligned.detach() - 0.1 * aligned.grad, dim=-1)
        before, after = ((x[:, 0] * x[:, 1]).sum(-1) for x in (aligned.detach(), step))
        assert torch.all(after > before)


class TestTotal:
    """The loss that training minimises."""

    batch = CaseBatch(
        bags={}, rows={}, present=torch.ones(2, 2, dtype=torch.bool), outcome=torch.tensor([1.0, 0.0])
    )
    output = Output(
        logit=torch.tensor([0.3, -0.4]),
        unimodal=torch.tensor([[0.1, 0.2], [0.3, 0.4]]),
        aligned=torch.nn.functional.normalize(torch.tensor([[[1.0, 0], [1, 1]], [[0, 1], [-1, 1]]]), dim=-1),
    )

    def test_the_terms_are_weighed_and_summed(self) -> None:
        settings = NetworkSettings(unimodal_weight=0.5, alignment_weight=0.25, alignment_temperature=0.2)
        assert self.output.unimodal is not None
        assert self.output.aligned is not None
        expected = (
            task_loss(self.output.logit, self.batch.outcome)
            + 0.5 * unimodal_loss(self.output.unimodal, self.batch.present, self.batch.outcome)
            + 0.25 * alignment_loss(self.output.aligned, self.batch.present, 0.2)
        )
        torch.testing.assert_close(total_loss(self.output, self.batch, settings), expected)

    def test_a_weight_of_zero_leaves_a_term_out(self) -> None:
        settings = NetworkSettings(unimodal_weight=0, alignment_weight=0)
        assert total_loss(self.output, self.batch, settings) == task_loss(
            self.output.logit, self.batch.outcome
        )

    def test_one_modality_has_the_task_alone(self) -> None:
        """Its own opinion is the answer already, and there is nothing to align it with."""
        assert self.output.unimodal is not None
        assert self.output.aligned is not None
        single = Output(
            logit=self.output.logit, unimodal=self.output.unimodal[:, :1], aligned=self.output.aligned[:, :1]
        )
        assert total_loss(single, self.batch, NetworkSettings()) == task_loss(
            single.logit, self.batch.outcome
        )

    def test_networks_without_such_terms_have_the_task_alone(self) -> None:
        plain = Output(logit=self.output.logit)
        assert total_loss(plain, self.batch, NetworkSettings()) == task_loss(plain.logit, self.batch.outcome)
