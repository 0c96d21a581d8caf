"""Deciding a consent: a denial overrides, unknown is no, more terms never permit more, order says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.data.consent.decide import Reason, Use, decide, withdrawal_of
from huizhen.data.consent.record import Consent, Said, Withdrawal
from huizhen.data.consent.terms import terms

DAY = date(2026, 11, 23)
DAYS = st.dates(DAY - timedelta(days=40), DAY + timedelta(days=40))
MODALITIES = ("US", "MG", "clinic")
NAMES = ("south", "west")
KNOWN = sorted(terms())
VALUES = {
    "disease": ("MONDO:1", "MONDO:2"),
    "name": ("CN", "CN, DE", "x"),
    "date": ("2026-11-23", "2027-01-01"),
}


@st.composite
def said(draw: st.DrawFn, kinds: tuple[str, ...] = ("permission", "modifier")) -> Said:
    """Draw a term with its value."""
    term = terms()[draw(st.sampled_from([code for code in KNOWN if terms()[code].kind in kinds]))]
    return Said(term=term, value=draw(st.sampled_from(VALUES[term.value])) if term.value else "")


@st.composite
def consents(draw: st.DrawFn, **fixed: Any) -> Consent:
    """Draw one row of a register."""
    first = draw(DAYS)
    later = st.none() | st.dates(first, DAY + timedelta(days=50))
    made: dict[str, Any] = {
        "patient": "a",
        "version": draw(st.integers(1, 3)),
        "given": first,
        "said": tuple(draw(st.lists(said(), max_size=3))),
        "deny": draw(st.booleans()),
        "until": draw(later),
        "modalities": draw(st.frozensets(st.sampled_from(MODALITIES), max_size=2)),
        "partners": draw(st.frozensets(st.sampled_from(NAMES), max_size=2)),
        "withdrawn": draw(st.none() | later),
        "withdrawal": draw(st.sampled_from(list(Withdrawal))),
    }
    return Consent(**{**made, **fixed})


@st.composite
def uses(draw: st.DrawFn) -> Use:
    """Draw what a study does."""
    has = ("ethics_approval", "publication", "collaboration", "return_of_results", "genetic", "non_profit")
    return Use(
        day=DAY,
        purpose=draw(st.sampled_from(["research", "care"])),
        modalities=draw(st.frozensets(st.sampled_from(MODALITIES), min_size=1)),
        diseases=draw(st.frozensets(st.sampled_from(VALUES["disease"]))),
        partners=draw(st.frozensets(st.sampled_from(NAMES))),
        has=draw(st.frozensets(st.sampled_from(has))),
        is_=draw(st.frozensets(st.sampled_from(["methods", "commercial", "ancestry"]))),
        names={code: draw(st.frozensets(st.sampled_from(["CN", "DE"]))) for code in ("US", "PS", "IS", "GS")},
    )


SOME = st.lists(consents(), max_size=5)


@settings(max_examples=100, deadline=None)
@given(SOME, uses(), st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(rows: list[Consent], use: Use, random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    one, other = decide(rows, use), decide(shuffled, use)
    assert (one.permitted, one.modalities, one.version) == (other.permitted, other.modalities, other.version)
    assert withdrawal_of(rows, DAY) == withdrawal_of(shuffled, DAY)


@settings(max_examples=100, deadline=None)
@given(SOME, uses())
def test_a_denial_of_the_version_in_force_overrides(rows: list[Consent], use: Use) -> None:
    version = max((one.version for one in rows if one.given <= DAY), default=1)
    denial = Consent(patient="a", version=version, given=DAY - timedelta(days=60), said=(), deny=True)
    assert not decide([*rows, denial], use).permitted
    some = replace(denial, modalities=frozenset({"US"}))
    assert "US" not in decide([*rows, some], use).modalities


@settings(max_examples=100, deadline=None)
@given(SOME, uses(), st.data())
def test_adding_a_restriction_never_permits_more(rows: list[Consent], use: Use, data: st.DataObject) -> None:
    if not rows:
        return
    place = data.draw(st.integers(0, len(rows) - 1))
    row = rows[place]
    term = data.draw(said(kinds=("modifier",)))
    narrower = [replace(row, said=(*row.said, term))]
    narrower += [] if row.modalities else [replace(row, modalities=frozenset({"US"}))]
    narrower += [] if row.partners else [replace(row, partners=frozenset({"south"}))]
    narrower += [replace(row, until=row.given), replace(row, withdrawn=row.given)]
    if row.deny:  # a denial that is narrowed denies less: only what it covers matters
        return
    before = decide(rows, use)
    for one in narrower:
        after = decide([*rows[:place], one, *rows[place + 1 :]], use)
        assert after.modalities <= before.modalities


@settings(max_examples=100, deadline=None)
@given(SOME, uses())
def test_what_isnt_said_is_no(rows: list[Consent], use: Use) -> None:
    assert decide([], use).reason is Reason.NONE
    without = [replace(one, said=tuple(s for s in one.said if s.term.kind == "modifier")) for one in rows]
    assert not decide(without, use).permitted, "what only narrows permits nothing"
    later = [replace(one, given=DAY + timedelta(days=1), until=None, withdrawn=None) for one in rows]
    assert not decide(later, use).permitted, "nothing holds before it was given"
    found = decide(rows, use)
    assert found.permitted == bool(found.modalities)
    assert found.modalities <= use.modalities


@settings(max_examples=100, deadline=None)
@given(SOME, uses(), st.data())
def test_a_use_that_shows_less_is_permitted_no_more(
    rows: list[Consent], use: Use, data: st.DataObject
) -> None:
    less = replace(
        use,
        has=data.draw(st.frozensets(st.sampled_from(sorted(use.has)))) if use.has else use.has,
        is_=use.is_ | {"commercial", "methods"},
    )
    if "publication" in use.has and "publication" not in less.has:
        less = replace(less, has=less.has | {"publication"})  # MOR holds back what is published
    assert decide(rows, less).modalities <= decide(rows, use).modalities


@settings(max_examples=100, deadline=None)
@given(SOME, uses())
def test_who_withdrew_is_permitted_nothing(rows: list[Consent], use: Use) -> None:
    if withdrawal_of(rows, DAY) is not None:
        assert not decide(rows, use).permitted
