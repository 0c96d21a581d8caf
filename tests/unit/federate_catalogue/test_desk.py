"""A site's desk: what it tells, repeats, keeps to itself and writes down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from site_at_work import make_site, write_series

from huizhen.core.digests import Digest
from huizhen.data.catalogue.building import Sources, build_index
from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.matching import match
from huizhen.errors import DataError, LedgerError, PolicyError, StorageError
from huizhen.federate.catalogue.current import answered_from
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.catalogue.publishing import changed, publish
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.reading import read_log

ASKER = "a" * 16
MakeSite = Callable[..., SiteFolder]


def question(*leaves: tuple[str, Any], within: str = "series") -> Query:
    """Return a question of criteria that are all to be met; two numbers are a band."""
    children = []
    for key, value in leaves:
        band = isinstance(value, tuple)
        kind = "BETWEEN" if band else "IN"
        given = {"min": value[0], "max": value[1]} if band else [value]
        children.append({"key": key, "type": kind, "value": given})
    return parse_query({"operand": "AND", "children": children, "within": within})


@pytest.fixture
def published(tmp_path: Path) -> MakeSite:
    """Return a function that makes a site and publishes its record."""

    def make(**limits: Any) -> SiteFolder:
        site = make_site(tmp_path / "north", "north", **limits)
        publish(site)
        return site

    return make


def test_counts_are_rounded_and_their_bounds_hold(published: MakeSite) -> None:
    with Desk.open(published()) as desk:
        for asked in (question(("modality", "MR")), question(("sex", "M"), ("manufacturer", "GE"))):
            reply = desk.answer(asked, asker=ASKER)
            true = match(desk.index, asked).counts[0]
            assert reply.subjects is not None
            assert reply.subjects.low is not None
            assert reply.subjects.high is not None
            assert reply.subjects.low <= true <= reply.subjects.high
            assert (reply.subjects.value or 0) % 10 == 0


def test_few_are_told_as_few(published: MakeSite) -> None:
    with Desk.open(published()) as desk:
        reply = desk.answer(question(("sex", "M"), ("age", (30, 34)), ("year", (2016, 2016))), asker=ASKER)
    assert reply.subjects is not None
    assert (reply.subjects.value, reply.subjects.low) == (None, 0)


def test_the_same_question_has_the_same_answer_also_after_a_restart(published: MakeSite) -> None:
    site, asked = published(), question(("modality", "MR"), ("age", (40, 59)))
    with Desk.open(site) as desk:
        first = desk.answer(asked, asker=ASKER)
        assert desk.answer(asked, asker="b" * 16) == first
    with Desk.open(site) as desk:
        assert desk.answer(asked, asker=ASKER) == first


def test_what_was_told_is_remembered_over_restarts(published: MakeSite) -> None:
    """A question that few subjects tell from one asked before the restart repeats its answer."""
    site = published()
    whole = question(("modality", "MR"))
    nearly = parse_query(
        {
            "operand": "AND",
            "children": [
                {"key": "modality", "type": "IN", "value": ["MR"]},
                {
                    "operand": "NOT",
                    "children": [
                        {
                            "operand": "AND",
                            "children": [
                                {"key": "sex", "type": "IN", "value": ["M"]},
                                {"key": "age", "type": "BETWEEN", "value": {"min": 30, "max": 34}},
                                {"key": "manufacturer", "type": "IN", "value": ["GE"]},
                                {"key": "year", "type": "BETWEEN", "value": {"min": 2015, "max": 2019}},
                            ],
                        }
                    ],
                },
            ],
        }
    )
    with Desk.open(site) as desk:
        told = desk.answer(whole, asker=ASKER)
        apart = match(desk.index, whole).counts[0] - match(desk.index, nearly).counts[0]
    assert 0 < apart < 10
    with Desk.open(site) as desk:
        assert desk.answer(nearly, asker="b" * 16).subjects == told.subjects


def test_ages_are_asked_in_bands(published: MakeSite) -> None:
    with Desk.open(published(age_step=10)) as desk:
        desk.answer(question(("age", (50, 59))), asker=ASKER)
        desk.answer(question(("age", (50, 150))), asker=ASKER)
        for band in ((50, 58), (51, 59), (55, 64)):
            with pytest.raises(PolicyError, match="bands of 10"):
                desk.answer(question(("age", band)), asker=ASKER)


def test_an_asker_has_so_many_questions_a_day(published: MakeSite) -> None:
    site, asked = published(most_a_day=30), question(("modality", "MR"))
    with Desk.open(site) as desk:
        for _ in range(30):
            desk.answer(asked, asker=ASKER)
        with pytest.raises(PolicyError, match="30 questions"):
            desk.answer(asked, asker=ASKER)
        desk.answer(asked, asker="b" * 16)
    with Desk.open(site) as desk, pytest.raises(PolicyError, match="30 questions"):
        desk.answer(asked, asker=ASKER)


def test_an_index_has_so_many_answers(published: MakeSite) -> None:
    site = published(most_questions=12)
    with Desk.open(site) as desk:
        desk.answer(question(("modality", "MR")), asker=ASKER)
        refused = 0
        for year in range(2015, 2025):
            try:
                desk.answer(question(("year", (year, year))), asker=ASKER)
            except PolicyError as error:
                refused += "told 12" in error.message
        assert 0 < refused < 10
        desk.answer(question(("modality", "MR")), asker=ASKER)


def test_each_answer_is_in_the_signed_ledger(published: MakeSite) -> None:
    site = published()
    with Desk.open(site) as desk:
        reply = desk.answer(question(("modality", "MR")), asker=ASKER)
    entry = read_log(site.path / "catalogue/ledger").entries[-1]
    assert entry.kind == "catalogue_answer"
    assert entry.body["asker"] == ASKER
    assert entry.body["reply"] == reply.to_json()


def test_what_is_refused_is_in_the_ledger_and_counts(published: MakeSite) -> None:
    site = published(age_step=10, most_a_day=30)
    odd = question(("age", (51, 59)))
    with Desk.open(site) as desk:
        for _ in range(33):
            with pytest.raises(PolicyError):
                desk.answer(odd, asker=ASKER)
    refused = [e for e in read_log(site.path / "catalogue/ledger").entries if e.kind == "catalogue_refusal"]
    assert [(e.body["code"], e.body["field"]) for e in refused[-2:]] == [
        ("HZ92", "age"),
        ("HZ92", "most_a_day"),
    ]
    assert len(refused) == 31  # of those over the day's number the first is entered
    with Desk.open(site) as desk, pytest.raises(PolicyError, match="30 questions"):
        desk.answer(question(("modality", "MR")), asker=ASKER)


def test_a_refused_question_leaves_the_guards_as_they_were(published: MakeSite) -> None:
    """Else a second question would be answered by a count that the ledger knows nothing of."""
    site = published(most_questions=12)
    with Desk.open(site) as desk:
        refused = []
        for year in range(2015, 2025):
            before = [guard.told for guard in desk._guards.values()]
            try:
                desk.answer(question(("year", (year, year))), asker=ASKER)
            except PolicyError:
                refused.append(year)
                assert [guard.told for guard in desk._guards.values()] == before
        told = {name: guard._values for name, guard in desk._guards.items()}
    assert refused
    with Desk.open(site) as desk:
        assert {name: guard._values for name, guard in desk._guards.items()} == told


def test_the_same_message_again_is_neither_entered_nor_counted(published: MakeSite) -> None:
    site, asked = published(most_a_day=30), question(("modality", "MR"))
    path = site.path / "catalogue/ledger/entries.jsonl"
    with Desk.open(site) as desk:
        first = desk.answer(asked, asker=ASKER, message=Digest("1" * 64))
        size = path.stat().st_size
        assert all(desk.answer(asked, asker=ASKER, message=Digest("1" * 64)) == first for _ in range(40))
    with Desk.open(site) as desk:
        assert desk.answer(asked, asker=ASKER, message=Digest("1" * 64)) == first
        assert path.stat().st_size == size
        desk.answer(asked, asker=ASKER, message=Digest("2" * 64))
        assert path.stat().st_size > size


def test_an_edited_ledger_is_refused(published: MakeSite) -> None:
    site = published()
    path = site.path / "catalogue/ledger/entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"asker":"record"', b'"asker":"nobody"', 1))
    with pytest.raises(LedgerError):
        Desk.open(site)


def test_one_desk_at_a_time(published: MakeSite) -> None:
    site = published()
    with Desk.open(site), pytest.raises(LedgerError):
        Desk.open(site)


def test_a_record_says_what_anybody_may_hear(published: MakeSite) -> None:
    site = published()
    facts = publish(site).facts
    assert (facts.subjects, facts.modalities, facts.sexes) == (1000, ("MG", "MR"), ("F", "M"))
    assert facts.manufacturers == ("GE", "HOLOGIC", "SIEMENS")
    assert (facts.least_age, facts.first_year) == (30, 2015)


def test_rare_values_are_not_named(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north")
    with (site.path / "series.csv").open("a") as table:
        table.write("x1,x1.1,x1.1.1,PT,Rare Maker,HEAD,O,99,1999\n" * 3)
    facts = publish(site).facts
    assert "PT" not in facts.modalities
    assert "O" not in facts.sexes
    assert "RARE MAKER" not in facts.manufacturers
    assert facts.most_age == 79


def test_one_patient_of_many_studies_moves_no_range(tmp_path: Path) -> None:
    plain = publish(make_site(tmp_path / "south", "south", patients=200)).facts
    site = make_site(tmp_path / "north", "north", patients=200)
    with (site.path / "series.csv").open("a") as table:
        for age, year in ((103, 1931), (2, 2060)):
            table.writelines(
                f"p{age}{year},p{year}.{n},p{year}.{n}.0,MR,GE,BREAST,F,{age},{year}\n" for n in range(25)
            )
    facts = publish(site).facts
    assert (facts.least_age, facts.most_age) == (plain.least_age, plain.most_age)
    assert (facts.first_year, facts.last_year) == (plain.first_year, plain.last_year) == (2015, 2024)


def test_ages_of_few_subjects_are_not_told(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north", patients=40)
    rows = [line.rsplit(",", 2)[0] for line in (site.path / "series.csv").read_text().splitlines()[1:]]
    head = "patient,study,series,modality,manufacturer,body_part,sex,age,year\n"
    many = [row.replace(".1", f".{n}") + ",50,2020\n" for row in rows for n in (1, 2, 3)]
    (site.path / "series.csv").write_text(head + "".join(many))
    assert publish(site).facts.least_age is None


def test_too_few_patients_have_no_record(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than 10"):
        publish(make_site(tmp_path / "north", "north", patients=6))


def test_an_index_is_replaced_only_when_enough_subjects_differ(published: MakeSite) -> None:
    site, asked = published(), question(("modality", "MR"))
    with Desk.open(site) as desk:
        before, old = desk.answer(asked, asker=ASKER), desk.index
    write_series(site.path / "series.csv", 1005)
    assert publish(site).kept
    with Desk.open(site) as desk:
        assert desk.answer(asked, asker=ASKER) == before
    write_series(site.path / "series.csv", 1040)
    assert not publish(site).kept
    with Desk.open(site) as desk:
        assert changed(old, desk.index) == 40
        assert desk.answer(asked, asker=ASKER).index != before.index


def test_no_index_differs_by_few_from_any_that_was_answered_from(published: MakeSite) -> None:
    """A way round: many come and go again, and of the first index's patients one is left out."""
    site, asked = published(), question(("modality", "MR"))
    path = site.path / "series.csv"
    told = path.read_text()
    write_series(path, 1040)
    assert not publish(site).kept
    with Desk.open(site) as desk:
        before = desk.answer(asked, asker=ASKER)
    head, *lines = told.splitlines()
    path.write_text("\n".join([head, *(line for line in lines if not line.startswith("p00000,"))]))
    assert publish(site).kept
    with Desk.open(site) as desk:
        assert desk.answer(asked, asker=ASKER) == before
    path.write_text(told)
    assert not publish(site).kept  # the very index of before, with its guard's memory
    assert len(answered_from(site.path)) == 2


def test_a_change_of_what_is_said_of_a_subject_counts(published: MakeSite) -> None:
    site = published()
    with Desk.open(site) as desk:
        old = desk.index
    path = site.path / "series.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, lines[0].replace("BREAST", "CHEST"), *lines[1:]]))
    assert publish(site).kept
    with Desk.open(site) as desk:
        assert changed(old, desk.index) == 0


def test_series_of_one_study_that_become_studies_are_a_change(tmp_path: Path) -> None:
    """Else the studies told before and after would tell how many one patient has."""
    site, asked = make_site(tmp_path / "north", "north", patients=200), question(("modality", "MR"))
    path = site.path / "series.csv"
    told = path.read_text()
    path.write_text(told + "".join(f"x,x.0,x.0.{n},MR,GE,BREAST,F,50,2020\n" for n in range(60)))
    publish(site)
    with Desk.open(site) as desk:
        before, old = desk.answer(asked, asker=ASKER), desk.index
    path.write_text(told + "".join(f"x,x.{n},x.0.{n},MR,GE,BREAST,F,50,2020\n" for n in range(60)))
    assert publish(site).kept
    with Desk.open(site) as desk:
        assert desk.answer(asked, asker=ASKER) == before
    fresh = build_index(
        Sources(series=path), tmp_path / "state", secret=site.key.derive_secret("catalogue-patients")
    )
    assert changed(old, fresh) == 1


def test_another_index_in_which_nobody_differs_is_not_taken(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north", patients=100)
    path = site.path / "series.csv"
    told, rest = path.read_text(), "GE,BREAST,F,50,2020\n"
    path.write_text(f"{told}x,x.1,x.1.1,MR,{rest}x,x.1,x.1.2,MG,{rest}")
    publish(site)
    with Desk.open(site) as desk:
        old = desk.index
    path.write_text(f"{told}x,x.1,x.1.2,MR,{rest}x,x.1,x.1.1,MG,{rest}")
    assert publish(site).kept
    with Desk.open(site) as desk:
        assert desk.index.digest == old.digest


def test_a_site_without_an_index_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no index"):
        Desk.open(make_site(tmp_path / "north", "north"))
