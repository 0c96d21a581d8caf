"""The lead's journal: numbers that only grow, notes that survive, sums that are unmasked once."""

from __future__ import annotations

import json
import time
from pathlib import Path

from huizhen.federate.journal import JOURNAL, Journal


def test_numbers_grow_also_after_a_crash_and_a_lost_folder(tmp_path: Path):
    before = time.time_ns() // 10**6
    first = Journal(tmp_path / "a").next_number()
    assert first >= before
    assert Journal(tmp_path / "a").next_number() == first + 1
    assert Journal(tmp_path / "b").next_number() >= first


def test_events_are_counted_and_refusals_kept(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.note("refusal", site="north", code="HZ92", reason="no")
    journal.note("refusal", site="north", code="HZ92", reason="not now")
    journal.note("silent", site="west")
    assert journal.refusals() == "north: not now"
    assert Journal(tmp_path).events() == {"refusal": 2, "silent": 1}


def test_a_torn_note_is_cut_off_so_that_the_next_one_counts(tmp_path: Path):
    Journal(tmp_path).note("silent", site="west")
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"event":"ba')
    Journal(tmp_path).unmasking("train:m:0", ("a", "b"))
    assert Journal(tmp_path).unmasked("train:m:0") == ("a", "b")
    assert Journal(tmp_path).events() == {"silent": 1, "unmasking": 1}
    assert all(json.loads(line) for line in (tmp_path / JOURNAL).read_bytes().splitlines())


def test_bytes_and_seconds_add_up(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.exchange(sent=5, received=7, seconds=0.5)
    journal.exchange(sent=1, received=1, seconds=0.25)
    assert (journal.sent, journal.received, journal.seconds) == (6, 8, 0.75)
