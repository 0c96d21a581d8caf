"""Somebody else's predictions, each step a process of its own: validate, verify, recompute, show."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).resolve().parents[2]


def huizhen(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `huizhen` with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "HUIZHEN_DATA")}
    environment = {**kept, "HUIZHEN_HOME": str(home), "LANG": "C", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "huizhen.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_chinese_table_from_excel_becomes_a_dossier(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    lines = ["患者编号;病理;概率;性别"]
    for k in range(80):
        label = int(draw.random() < 0.5)
        score = 1 / (1 + np.exp(-(1.5 * label - 0.7 + draw.normal())))
        lines.append(f"病人{k};{'恶性' if label else '良性'};{score:.4f};{'男女'[k % 2]}".replace(".", ","))
    table = tmp_path / "predictions.csv"
    table.write_bytes("\r\n".join(lines).encode("gb18030"))
    done = huizhen(
        "validate",
        table,
        "--threshold",
        0.5,
        "--group",
        "性别",
        "--lang",
        "zh",
        "--json",
        home=tmp_path / "home",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    verified = huizhen(
        *("verify", found["dossier"], "--key", found["key_id"], "--recompute", "--json"), home=tmp_path
    )
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["recomputed"]["differing"] == []
    page = (Path(found["dossier"]) / "index.html").read_text(encoding="utf-8")
    assert "未提供：模型如何建立" in page
    assert re.search(r"病人\d", page) is None


def test_neither_validating_nor_verifying_loads_torch(tmp_path: Path) -> None:
    code = (
        "import sys; import huizhen.pipeline.table_run, huizhen.pipeline.recompute;"
        "print(sorted({'torch', 'pandas', 'pydicom', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.realdata
def test_real_hearts_scored_by_scikit_learn(tmp_path: Path) -> None:
    data = Path(os.environ.get("HUIZHEN_DATA") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        pytest.skip("neither $HUIZHEN_DATA nor ../shared/data is there")
    spec = importlib.util.spec_from_file_location("given_tables_study", ROOT / "studies" / "given_tables.py")
    assert spec is not None
    assert spec.loader is not None
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    study.heart(data, tmp_path)
    done = huizhen(
        *("validate", tmp_path / "heart.csv", "--outcome", "disease", "--score", "prob", "--json"),
        *("--compare", "boosting", "--tune", tmp_path / "heart_tune.csv", "--site", "hospital"),
        home=tmp_path / "home",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    headline = {one["key"]: one for one in json.loads(done.stdout)["headline"]}
    rows = np.genfromtxt(tmp_path / "heart.csv", delimiter=",", skip_header=1, usecols=(1, 2, 3))
    auc = roc_auc_score(rows[:, 0], rows[:, 1])
    assert headline["auc/model/external/all"]["estimate"] == pytest.approx(auc, abs=1e-12)
    gap = auc - roc_auc_score(rows[:, 0], rows[:, 2])
    assert headline["auc_difference/model~boosting/external/all"]["estimate"] == pytest.approx(gap, abs=1e-12)
    assert headline["auc/model/external/all"]["n"] == 617
