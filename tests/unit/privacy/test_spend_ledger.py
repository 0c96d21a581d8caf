"""A site's spend ledger: nothing is trained without budget, and nothing that was spent is forgotten."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.digests import Digest, digest_bytes
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, PrivacyError, StorageError
from huizhen.privacy import spend_ledger
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger
from huizhen.privacy.spend_records import Settlement

STUDY, OTHER = digest_bytes(b"one"), digest_bytes(b"two")
CAPS = {"breast": Cap(epsilon=4.0, delta=1e-5), "heart": Cap(epsilon=2.0, delta=1e-5)}
KILLS = 25


def spend(steps: int = 10, noise: float = 2.0) -> Spend:
    return Spend(sampling_rate=0.2, noise_multiplier=noise, steps=steps)


def reserve(ledger: SpendLedger, round_number: int, steps: int = 10, **other: Any) -> Any:
    settings: dict[str, Any] = {"study": STUDY, "group": "breast", "spends": [spend(steps)]} | other
    return ledger.reserve(round_number=round_number, **settings)


def test_spends_over_rounds_and_studies_are_composed_as_one(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        first = reserve(ledger, 0)
        ledger.settle(first, [spend(10)])
        reserve(ledger, 0, 20, study=OTHER)
        reserve(ledger, 0, 5, group="heart")
        assert ledger.spends("breast") == (spend(30),)
        found = ledger.account("breast")
        assert found.epsilon == account([spend(30)], delta=1e-5).epsilon
        assert [r.study for r in ledger.unsettled()] == [OTHER, STUDY]
    with SpendLedger.open(tmp_path, CAPS) as again:
        assert again.account("breast") == found
        evidence = again.evidence("north", "breast")
    assert (evidence.estimate, evidence.key) == (found.epsilon, "privacy/north/breast/epsilon")
    assert evidence.detail["head"] == again.head
    assert evidence.detail["unsettled"] == 2


def test_a_reservation_beyond_the_cap_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        reserve(ledger, 0, 30)
        before = (tmp_path / "spends.jsonl").read_bytes()
        with pytest.raises(PrivacyError, match=r"would spend epsilon .* of 4 at delta 1e-05"):
            reserve(ledger, 1, 2000)
        assert (tmp_path / "spends.jsonl").read_bytes() == before
        reserve(ledger, 1, 1)


def test_the_cap_is_used_up_to_the_exact_composition_not_the_bound(tmp_path: Path) -> None:
    exact, bound = (getattr(account([spend(60)], delta=1e-5), name) for name in ("epsilon", "rdp"))
    cap = {"breast": Cap(epsilon=(exact + bound) / 2, delta=1e-5)}
    with SpendLedger.open(tmp_path, cap) as ledger:
        reserve(ledger, 0, 60)


def test_settling_gives_back_what_was_not_spent(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        first, second = reserve(ledger, 0, 30), reserve(ledger, 1, 20)
        ledger.settle(first, [spend(12)])
        ledger.settle(second, [])
        assert ledger.spends("breast") == (spend(12),)
        for reservation, done, why in (
            (first, [spend(12)], "unknown or settled"),
            (reserve(ledger, 2, 5), [spend(6)], "more was spent"),
            (reserve(ledger, 3, 5), [spend(5, noise=1.0)], "more was spent"),
        ):
            with pytest.raises(PrivacyError, match=why):
                ledger.settle(reservation, done)
        assert ledger.spends("breast") == (spend(22),)


def test_what_is_spent_at_once_is_reserved_and_settled_in_one_write(tmp_path: Path) -> None:
    told: list[tuple[int, Digest]] = []

    class Teller:
        def last(self) -> tuple[int, Digest] | None:
            return told[-1] if told else None

        def note(self, count: int, head: Digest) -> None:
            told.append((count, head))

    with SpendLedger.open(tmp_path, CAPS, witness=Teller()) as ledger:
        ledger.spend(study=STUDY, round_number=0, group="breast", spends=[spend()])
        assert (ledger.unsettled(), ledger.spends("breast")) == ((), (spend(),))
        with pytest.raises(PrivacyError, match="was reserved before"):
            ledger.spend(study=STUDY, round_number=0, group="breast", spends=[spend()])
    assert [count for count, _ in told] == [2]
    with SpendLedger.open(tmp_path, CAPS, witness=Teller()) as ledger:
        assert (ledger.unsettled(), ledger.spends("breast"), ledger.head) == ((), (spend(),), told[-1][1])


def test_a_round_is_reserved_once(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        reserve(ledger, 0)
        with pytest.raises(PrivacyError, match="reserved before"):
            reserve(ledger, 0)
        reserve(ledger, 0, attempt=1)
        assert ledger.spends("breast") == (spend(20),)


def test_what_is_refused(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        with pytest.raises(PrivacyError, match="has no cap"):
            reserve(ledger, 0, group="liver")
        with pytest.raises(InvalidInputError, match="of nothing"):
            reserve(ledger, 0, spends=[])
        with pytest.raises(PrivacyError, match="another process"):
            SpendLedger.open(tmp_path, CAPS)
    with pytest.raises(PrivacyError, match="is closed"):
        reserve(ledger, 0)
    for epsilon, delta in ((0.0, 1e-5), (float("inf"), 1e-5), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(InvalidInputError):
            Cap(epsilon=epsilon, delta=delta)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        SpendLedger.open(tmp_path / "file" / "ledger", CAPS)


def written(folder: Path, rounds: int = 4) -> bytes:
    """Return the bytes of a small ledger."""
    with SpendLedger.open(folder, CAPS) as ledger:
        for number in range(rounds):
            ledger.settle(reserve(ledger, number, 3), [spend(2)])
    return (folder / "spends.jsonl").read_bytes()


def test_any_edit_of_a_line_is_found(tmp_path: Path) -> None:
    data = written(tmp_path)
    rng = stream(1, "edits")
    lines = data.split(b"\n")[:-1]
    edits = [
        bytes(data[:i]) + bytes([data[i] ^ (1 << int(rng.integers(8)))]) + data[i + 1 :]
        for i in rng.integers(0, len(data) - 1, 200)
    ]
    edits += [b"\n".join([*lines[:n], *lines[n + 1 :]]) + b"\n" for n in range(len(lines))]
    edits += [b"\n".join([*lines[:2], lines[1], *lines[2:]]) + b"\n", data + lines[-1] + b"\n", b""]
    for edit in edits:
        (tmp_path / "spends.jsonl").write_bytes(edit)
        with pytest.raises(PrivacyError, match=r"chain of spends is broken|lost lines"):
            SpendLedger.open(tmp_path, CAPS)
    (tmp_path / "spends.jsonl").write_bytes(data)
    SpendLedger.open(tmp_path, CAPS).close()


def test_what_was_parsed_before_is_parsed_again_where_it_was_changed(tmp_path: Path) -> None:
    for number in range(3):  # each opening goes on from what this process has parsed
        with SpendLedger.open(tmp_path, CAPS) as ledger:
            reserve(ledger, number)
    path = tmp_path / "spends.jsonl"
    lines = path.read_bytes()
    path.write_bytes(lines.replace(b'"steps":10', b'"steps":11', 1))
    with pytest.raises(PrivacyError):
        SpendLedger.open(tmp_path, CAPS)
    path.write_bytes(lines)
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        assert ledger.spends("breast") == (spend(30),)


def test_a_ledger_cut_at_a_line_or_gone_is_found_by_its_head(tmp_path: Path) -> None:
    data = written(tmp_path)
    end = data.rfind(b"\n", 0, len(data) - 1) + 1
    (tmp_path / "spends.jsonl").write_bytes(data[:end])
    with pytest.raises(PrivacyError, match="lost lines"):
        SpendLedger.open(tmp_path, CAPS)
    (tmp_path / "spends.jsonl").unlink()
    with pytest.raises(PrivacyError, match="lost lines"):
        SpendLedger.open(tmp_path, CAPS)
    (tmp_path / "spends.jsonl").write_bytes(data)
    for bad in (
        "",
        "[]",
        "{}",
        json.dumps({"count": -1, "head": "x"}),
        json.dumps({"count": 1, "head": "x"}),
    ):
        (tmp_path / "head.json").write_text(bad)
        with pytest.raises(PrivacyError, match="lost lines"):
            SpendLedger.open(tmp_path, CAPS)


@pytest.mark.parametrize("torn", [b"{", b'{"kind":"reserve","number":8', b"\0\0\0\0"])
def test_an_unfinished_line_was_never_acknowledged_and_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    data = written(tmp_path)
    (tmp_path / "spends.jsonl").write_bytes(data + torn)
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        assert ledger.spends("breast") == (spend(8),)
        reserve(ledger, 99, 1)
    SpendLedger.open(tmp_path, CAPS).close()


def test_a_write_that_fails_stops_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with SpendLedger.open(tmp_path, CAPS) as ledger:
        first = reserve(ledger, 0, 3)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError):
            reserve(ledger, 1, 4)
        monkeypatch.undo()
        with pytest.raises(PrivacyError, match="a write failed"):
            ledger.settle(first, [])
    with SpendLedger.open(tmp_path, CAPS) as again:
        assert again.spends("breast")[0].steps in (3, 7)  # the second may count, the first must


def train_forever(folder: Path, said: int, start: int) -> None:
    """Reserve and settle rounds, saying what was acknowledged, until killed."""
    ledger = SpendLedger.open(folder, {"breast": Cap(epsilon=1e6, delta=1e-5)})
    for number in range(start, start + 10**6):
        reservation = reserve(ledger, number, 3)
        os.write(said, b"r")
        ledger.settle(reservation, [spend(2)])
        os.write(said, b"s")


def killed_run(folder: Path, after_s: float, start: int) -> bytes:
    """Return what a run said before it was killed."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            train_forever(folder, said, start)
        finally:
            os._exit(1)
    os.close(said)
    first = os.read(heard, 1)  # the ledger is open and writes
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rest = b""
    while part := os.read(heard, 65536):
        rest += part
    os.close(heard)
    return first + rest


def test_killed_at_random_moments_it_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend_ledger, "rdp_epsilon", lambda *_, **__: 0.0)  # so that it is all about writing
    caps = {"breast": Cap(epsilon=1e6, delta=1e-5)}
    clock = random.Random(3)
    before, between = (0, 0), 0
    for number in range(KILLS):
        said = killed_run(tmp_path, clock.uniform(0, 0.02), number * 10**6)
        between += said.endswith(b"r")
        with SpendLedger.open(tmp_path, caps) as ledger:
            now = counts(ledger)
            charged = sum(s.steps for s in ledger.spends("breast"))
        reserved, settled = now[0] - before[0], now[1] - before[1]
        assert 0 <= reserved - said.count(b"r") <= 1  # what was acknowledged, and one under way
        assert 0 <= settled - said.count(b"s") <= 1
        assert charged == 2 * now[1] + 3 * (now[0] - now[1])  # what was not settled counts in full
        before = now
    assert between > 0


def counts(ledger: SpendLedger) -> tuple[int, int]:
    """Return how many rounds were reserved, and how many of them settled."""
    settled = sum(isinstance(record, Settlement) for record in ledger._records)
    return len(ledger._records) - settled, settled


def test_the_head_is_a_digest_that_moves(tmp_path: Path) -> None:
    with SpendLedger.open(tmp_path, CAPS) as ledger:
        before: Digest = ledger.head
        reserve(ledger, 0, 1)
        assert ledger.head != before
