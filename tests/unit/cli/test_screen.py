"""What names, texts and errors from strangers may do to a terminal: nothing."""

from __future__ import annotations

import json

import pytest

from huizhen.cli.failure import report_failure
from huizhen.cli.screen import Screen, json_line
from huizhen.cli.settings import Settings
from huizhen.errors import DataError, VerificationError

EVIL = "a\x1b[2K\x1b[32mverified\x1b[0m\x9b8m\u202eb\udcff\rc"
SEEN = r"a\u001b[2K\u001b[32mverified\u001b[0m\u009b8m\u202eb\udcff\u000dc"


def test_errors_hold_no_control_characters():
    error = VerificationError(f"{EVIL}.", remedy=EVIL, field=f"{EVIL}\nnext", file=EVIL)
    assert (error.message, error.remedy, error.file) == (SEEN, SEEN, SEEN)
    assert error.field == SEEN + r"\nnext"
    assert str(error).isprintable()
    assert DataError("two\nlines", remedy="read").message == "two\nlines"


def test_what_is_printed_holds_none(capsys):
    screen = Screen(settings=Settings())
    screen.plain(EVIL)
    screen.say("predict.done", path=EVIL, patients=1)
    console = screen.console()
    console.print(EVIL + "[link=https://example.org]x[/link]")
    error = DataError("x", remedy="y")
    error.message = error.file = EVIL
    report_failure(error, screen)
    shown = capsys.readouterr()
    assert shown.out.count(r"\u001b[2K") == 3
    assert "[link=" in shown.out
    assert shown.err.count(r"\u001b[2K") == 2
    assert not set("\x9b\u202e\udcff\r") & set(shown.out + shown.err)
    assert "\x1b[2K" not in shown.out + shown.err


def test_json_for_machines_says_the_same_and_shows_nothing_raw():
    line = json_line({"file": EVIL})
    assert line.isprintable()
    assert json.loads(line) == {"file": EVIL}


@pytest.mark.parametrize("as_json", [False, True])
def test_failures_of_strangers_names_can_be_printed(capsys, as_json):
    report_failure(VerificationError("x", remedy="y", file=EVIL), Screen(settings=Settings(json=as_json)))
    shown = capsys.readouterr()
    assert r"\udcff" in shown.out + shown.err
