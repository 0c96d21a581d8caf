"""Questions over sites: who may ask, what is believed, and what a sum says."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from site_at_work import make_site

from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.errors import HuizhenError, MessageError
from huizhen.federate.catalogue.asking import BEAT_S, Folders, ask_sites, at_site, evened
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.catalogue.envelopes import (
    QUESTION,
    Answer,
    Counts,
    Question,
    ask,
    open_answer,
    parse,
    question_of,
)
from huizhen.federate.catalogue.publishing import publish
from huizhen.federate.catalogue.totals import total_of
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey

LEAD = SigningKey.generate()
ASKER = "0" * 16


def women() -> Query:
    """Return a question."""
    return parse_query({"operand": "AND", "children": [{"key": "sex", "type": "IN", "value": ["F"]}]})


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SiteFolder]:
    """Three sites: two that know the lead, one that doesn't."""
    home = tmp_path_factory.mktemp("sites")
    made = {
        name: make_site(
            home / name, name, patients=patients, seed=seed, lead=LEAD.public if name != "west" else None
        )
        for seed, (name, patients) in enumerate([("north", 900), ("south", 400), ("west", 300)])
    }
    for site in made.values():
        publish(site)
    return made


def asked(sites: Mapping[str, SiteFolder], query: Query, key: SigningKey = LEAD) -> dict[str, Answer | None]:
    """Ask sites in their folders."""
    return ask_sites(
        query,
        {name: site.key.public for name, site in sites.items()},
        Folders(paths={name: site.path for name, site in sites.items()}),
        key=key,
        asker=ASKER,
    )


def test_a_total_names_who_is_in_it(sites: dict[str, SiteFolder]) -> None:
    answers = asked(sites, women())
    total = total_of(answers, "subjects")
    values = {name: said.counts.subjects.value for name, said in answers.items() if said and said.counts}  # type: ignore[union-attr]  # counts are told
    assert set(values) == {"north", "south"}
    assert total.value == sum(filter(None, values.values()))
    assert (total.told, total.silent) == (("north", "south"), ("west",))
    assert total.low is not None
    assert total.high is not None
    assert total.low < total.value < total.high


def test_an_unknown_lead_hears_nothing(sites: dict[str, SiteFolder]) -> None:
    assert set(asked(sites, women(), SigningKey.generate()).values()) == {None}


def test_a_refusal_is_told_to_a_known_lead(sites: dict[str, SiteFolder]) -> None:
    odd = parse_query(
        {"operand": "AND", "children": [{"key": "age", "type": "BETWEEN", "value": {"min": 41, "max": 42}}]}
    )
    said = asked(sites, odd)["north"]
    assert said is not None
    assert said.refused is not None
    assert said.refused.code == "HZ92"
    total = total_of({"north": said}, "subjects")
    assert (total.value, total.low, total.silent) == (0, None, ("north",))


def counted(site: str, **subjects: Any) -> Answer:
    """Return an answer with a count of subjects."""
    counts = {"subjects": subjects, "studies": None, "series": None, "index": "0" * 64}
    return Answer(
        site=site, question="0" * 64, counts=Counts.model_validate({**counts, "smallest": 10, "rounding": 10})
    )


def test_few_stay_few_in_a_total() -> None:
    answers = {
        "a": counted("a", value=50, low=36, high=64),
        "b": counted("b", value=None, low=0, high=18),
        "c": None,
    }
    total = total_of(answers, "subjects")
    assert (total.value, total.low, total.high) == (50, 36, 82)
    assert (total.told, total.few, total.silent) == (("a",), ("b",), ("c",))
    only = total_of({"b": answers["b"]}, "subjects")
    assert (only.value, only.low, only.high, only.told) == (0, 0, 18, ())
    nobody = total_of({}, "subjects")
    assert (nobody.value, nobody.low, nobody.silent) == (0, None, ())
    noisy = total_of({"a": counted("a", value=50)}, "subjects")
    assert noisy.low is None


@dataclass
class Tampering:
    """A carrier that changes what it carries."""

    inner: Folders
    change: Any

    def carry(self, questions: Mapping[str, Question]) -> dict[str, bytes]:
        """Carry, and change the answers."""
        return {name: self.change(data) for name, data in self.inner.carry(questions).items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"rounding":10', b'"rounding":20', 1),
        lambda data: b"{}",
        lambda data: b"\xff" * 100_000,
        lambda data: json.dumps({**json.loads(data), "extra": 1}).encode(),
    ],
    ids=["another number", "nothing", "noise", "more"],
)
def test_what_was_changed_on_the_way_is_no_answer(sites: dict[str, SiteFolder], change: Any) -> None:
    north = sites["north"]
    carrier = Tampering(inner=Folders(paths={"north": north.path}), change=change)
    answers = ask_sites(women(), {"north": north.key.public}, carrier, key=LEAD, asker=ASKER)
    assert answers == {"north": None}


def test_an_answer_to_another_question_is_none(sites: dict[str, SiteFolder]) -> None:
    north = sites["north"]
    one, other = (ask(women(), site="north", asker=ASKER, number=n * 64, key=LEAD) for n in "12")
    data = at_site(one.model_dump_json().encode(), north, lambda: Desk.open(north))
    assert data is not None
    assert open_answer(data, one, north.key.public).counts is not None
    with pytest.raises(MessageError, match="another question"):
        open_answer(data, other, north.key.public)


def altered(**change: Any) -> bytes:
    """Return a question with some parts changed and signed again."""
    plain = ask(women(), site="north", asker=ASKER, number="1" * 64, key=LEAD).model_copy(update=change)
    signed = plain.model_copy(update={"signature": LEAD.sign(QUESTION, plain.payload())})
    return signed.model_dump_json().encode()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (altered(site="south"), "another site"),
        (altered(time=(datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")), "too old"),
        (altered(time=(datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")), "too old"),
        (b"{}", "no message"),
        (altered(lead=SigningKey.generate().public.hex), "doesn't know"),
        (altered().replace(b'"F"', b'"M"'), "does not hold"),
        (altered(time="2026-13-45T25:61:61+00:00"), "no message"),
        (altered().replace(b'"question":{', b'"question":{"x":NaN,'), "no message|does not hold"),
        (altered().replace(b'"question":{', b'"question":{"x":1e999,'), "no message|does not hold"),
        (altered().replace(b'"question":{', b'"question":{"x":"\\ud800",'), "no message|does not hold"),
    ],
    ids=[
        "elsewhere",
        "old",
        "from the future",
        "nothing",
        "stranger",
        "changed",
        "on no calendar",
        "not a number",
        "endless",
        "half a sign",
    ],
)
def test_a_question_that_may_not_be_answered(sites: dict[str, SiteFolder], data: bytes, match: str) -> None:
    with pytest.raises(HuizhenError, match=match):
        question_of(data, site="north", policy=sites["north"].policy(), now=datetime.now(UTC))


def test_a_question_that_is_none_inside_is_refused_by_the_site(sites: dict[str, SiteFolder]) -> None:
    north = sites["north"]
    data = at_site(altered(question={"operand": "NOT", "children": []}), north, lambda: Desk.open(north))
    assert data is not None
    said = parse(Answer, data)
    assert said.refused is not None
    assert said.refused.code == "HZ10"


@pytest.mark.parametrize("worked_s", [0.0001, 0.0046, 0.0249])
def test_answers_leave_on_a_beat_however_long_they_took(worked_s: float) -> None:
    waited: list[float] = []
    evened(100.0, clock=lambda: 100.0 + worked_s, sleep=waited.append)
    assert worked_s + waited[0] == pytest.approx(BEAT_S)


def test_a_question_asked_before_is_not_told_by_its_time(sites: dict[str, SiteFolder]) -> None:
    north = sites["north"]
    data = altered(number="7" * 64)
    with Desk.open(north) as desk:
        for _ in range(3):
            began = time.monotonic()
            assert at_site(data, north, lambda: nullcontext(desk)) is not None
            assert time.monotonic() - began >= BEAT_S


def test_the_ledger_says_whose_asker_it_was(sites: dict[str, SiteFolder]) -> None:
    """Two leads may know different people by the same digits."""
    north = sites["north"]
    question = ask(women(), site="north", asker=ASKER, number="3" * 64, key=LEAD)
    assert at_site(question.model_dump_json().encode(), north, lambda: Desk.open(north)) is not None
    entry = read_log(north.path / "catalogue/ledger").entries[-1]
    assert entry.body["asker"] == f"{LEAD.public.hex[:16]}:{ASKER}"
