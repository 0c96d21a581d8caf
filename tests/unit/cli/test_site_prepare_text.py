"""huizhen site prepare-text: from reports and notes to texts that may leave; the key stays at the site."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from huizhen.cli.commands.site_prepare_text import POLICY, STATE
from huizhen.data.deidentify.key import KEY_FILE
from huizhen.data.deidentify_text.prepare import TEXTS, WAITING
from huizhen.data.deidentify_text.review import REVIEW
from huizhen.federate.site.folder import SiteFolder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    SiteFolder.create(tmp_path / "site", name="north", data=tmp_path / "data")
    return tmp_path / "site"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "Weber"
    folder.mkdir(parents=True)
    (folder / "weber.txt").write_text("Patient: Weber, Annemarie; seen by Dr. Okonkwo on 2026-03-05.")
    (tmp_path / "raw" / "loose.txt").write_text("Weber")
    return tmp_path / "raw"


def test_prepare_text_releases_and_reports(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    result = invoke("site", "prepare-text", raw, "--out", tmp_path / "out", "--site", site)
    assert result.exit_code == 0, result.output
    assert "documents: 1, patients: 1" in result.output
    assert "Weber" not in result.output.replace(str(tmp_path), "")
    assert len(list((tmp_path / "out" / TEXTS).rglob("*.txt"))) == 1
    assert (site / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert "loose.txt" in (site / STATE / WAITING).read_text()
    assert "Weber" in (site / STATE / REVIEW).read_text()
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in left if b"eber" in path.read_bytes() or "weber" in path.name.lower()]


def test_in_json_with_known_values_and_in_chinese(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    known.write_text("patient,file,name\n4711,loose.txt,Weber^Annemarie\n4711,Weber/weber.txt,\n")
    (site / POLICY).write_text('tags = ["name"]\n')
    given = ("site", "prepare-text", raw, "--out", tmp_path / "out", "--site", site, "--known", known)
    made = invoke("--json", *given)
    assert json.loads(made.stdout)["documents"] == {"released": 2, "queued": 0, "refused": 0}
    again = invoke("--lang", "zh", *given)
    assert "放行" in again.output
    assert "去标识报告" in (tmp_path / "out/report.html").read_text()


def test_a_wrong_source_is_told_in_both_languages(invoke, site: Path, tmp_path: Path) -> None:
    given = ("site", "prepare-text", tmp_path / "absent", "--out", tmp_path / "out", "--site", site)
    assert "there is no such file or folder" in invoke(*given).output
    assert "请指明文本文件夹或表格" in invoke("--lang", "zh", *given).output
