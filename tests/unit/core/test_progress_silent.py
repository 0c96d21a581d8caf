"""Silent progress shows nothing and stands in anywhere."""

from __future__ import annotations

import pytest

from huizhen.core.progress import Progress, Silent


def test_it_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = Silent()
    with progress.track("fit", 3, about="x") as advance:
        advance(3)
    progress.note("text")
    assert capsys.readouterr() == ("", "")
