"""The tree against Certificate Transparency's vectors and against the RFC's own recursive definition."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import pytest

from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

CT_LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
CT_INCLUSION = {
    (0, 1): (),
    (0, 8): (A, B, C),
    (5, 8): (D, E, CT_ROOTS[3]),
    (2, 3): (CT_ROOTS[1],),
    (1, 5): (CT_ROOTS[0], B, D),
}
CT_CONSISTENCY = {(1, 8): (A, B, C), (6, 8): (F, E, CT_ROOTS[3]), (2, 5): (B, D), (1, 1): ()}


def slow_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162, section 2.1.1 writes it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(slow_root(leaves[:split]), slow_root(leaves[split:]))


def numbered(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_of_certificate_transparency(size: int) -> None:
    assert root(CT_LEAVES[:size]).hex() == CT_ROOTS[size - 1]
    assert Tree.over(CT_LEAVES).root(size).hex() == CT_ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root([]) == Frontier().root() == Tree.over([]).root() == EMPTY_ROOT


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_inclusion_proofs_of_certificate_transparency(index: int, size: int) -> None:
    proof = inclusion_proof(CT_LEAVES, index, size)
    assert tuple(node.hex() for node in proof) == CT_INCLUSION[index, size]


@pytest.mark.parametrize(("first", "second"), CT_CONSISTENCY)
def test_consistency_proofs_of_certificate_transparency(first: int, second: int) -> None:
    proof = consistency_proof(CT_LEAVES, first, second)
    assert tuple(node.hex() for node in proof) == CT_CONSISTENCY[first, second]


@pytest.mark.parametrize("size", [*range(1, 35), 63, 64, 65, 127, 128, 129])
def test_every_proof_holds_and_fits_the_slow_root(size: int) -> None:
    leaves = numbered(size)
    tree, slow = Tree.over(leaves), slow_root(leaves)
    assert tree.root() == root(leaves) == slow
    for index, leaf in enumerate(leaves):
        verify_inclusion(leaf, index=index, size=size, proof=tree.inclusion_proof(index), root=slow)
    for first in range(1, size + 1):
        verify_consistency(
            first=first,
            second=size,
            first_root=slow_root(leaves[:first]),
            second_root=slow,
            proof=tree.consistency_proof(first),
        )


@pytest.mark.parametrize("size", [2, 3, 5, 7, 8, 11])
def test_no_wrong_inclusion_proof_holds(size: int) -> None:
    leaves = numbered(size)
    tree = Tree.over(leaves)
    for index in range(size):
        proof, top = tree.inclusion_proof(index), tree.root()
        wrong = [
            {"leaf": leaf_hash(b"other"), "index": index, "size": size, "proof": proof, "root": top},
            {"leaf": leaves[index], "index": (index + 1) % size, "size": size, "proof": proof, "root": top},
            {"leaf": leaves[index], "index": index, "size": size, "proof": proof[:-1], "root": top},
            {"leaf": leaves[index], "index": index, "size": size, "proof": (*proof, top), "root": top},
            {"leaf": leaves[index], "index": index, "size": size, "proof": proof, "root": EMPTY_ROOT},
            {"leaf": leaves[index], "index": size, "size": size, "proof": proof, "root": top},
            {"leaf": leaves[index], "index": -1, "size": size, "proof": proof, "root": top},
            {
                "leaf": leaves[index],
                "index": index,
                "size": size,
                "proof": (proof[0][:31], *proof[1:]),
                "root": top,
            },
        ]
        for arguments in wrong:
            with pytest.raises(VerificationError):
                verify_inclusion(**arguments)  # type: ignore[arg-type]  # deliberately loose table


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 3), (3, 7), (4, 8), (6, 8), (7, 11), (8, 11)])
def test_no_wrong_consistency_proof_holds(first: int, second: int) -> None:
    tree = Tree.over(numbered(second))
    old, new, proof = tree.root(first), tree.root(), tree.consistency_proof(first)
    good = {"first": first, "second": second, "first_root": old, "second_root": new, "proof": proof}
    verify_consistency(**good)  # type: ignore[arg-type]  # deliberately loose table
    for change in (
        {"first_root": EMPTY_ROOT},
        {"second_root": EMPTY_ROOT},
        {"proof": proof[:-1]},
        {"proof": (*proof, new)},
        {"proof": ()},
        {"proof": tuple(reversed(proof)) if len(proof) > 1 else (old,)},
        {"proof": (proof[0] + b"\0", *proof[1:])},
        {"first": 0},
        {"first": second + 1},
        {"first": second},
    ):
        with pytest.raises(VerificationError):
            verify_consistency(**{**good, **change})  # type: ignore[arg-type]  # deliberately loose table


def test_trees_of_one_size_need_one_root_and_no_proof() -> None:
    verify_consistency(first=3, second=3, first_root=CT_LEAVES[0], second_root=CT_LEAVES[0], proof=())
    for second_root, proof in ((CT_LEAVES[1], ()), (CT_LEAVES[0], (CT_LEAVES[0],))):
        with pytest.raises(VerificationError, match="one size"):
            verify_consistency(
                first=3, second=3, first_root=CT_LEAVES[0], second_root=second_root, proof=proof
            )


def test_proofs_of_what_is_not_there_are_refused() -> None:
    tree = Tree.over(CT_LEAVES)
    for index, size in ((8, None), (-1, None), (3, 3), (0, 9), (0, 0)):
        with pytest.raises(InvalidInputError):
            tree.inclusion_proof(index, size)
    for first, second in ((0, None), (9, None), (5, 4), (1, 9)):
        with pytest.raises(InvalidInputError):
            tree.consistency_proof(first, second)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = CT_LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


def test_an_inner_node_is_not_taken_for_a_leaf_by_a_shortened_proof() -> None:
    tree = Tree.over(CT_LEAVES)
    with pytest.raises(VerificationError, match="too short"):
        verify_inclusion(tree.root(2), index=0, size=8, proof=tree.inclusion_proof(0)[1:], root=tree.root())


def test_a_leaf_of_a_larger_tree_is_not_taken_for_one_of_a_smaller() -> None:
    tree = Tree.over(CT_LEAVES)
    with pytest.raises(VerificationError, match="too long"):
        verify_inclusion(CT_LEAVES[7], index=0, size=1, proof=tree.inclusion_proof(7), root=tree.root())


def test_the_border_between_two_hashes_cannot_be_moved() -> None:
    left, right = CT_LEAVES[:2]
    moved = left[31:] + right
    with pytest.raises(VerificationError, match="32 bytes"):
        verify_inclusion(left[:31], index=0, size=2, proof=(moved,), root=node_hash(left, right))
    with pytest.raises(VerificationError, match="32 bytes"):
        verify_consistency(
            first=1, second=2, first_root=left[:31], second_root=node_hash(left, right), proof=(moved,)
        )


def test_an_old_tree_is_not_shown_by_a_path_of_another_length() -> None:
    tree = Tree.over(CT_LEAVES)
    with pytest.raises(VerificationError, match="too short"):
        verify_consistency(first=2, second=8, first_root=tree.root(2), second_root=tree.root(2), proof=())
    with pytest.raises(VerificationError, match="too long"):
        verify_consistency(
            first=1,
            second=2,
            first_root=tree.root(1),
            second_root=tree.root(4),
            proof=tree.consistency_proof(1, 4),
        )


def test_a_hundred_thousand_leaves_take_no_quadratic_work() -> None:
    leaves = numbered(100_000)
    begun = time.process_time()
    tree = Tree.over(leaves)
    top = Frontier().extend(leaves).root()
    assert tree.root() == top
    for index in range(0, 100_000, 100):
        verify_inclusion(
            leaves[index], index=index, size=100_000, proof=tree.inclusion_proof(index), root=top
        )
    proof = tree.consistency_proof(65_537)
    verify_consistency(
        first=65_537, second=100_000, first_root=tree.root(65_537), second_root=top, proof=proof
    )
    assert len(proof) <= 18
    assert time.process_time() - begun < 10  # about 0.6 s here; one quadratic step would take hours
