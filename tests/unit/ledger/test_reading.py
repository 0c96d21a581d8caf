"""Reading from a folder, and proofs that stand without the log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huizhen.errors import InvalidInputError, LedgerError, VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.reading import (
    ENTRIES_FILE,
    HEADS_FILE,
    Entry,
    SignedHead,
    VerifiedLog,
    check_entry_proof,
    check_growth_proof,
    entry_proof,
    growth_proof,
    read_head,
    read_log,
)
from huizhen.ledger.signing import SigningKey

Scribe = Any  # the fixtures of conftest.py
Proof = dict[str, Any]


@pytest.fixture
def log(tmp_path: Path, scribe: Scribe) -> VerifiedLog:
    scribe.write(tmp_path, 2, 3, 6)
    return read_log(tmp_path, expected_key_id=scribe.key.key_id)


def test_errors_name_the_file_in_its_folder(tmp_path: Path, scribe: Scribe) -> None:
    with pytest.raises(LedgerError, match="can't be read") as caught:
        read_log(tmp_path / "absent")
    assert caught.value.file == str(tmp_path / "absent" / ENTRIES_FILE)
    assert not isinstance(caught.value, VerificationError)
    scribe.write(tmp_path, 3)
    path = tmp_path / ENTRIES_FILE
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":9'))
    with pytest.raises(VerificationError) as caught:
        read_log(tmp_path)
    assert (caught.value.file, caught.value.field) == (str(path), "entries 0 to 2")
    assert "9" not in caught.value.message


def test_an_unfinished_commit_is_not_read_and_the_remedy_says_why(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 1)
    with (tmp_path / ENTRIES_FILE).open("ab") as stream:
        stream.write(b"{}\n")
    with pytest.raises(VerificationError):
        read_log(tmp_path)
    Log.open(tmp_path, scribe.key).close()
    assert len(read_log(tmp_path).entries) == 1


def test_a_published_head_is_read_in_any_layout(tmp_path: Path, log: VerifiedLog) -> None:
    path = tmp_path / "head.json"
    path.write_text(json.dumps(log.heads[1].to_json(), indent=4))
    assert read_head(path) == log.heads[1]
    assert read_log(tmp_path, external_head=read_head(path)) == log
    with pytest.raises(VerificationError, match="goes on after"):
        read_log(tmp_path, external_head=read_head(path), exact=True)


def test_a_published_head_that_is_none_is_refused(tmp_path: Path, log: VerifiedLog) -> None:
    path = tmp_path / "head.json"
    forged = {**log.head.to_json(), "root": "0" * 64}
    for text in ("", "[]", "[" * 100_000, "{}", json.dumps(forged), json.dumps({**forged, "more": 1})):
        path.write_text(text)
        with pytest.raises(VerificationError):
            read_head(path)
    with pytest.raises(LedgerError, match="can't be read"):
        read_head(tmp_path / "absent.json")


def test_every_entry_has_a_proof_that_survives_json(log: VerifiedLog) -> None:
    for entry in log.entries:
        proof = json.loads(json.dumps(entry_proof(log, entry.index)))
        check_entry_proof(Entry.from_json(entry.to_json()), proof, SignedHead.from_json(log.head.to_json()))
    for index in (-1, len(log.entries)):
        with pytest.raises(InvalidInputError):
            entry_proof(log, index)


def test_no_proof_fits_another_entry_or_head(log: VerifiedLog) -> None:
    entry, proof = log.entries[4], entry_proof(log, 4)
    changed = Entry.from_json({**entry.to_json(), "body": {}})
    forged = SignedHead.from_json({**log.head.to_json(), "time": "2026-01-02T12:00:01Z"})
    for wrong, head in (
        (changed, log.head),
        (log.entries[5], log.head),
        (entry, log.heads[1]),
        (entry, forged),
    ):
        with pytest.raises(VerificationError):
            check_entry_proof(wrong, proof, head)


@pytest.mark.parametrize(
    "damage",
    [
        lambda proof: {**proof, "more": 1},
        lambda proof: {name: proof[name] for name in proof if name != "path"},
        lambda proof: {**proof, "index": 4.0},
        lambda proof: {**proof, "size": True},
        lambda proof: {**proof, "path": proof["path"][:-1]},
        lambda proof: {**proof, "path": [*proof["path"], proof["path"][0]]},
        lambda proof: {**proof, "path": [proof["path"][0][2:], *proof["path"][1:]]},
        lambda proof: {**proof, "path": ["zz" * 32, *proof["path"][1:]]},
        lambda proof: {**proof, "path": [1, *proof["path"][1:]]},
        lambda proof: {**proof, "path": proof["path"] * 40},
        lambda proof: {**proof, "path": "".join(proof["path"])},
        lambda proof: [proof],
        lambda proof: None,
    ],
)
def test_a_damaged_proof_is_refused(log: VerifiedLog, damage: Callable[[Proof], object]) -> None:
    with pytest.raises(VerificationError):
        check_entry_proof(log.entries[4], damage(entry_proof(log, 4)), log.head)


def test_growth_is_proved_from_every_earlier_head(log: VerifiedLog, tmp_path: Path, scribe: Scribe) -> None:
    for earlier in log.heads:
        check_growth_proof(earlier, log.head, json.loads(json.dumps(growth_proof(log, earlier.size))))
    with pytest.raises(VerificationError, match="another first"):
        check_growth_proof(log.heads[0], log.head, growth_proof(log, 5))
    with pytest.raises(InvalidInputError):
        growth_proof(log, 12)
    scribe.__class__().write(tmp_path / "other", 2, 3, 6)
    foreign = read_log(tmp_path / "other").heads[0]
    with pytest.raises(VerificationError, match="different keys"):
        check_growth_proof(foreign, log.head, growth_proof(log, 2))


def test_growth_is_not_proved_between_unsigned_heads(log: VerifiedLog) -> None:
    earlier, later, proof = log.heads[0], log.head, growth_proof(log, 2)
    late = {"time": "2026-01-02T12:00:01Z"}
    for pair in (
        (SignedHead.from_json({**earlier.to_json(), **late}), later),
        (earlier, SignedHead.from_json({**later.to_json(), **late})),
    ):
        with pytest.raises(VerificationError, match="signature"):
            check_growth_proof(*pair, proof)


def test_a_rewritten_log_has_no_proof_of_growth(log: VerifiedLog, tmp_path: Path, scribe: Scribe) -> None:
    with scribe.open(tmp_path / "rewritten") as rewritten:
        for number in range(11):
            rewritten.append("evidence", {"n": number, "text": "altered"})
        rewritten.commit()
    later = read_log(tmp_path / "rewritten")
    for earlier in log.heads:
        with pytest.raises(VerificationError):
            check_growth_proof(earlier, later.head, growth_proof(later, earlier.size))


def test_a_large_log_is_read_in_linear_time(tmp_path: Path) -> None:
    with Log.open(tmp_path, SigningKey.generate()) as writer:
        for _ in range(5):
            for number in range(2000):
                writer.append("evidence", {"key": f"auc/cman/test/{number}", "estimate": number / 7})
            writer.commit()
    begun = time.process_time()
    log = read_log(tmp_path)
    for entry in log.entries[::50]:
        check_entry_proof(entry, entry_proof(log, entry.index), log.head)
    assert time.process_time() - begun < 5


def test_verification_imports_no_torch_and_no_lock() -> None:
    code = "import sys, huizhen.ledger.reading; print({'torch', 'fcntl', 'pandas'} & set(sys.modules))"
    source = str(Path(sys.modules["huizhen"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_files_have_the_names_that_the_documentation_gives() -> None:
    assert (ENTRIES_FILE, HEADS_FILE) == ("entries.jsonl", "heads.jsonl")
