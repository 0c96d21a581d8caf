"""The root command: help in two languages, global options anywhere, exceptions as exit codes."""

from __future__ import annotations

import pytest

from huizhen import __version__
from huizhen.cli.lazy import COMMANDS
from huizhen.errors import DataError, HuizhenError, VerificationError


def test_help_names_every_command(invoke):
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS["huizhen"]:
        assert name in result.stdout


@pytest.mark.parametrize(
    "arguments", [("--lang", "zh", "--help"), ("--help", "--lang=zh"), ("study", "--lang", "zh", "--help")]
)
def test_help_in_chinese_wherever_the_option_stands(invoke, arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert "选项" in result.stdout
    assert "显示本说明后退出" in result.stdout


def test_language_follows_the_locale(invoke, monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "研究文件" in invoke("study", "check", "--help").stdout


@pytest.mark.parametrize("line", [[], ["study"], ["data", "--quiet"]])
def test_a_group_alone_shows_its_help_and_exits_2(invoke, as_json, line):
    result = invoke(*line)
    assert (result.exit_code, result.stderr) == (2, "")
    assert "Commands:" in result.stdout
    assert as_json(invoke(*line, "--json"))["error"]["code"] == "usage"


def test_help_of_a_command_shows_arguments_options_and_defaults(invoke):
    text = " ".join(invoke("study", "new", "--help").stdout.split())
    assert "Usage: huizhen study new [OPTIONS] [FILE]" in text
    assert "FILE The file to write. (default: study.toml)" in text
    assert "--seed SEED Every random draw comes from it. (default: 20260101)" in text
    assert "(required)" in invoke("predict", "--help").stdout


def test_version(invoke):
    result = invoke("--version")
    assert (result.exit_code, result.stdout.strip()) == (0, f"huizhen {__version__}")


def test_unknown_command_names_the_nearest_and_exits_2(invoke, as_json):
    result = invoke("veriy", "x")
    assert result.exit_code == 2
    assert "Did you mean 'verify'?" in result.stderr
    assert as_json(invoke("--json", "veriy", "x"))["error"]["code"] == "usage"


def test_missing_argument_exits_2_and_points_to_help(invoke):
    result = invoke("verify")
    assert result.exit_code == 2
    assert "huizhen verify --help" in result.stderr


def test_unknown_language_exits_2(invoke):
    result = invoke("--lang", "fr", "--help")
    assert result.exit_code == 2
    assert "en or zh" in result.stderr


def raise_in(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `huizhen study check` raise `error`."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("huizhen.core.study_file.check_study", refuse)


@pytest.mark.parametrize(
    "error",
    [
        DataError("no label column", remedy="name it", field="columns", file="x.csv"),
        VerificationError("altered", remedy="ask for the original"),
    ],
)
def test_errors_become_their_exit_code_with_message_and_remedy(
    invoke, as_json, monkeypatch, error: HuizhenError
):
    raise_in(monkeypatch, error)
    result = invoke("study", "check", "x.toml")
    assert result.exit_code == error.exit_code
    assert result.stdout == ""
    assert error.message in result.stderr
    assert f"What to do: {error.remedy}" in result.stderr
    found = as_json(invoke("study", "check", "x.toml", "--json"))
    assert found == {"ok": False, "error": error.to_json()}


def test_unforeseen_error_exits_1_without_its_text(invoke, monkeypatch):
    raise_in(monkeypatch, ValueError("Jane Doe, born 1970"))
    result = invoke("study", "check", "x.toml")
    assert result.exit_code == 1
    assert "ValueError at test_app.py" in result.stderr
    assert "Jane" not in result.output
    assert "Jane" in invoke("study", "check", "x.toml", "--debug").stderr


def test_interrupt_exits_130_and_says_how_to_go_on(invoke, as_json, monkeypatch):
    raise_in(monkeypatch, KeyboardInterrupt())
    result = invoke("study", "check", "x.toml")
    assert result.exit_code == 130
    assert "Run the same command again" in result.stderr
    assert as_json(invoke("--json", "study", "check", "x.toml"))["error"]["code"] == "interrupted"


def test_completion_script_is_offered(invoke, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))  # none among CI's parents
    result = invoke("--show-completion")
    assert result.exit_code == 0
    assert "_HUIZHEN_COMPLETE" in result.stdout or "_ROOT_COMPLETE" in result.stdout
