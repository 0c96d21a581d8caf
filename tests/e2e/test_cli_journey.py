"""The command line as people use it, each step a process of its own: import, check, run, verify, stop."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess[str]

STUDY = """\
name = "tiny"
title = "Tiny"
question = "Does the event follow?"
seed = 1
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinical"
kind = "table"
numeric = ["age"]
categorical = ["grade"]
[[site]]
name = "a"
[[site.source]]
reader = "table"
modality = "clinical"
path = "a.csv"
columns = { patient = "patient", outcome = "outcome" }
[[endpoint]]
at_least = 0.5
[split]
tune = 0.3
[network]
variants = ["cman", "table_lr"]
width = 16
heads = 2
[training]
epochs = 3
"""


def hospital(path: Path, prefix: str) -> None:
    """Write the table of a hospital: 80 patients, older ones with the event more often."""
    draw = random.Random(prefix)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "outcome", "age", "grade"])
        for i in range(80):
            event = i % 2
            age_years = draw.gauss(55 + 4 * event, 9)
            writer.writerow([f"{prefix}{i}", event, f"{age_years:.1f}", draw.choice("123")])


def environment(home: Path, *first: Path) -> dict[str, str]:
    """Return an environment with a key folder of its own, and `first` before the source tree."""
    paths = os.pathsep.join(str(path) for path in (*first, ROOT / "src"))
    wanted = {"PYTHONPATH": paths, "HUIZHEN_HOME": str(home), "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **wanted}


def huizhen(folder: Path, *arguments: object, first: tuple[Path, ...] = ()) -> Done:
    """Run one command in `folder`."""
    line = [sys.executable, "-m", "huizhen.cli", *map(str, arguments)]
    given = environment(folder / "home", *first)
    return subprocess.run(line, cwd=folder, env=given, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A folder with a finished run of a study that a second hospital was added to, and what `run` printed."""
    folder = tmp_path_factory.mktemp("journey")
    (folder / "study.toml").write_text(STUDY)
    hospital(folder / "a.csv", "a")
    hospital(folder / "b.csv", "b")
    added = huizhen(folder, "data", "import", "b.csv", "--into", "study.toml", "--site", "b", "--json")
    assert json.loads(added.stdout)["counts"]["positive"] == 40, added.stderr
    checked = huizhen(folder, "study", "check")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    done = huizhen(folder, "run", "study.toml", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder, json.loads(done.stdout)


@pytest.fixture
def dossier(finished: tuple[Path, dict[str, object]], tmp_path: Path) -> Path:
    """A copy of the dossier, to tamper with."""
    folder, record = finished
    return Path(shutil.copytree(folder / str(record["dossier"]), tmp_path / "dossier"))


@pytest.mark.slow
def test_the_imported_hospital_is_an_external_result(finished):
    keys = {record["key"] for record in finished[1]["headline"]}
    assert {"auc/cman/internal/all", "auc/cman/external/all"} <= keys


@pytest.mark.slow
def test_the_same_command_again_gives_the_same_numbers_and_dossier(finished):
    folder, record = finished
    again = json.loads(huizhen(folder, "run", "study.toml", "--json").stdout)
    assert {**again, "seconds": 0} == {**record, "seconds": 0}


@pytest.mark.slow
def test_a_regulator_verifies_without_torch_pandas_or_numerics(finished, dossier, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "pandas", "matplotlib", "scipy", "sklearn", "highdicom"):
        (blocked / f"{name}.py").write_text("raise ImportError('not here')")
    done = huizhen(tmp_path, "verify", dossier, "--key", finished[1]["key_id"], first=(blocked,))
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.html", "dossier.json", "manifest.json", "ledger/entries.jsonl"])
def test_one_altered_byte_exits_51(dossier, tmp_path, name):
    path = dossier / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = huizhen(tmp_path, "verify", dossier)
    assert (done.returncode, done.stdout) == (51, "")
    assert "What to do:" in done.stderr


@pytest.mark.slow
def test_another_key_and_an_extra_file_exit_51(dossier, tmp_path):
    assert huizhen(tmp_path, "verify", dossier, "--key", "0" * 16).returncode == 51
    (dossier / "note.txt").write_text("x")
    assert huizhen(tmp_path, "verify", dossier).returncode == 51


@pytest.mark.slow
def test_show_prints_what_run_printed(finished):
    folder, record = finished
    shown = json.loads(huizhen(folder, "show", record["dossier"], "--json").stdout)["headline"]
    assert {"auc/cman/internal/all", "endpoint/1/auc/internal"} <= {item["key"] for item in shown}
    page = huizhen(folder, "show", "study.run", "--open").stdout.strip()
    assert (folder / page).read_text(encoding="utf-8").startswith("<!")


@pytest.mark.slow
def test_the_model_predicts_every_patient_of_a_study_file(finished, tmp_path):
    folder, record = finished
    out = tmp_path / "risks.csv"
    line = ("predict", record["model"], "study.toml", "--out", out)
    done = huizhen(folder, *line)
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len({(row["site"], row["patient"]) for row in rows}) == len(rows) == 160
    assert all(0 < float(row["risk"]) < 1 for row in rows)
    before = out.read_bytes()
    assert huizhen(folder, *line).returncode == 80
    assert out.read_bytes() == before


@pytest.mark.slow
def test_a_study_changed_after_signing_exits_20(finished, tmp_path):
    folder = Path(shutil.copytree(finished[0], tmp_path / "copy"))
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("at_least = 0.5", "at_least = 0.4"))
    done = huizhen(folder, "run", "study.toml")
    assert done.returncode == 20
    assert "endpoint" in done.stderr
    assert "--out" in done.stderr


def heed_ctrl_c():
    """Undo what a shell does to its background jobs, which ignore the signal and pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_stopped_with_ctrl_c_the_same_command_goes_on(finished, tmp_path):
    for name in ("study.toml", "a.csv", "b.csv"):
        shutil.copy(finished[0] / name, tmp_path / name)
    shutil.copytree(finished[0] / "home", tmp_path / "home")
    line = [sys.executable, "-m", "huizhen.cli", "run", "study.toml"]
    process = subprocess.Popen(
        line,
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "study.run" / "stages").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), errors  # the same to a shell: 128 + 2
    assert "Run the same command again to go on." in errors
    record = json.loads(huizhen(tmp_path, "run", "study.toml", "--json").stdout)
    assert record["headline"] == finished[1]["headline"]


@pytest.mark.slow
def test_an_unwritable_folder_exits_80(finished, tmp_path):
    (tmp_path / "out").write_text("a file where the run's folder should be")
    done = huizhen(finished[0], "run", "study.toml", "--out", tmp_path / "out")
    assert done.returncode in (50, 80), done.stderr
    assert "What to do:" in done.stderr


def test_problems_of_a_study_go_to_stdout_with_exit_20(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY.replace("seed", "sead"))
    done = huizhen(tmp_path, "study", "check", "--json")
    assert done.returncode == 20
    fields = [problem["field"] for problem in json.loads(done.stdout)["problems"]]
    assert fields == ["seed", "sead", "site[0].source[0].path"]
