"""Help is laid out by columns on screen: no line too wide, nothing lost, wide characters broken anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huizhen.cli.help_text import columns_of_text, lay_out

ANY = st.text("abc-", min_size=1, max_size=12) | st.text("会诊影像", min_size=1, max_size=30)
WORDS = st.lists(ANY, max_size=12)


@given(WORDS, st.sampled_from(["", "--out", "--a-name-longer-than-the-left-column-is"]), st.integers(60, 100))
def test_lines_fit_and_nothing_is_lost(words: list[str], name: str, width: int) -> None:
    text = " ".join(words)
    laid = lay_out(name, text, width=width)
    assert "".join(laid.split()) == "".join((name + text).split())
    assert all(columns_of_text(line) <= width for line in laid.splitlines())
    assert laid.endswith("\n")


def test_long_names_stand_above_their_text() -> None:
    laid = lay_out("--a-name-longer-than-the-left-column", "Text.", width=80)
    assert laid.splitlines() == ["  --a-name-longer-than-the-left-column", " " * 30 + "Text."]
