"""A site that lies: frames that no reader expects, other sites accused, wrong shares, replayed refusals."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dishonest import ask_one, lying
from toy_federation import SITES, WEIGHTS, Toy, toy

from huizhen.core.digests import canonical_json, digest_bytes
from huizhen.errors import FederationError, MessageError
from huizhen.federate import frames
from huizhen.federate import messages as wire
from huizhen.federate.frames import seal
from huizhen.federate.rounds import Round, Training
from huizhen.ledger.signing import SigningKey


def payload(header: bytes, data: bytes = b"1234") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def raw(key: SigningKey, message: wire.Inbound | wire.Outbound, arrays: bytes) -> bytes:
    """Return a well signed frame with any bytes for its arrays."""
    header = canonical_json(message.model_dump(mode="json"))
    body = struct.pack("<I", len(header)) + header + arrays
    signature = key.sign(frames.DOMAIN, bytes.fromhex(digest_bytes(body)))
    return frames.MAGIC + struct.pack("<Q", len(body)) + body + bytes.fromhex(signature)


ENTRY = '"dtype":"U32","shape":[1],"data_offsets":[0,4]'
STRANGE = {
    "surrogate": payload(b'{"\\ud800":{%s}}' % ENTRY.encode()),
    "escape": payload(b'{"\\u001b[2J":{%s}}' % ENTRY.encode()),
    "huge shape": payload(b'{"words":{"dtype":"U32","shape":[0,%d],"data_offsets":[0,0]}}' % 2**70, b""),
    "many dimensions": payload(
        b'{"words":{"dtype":"U32","shape":%s,"data_offsets":[0,4]}}' % json.dumps([1] * 200).encode()
    ),
    "infinite": payload(b'{"words":{"dtype":"U32","shape":[1],"data_offsets":[0,1e400]}}'),
    "bool": payload(b'{"words":{"dtype":"U32","shape":[true],"data_offsets":[0,4]}}'),
    "twice": payload(b'{"words":{%s},"words":{%s}}' % (ENTRY.encode(), ENTRY.encode())),
    "deep": payload(b"[" * 200_000),
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_arrays_end_neither_lead_nor_worker(tmp_path, what):
    one = toy(tmp_path)
    one.lead.invite()
    lock = wire.Lock(study=one.study.digest, sender=wire.LEAD, digest="0" * 64)
    done = wire.Aggregate(study=one.study.digest, sender="west", subject="s", query="q", step=0)
    lying(one, "west", lambda message: raw(one.folders["west"].key, done, STRANGE[what]))
    assert set(one.lead.ask(dict.fromkeys(SITES, lock), 5.0)) == {"east", "north"}
    assert one.lead.journal.refusals()
    answer = one.workers["east"].answer(raw(one.lead.key, lock, STRANGE[what]))
    refusal = frames.unseal(answer, {"east": [one.folders["east"].key.public]}).message
    assert refusal.kind == "refusal"
    assert refusal.code == "HZ91"


def test_an_answer_that_breaks_a_library_costs_its_site_alone(tmp_path, monkeypatch):
    one = toy(tmp_path)
    real = type(one.lead)._checked

    def broken(self, site, frame, question):
        if site == "west":
            raise OverflowError("\ud800")
        return real(self, site, frame, question)

    monkeypatch.setattr(type(one.lead), "_checked", broken)
    assert one.lead.invite() == ("east", "north")
    assert "can't be read (OverflowError)" in one.lead.journal.refusals()


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202e", "\ud800", "\u200b"])
def test_a_reason_holds_only_what_prints(text):
    with pytest.raises(ValueError, match="reason"):
        wire.Refusal(study="0" * 64, sender="west", code="HZ92", reason=text)
    shown = wire.printable(text)
    assert wire.Refusal(study="0" * 64, sender="west", code="HZ92", reason=shown).reason == shown


def test_what_a_stranger_writes_does_not_stand_in_the_error():
    header = json.dumps({"kind": "done", "\x1b[32mfine": 1}).encode()
    body = struct.pack("<I", len(header)) + header
    frame = frames.MAGIC + struct.pack("<Q", len(body)) + body + bytes(64)
    with pytest.raises(MessageError) as caught:
        frames.unseal(frame, {})
    assert "fine" not in caught.value.message


def test_a_replayed_refusal_of_another_study_or_question_is_left_out(tmp_path):
    one = toy(tmp_path)
    one.lead.invite()
    for study in ("f" * 64, one.study.digest):
        old = wire.Refusal(study=study, sender="west", code="HZ92", reason="minimum_cohort: too few")
        lying(one, "west", lambda message, old=old: seal(old, one.folders["west"].key))
        lock = wire.Lock(study=one.study.digest, sender=wire.LEAD, digest="0" * 64)
        assert set(one.lead.ask(dict.fromkeys(SITES, lock), 5.0)) == {"east", "north"}
    assert "refusal" not in one.lead.journal.events()


def rounds(one: Toy, tmp_path: Path) -> Round:
    patients = sum(len(learner.x) for learner in one.learners.values())
    assert one.study.federation is not None
    return Training(
        lead=one.lead,
        federation=one.study.federation,
        model="cman",
        folder=tmp_path / "rounds",
        sites=tuple(one.workers),
        patients=patients,
    ).run(WEIGHTS)


def flipped(blob: str) -> str:
    return blob[:-2] + ("11" if blob[-2:] != "11" else "22")


def bad_box_for(victim: str):
    def alter(message):
        if isinstance(message, wire.Shared) and victim in message.boxes:
            boxes = {**message.boxes, victim: flipped(message.boxes[victim])}
            return message.model_copy(update={"boxes": boxes})
        return message

    return alter


def test_a_bad_box_never_leaves_out_the_one_who_got_it_alone(tmp_path):
    """Else west has north left out, and subtracts its own numbers from those of the rest."""
    one = toy(tmp_path, {"rounds": 1})
    one.lead.invite()
    lying(one, "west", bad_box_for("north"))
    with pytest.raises(FederationError, match="north says that sealed shares of west don't open"):
        rounds(one, tmp_path)
    assert "unmasking" not in one.lead.journal.events()


def test_of_many_sites_accuser_and_accused_are_left_out_together(tmp_path):
    names = tuple("abcdef")
    one = toy(tmp_path, {"rounds": 1}, sites=names)
    one.lead.invite()
    lying(one, "f", bad_box_for("b"))
    assert rounds(one, tmp_path).sites == (("a", "c", "d", "e"),)


def test_a_refusal_names_whose_shares_do_not_open(tmp_path):
    one = toy(tmp_path, {"rounds": 1})
    one.lead.invite()
    seen: list[str] = []
    real = one.workers["north"].answer

    def watch(frame: bytes) -> bytes:
        answer = real(frame)
        message = frames.unseal(answer, {"north": [one.folders["north"].key.public]}).message
        if isinstance(message, wire.Refusal) and message.accused:
            seen.append(message.accused)
        return answer

    one.workers["north"].answer = watch  # type: ignore[method-assign]  # to see what it says
    lying(one, "west", bad_box_for("north"))
    with pytest.raises(FederationError):
        rounds(one, tmp_path)
    assert set(seen) == {"west"}


@pytest.mark.parametrize("liar", ["a", "d", "f"])
def test_wrong_shares_of_one_site_stop_nobody_and_are_named(tmp_path, liar):
    names = tuple("abcdef")
    expected = rounds(toy_invited(tmp_path / "honest", names), tmp_path / "honest")
    one = toy_invited(tmp_path / "one", names)

    def alter(message):
        if isinstance(message, wire.Unmasked):
            return message.model_copy(update={"seeds": {n: flipped(v) for n, v in message.seeds.items()}})
        return message

    lying(one, liar, alter)
    done = rounds(one, tmp_path / "one")
    assert done.sites == (names,)
    assert all((done.weights[name] == expected.weights[name]).all() for name in WEIGHTS)
    assert f"{liar}: wrong shares for the unmasking" in one.lead.journal.refusals()


def toy_invited(path: Path, names: tuple[str, ...]) -> Toy:
    one = toy(path, {"rounds": 1}, sites=names)
    one.lead.invite()
    return one


def test_the_worker_answers_on_after_a_strange_frame(tmp_path):
    one = toy(tmp_path)
    one.lead.invite()
    lock = wire.Lock(study=one.study.digest, sender=wire.LEAD, digest="0" * 64)
    one.workers["east"].answer(raw(one.lead.key, lock, STRANGE["surrogate"]))
    assert ask_one(one, "east", lock).message.kind == "done"
