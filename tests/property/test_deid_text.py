"""Text de-identification under Hypothesis: offsets, intervals, planted markers, and saying it twice."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.cleaning import clean
from huizhen.data.deidentify_text.folding import fold
from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.overlaps import resolved
from huizhen.data.deidentify_text.policy import TextPolicy

FEW = settings(max_examples=25, deadline=None)
WHO = Pseudonymiser(secret=b"property-tests-of-texts-have-a-key")
FILLER = st.sampled_from(
    [
        "no focal lesion",
        "the liver is normal",
        "双肺纹理清晰",
        "未见异常",
        "BI-RADS 2",
        "5 mm",
        "\n",
        "; ",
        "，",
    ]
)
LETTERS = st.text("bcdfghjklmnpqrstvwxz", min_size=6, max_size=10)
FORMS = [
    "{0:%Y-%m-%d}",
    "{0:%d.%m.%Y}",
    "{0:%Y%m%d}",
    "{0.day} {0:%B} {0.year}",
    "{0:%B} {0.day}, {0.year}",
    "{0.year}年{0.month}月{0.day}日",
]


@FEW
@given(st.text(max_size=60))
def test_folding_maps_every_character_back(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(folded.starts, folded.ends, strict=True))
    assert list(folded.starts) == sorted(folded.starts)


@FEW
@given(st.text(max_size=80))
def test_offsets_rebuild_the_original(text: str) -> None:
    done = clean(text, who=WHO, known=Known(patient="p"), policy=TextPolicy())
    at = new = 0
    for one in done.actions:
        assert text[at : one.offset] == done.text[new : one.new_offset]
        at, new = one.offset + one.length, one.new_offset + one.new_length
    assert text[at:] == done.text[new:]


@FEW
@given(st.lists(FILLER, max_size=6), LETTERS, st.integers(10**7, 10**8 - 1), LETTERS)
def test_no_planted_marker_survives(filler: list[str], name: str, number: int, patient: str) -> None:
    name = name.capitalize()
    text = " ".join(
        [*filler, f"Dr. {name}", *filler, f"MRN: {number}", *filler, name.upper(), str(number), patient]
    )
    known = Known(patient="4711", names=(patient,))
    for policy in (TextPolicy(), TextPolicy(all_tags=True)):
        made = clean(text, who=WHO, known=known, policy=policy).text.lower()
        assert name.lower() not in made
        assert str(number) not in made
        assert patient not in made


@FEW
@given(
    st.dates(date(1930, 1, 1), date(2035, 1, 1)),
    st.integers(0, 3000),
    st.sampled_from(FORMS),
    st.integers(0, 99),
)
def test_intervals_are_exact(day: date, gap: int, form: str, patient: int) -> None:
    other = day + timedelta(days=gap)
    known = Known(patient=str(patient))
    text = f"on 1950-12-31, on {form.format(day)}; and on {form.format(other)}."
    made = clean(text, who=WHO, known=known, policy=TextPolicy()).text
    back = WHO.shift_days(str(patient), most=TextPolicy().most_shift_days)
    days = (date(1950, 12, 31), day, other)
    moved = [one - timedelta(days=back) for one in days]
    said = [f"{moved[0]:%Y-%m-%d}", *(form.format(one) for one in moved[1:])]
    assert made == f"on {said[0]}, on {said[1]}; and on {said[2]}."


@FEW
@given(st.lists(FILLER, max_size=5), LETTERS, st.dates(date(1950, 1, 1), date(2030, 1, 1)))
def test_tags_are_idempotent(filler: list[str], name: str, day: date) -> None:
    text = " ".join([*filler, f"Dr. {name.capitalize()}", day.isoformat(), "患者张伟，男", *filler])
    given_ = {"who": WHO, "known": Known(patient="p"), "policy": TextPolicy(all_tags=True)}
    once = clean(text, **given_).text
    assert clean(once, **given_).text == once


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 12), st.sampled_from(list(Kind)), st.floats(0.1, 1)),
        max_size=8,
    )
)
def test_resolved_spans_are_apart_and_lose_nothing(places: list[tuple[int, int, Kind, float]]) -> None:
    text = "abc def, 123 " * 5
    found = [
        Found(start=a, end=min(a + n, len(text)), kind=kind, recogniser="x", score=score)
        for a, n, kind, score in places
    ]
    spans = resolved(found, text)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    covered = {i for one in spans for i in range(one.start, one.end)}
    assert all(i in covered for one in found for i in range(one.start, one.end) if text[i].isalnum())
