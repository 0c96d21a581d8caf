"""Properties of the readers' small parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huizhen.data.readers.bags import chosen_phases, evenly
from huizhen.data.readers.dicom_planes import seconds_of
from huizhen.data.readers.keys import join_key, natural_order, split_key
from huizhen.data.readers.labels import distinct_outcomes
from huizhen.data.readers.scaling import ramp, robust_range
from huizhen.data.readers.tables import matches, plain_text

planes = st.tuples(st.text(min_size=1, max_size=20), st.none() | st.integers(0, 9999))


@given(st.lists(planes, min_size=1, max_size=4))
def test_a_key_is_split_into_what_was_joined(parts):
    assert list(split_key(join_key(parts))) == parts
    assert "\n" not in join_key(parts)


@given(st.text(max_size=8), st.lists(st.integers(0, 10**6), max_size=6), st.text(max_size=8))
def test_natural_order_goes_by_the_numbers(before, numbers, after):
    names = [f"{before} {number} {after}" for number in numbers]
    assert sorted(names, key=natural_order) == [f"{before} {number} {after}" for number in sorted(numbers)]


@given(st.integers(1, 500), st.integers(1, 64))
def test_evenly_takes_as_many_as_it_may_in_order(count, most):
    taken = evenly(count, most)
    assert len(taken) == min(count, most)
    assert list(taken) == sorted(set(taken))
    assert 0 <= taken[0] <= taken[-1] < count
    gaps = np.diff(taken)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


@given(st.integers(1, 60), st.integers(1, 3))
def test_phases_fill_the_channels_in_order(count, channels):
    phases = chosen_phases(count, channels)
    assert len(phases) == channels
    assert list(phases) == sorted(phases)
    assert 0 <= phases[0] <= phases[-1] < count
    assert len(set(phases)) == min(count, channels)


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_scaled_values_lie_in_0_1_or_are_nan_where_they_were_no_number(values):
    given_values = np.array(values, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = ramp(given_values, *robust_range(given_values))
    known = np.isfinite(given_values)
    assert np.isnan(scaled[~known]).all()
    assert ((scaled[known] >= 0) & (scaled[known] <= 1)).all()


@given(st.integers(-(10**6), 10**6))
def test_whole_numbers_match_however_they_are_printed(number):
    for cell in (str(number), f"{number}.0", f" {number}.00 "):
        assert plain_text(cell) == str(number)
        assert matches(cell, number)
        assert matches(cell, float(number))
        assert matches(cell, [str(number)])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "0", "1"]))))
def test_outcomes_are_distinct_and_never_empty(pairs):
    found = distinct_outcomes(pairs)
    assert all(outcomes and "" not in outcomes for outcomes in found.values())
    assert {(patient, one) for patient, outcomes in found.items() for one in outcomes} == {
        pair for pair in pairs if pair[1]
    }


@given(st.integers(0, 86399), st.integers(0, 86399))
def test_times_of_a_day_keep_their_order(first, second):
    def text(seconds):
        return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"

    assert seconds_of("20240131", text(first)) - seconds_of("20240131", text(second)) == first - second
    assert seconds_of("20240201", text(first)) > seconds_of("20240131", text(second))
