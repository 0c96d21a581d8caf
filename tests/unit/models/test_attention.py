"""Masked attention: absent tokens never matter, no token at all is well defined."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from huizhen.models.attention import MaskedAttention


@pytest.fixture
def attention() -> MaskedAttention:
    torch.manual_seed(0)
    module = MaskedAttention(8, 2)
    torch.nn.init.normal_(module.null)
    return module


def tokens_of(batch: int, length: int) -> Tensor:
    return torch.randn(batch, length, 8, generator=torch.Generator().manual_seed(1))


def test_an_absent_token_changes_nothing_whatever_it_holds(attention: MaskedAttention) -> None:
    queries, tokens = tokens_of(3, 2), tokens_of(3, 5)
    mask = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 1], [0, 1, 1, 1, 1]], dtype=torch.bool)
    before = attention(queries, tokens, mask)
    after = attention(queries, torch.where(mask[..., None], tokens, torch.full_like(tokens, 1e6)), mask)
    assert torch.equal(before, after)


def test_an_absent_token_gets_no_gradient(attention: MaskedAttention) -> None:
    tokens = tokens_of(1, 4).requires_grad_()
    mask = torch.tensor([[True, False, True, False]])
    attention(tokens_of(1, 2), tokens, mask).square().sum().backward()
    assert tokens.grad is not None
    assert torch.all(tokens.grad[:, ~mask[0]] == 0)
    assert torch.all(tokens.grad[:, mask[0]].abs().sum(-1) > 0)


def test_without_any_token_the_null_value_answers_every_query(attention: MaskedAttention) -> None:
    mixed = attention(tokens_of(2, 3), tokens_of(2, 4), torch.zeros(2, 4, dtype=torch.bool))
    torch.testing.assert_close(mixed, attention.out(attention.null[1]).expand(2, 3, 8))


def test_no_token_set_at_all_is_the_same_as_all_absent(attention: MaskedAttention) -> None:
    mixed = attention(tokens_of(2, 3), tokens_of(2, 0), torch.zeros(2, 0, dtype=torch.bool))
    torch.testing.assert_close(mixed, attention.out(attention.null[1]).expand(2, 3, 8))


def test_gradients_stay_finite_without_any_token(attention: MaskedAttention) -> None:
    tokens = tokens_of(2, 4).requires_grad_()
    mixed = attention(tokens_of(2, 3), tokens, torch.zeros(2, 4, dtype=torch.bool))
    mixed.square().sum().backward()
    assert tokens.grad is not None
    assert torch.all(tokens.grad == 0)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in attention.parameters())


def test_a_mask_a_query_equals_one_call_a_query(attention: MaskedAttention) -> None:
    queries, tokens = tokens_of(2, 3), tokens_of(2, 4)
    mask = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(3)) < 0.5
    mixed = attention(queries, tokens, mask)
    for q in range(3):
        alone = attention(queries[:, q : q + 1], tokens, mask[:, q])
        torch.testing.assert_close(mixed[:, q : q + 1], alone)


def test_one_head_is_the_published_formula() -> None:
    torch.manual_seed(5)
    module = MaskedAttention(8, 1)
    torch.nn.init.normal_(module.null)
    queries, tokens = tokens_of(1, 2), tokens_of(1, 3)
    keys = torch.cat([module.null[:1], module.key(tokens[0])])
    values = torch.cat([module.null[1:], module.value(tokens[0])])
    share = (module.query(queries[0]) @ keys.T / math.sqrt(8)).softmax(-1)  # (2, 1 + 3)
    mixed = module(queries, tokens, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(mixed[0], module.out(share @ values))
