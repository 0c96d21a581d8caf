"""Verification: a whole dossier passes, and every way of changing one is found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.digests import digest_bytes
from huizhen.core.words import Language
from huizhen.dossier.manifest import FileRecord, write_manifest
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import VerificationError
from huizhen.ledger.reading import read_head, read_log
from huizhen.ledger.signing import SigningKey

MANIFEST = "manifest.json"


def files_of(folder: Path) -> list[Path]:
    """Return every file below, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sign_again(folder: Path, key: SigningKey) -> None:
    """Write a manifest over the folder as it is now, signed by `key`: what a forger would do."""
    statement = json.loads((folder / MANIFEST).read_bytes())["statement"]
    contents: dict[str, bytes | FileRecord] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files_of(folder)
        if path.name != MANIFEST
    }
    log = read_log(folder / "ledger")
    (folder / MANIFEST).write_bytes(write_manifest(contents, log.head, Language(statement["language"]), key))


def refused(folder: Path, **how: Any) -> VerificationError:
    """Return the error with which a dossier is refused."""
    with pytest.raises(VerificationError) as caught:
        verify_dossier(folder, **how)
    assert caught.value.remedy
    return caught.value


def test_whole_dossier_verifies(built: Path, run: Any, key: SigningKey) -> None:
    log = read_log(run.ledger)
    verified = verify_dossier(built, expected_key_id=key.key_id, external_head=log.head)
    assert verified.entries == len(log.entries)
    assert verified.numbers > 400
    assert verified.files == len(files_of(built))
    assert (verified.key_id, verified.head) == (key.key_id, log.head)


def test_any_head_that_was_published_holds(built: Path, run: Any) -> None:
    first = read_log(run.ledger).heads[0]
    assert verify_dossier(built, external_head=first).head.size > first.size


def test_both_languages_verify(built_zh: Path) -> None:
    assert verify_dossier(built_zh).numbers > 400


def test_moved_dossier_verifies(dossier: Path, tmp_path: Path) -> None:
    shutil.move(dossier, tmp_path / "else where")
    verify_dossier(tmp_path / "else where")


def test_flipped_bytes_are_found_in_every_file(dossier: Path) -> None:
    for path in files_of(dossier):
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert path.name in str(refused(dossier).file)
        path.write_bytes(whole)
    verify_dossier(dossier)


def test_truncated_and_lengthened_files_are_found(dossier: Path) -> None:
    for path in files_of(dossier)[:8]:
        whole = path.read_bytes()
        for changed in (whole[:-1], whole + b" ", b""):
            path.write_bytes(changed)
            refused(dossier)
        path.write_bytes(whole)


def test_missing_files_are_found(dossier: Path) -> None:
    for path in files_of(dossier):
        aside = dossier.parent / "aside"
        path.rename(aside)
        assert path.name in str(refused(dossier).file)
        aside.rename(path)


@pytest.mark.parametrize("name", ["extra.txt", "files/extra.png", "ledger/lock", ".hidden", "new/deep/file"])
def test_added_files_are_found(dossier: Path, name: str) -> None:
    (dossier / name).parent.mkdir(parents=True, exist_ok=True)
    (dossier / name).write_bytes(b"x")
    assert refused(dossier).file == name


def test_empty_folders_and_links_are_found(dossier: Path) -> None:
    (dossier / "empty").mkdir()
    assert refused(dossier).file == "empty"
    (dossier / "empty").rmdir()
    page = dossier / "index.html"
    page.rename(dossier.parent / "elsewhere.html")
    page.symlink_to(dossier.parent / "elsewhere.html")
    assert "link" in refused(dossier).message


def test_swapped_heatmaps_are_found(dossier: Path, key: SigningKey) -> None:
    first, second = sorted(dossier.glob("files/heatmaps/internal/*.png"))[:2]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    refused(dossier)
    sign_again(dossier, key)  # even the owner of the key can't pass them off
    assert "ledger entry" in refused(dossier).message


@pytest.mark.parametrize("page", ["index.html", "dossier.json"])
def test_changed_number_is_found_even_when_signed_again(dossier: Path, key: SigningKey, page: str) -> None:
    text = (dossier / page).read_text(encoding="utf-8")
    assert "0.893 (0.852–0.934)" in text
    (dossier / page).write_text(text.replace("0.893 (0.852–0.934)", "0.993 (0.972–0.998)"), encoding="utf-8")
    assert refused(dossier).file == page
    sign_again(dossier, key)
    error = refused(dossier, expected_key_id=key.key_id)
    assert (error.file, error.message) == (page, "says something else than the ledger")


CHANGES = {
    "sheet.html": ("RESEARCH ONLY", "CLEARED FOR ALL"),
    "ro-crate-metadata.json": ("No licence is stated", "Free for all"),
}


@pytest.mark.parametrize("page", sorted(CHANGES))
def test_changed_statement_is_found_even_when_signed_again(dossier: Path, key: SigningKey, page: str) -> None:
    old, new = CHANGES[page]
    text = (dossier / page).read_text(encoding="utf-8")
    assert old in text
    (dossier / page).write_text(text.replace(old, new), encoding="utf-8")
    assert refused(dossier).file == page
    sign_again(dossier, key)
    error = refused(dossier, expected_key_id=key.key_id)
    assert (error.file, error.message) == (page, "says something else than the ledger")


def test_number_signed_by_another_key_is_found(dossier: Path, key: SigningKey) -> None:
    forger = SigningKey.generate()
    page = dossier / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("0.893", "0.993"), encoding="utf-8")
    sign_again(dossier, forger)
    assert refused(dossier, expected_key_id=key.key_id).file == MANIFEST
    refused(dossier)  # and without knowing the key: the log is not the forger's


def test_whole_dossier_by_another_key_is_found_by_its_key(
    synthetic: Any, key: SigningKey, tmp_path: Path, build: Callable[..., Path]
) -> None:
    forger = SigningKey.generate()
    forged = build(synthetic.write_run(tmp_path / "run", forger, cases=1), signed_by=forger)
    assert verify_dossier(forged).key_id == forger.key_id
    assert key.key_id in refused(forged, expected_key_id=key.key_id).message


def test_ledger_by_another_key_is_found(
    dossier: Path, synthetic: Any, key: SigningKey, tmp_path: Path
) -> None:
    other = synthetic.write_run(tmp_path / "run", SigningKey.generate(), cases=4)
    for name in ("entries.jsonl", "heads.jsonl"):
        shutil.copyfile(other.ledger / name, dossier / "ledger" / name)
    refused(dossier, expected_key_id=key.key_id)
    sign_again(dossier, key)
    assert "key" in refused(dossier, expected_key_id=key.key_id).message


def test_shortened_log_is_found_by_an_external_head(dossier: Path, run: Any, key: SigningKey) -> None:
    log = read_log(run.ledger)
    entries = (dossier / "ledger/entries.jsonl").read_bytes().splitlines(keepends=True)
    heads = (dossier / "ledger/heads.jsonl").read_bytes().splitlines(keepends=True)
    (dossier / "ledger/heads.jsonl").write_bytes(b"".join(heads[:-1]))
    (dossier / "ledger/entries.jsonl").write_bytes(b"".join(entries[: log.heads[-2].size]))
    sign_again(dossier, key)
    assert "external head" in refused(dossier, external_head=log.head).message


def test_external_head_from_a_file(built: Path, run: Any, tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text(json.dumps(read_log(run.ledger).head.to_json()))
    verify_dossier(built, external_head=read_head(tmp_path / "head.json"))


def test_file_that_only_the_manifest_knows_is_found(dossier: Path, key: SigningKey) -> None:
    (dossier / "files/more.csv").write_bytes(b"a,b\n")
    sign_again(dossier, key)
    assert refused(dossier).file == "files/more.csv"


def test_artefact_changed_and_signed_again_is_found(dossier: Path, key: SigningKey) -> None:
    (dossier / "files/predictions.csv").write_bytes(b"patient,site,risk\n")
    sign_again(dossier, key)
    assert refused(dossier).file == "files/predictions.csv"


def test_manifest_of_another_layout_or_purpose_is_refused(dossier: Path, key: SigningKey) -> None:
    manifest = dossier / MANIFEST
    whole = manifest.read_bytes()
    value = json.loads(whole)
    manifest.write_bytes(json.dumps(value).encode())
    refused(dossier)
    statement = value["statement"]
    other = {"signature": key.sign("head", digest_bytes(b"").encode()), "statement": statement}
    manifest.write_bytes((json.dumps(other, indent=1, sort_keys=True) + "\n").encode())
    assert "signature" in refused(dossier).message
    for broken in (b"", b"[]", b"{}", b"\xff", b'{"statement": 1, "signature": 2}'):
        manifest.write_bytes(broken)
        refused(dossier)


def test_another_renderer_is_named(dossier: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    from huizhen.dossier import manifest as written
    from huizhen.dossier import verification

    page = dossier / "index.html"
    page.write_bytes(page.read_bytes() + b"\n")
    sign_again(dossier, key)
    newer = written.Renderer(version="9.9.9", digest="0" * 64)
    monkeypatch.setattr(verification, "renderer", lambda: newer)
    error = refused(dossier)
    assert "9.9.9" in error.message
    assert "verify with huizhen" in error.remedy


def test_folder_without_a_manifest_is_no_dossier(tmp_path: Path) -> None:
    assert refused(tmp_path).file == MANIFEST
    absent = refused(tmp_path / "absent")
    assert absent.file == MANIFEST
    assert "no dossier's folder" in absent.message
    assert "don't rely on it" in absent.remedy


def test_verification_needs_no_torch_and_no_matplotlib(built: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from huizhen.dossier.verification import verify_dossier; "
        f"verify_dossier(Path({str(built)!r})); heavy = {{'torch', 'matplotlib', 'scipy', 'pydicom', "
        "'huizhen.data', 'huizhen.models'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_verification_is_quick(built: Path) -> None:
    started = time.process_time()
    verify_dossier(built)
    assert time.process_time() - started < 2.0


def test_folders_without_end_are_refused_and_not_followed(dossier: Path) -> None:
    here = os.open(dossier, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "more than 32 folders" in refused(dossier).message
    subprocess.run(["rm", "-rf", str(dossier / "a")], check=True)  # deeper than Python's own removal goes
