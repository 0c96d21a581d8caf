"""A site's part in secure sums: numbers are used once, keys are the study's, a sum is unmasked once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from huizhen.errors import MessageError
from huizhen.federate import messages as wire
from huizhen.federate.secure_sum import SecureSum
from huizhen.federate.secure_wire import wire_coding
from huizhen.federate.site.secure import RELEASED, Pending, Released, SecureSums
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.coding import FixedPoint, Residues

STUDY = "c" * 64
KEYS = {name: SigningKey.generate() for name in ("a", "b", "c")}
TASK = wire.Task(kind="train", name="m", step=0)
CODING = FixedPoint.finest(sites=3, clip=1.0, max_weight=100)


def opening(**changes: object) -> wire.Advertise:
    base = {
        "study": STUDY,
        "sender": wire.LEAD,
        "task": TASK,
        "number": 5,
        "attempt": 0,
        "sites": {name: key.public.hex for name, key in KEYS.items()},
        "threshold": 2,
        "length": 3,
        "coding": wire_coding(CODING),
    }
    return wire.Advertise(**{**base, **changes})


def pending(value: float = 0.5) -> Pending:
    return Pending(weights={"w": np.float32([value, -value])}, patients=10)


KNOWN = {name: key.public.hex for name, key in KEYS.items()}


@pytest.fixture
def sums(tmp_path: Path) -> SecureSums:
    return SecureSums(name="a", key=KEYS["a"], folder=tmp_path)


@pytest.mark.parametrize(("number", "attempt"), [(5, 0), (4, 3), (0, 0), (4, 0)])
def test_a_number_used_before_is_refused_also_after_a_restart(sums, tmp_path, number, attempt):
    sums.advertise(opening(), pending(), KNOWN)
    again = SecureSums(name="a", key=KEYS["a"], folder=tmp_path)
    for each in (sums, again):
        with pytest.raises(MessageError, match="number was used before"):
            each.advertise(opening(number=number, attempt=attempt), pending(), KNOWN)
    again.advertise(opening(number=5, attempt=1), pending(), KNOWN)


def test_fresh_keys_every_time(sums):
    first = sums.advertise(opening(), pending(), KNOWN)
    second = sums.advertise(opening(attempt=1), pending(), KNOWN)
    assert first.mask != second.mask
    assert first.channel != second.channel


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"length": 4}, "over 4 numbers, this site has 3"),
        ({"sites": {n: KEYS[n].public.hex for n in ("b", "c")}}, "this site, with its own key"),
        (
            {"sites": {**{n: KEYS[n].public.hex for n in "ab"}, "c": "d" * 64}},
            "whose key this site was not told",
        ),
        ({"sites": dict.fromkeys("ab", KEYS["a"].public.hex)}, "two have one name or one key"),
    ],
)
def test_terms_that_do_not_fit_the_study_are_refused_and_change_nothing(sums, changes, reason):
    with pytest.raises(MessageError, match=reason):
        sums.advertise(opening(**changes), pending(), KNOWN)
    assert sums.terms == ""
    sums.advertise(opening(), pending(), KNOWN)


def test_another_sums_messages_are_refused(sums):
    sums.advertise(opening(), pending(), KNOWN)
    with pytest.raises(MessageError, match="no such sum open"):
        sums.share(wire.Share(study=STUDY, sender=wire.LEAD, terms="0" * 64, roster={}))


def test_words_are_not_summed_as_weights():
    words = Pending(words=np.zeros(2, np.uint32))
    assert words.length == 2
    assert pending().length == 3
    from huizhen.federate.secure_wire import terms_of

    fixed, residues = terms_of(opening()), terms_of(opening(coding=wire_coding(Residues(sites=3))))
    with pytest.raises(MessageError, match="coding is not for"):
        words.encoded(fixed)
    with pytest.raises(MessageError, match="coding is not for"):
        pending().encoded(residues)


class Room:
    """The sites of a sum in one process; `lost` site -> phase in which it no longer answers."""

    def __init__(self, folder: Path, lost: dict[str, str] | None = None) -> None:
        self.lost = lost or {}
        self.sums = {}
        for name, key in KEYS.items():
            (folder / name).mkdir(exist_ok=True)
            self.sums[name] = SecureSums(name=name, key=key, folder=folder / name)

    def ask(self, asked, timeout_s):
        from types import SimpleNamespace

        found = {}
        for name, message in asked.items():
            if self.lost.get(name) == message.kind:
                continue
            try:
                answer, arrays = self.answer(name, message)
            except MessageError as error:
                answer = wire.Refusal(study=STUDY, sender=name, code=error.code, reason=error.message)
                arrays = {}
            found[name] = SimpleNamespace(message=answer, arrays=arrays)
        return found

    def answer(self, name, ask):
        sums, who = self.sums[name], {"study": STUDY, "sender": name}
        match ask:
            case wire.Advertise():
                keys = sums.advertise(ask, pending(), KNOWN)
                return wire.Advertised(**who, terms=sums.terms, keys=keys), {}
            case wire.Share():
                commitment, boxes = sums.share(ask)
                return wire.Shared(**who, terms=ask.terms, commitment=commitment, boxes=boxes), {}
            case wire.Deliver():
                return wire.Masked(**who, terms=ask.terms), {"vector": sums.mask(ask)}
            case wire.Endorse():
                return wire.Endorsed(**who, terms=ask.terms, signature=sums.endorse(ask)), {}
            case wire.Unmask():
                seeds, keys = sums.unmask(ask)
                return wire.Unmasked(**who, terms=ask.terms, seeds=seeds, keys=keys), {}

    def total(self, number: int, *, whole: bool = False, unmasking=lambda sites: None):
        return SecureSum(
            opening(number=number), ask=self.ask, patience_s=1.0, whole=whole, unmasking=unmasking
        ).total()


def test_the_sum_is_the_sum(tmp_path):
    mean, weight = CODING.decode(Room(tmp_path).total(1).vector)
    assert weight == 30
    np.testing.assert_allclose(mean, [0.5, -0.5], atol=1e-3)


def test_a_whole_sum_is_given_up_before_anything_is_unmasked(tmp_path):
    told: list[object] = []
    for number, phase in enumerate(("advertise", "share", "deliver")):
        room = Room(tmp_path, {"c": phase})
        with pytest.raises(Exception, match="c fell out of a secure sum"):
            room.total(number, whole=True, unmasking=told.append)
        assert not (tmp_path / "a" / RELEASED).exists()
    assert told == []


def test_over_other_sites_nothing_is_unmasked_a_second_time(tmp_path):
    told: list[tuple[str, ...]] = []
    assert Room(tmp_path, {"c": "deliver"}).total(1, unmasking=told.append).survivors == ("a", "b")
    assert told == [("a", "b")]
    again = Room(tmp_path)
    with pytest.raises(Exception, match=r"survivors|sites"):
        again.total(2)
    assert Room(tmp_path, {"c": "deliver"}).total(3).survivors == ("a", "b")


SITES = {("a", "1" * 64), ("b", "2" * 64)}


def test_a_torn_note_of_what_was_unmasked_is_cut_off(tmp_path):
    file = tmp_path / RELEASED
    Released(file).note(["train:m:0"], SITES)
    whole = file.read_bytes()
    file.write_bytes(whole + b'["train:m:1", ["a"')
    again = Released(file)
    assert again.over("train:m:0") == SITES
    assert again.over("train:m:1") is None
    assert file.read_bytes() == whole
    again.note(["train:m:0"], SITES)
    assert file.read_bytes() == whole


def test_what_another_opening_of_the_study_released_counts(tmp_path):
    """The file is read each time: no second opening of a study has a memory of its own."""
    one, two = Released(tmp_path / RELEASED), Released(tmp_path / RELEASED)
    one.note(["train:m:0", "weights:x"], SITES)
    assert two.over("weights:x") == SITES


def test_a_name_with_another_key_is_another_site(tmp_path):
    room = Room(tmp_path)
    room.total(1)
    before = room.sums["a"]._released.over("train:m:0")
    assert before == {(name, key.public.hex) for name, key in KEYS.items()}
    with pytest.raises(MessageError, match="whose key this site was not told"):
        room.sums["a"].advertise(opening(number=2), pending(), {**KNOWN, "b": KNOWN["c"], "c": KNOWN["b"]})


def test_the_same_numbers_are_unmasked_over_one_set_of_sites_in_whatever_round(tmp_path):
    """Asked at another place, an answer with a key that was released stays with those sites."""
    Room(tmp_path).total(1)
    keyed = Pending(weights={"w": np.float32([0.5, -0.5])}, patients=10, keys=("weights:x",))
    sums = SecureSums(name="a", key=KEYS["a"], folder=tmp_path / "a")
    sums._released.note(["weights:x"], SITES)
    sums.advertise(opening(number=2, task=wire.Task(kind="train", name="m", step=1)), keyed, KNOWN)
    endorse = wire.Endorse(study=STUDY, sender=wire.LEAD, terms=sums.terms, survivors=["a", "b", "c"])
    with pytest.raises(MessageError, match="unmasked over a, b before"):
        sums.endorse(endorse)
