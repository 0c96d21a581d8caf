"""The codes of ISO 3166: as many as there are, and what people often write instead."""

from __future__ import annotations

from huizhen.core.jurisdictions import CODES, meant_by


def test_all_codes_are_there_once() -> None:
    assert len(CODES) == 249
    assert all(len(code) == 2 and code.isupper() for code in CODES)
    assert {"CN", "HK", "MO", "TW", "DE", "GB", "US", "KE"} <= CODES
    assert not {"UK", "EU", "ZZ"} & CODES


def test_what_is_often_written_is_understood() -> None:
    assert (meant_by(" uk "), meant_by("usa"), meant_by("EU")) == ("GB", "US", None)
