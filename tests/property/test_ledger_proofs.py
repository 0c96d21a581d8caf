"""Every proof of random trees holds, and none holds for another leaf, place, size or root."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.errors import VerificationError
from huizhen.ledger.merkle import (
    Frontier,
    Tree,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

data = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 9162, section 2.1.1 writes it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(slow_root(leaves[:split]), slow_root(leaves[split:]))


@given(data=data)
def test_three_ways_to_the_root_agree_at_every_size(data: list[bytes]) -> None:
    leaves = [leaf_hash(item) for item in data]
    tree, frontier = Tree.over(leaves), Frontier()
    for size, leaf in enumerate(leaves, start=1):
        frontier = frontier.append(leaf)
        assert tree.root(size) == frontier.root() == slow_root(leaves[:size]) == root(leaves[:size])


@given(data=data, draw=st.data())
def test_inclusion_holds_for_its_leaf_and_place_only(data: list[bytes], draw: st.DataObject) -> None:
    leaves = [leaf_hash(index.to_bytes(2, "big") + item) for index, item in enumerate(data)]
    size = draw.draw(st.integers(1, len(leaves)))
    index, other = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(0, size - 1))
    tree = Tree.over(leaves)
    proof, top = tree.inclusion_proof(index, size), tree.root(size)
    assert len(proof) <= (size - 1).bit_length()
    verify_inclusion(leaves[index], index=index, size=size, proof=proof, root=top)
    if other != index:
        for leaf, place in ((leaves[other], index), (leaves[index], other), (leaves[other], other)):
            with pytest.raises(VerificationError):
                verify_inclusion(leaf, index=place, size=size, proof=proof, root=top)


@given(data=data, draw=st.data())
def test_consistency_holds_for_what_only_grew(data: list[bytes], draw: st.DataObject) -> None:
    leaves = [leaf_hash(item) for item in data]
    second = draw.draw(st.integers(1, len(leaves)))
    first = draw.draw(st.integers(1, second))
    changed = draw.draw(st.integers(0, first - 1))
    tree = Tree.over(leaves)
    rewritten = Tree.over([*leaves[:changed], leaf_hash(b"rewritten"), *leaves[changed + 1 :]])
    old, new = tree.root(first), tree.root(second)
    proof = tree.consistency_proof(first, second)
    verify_consistency(first=first, second=second, first_root=old, second_root=new, proof=proof)
    for proof_of_other in (proof, rewritten.consistency_proof(first, second)):
        with pytest.raises(VerificationError):
            verify_consistency(
                first=first,
                second=second,
                first_root=old,
                second_root=rewritten.root(second),
                proof=proof_of_other,
            )
