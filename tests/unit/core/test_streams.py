"""Random streams: each name its own, the same on every run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.streams import stream, stream_seed

NAMES = st.lists(
    st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"])) | st.integers(), max_size=3
)


def test_draws_are_those_of_every_other_machine() -> None:
    assert stream_seed(7, "split", 3) == 337969984948081346
    assert stream(7, "split").integers(0, 1000, 3).tolist() == [563, 687, 392]


@given(st.integers(0, 2**31), NAMES, NAMES)
def test_other_names_are_other_streams(seed: int, one: list[str | int], other: list[str | int]) -> None:
    same = [str(name) for name in one] == [str(name) for name in other]
    assert (stream_seed(seed, *one) == stream_seed(seed, *other)) is same
    assert 0 <= stream_seed(seed, *one) < 2**63


def test_streams_do_not_share_state() -> None:
    first = stream(1, "a")
    first.random(100)
    assert stream(1, "a").random() == stream(1, "a").random() != first.random()
