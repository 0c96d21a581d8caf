"""Under --lang zh no English sentence is left: broken studies, absent files, bad lines, altered dossiers."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from huizhen.cli.error_words import SENTENCE
from huizhen.core.files import write_text

BROKEN = """\
name = "bad name!"
title = "t"
question = 3
seed = -1
tset = 1
[task]
outcome = "o"
positive = ["1"]
negative = ["1"]
[[modality]]
name = "US"
size = 100
encoder = "resnet5"
[[modality]]
name = "tab"
kind = "table"
[[site]]
name = "north"
[[site.source]]
reader = "images"
modality = "MR"
path = "nowhere"
[[site]]
name = "north"
[[site.source]]
reader = "npz"
modality = "US"
path = "x.npz"
labels = "l.csv"
columns = {patient="p", outcome="z"}
[split]
tune = 1.5
method = "fold"
[federation]
groups = 2
secure = 1
"""

TYPED = re.compile(r"huizhen [a-z]+( [a-z]+)?|--[a-z-]+|https?:\S+|\S*/\S*")
"""What is to be typed or opened, the same in every language."""


def english_in(text: str) -> list[str]:
    """Return the lines that hold an English sentence."""
    return [line for line in text.splitlines() if SENTENCE.search(TYPED.sub("·", line))]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A study file with problems of many kinds, and files that don't fit it."""
    write_text(tmp_path / "l.csv", "p,o\n1,2\n")
    write_text(tmp_path / "x.npz", "no npz")
    write_text(tmp_path / "study.toml", BROKEN)
    return tmp_path / "study.toml"


def test_every_problem_of_a_study_is_told_in_chinese(invoke, as_json, broken):
    result = invoke("study", "check", broken, "--lang", "zh")
    assert result.exit_code == 20
    assert english_in(result.stdout) == []
    assert "seed: 不得小于 0" in result.stdout
    assert "是否指 resnet50？" in result.stdout
    assert re.search(r"^\d\d 个问题。$", result.stdout, re.MULTILINE)
    english = as_json(invoke("study", "check", broken, "--lang", "en", "--json"))
    assert as_json(invoke("study", "check", broken, "--lang", "zh", "--json")) == english


def test_a_run_of_a_broken_study_lists_its_problems_in_chinese(invoke, as_json, broken):
    result = invoke("run", broken, "--lang", "zh")
    assert result.exit_code == 20
    assert english_in(result.stderr) == []
    assert "第 4 行：seed：不得小于 0（请取不小于 0 的数）" in result.stderr
    assert "is unknown" not in result.stderr
    english = as_json(invoke("run", broken, "--json"))
    assert as_json(invoke("run", broken, "--lang", "zh", "--json")) == english


def test_toml_that_cannot_be_parsed_is_told_in_chinese(invoke, tmp_path):
    write_text(tmp_path / "s.toml", "a = 1\nb = [1")
    result = invoke("study", "check", tmp_path / "s.toml", "--lang", "zh")
    assert "不是有效的 TOML：数组没有闭合" in result.stdout
    assert english_in(result.stdout) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run nowhere.toml", "无法读取（没有这个文件或文件夹）"),
        ("run x.toml --data nowhere", "请改正 --data，或不写此选项"),
        ("verify nowhere", "这不是卷宗文件夹"),
        ("verify", "缺少参数 'dossier'"),
        ("show nowhere", "其中没有日志"),
        ("predict nowhere x.toml --out y.csv", "请确认文件夹存在"),
        ("data import nowhere", "不存在"),
        ("site status nowhere", "不是站点文件"),
        ("--foo", "没有此选项：--foo"),
        ("run x.toml --outt y", "可能是：--out"),
        ("runn", "没有此命令：'runn'。是否指 'run'？"),
        ("study", "新建或检查研究文件"),
        ("study check a b c", "有多余的参数（b c）"),
        ("demo --patients many", "'--patients' 的值无效：应为整数"),
        ("verify --key", "选项 '--key' 需要一个值"),
        ("--quiet=3", "选项 '--quiet' 不带值"),
        ("study new", "缺少：--name, --title"),
    ],
)
def test_a_bad_line_is_told_in_chinese(invoke, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    result = invoke(*line.split(), "--lang", "zh")
    assert result.exit_code > 0
    assert words in result.output
    assert english_in(result.output) == []


@pytest.fixture(scope="module")
def synthetic() -> ModuleType:
    """The module of the dossier's tests that makes up a run."""
    place = Path(__file__).parents[1] / "dossier" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_for_chinese", place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_what_verify_finds_altered_is_told_in_chinese(invoke, synthetic, tmp_path):
    from huizhen.dossier.build import build_dossier
    from huizhen.ledger.signing import SigningKey

    key = SigningKey.generate()
    run = synthetic.write_run(tmp_path / "run", key, cases=2)
    dossier = build_dossier(run.ledger, tmp_path / "dossier", key=key, artefacts=run.artefacts)
    page = dossier / "index.html"
    page.write_bytes(page.read_bytes().replace(b"0.8", b"0.9", 1))
    result = invoke("verify", dossier, "--lang", "zh")
    assert result.exit_code == 51
    assert "已被改动：其摘要与清单不符" in result.stderr
    assert english_in(result.stderr) == []
    other = invoke("verify", dossier, "--key", "0" * 16, "--lang", "zh")
    assert "由密钥" in other.stderr
    assert english_in(other.stderr) == []
