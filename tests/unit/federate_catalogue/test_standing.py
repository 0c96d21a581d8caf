"""A desk between questions: kept, lent to others, and opened anew where something changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_at_work import make_site, write_series

from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.errors import LedgerError, StorageError
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.catalogue.publishing import publish
from huizhen.federate.catalogue.standing import Standing
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.reading import read_log

ASKER = "a" * 16


def of(value: str) -> Query:
    """Return a question."""
    return parse_query({"operand": "AND", "children": [{"key": "modality", "type": "IN", "value": [value]}]})


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    """A site that published."""
    made = make_site(tmp_path / "north", "north", patients=300)
    publish(made)
    return made


def test_a_desk_is_kept_between_questions(site: SiteFolder) -> None:
    standing, desks = Standing(site), []
    for value in ("MR", "MG", "MR"):
        with standing.lend() as desk:
            desk.answer(of(value), asker=ASKER)
            desks.append(desk)
    assert desks[0] is desks[1] is desks[2]
    assert len(read_log(site.path / "catalogue/ledger").heads) == len(
        read_log(site.path / "catalogue/ledger").entries
    )


def test_others_have_the_desk_in_between_and_what_they_told_is_remembered(site: SiteFolder) -> None:
    standing = Standing(site)
    with standing.lend() as first:
        first.answer(of("MR"), asker=ASKER)
        with pytest.raises(LedgerError):
            Desk.open(site)
    with Desk.open(site) as other:
        told = other.answer(of("MG"), asker=ASKER)
    with standing.lend() as second:
        assert second is not first
        assert second.answer(of("MG"), asker=ASKER) == told


def test_a_renewed_index_and_another_policy_are_seen(site: SiteFolder) -> None:
    standing = Standing(site)
    with standing.lend() as desk:
        before = desk.index.digest
    write_series(site.path / "series.csv", 340)
    assert not publish(site).kept
    with standing.lend() as desk:
        assert desk.index.digest != before
        assert desk.policy.most_a_day == 200
    path = site.path / "catalogue.toml"
    path.write_text(path.read_text() + "most_a_day = 7\n")
    with standing.lend() as desk:
        assert desk.policy.most_a_day == 7


def test_a_ledger_changed_in_between_is_verified(site: SiteFolder) -> None:
    standing = Standing(site)
    with standing.lend() as desk:
        desk.answer(of("MR"), asker=ASKER)
    path = site.path / "catalogue/ledger/entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"asker":"record"', b'"asker":"nobody!"', 1))
    with pytest.raises(LedgerError), standing.lend():
        pass


def test_a_question_that_failed_leaves_nobody_at_the_desk(site: SiteFolder) -> None:
    standing = Standing(site)
    with pytest.raises(StorageError), standing.lend() as desk:
        raise StorageError("the disk is full", remedy="free some")
    with Desk.open(site):
        pass
    with standing.lend() as another:
        assert another is not desk
