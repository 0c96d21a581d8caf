"""Building: what is refused, what is dropped silently (nothing), and that a dossier is whole or absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huizhen.dossier.artefacts import safe
from huizhen.dossier.build import build_dossier
from huizhen.dossier.citations import resolve
from huizhen.dossier.content import cited_entries, content_of
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DossierError, StorageError, VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey


@pytest.fixture
def fresh(synthetic: Any, key: SigningKey, tmp_path: Path) -> Any:
    """A run of its own, to be spoilt."""
    return synthetic.write_run(tmp_path / "fresh", key, cases=1)


def refused(run: Any, tmp_path: Path, key: SigningKey | None = None) -> DossierError:
    """Return the error with which a run is refused; nothing is left behind."""
    with pytest.raises(DossierError) as caught:
        build_dossier(run.ledger, tmp_path / "out", key=key or run.key, artefacts=run.artefacts)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    return caught.value


def append(run: Any, kind: str, body: dict[str, Any]) -> None:
    """Append one entry to a run's ledger."""
    with Log.open(run.ledger, run.key) as log:
        log.append(kind, body)
        log.commit()


def test_folder_holds_what_the_issue_names(built: Path) -> None:
    names = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert {"index.html", "dossier.json", "manifest.json", "ledger/entries.jsonl"} <= names
    assert {"ledger/heads.jsonl", "files/predictions.csv"} <= names
    assert any(name.endswith(".dcm") for name in names)


def test_every_evidence_is_told(run: Any) -> None:
    content = content_of(read_log(run.ledger))
    shown = {entry for section in content.sections for entry in cited_entries(section)}
    evidence = {m.entry.index for m in content.record.measured}
    assert evidence <= shown


def test_unknown_measure_stands_in_the_table_of_others(built: Path) -> None:
    results = next(
        s for s in json.loads((built / "dossier.json").read_bytes())["sections"] if s["id"] == "results"
    )
    others = next(b for b in results["blocks"] if b.get("id") == "table-others")
    assert "novel measure" in json.dumps(others)
    assert "unheard of" in json.dumps(others)


def test_every_number_is_what_its_entry_holds(built: Path, run: Any) -> None:
    log = read_log(run.ledger)
    numbers = json.loads((built / "dossier.json").read_bytes())["numbers"]
    assert len(numbers) > 400
    for number in numbers:
        assert number["leaf"] == log.leaves[number["entry"]].hex()
        for pointer, value in number["values"].items():
            assert resolve(log.entries[number["entry"]].body, pointer) == value


def test_every_clinical_number_has_interval_and_n(built: Path) -> None:
    numbers = json.loads((built / "dossier.json").read_bytes())["numbers"]
    entries = read_log(built / "ledger").entries
    with_interval = [number for number in numbers if "/interval/low" in number["values"]]
    assert len(with_interval) > 100
    for number in with_interval:
        assert entries[number["entry"]].body["n"] > 0
        assert entries[number["entry"]].body["interval"]["method"]
    told = [number for number in with_interval if "/n" in number["values"]]
    assert len(told) > len(with_interval) / 3  # others stand in tables that say the n once


def test_existing_folder_is_never_overwritten(run: Any, tmp_path: Path, build: Callable[..., Path]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_bytes(b"x")
    with pytest.raises(DossierError, match="never overwritten"):
        build(run, name="out")
    assert (tmp_path / "out/mine").read_bytes() == b"x"


def test_changed_artefact_is_refused(fresh: Any, tmp_path: Path) -> None:
    (fresh.artefacts / "predictions.csv").write_bytes(b"patient,site,risk\nP-0001,north,0.99\n")
    assert refused(fresh, tmp_path).file == "predictions.csv"


def test_missing_artefact_is_refused(fresh: Any, tmp_path: Path) -> None:
    (fresh.artefacts / "predictions.csv").unlink()
    assert "can't be read" in refused(fresh, tmp_path).message


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\b", "", ".", "a//b", "manifest.json/.."])
def test_unsafe_artefact_paths_are_refused(fresh: Any, tmp_path: Path, path: str) -> None:
    assert not safe(path)
    append(fresh, "artefact", {"path": path, "sha256": "0" * 64, "size": 1})
    assert "leaves the dossier" in refused(fresh, tmp_path).message


def test_artefact_entry_without_digest_is_refused(fresh: Any, tmp_path: Path) -> None:
    append(fresh, "artefact", {"path": "x"})
    assert "lacks" in refused(fresh, tmp_path).message


def test_heatmap_that_no_entry_vouches_for_is_refused(fresh: Any, synthetic: Any, tmp_path: Path) -> None:
    detail = {"file": "secret.png", "risk": 0.5, "outcome": True, "decision": False}
    (fresh.artefacts / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    append(fresh, "evidence", synthetic.described("heatmap/X-1/MG/0", "heatmap", detail).to_json())
    assert refused(fresh, tmp_path).file == "secret.png"


def test_heatmap_that_is_no_png_is_refused(fresh: Any, synthetic: Any, tmp_path: Path) -> None:
    data = b"<svg onload='alert(1)'/>"
    detail = {"file": "drawn.png", "risk": 0.5, "outcome": True, "decision": False}
    with Log.open(fresh.ledger, fresh.key) as log:
        synthetic._file(log, fresh.artefacts, "drawn.png", data)
        log.append("evidence", synthetic.described("heatmap/X-1/MG/0", "heatmap", detail).to_json())
        log.commit()
    assert "PNG" in refused(fresh, tmp_path).message


def test_log_of_another_key_is_refused(fresh: Any, tmp_path: Path) -> None:
    with pytest.raises(VerificationError):
        build_dossier(fresh.ledger, tmp_path / "out", key=SigningKey.generate(), artefacts=fresh.artefacts)


def test_unwritable_folder_is_named(run: Any, key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        build_dossier(run.ledger, tmp_path / "file" / "out", key=key, artefacts=run.artefacts)


def test_result_replaced_later_is_listed(fresh: Any, synthetic: Any, build: Callable[..., Path]) -> None:
    again = synthetic.measured("auc/cman/internal/all", 0.955, 0.02, 213, 71)
    append(fresh, "evidence", again.to_json())
    text = (build(fresh) / "index.html").read_text(encoding="utf-8")
    assert 'id="table-superseded"' in text
    assert "0.955 (0.935–0.975)" in text


def test_heat_no_better_than_chance_is_flagged(
    fresh: Any, synthetic: Any, build: Callable[..., Path]
) -> None:
    flag = "not above chance"
    assert flag not in (build(fresh) / "index.html").read_text(encoding="utf-8")
    poor = synthetic.measured("pointing_game/MG/internal", 0.07, 0.05, 64, 64, detail={"chance": 0.06})
    append(fresh, "evidence", poor.to_json())
    assert flag in (build(fresh, name="poor") / "index.html").read_text(encoding="utf-8")
    told = {"chance": 0.06, "p_chance": 0.001}
    tested = synthetic.measured("pointing_game/MG/internal", 0.07, 0.05, 64, 64, detail=told)
    append(fresh, "evidence", tested.to_json())
    assert flag not in (build(fresh, name="tested") / "index.html").read_text(encoding="utf-8")


def test_damage_is_told(fresh: Any, build: Callable[..., Path]) -> None:
    append(fresh, "damage", {"entries": ["ab/abcdef"]})
    assert "Damaged cache entries" in (build(fresh) / "index.html").read_text(encoding="utf-8")


def test_run_that_has_only_its_study_is_told(synthetic: Any, key: SigningKey, tmp_path: Path) -> None:
    from huizhen.core.digests import digest_value

    study = synthetic.study(phantom=False)
    with Log.open(tmp_path / "ledger", key) as log:
        log.append("study", {"study": study, "digest": digest_value(study), "signed_by": key.key_id})
        log.commit()
    out = build_dossier(tmp_path / "ledger", tmp_path / "out", key=key, artefacts=tmp_path)
    assert verify_dossier(out).entries == 1
    text = (out / "index.html").read_text(encoding="utf-8")
    assert "phantom-banner" not in text.split("</style>")[1]
