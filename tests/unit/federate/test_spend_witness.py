"""The site's outbox as the witness of its spends: a ledger that was cut, emptied or deleted is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from huizhen.core.digests import Digest
from huizhen.errors import PrivacyError
from huizhen.federate.outbox import Outbox, read_outbox
from huizhen.federate.site.spend_witness import SPEND, SpendWitness
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger

CAPS = {"patients": Cap(epsilon=8.0, delta=1e-5)}
ONE = Spend(sampling_rate=0.01, noise_multiplier=4.0, steps=1)


def opened(site: Path) -> SpendLedger:
    return SpendLedger.open(site / "privacy", CAPS, witness=SpendWitness(site))


def spend(site: Path, number: int) -> None:
    with opened(site) as ledger:
        paid = ledger.reserve(study=Digest("a" * 64), round_number=number, group="patients", spends=[ONE])
        ledger.settle(paid, [ONE])


@pytest.mark.parametrize("how", ["cut", "cut and headless", "emptied", "emptied and headless", "deleted"])
def test_a_ledger_that_lost_lines_is_refused_with_or_without_its_head(tmp_path, how):
    for number in range(2):
        spend(tmp_path, number)
    spends, head = tmp_path / "privacy" / "spends.jsonl", tmp_path / "privacy" / "head.json"
    lines = spends.read_bytes().splitlines(keepends=True)
    if how.startswith("cut"):
        spends.write_bytes(b"".join(lines[:2]))
    elif how.startswith("emptied"):
        spends.write_bytes(b"")
    else:
        shutil.rmtree(tmp_path / "privacy")
    if how.endswith("headless"):
        head.unlink()
    for _ in range(2):  # the refusal repairs nothing
        with pytest.raises(PrivacyError, match="lost lines"):
            opened(tmp_path)


def test_a_head_that_is_missing_is_refused_also_without_a_witness(tmp_path):
    spend(tmp_path, 0)
    (tmp_path / "privacy" / "head.json").unlink()
    with pytest.raises(PrivacyError, match="lost lines"):
        SpendLedger.open(tmp_path / "privacy", CAPS)


def test_frames_and_heads_are_one_chain(tmp_path):
    frames = Outbox(tmp_path)
    frames.note(kind="done", study="a" * 64, digest="b" * 64, size=7)
    spend(tmp_path, 0)
    frames.note(kind="done", study="a" * 64, digest="c" * 64, size=8)
    assert [sent.kind for sent in read_outbox(tmp_path)] == ["done", SPEND, SPEND, "done"]
    last = SpendWitness(tmp_path).last()
    assert last is not None
    assert last[0] == 2
    spend(tmp_path, 1)
