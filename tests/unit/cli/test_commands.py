"""run, demo, verify, show, predict, data describe: what they pass on, and what they print."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from huizhen.core.cohort import Exclusion
from huizhen.core.files import write_text
from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.errors import StageError, VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.reporting import Reporting

AUC = {
    "key": "auc/cman/internal/all", "metric": "auc", "stage": "validate", "estimate": 0.91234, "n": 80,
    "interval": {"low": 0.85, "high": 0.96, "level": 0.95, "method": "DeLong"}, "phantom": True,
}  # fmt: skip
ENDPOINT = {
    **AUC,
    "key": "endpoint/1/auc/internal",
    "verdict": "pass",
    "bound": {"at_least": 0.8, "on": "lower"},
}
DIAGRAM = {"key": "data/flow", "metric": "flow", "stage": "data", "descriptive": True, "n": 80}


def finished(folder: Path) -> SimpleNamespace:
    """Return what `run_study` returns."""
    return SimpleNamespace(
        dossier=folder / "d",
        run_folder=folder,
        model=folder / "m",
        key_id="0123456789abcdef",
        entries=12,
        seconds=75.4,
        headline=[DIAGRAM, AUC, ENDPOINT],
    )


def predicted(folder):
    """What prediction would return: two broken images, and a patient with nothing left, by their own id."""
    files = [Exclusion(unit="image", reason="unreadable", site="north", subject=f"{i}.png") for i in range(2)]
    nobody = Exclusion(unit="patient", reason="no_usable_data", site="north", subject="secret-id")
    return SimpleNamespace(table=folder / "risks.csv", model="1" * 64, patients=7, left_out=(*files, nobody))


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Replace the pipeline by functions that remember how they were called."""
    from huizhen.core import study_file
    from huizhen.dossier import verification
    from huizhen.pipeline import demo, predict, run

    calls: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {}

    def remember(name, result):
        def replacement(*arguments, **named):
            calls[name] = (arguments, named)
            return result

        return replacement

    verified = SimpleNamespace(entries=12, numbers=30, files=7, key_id="0123456789abcdef", head="h")
    monkeypatch.setattr(study_file, "load_study", lambda path: SimpleNamespace(federation=None))
    monkeypatch.setattr(run, "run_study", remember("run", finished(tmp_path)))
    monkeypatch.setattr(demo, "run_demo", remember("demo", finished(tmp_path)))
    monkeypatch.setattr(predict, "predict", remember("predict", predicted(tmp_path)))
    monkeypatch.setattr(verification, "verify_dossier", remember("verify", verified))
    return calls


def test_run_passes_paths_language_and_progress_on(invoke, called, tmp_path, monkeypatch):
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path / "home"))
    result = invoke("run", "s.toml", "--out", "o", "--data", tmp_path, "--lang", "zh", "--quiet")
    assert result.exit_code == 0, result.output
    arguments, named = called["run"]
    assert arguments == (Path("s.toml"),)
    assert isinstance(named.pop("progress"), Silent)
    assert named.pop("reporting") == Reporting()
    assert named == {
        "out": Path("o"), "data_root": tmp_path, "home": tmp_path / "home", "language": Language.ZH,
    }  # fmt: skip
    assert "卷宗" in result.stdout


def test_run_passes_a_form_and_checklists_on(invoke, called):
    result = invoke("run", "s.toml", "--form", "f.toml", "--checklist", "a.toml", "--checklist", "b.toml")
    assert result.exit_code == 0, result.output
    named = called["run"][1]["reporting"]
    assert named == Reporting(form=Path("f.toml"), checklists=(Path("a.toml"), Path("b.toml")))


def test_run_prints_key_numbers_with_interval_n_and_verdict(invoke, called, tmp_path):
    result = invoke("run", "s.toml")
    lines = [line.split() for line in result.stdout.splitlines()]
    endpoint, auc = lines[1], lines[2]
    assert endpoint[-6:] == ["0.912", "0.850", "to", "0.960", "80", "pass"]
    assert auc[-1] == "reported"
    assert "(phantom)" in auc
    assert "flow" not in result.stdout
    assert f"Dossier: {tmp_path / 'd'} (1 min 15 s)" in result.stdout
    assert "huizhen verify" in result.stdout


def test_run_as_json_is_one_object(invoke, as_json, called, tmp_path):
    record = as_json(invoke("run", "s.toml", "--json"))
    assert record["ok"] is True
    assert (record["dossier"], record["entries"], record["seconds"]) == (str(tmp_path / "d"), 12, 75.4)
    assert record["headline"] == [DIAGRAM, AUC, ENDPOINT]


def test_demo_ends_by_saying_where_the_dossier_is_and_that_it_verified(invoke, as_json, called, tmp_path):
    result = invoke("demo", tmp_path / "x", "--patients", 40)
    assert result.exit_code == 0, result.output
    assert called["demo"][0] == (tmp_path / "x",)
    assert called["demo"][1]["patients"] == 40
    assert called["verify"][1] == {"expected_key_id": "0123456789abcdef"}
    last = result.stdout.splitlines()[-2:]
    assert last[0].startswith(f"{tmp_path / 'd'}: verified. 12 entries, 30 numbers and 7 files")
    assert "no figure of this run is clinical" in result.stdout
    assert as_json(invoke("demo", tmp_path / "x", "--json"))["verified"]["numbers"] == 30


def test_predict_passes_model_sources_and_data_folder_on(invoke, as_json, called, tmp_path):
    line = ("predict", "m", "s.toml", "--out", "risks.csv", "--data", tmp_path, "--json")
    record = as_json(invoke(*line))
    assert (record["ok"], record["predictions"]) == (True, str(tmp_path / "risks.csv"))
    arguments, named = called["predict"]
    assert arguments == (Path("m"), Path("s.toml"))
    assert (named["out"], named["roots"]) == (Path("risks.csv"), [tmp_path])
    assert (named["expected"], record["model"], record["model_expected"]) == (None, "1" * 64, False)
    assert invoke("predict", "m", "s.toml").exit_code == 2


def test_predict_passes_the_expected_digest_on_and_says_which_model_it_was(invoke, as_json, called):
    line = ("predict", "m", "s.toml", "--out", "risks.csv")
    assert "Compare it with the one in its dossier" in invoke(*line).stdout
    shown = invoke(*line, "--digest", "1" * 64).stdout
    assert called["predict"][1]["expected"] == "1" * 64
    assert f"{'1' * 64}, as expected" in shown
    assert as_json(invoke(*line, "--digest", "1" * 64, "--json"))["model_expected"]


def test_predict_says_whom_it_answers_and_what_it_left_out_but_not_who(invoke, as_json, called):
    line = ("predict", "m", "s.toml", "--out", "risks.csv")
    shown = invoke(*line).stdout
    assert "7 patients" in shown
    assert "Left out at north: 2 images: file can't be read" in shown
    assert "1 patients: nothing usable left" in shown
    record = as_json(invoke(*line, "--json"))
    assert record["patients"] == 7
    assert record["left_out"][0] == {"site": "north", "unit": "image", "reason": "unreadable", "count": 2}
    assert "secret-id" not in shown + json.dumps(record)


@pytest.mark.parametrize("patients", ["5", "many"])
def test_demo_refuses_too_few_patients(invoke, called, patients):
    assert invoke("demo", "--patients", patients).exit_code == 2
    assert called == {}


def test_verify_exits_51_when_something_was_altered(invoke, as_json, monkeypatch, called):
    def refuse(*_, **__):
        raise VerificationError("is not in the manifest", remedy="ask for the original", file="extra.txt")

    monkeypatch.setattr("huizhen.dossier.verification.verify_dossier", refuse)
    result = invoke("verify", "d")
    assert (result.exit_code, result.stdout) == (51, "")
    assert "extra.txt: is not in the manifest" in result.stderr
    assert as_json(invoke("verify", "d", "--json"))["error"]["code"] == "HZ51"


def test_verify_passes_key_and_head_on_and_says_which_key(invoke, as_json, called, log):
    head = log.parent / "head.json"
    write_text(head, log.joinpath("heads.jsonl").read_text().splitlines()[-1] + "\n")
    result = invoke("verify", "d", "--key", "0123456789abcdef", "--head", head)
    assert result.exit_code == 0, result.output
    assert "as expected" in result.stdout
    named = called["verify"][1]
    assert named["expected_key_id"] == "0123456789abcdef"
    assert named["external_head"].size == 3
    assert "Compare it" in invoke("verify", "d").stdout
    assert as_json(invoke("verify", "d", "--json"))["verified"] is True


def test_export_passes_language_key_and_fonts_on(invoke, monkeypatch, tmp_path):
    from huizhen.dossier.printing import export

    seen = []

    def replacement(*arguments, **named):
        seen.append((arguments, named))
        return 2_500_000

    monkeypatch.setattr(export, "export_dossier", replacement)
    result = invoke("export", "d", "r.pdf", "--key", "ab", "--fonts", str(tmp_path), "--lang", "zh")
    assert result.exit_code == 0
    named = {"language": Language.ZH, "key_id": "ab", "fonts": tmp_path}
    assert seen == [((Path("d"), Path("r.pdf")), named)]
    assert "2.5 MB" in result.output


def test_verify_of_nothing_exits_51(invoke, tmp_path):
    assert invoke("verify", tmp_path / "none").exit_code == 51


def test_an_unreadable_head_is_refused(invoke, called, tmp_path):
    (tmp_path / "head.json").write_text("{}")
    assert invoke("verify", "d", "--head", tmp_path / "head.json").exit_code in (50, 51)
    assert "verify" not in called


@pytest.fixture
def log(tmp_path):
    """A run's log with three entries of evidence, of which the endpoint stands twice."""
    key = SigningKey.create_or_load(tmp_path / "key.pem")
    with Log.open(tmp_path / "run" / "ledger", key) as writing:
        for body in ({**ENDPOINT, "estimate": 0.5, "verdict": "fail"}, AUC, ENDPOINT):
            writing.append("evidence", body)
        writing.commit()
    return tmp_path / "run" / "ledger"


def test_show_reads_the_verified_log_newest_of_each_claim(invoke, as_json, log):
    record = as_json(invoke("show", log.parent, "--json"))
    assert record["headline"] == [ENDPOINT, AUC]
    text = invoke("show", log.parent).stdout
    assert text.count("0.912") == 2
    assert "0.500" not in text
    assert "达标" in invoke("show", log, "--lang", "zh").stdout


def test_show_refuses_an_altered_log(invoke, log):
    path = log / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.91234", b"0.99234", 1))
    assert invoke("show", log.parent).exit_code == 51


def test_show_open_prints_the_newest_page(invoke, log):
    pages = [log.parent / f"dossier-{name}" / "index.html" for name in ("a", "b")]
    for page in pages:
        write_text(page, "<html>")
    assert invoke("show", log.parent, "--open").stdout.strip() == str(pages[1])
    assert invoke("show", pages[0].parent, "--open").stdout.strip() == str(pages[0])


@pytest.mark.parametrize("more", [(), ("--open",)])
def test_show_of_another_folder_is_a_dossier_error(invoke, tmp_path, more):
    assert invoke("show", tmp_path, *more).exit_code == 60


def test_stage_errors_reach_the_user_whole(invoke, monkeypatch, called):
    def refuse(*_, **__):
        raise StageError("can't go on", remedy="do this", field="fit")

    monkeypatch.setattr("huizhen.pipeline.run.run_study", refuse)
    result = invoke("run", "s.toml")
    assert result.exit_code == 70
    assert "Error HZ70 fit: can't go on" in result.stderr


STUDY = """\
name = "tiny"
title = "Tiny"
question = "?"
seed = 1
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinical"
kind = "table"
numeric = ["age"]
[[site]]
name = "north"
[[site.source]]
reader = "table"
modality = "clinical"
path = "table.csv"
columns = { patient = "patient", outcome = "outcome" }
"""


def test_describe_shows_cohort_and_exclusions_without_values(invoke, as_json, tmp_path):
    rows = [f"secret-{i},{i % 2},{40 + i}" for i in range(20)] + ["secret-x,9,50", "secret-y,,50"]
    write_text(tmp_path / "table.csv", "\n".join(["patient,outcome,age", *rows]) + "\n")
    write_text(tmp_path / "study.toml", STUDY)
    result = invoke("data", "describe", tmp_path / "study.toml", "--quiet")
    assert result.exit_code == 0, result.output
    assert "Tiny: 20 patients at 1 sites" in result.stdout
    assert "outcome of neither class" in result.stdout
    assert "secret" not in result.output
    record = as_json(invoke("data", "describe", tmp_path / "study.toml", "--json"))
    assert record["sites"][0]["patients"] == 20
    assert {row["reason"] for row in record["flow"]["exclusions"]} == {"other_class", "missing_label"}
    assert "secret" not in json.dumps(record)


def test_describe_names_the_rows_and_files_that_were_left_out(invoke, as_json, tmp_path):
    rows = [f"secret-{i},{i % 2},{40 + i}" for i in range(20)] + [",1,50", "secret-0,1,90"]
    write_text(tmp_path / "table.csv", "\n".join(["patient,outcome,age", *rows]) + "\n")
    write_text(tmp_path / "study.toml", STUDY)
    shown = invoke("data", "describe", tmp_path / "study.toml", "--quiet").stdout
    assert "table.csv:22" in shown
    assert "rows" in shown
    record = as_json(invoke("data", "describe", tmp_path / "study.toml", "--json"))
    places = {(one["unit"], one["reason"]): one["place"] for one in record["left_out"]}
    assert places["row", "missing_patient"] == "table.csv:22"
    assert "secret" not in json.dumps(record)


def test_describe_of_one_class_is_a_data_error(invoke, tmp_path):
    write_text(tmp_path / "table.csv", "patient,outcome,age\n" + "".join(f"p{i},1,50\n" for i in range(20)))
    write_text(tmp_path / "study.toml", STUDY)
    assert invoke("data", "describe", tmp_path / "study.toml").exit_code == 30
