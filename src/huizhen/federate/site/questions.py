"""What an answer depends on, as keys: of one question, a sum is unmasked over one set of sites only.

A lead may ask the same thing in other words: at another step, in another round, under another name. So an
answer has several keys, and any one of them that was released over other sites refuses it:

- where it was asked: a round of a model, or a kind of query (`huizhen.federate.secure_wire.place_of`);
- what it was asked from: the model and its weights, in any round;
- what it says: the digest of the numbers themselves.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest, digest_bytes, digest_value
from huizhen.federate.strategies.interface import Weights

__all__ = ["question_of", "said_by", "trained_from"]


def question_of(model: str, weights: Weights) -> Digest:
    """Return the digest of what a round is asked: the model and the weights that it begins from.

    >>> one, minus = {"bias": np.zeros(1, np.float32)}, {"bias": -np.zeros(1, np.float32)}
    >>> question_of("cman", one) == question_of("cman", minus) != question_of("single", one)
    True
    """
    return digest_value([model, _digests(weights)])


def trained_from(model: str, weights: Weights, change: Weights) -> tuple[str, ...]:
    """Return the keys of a round's `change` from `weights`."""
    return f"weights:{question_of(model, weights)}", f"change:{digest_value(_digests(change))}"


def said_by(words: NDArray[np.uint32]) -> tuple[str, ...]:
    """Return the key of an aggregate's words; none of nothing but zeros, which tell nobody's by subtraction.

    >>> said_by(np.zeros(3, np.uint32)), len(said_by(np.ones(3, np.uint32)))
    ((), 1)
    """
    if not words.any():
        return ()
    return (f"words:{hashlib.sha256(np.ascontiguousarray(words).tobytes()).hexdigest()}",)


def _digests(weights: Weights) -> dict[str, list[object]]:
    """Return shape and digest of each array; a negative zero is a zero."""
    return {
        name: [list(value.shape), digest_bytes(np.ascontiguousarray(value + 0).tobytes())]
        for name, value in weights.items()
    }
