"""Requests for access: what an approval is held against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from portal_at_work import settings_of
from site_at_work import SAID

from huizhen.data.catalogue.jsonld import Record, read_record, record_bytes
from huizhen.data.catalogue.record import Description, Facts
from huizhen.errors import InvalidInputError, PolicyError
from huizhen.ledger.signing import SigningKey
from huizhen.portal import access
from huizhen.portal.access import REQUEST, Desk
from huizhen.portal.roles import Person, person_of

KEY = SigningKey.generate()
RITA = Person(id="a" * 16, name="Rita", email="", rights=frozenset(), officer_of=frozenset())
OSKAR = Person(id="b" * 16, name="Oskar", email="", rights=frozenset(), officer_of=frozenset({"north"}))
WANTED = {
    "title": "t",
    "description": "d",
    "institution": "i",
    "commercial": False,
    "methods": False,
    "ethics_approval": "yes",
}
REASON = "it looks fine to me"


def record(*conditions: str, site: str = "north", **changed: str) -> Record:
    """Return a signed record under conditions of use."""
    said = Description.model_validate({**SAID, **changed, "use_conditions": conditions})
    facts = Facts(
        subjects=100,
        studies=100,
        sexes=("F",),
        modalities=("MR",),
        manufacturers=("HOLOGIC",),
        body_parts=("BREAST",),
        smallest=10,
        rounding=10,
    )
    return read_record(record_bytes(site, said, facts, KEY), key=KEY.public)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A portal's ledger."""
    desk = Desk(tmp_path, SigningKey.generate())
    yield desk
    desk.close()


def decide(desk: Desk, number: int, *on_show: Record, approved: bool = True) -> bool:
    """Decide a request while records are on show; return the decision as it stands."""
    made = desk.decide(OSKAR, number, approved=approved, reason=REASON, on_show=on_show)
    assert made.decision is not None
    return made.decision.approved


def test_an_approval_is_held_against_the_newest_record_of_the_data(desk: Desk) -> None:
    number = desk.ask(RITA, record("HMB"), WANTED).number
    for on_show in ([record("CC")], [record("HMB"), record("CC")], [record("HMB", "NPU")]):
        with pytest.raises(PolicyError, match="don't permit what is wanted"):
            decide(desk, number, *on_show)
    assert decide(desk, number, record("HMB", title="another title"))
    entry = desk.entries()[-1]
    assert entry.body["records"] == [record("HMB", title="another title").digest]


def test_what_is_no_longer_on_show_is_not_approved_but_can_be_refused(desk: Desk) -> None:
    number = desk.ask(RITA, record("HMB"), WANTED).number
    for on_show in (
        [],
        [record("HMB", identifier="https://example.org/else")],
        [record("HMB", site="south")],
    ):
        with pytest.raises(PolicyError, match="on show any more"):
            decide(desk, number, *on_show)
    assert decide(desk, number, approved=False) is False


def test_an_approval_is_held_against_its_own_day(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    until = record("HMB", "TS=2030-01-31")
    monkeypatch.setattr(access, "_today", lambda: date(2030, 1, 31))
    number = desk.ask(RITA, until, WANTED).number
    monkeypatch.setattr(access, "_today", lambda: date(2030, 2, 1))
    with pytest.raises(PolicyError, match="don't permit") as caught:
        decide(desk, number, until)
    assert caught.value.field == "TS"


@pytest.mark.parametrize(
    ("claims", "permitted"),
    [
        ({"email": "chen@example.org", "email_verified": True}, True),
        ({"name": "chen@example.org", "email": "rita@example.org", "email_verified": True}, False),
        ({"name": "Prof. Chen"}, False),
        ({"email": "chen@example.org"}, False),
        ({"email": "chen@example.org", "email_verified": False}, False),
        ({"email": "chen@example.org", "email_verified": "true"}, False),
        ({"email_verified": True}, False),
    ],
    ids=["verified", "name is the address", "name", "unsaid", "unverified", "text", "no address"],
)
def test_a_condition_on_users_is_met_by_a_verified_address_alone(
    desk: Desk, claims: dict[str, object], permitted: bool
) -> None:
    settings = settings_of(8000, "https://login.example.org", KEY.public.hex)
    person = person_of({"sub": "1", **claims}, settings, secret=b"secret")
    for_chen = record("HMB", "US=Prof. Chen, chen@example.org")
    number = desk.ask(person, for_chen, WANTED).number
    if permitted:
        assert decide(desk, number, for_chen)
    else:
        with pytest.raises(PolicyError, match="don't permit"):
            decide(desk, number, for_chen)


def test_what_did_not_fit_when_asked_is_not_approved_later(desk: Desk) -> None:
    number = desk.ask(RITA, record("CC"), WANTED).number
    with pytest.raises(PolicyError, match="don't permit"):
        decide(desk, number, record("HMB"))


@pytest.mark.parametrize("field", ["title", "description", "institution", "ethics_approval"])
@pytest.mark.parametrize(
    "sign",
    ["\u202e", "\u2066", "\u200b", "\u200f", "\u2028", "\x1b", "\u00ad", "\u2060", "\U000e0041", "\r"],
    ids=lambda sign: f"U+{ord(sign):04X}",
)
def test_no_sign_that_hides_or_turns_reaches_an_officer(desk: Desk, field: str, sign: str) -> None:
    with pytest.raises(InvalidInputError, match="nobody sees") as caught:
        desk.ask(RITA, record("HMB"), {**WANTED, field: f"Uni{sign}gro.live"})
    assert caught.value.field == field
    assert not desk.entries()


def test_only_prose_has_lines(desk: Desk) -> None:
    asked = desk.ask(RITA, record("HMB"), {**WANTED, "description": "one\r\ntwo\n\tthree 三"})
    assert asked.wanted.description == "one\ntwo\n\tthree 三"
    with pytest.raises(InvalidInputError, match="nobody sees"):
        desk.ask(RITA, record("HMB"), {**WANTED, "title": "one\ntwo"})


def test_an_old_request_with_such_signs_is_read_with_them_written_out(desk: Desk) -> None:
    desk.ask(RITA, record("HMB"), WANTED)
    body = desk.entries()[-1].body
    old = desk.note(REQUEST, {**body, "wanted": {**body["wanted"], "title": "a \u202e b"}})
    assert desk.request(RITA, old.index).wanted.title == "a \\u202e b"
