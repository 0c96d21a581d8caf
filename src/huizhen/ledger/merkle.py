"""The Merkle tree of RFC 9162: roots, and proofs that a leaf is in a tree or that a tree only grew.

Pure functions over SHA-256; nothing here knows of files, entries or keys. A `Tree` keeps every complete
subtree, so that each proof costs O(log n); a `Frontier` keeps only those that a growing log still needs.

    >>> tree = Tree.over([leaf_hash(bytes([n])) for n in range(5)])
    >>> proof = tree.inclusion_proof(3)
    >>> verify_inclusion(leaf_hash(b"\\x03"), index=3, size=5, proof=proof, root=tree.root())
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from huizhen.errors import InvalidInputError, VerificationError

Proof = tuple[bytes, ...]
"""The hashes that rebuild a root, from the leaf's side upwards; 32 bytes each."""

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 of a zero byte and the leaf's bytes.

    Reference: RFC 9162, section 2.1.1.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256 of a one byte and both children, 32 bytes each.

    Reference: RFC 9162, section 2.1.1.

    >>> node_hash(leaf_hash(b""), leaf_hash(b"\\x00")).hex()[:16]
    'fac54203e7cc696c'
    """
    return hashlib.sha256(b"\x01" + left + right).digest()


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Join the complete subtrees of a tree, largest first, into its root."""
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks)) if peaks else EMPTY_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The right edge of a growing tree: its `size` and the roots of its complete subtrees, largest first.

    Enough to append a leaf and to tell the root in O(log n), without the leaves.

    >>> frontier = Frontier()
    >>> for n in range(3):
    ...     frontier = frontier.append(leaf_hash(bytes([n])))
    >>> frontier.root() == root([leaf_hash(bytes([n])) for n in range(3)])
    True
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier with one more `leaf` hash: each trailing one bit of the size is a carry."""
        peaks, carried, node = list(self.peaks), self.size, leaf
        while carried & 1:
            node = node_hash(peaks.pop(), node)
            carried >>= 1
        return Frontier(size=self.size + 1, peaks=(*peaks, node))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier after all `leaves`."""
        return reduce(Frontier.append, leaves, self)

    def root(self) -> bytes:
        """Return the root of the tree; SHA-256 of nothing when it is empty."""
        return _fold(self.peaks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree with all its complete subtrees: `levels[k][j]` is the root over leaves j*2**k to (j+1)*2**k."""

    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def over(cls, leaf_hashes: Sequence[bytes]) -> Tree:
        """Return the tree over n leaf hashes: n - 1 hashings at most."""
        levels = [tuple(leaf_hashes)]
        while len(levels[-1]) > 1:
            below = iter(levels[-1])
            levels.append(tuple(node_hash(left, right) for left, right in zip(below, below, strict=False)))
        return cls(levels=tuple(levels))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self.levels[0])

    def _over(self, low: int, high: int) -> bytes:
        """Return the root over leaves [low, high); low is a multiple of a power of two >= high - low."""
        return _fold(list(self._peaks(low, high - low)))

    def _peaks(self, low: int, width: int) -> Iterator[bytes]:
        for level in reversed(range(width.bit_length())):
            if width >> level & 1:
                yield self.levels[level][low >> level]
                low += 1 << level

    def root(self, size: int | None = None) -> bytes:
        """Return the root over all leaves, or over the first `size`. Raises `InvalidInputError`."""
        return self._over(0, self._within(size))

    def _within(self, size: int | None) -> int:
        chosen = self.size if size is None else size
        if not 0 <= chosen <= self.size:
            raise InvalidInputError(
                f"size {chosen} is not in 0..{self.size}", remedy="name a size the tree had"
            )
        return chosen

    def inclusion_proof(self, index: int, size: int | None = None) -> Proof:
        """Return the proof that leaf `index` is in the tree over the first `size` leaves (default: all).

        Raises `InvalidInputError` when the tree of that size has no such leaf.
        Reference: RFC 9162, section 2.1.3.1.
        """
        low, high = 0, self._within(size)
        if not 0 <= index < high:
            raise InvalidInputError(f"leaf {index} is not in 0..{high - 1}", remedy="name a leaf of the tree")
        proof: list[bytes] = []
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._over(middle, high))
                high = middle
            else:
                proof.append(self._over(low, middle))
                low = middle
        return tuple(reversed(proof))

    def consistency_proof(self, first: int, second: int | None = None) -> Proof:
        """Return the proof that the tree over `second` leaves (default: all) begins with that over `first`.

        Raises `InvalidInputError` unless 1 <= first <= second <= size. Equal sizes need no hashes.
        Reference: RFC 9162, section 2.1.4.1.
        """
        low, high = 0, self._within(second)
        if not 1 <= first <= high:
            raise InvalidInputError(f"first size {first} is not in 1..{high}", remedy="name an earlier size")
        proof: list[bytes] = []
        while first < high:
            middle = low + _split(high - low)
            if first <= middle:
                proof.append(self._over(middle, high))
                high = middle
            else:
                proof.append(self._over(low, middle))
                low = middle
        if low > 0:  # else this subtree is the whole old tree, whose root the verifier has
            proof.append(self._over(low, high))
        return tuple(reversed(proof))


def _split(width: int) -> int:
    """Return the largest power of two below `width` (>= 2)."""
    return 1 << (width - 1).bit_length() - 1


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the Merkle root over leaf hashes (n,), 32 bytes each; SHA-256 of nothing for n = 0.

    Reference: RFC 9162, section 2.1.1; the vector is Certificate Transparency's for eight leaves.

    >>> leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    >>> leaves.append("606162636465666768696a6b6c6d6e6f")
    >>> root([leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]).hex()
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'
    >>> root([]) == EMPTY_ROOT
    True
    """
    return Frontier().extend(leaf_hashes).root()


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int | None = None) -> Proof:
    """Return the proof that leaf `index` is in the tree over the first `size` leaf hashes (default: all).

    For many proofs of one tree, build a `Tree` once. Raises `InvalidInputError`.
    Reference: RFC 9162, section 2.1.3.1.

    >>> len(inclusion_proof([leaf_hash(b"")] * 8, 5))
    3
    """
    return Tree.over(leaf_hashes).inclusion_proof(index, size)


def consistency_proof(leaf_hashes: Sequence[bytes], first: int, second: int | None = None) -> Proof:
    """Return the proof that the tree over `second` leaves (default: all) begins with that over `first`.

    Raises `InvalidInputError` unless 1 <= first <= second <= n. Reference: RFC 9162, section 2.1.4.1.

    >>> len(consistency_proof([leaf_hash(b"")] * 8, 6))
    3
    """
    return Tree.over(leaf_hashes).consistency_proof(first, second)


def _refused(what: str) -> VerificationError:
    return VerificationError(
        f"the Merkle proof does not hold: {what}", remedy="get the log and its proof again from their owner"
    )


def _check_hashes(proof: Sequence[bytes], *roots: bytes) -> None:
    if any(len(node) != HASH_BYTES for node in (*proof, *roots)):
        raise _refused("a hash is not 32 bytes long")


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the `leaf` hash stands at `index` of the tree of `size` leaves under `root`.

    Raises `VerificationError`. Reference: RFC 9162, section 2.1.3.2.

    >>> leaves = [leaf_hash(bytes([n])) for n in range(6)]
    >>> tree = Tree.over(leaves)
    >>> verify_inclusion(leaves[5], index=5, size=6, proof=tree.inclusion_proof(5), root=tree.root())
    >>> verify_inclusion(leaves[4], index=5, size=6, proof=tree.inclusion_proof(5), root=tree.root())
    Traceback (most recent call last):
        ...
    huizhen.errors.VerificationError: HZ51 the Merkle proof does not hold: the root differs. Remedy: ...
    """
    if not 0 <= index < size:
        raise _refused(f"leaf {index} is not in a tree of {size}")
    _check_hashes(proof, leaf, root)
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise _refused("it is too long")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while place and not place & 1:  # a node without a right sibling rises unhashed
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise _refused("it is too short")
    if node != root:
        raise _refused("the root differs")


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `second` leaves begins with the tree of `first` leaves (1 <= first <= second).

    Raises `VerificationError`. Reference: RFC 9162, section 2.1.4.2.

    >>> tree = Tree.over([leaf_hash(bytes([n])) for n in range(7)])
    >>> verify_consistency(first=3, second=7, first_root=tree.root(3), second_root=tree.root(),
    ...                    proof=tree.consistency_proof(3))
    """
    if not 1 <= first <= second:
        raise _refused(f"sizes {first} and {second} are not in order")
    _check_hashes(proof, first_root, second_root)
    if first == second:
        if proof or first_root != second_root:
            raise _refused("trees of one size have different roots, or a proof that they don't need")
        return
    path = (first_root, *proof) if first & (first - 1) == 0 else tuple(proof)
    if not path:
        raise _refused("it is too short")
    old, new = _rebuild(path, first, second)
    if old != first_root:
        raise _refused("the earlier root differs")
    if new != second_root:
        raise _refused("the later root differs")


def _rebuild(path: Sequence[bytes], first: int, second: int) -> tuple[bytes, bytes]:
    """Return the roots of the earlier and the later tree that a consistency path leads to."""
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _refused("it is too long")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise _refused("it is too short")
    return old, new
