"""Progress: plain lines with the time left in a log, bars in a terminal, nothing when asked for nothing."""

from __future__ import annotations

import io
from itertools import count

import pytest
from rich.console import Console

from huizhen.cli.progress import LineProgress, RichProgress, duration_text, task_text
from huizhen.cli.screen import Screen
from huizhen.cli.settings import Settings
from huizhen.core.progress import Silent
from huizhen.core.words import Language


def test_lines_come_at_intervals_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    ticks = count(0.0, 4.0)
    progress = LineProgress(language=Language.EN, every_s=10, clock=lambda: next(ticks))
    with progress.track("fit", 10, about="fold 1") as advance:
        for _ in range(10):
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Training (fold 1): 3 of 10, about 28 s left"
    assert len(lines) == 4
    assert lines[-1] == "Training (fold 1): done in 44 s"


def test_inner_tasks_end_without_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress(language=Language.EN)
    with progress.track("fit", 1), progress.track("quality", 1):
        pass
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_done_line_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress(language=Language.EN)
    with pytest.raises(ValueError, match="broken"), progress.track("fit", 1):
        raise ValueError("broken")
    assert capsys.readouterr().err == ""
    with progress.track("fit", 1):
        pass
    assert "done" in capsys.readouterr().err


@pytest.mark.parametrize("total", [0, 3])
def test_bars_show_the_task_and_leave_one_line(total: int) -> None:
    stream = io.StringIO()
    progress = RichProgress(
        language=Language.ZH, console=Console(file=stream, force_terminal=True, width=100)
    )
    with progress.track("fit", total) as outer:
        with progress.track("quality", 2, about="[north]") as inner:
            inner(2)
        outer(total)
        progress.note("a note [b]")
    text = stream.getvalue()
    assert "训练" in text
    assert "质量检查 ([north])" in text
    assert "a note [b]" in text
    assert text.rstrip().splitlines()[-1].count("训练：用时") == 1


def test_unknown_tasks_are_shown_by_their_key() -> None:
    assert task_text(Language.EN, "some_new_task", "") == "some new task"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3601, "60 min 1 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(Language.EN, seconds) == text


@pytest.mark.parametrize("settings", [Settings(json=True), Settings(quiet=True)])
def test_machines_and_quiet_people_get_none(settings: Settings) -> None:
    assert isinstance(Screen(settings=settings).progress(), Silent)


def test_a_log_gets_lines() -> None:
    assert isinstance(Screen(settings=Settings()).progress(), LineProgress)
