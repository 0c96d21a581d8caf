"""What is searched where nothing can be proved: combinations near a question."""

from __future__ import annotations

import numpy as np

from huizhen.core.streams import stream
from huizhen.data.catalogue.guard_search import Few, plain, span_of


def test_a_span_holds_every_combination_that_fits() -> None:
    draw = stream(1, "span")
    rows = (draw.random((40, 6)) < 0.5).astype(float)
    rows[:, 5] = rows[:, 0]  # two answers that these cells don't tell apart
    span = span_of(rows, rows[:, 1] - rows[:, 2])
    assert span is not None
    assert span.free.shape == (6, 1)
    for step in (0.0, 2.5):
        weights = span.weights + span.free @ np.array([step])
        assert np.allclose(rows @ weights, rows[:, 1] - rows[:, 2])
    assert span_of(rows, (draw.random(40) < 0.5).astype(float)) is None
    assert span_of(np.zeros((0, 2)), np.zeros(0)) is not None


def test_whole_numbers_are_found_again() -> None:
    assert plain(np.array([1.0 - 1e-9, 0.5, 1e-12])).tolist() == [1.0, 0.5, 0.0]


def test_the_sparsest_combination_is_among_the_choices() -> None:
    """Three of five answers added and taken off, but for two of three hundred who meet it otherwise."""
    draw = stream(2, "few")
    told = (draw.random((300, 5)) < 0.5).astype(float)
    asked = told @ np.array([1.0, -1.0, 0.0, 1.0, 0.0])
    asked[[3, 77]] += 1
    few = Few(
        told=told,
        asked=asked,
        sizes=np.ones(300),
        pattern=np.arange(300),
        owner=np.arange(300, dtype=np.uint32),
    )
    span = span_of(np.zeros((0, 5)), np.zeros(0))
    assert span is not None
    assert min(few.apart(plain(weights)) for weights in few.choices(span)) == 2
