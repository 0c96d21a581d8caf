"""Noise on counts: the same again, paid for, and all that an answer depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from site_at_work import make_site

from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.record import load_catalogue
from huizhen.errors import PolicyError, PrivacyError
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.catalogue.publishing import publish, renew_index
from huizhen.federate.site.folder import SiteFolder, policy_toml
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


def test_noise_is_the_same_again_and_is_paid_for(published: MakeSite) -> None:
    site, asked = published(noise=20.0), question(("modality", "MR"))
    with Desk.open(site) as desk:
        first = desk.answer(asked, asker=ASKER)
        assert (first.studies, first.series) == (None, None)
        assert first.subjects is not None
        assert first.subjects.low is None
        assert desk.answer(asked, asker="b" * 16) == first
    spends = (site.path / "privacy/spends.jsonl").read_text()
    assert '"noise_multiplier":20.0' in spends
    before = spends.count("\n")
    with Desk.open(site) as desk:
        desk.answer(asked, asker=ASKER)
    assert (site.path / "privacy/spends.jsonl").read_text().count("\n") == before


def test_questions_whose_digests_begin_alike_are_each_paid_for(tmp_path: Path) -> None:
    """The two were found by search: their digests share the first 48 bits."""
    site = make_site(tmp_path / "north", "north", noise=20.0)
    renew_index(site, load_catalogue(site.path / "catalogue.toml"))
    spends, pair = site.path / "privacy/spends.jsonl", []
    for number in (14620627, 15019030):
        values = ["MG" if number % 2 else "MR", f"X{number:08d}"]
        leaf = {"key": "modality", "type": "IN", "value": values}
        pair.append(parse_query({"operand": "AND", "children": [leaf]}))
    assert pair[0].digest[:12] == pair[1].digest[:12]
    assert pair[0].digest != pair[1].digest
    with Desk.open(site) as desk:
        for paid, asked in enumerate(pair, start=1):
            desk.answer(asked, asker=ASKER)
            assert spends.read_text().count("reserve") == paid


def test_noise_ends_with_the_patients_budget(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north", noise=4.0)
    policy = site.policy().model_copy(update={"maximum_epsilon": 1.0})
    (site.path / "policy.toml").write_text(policy_toml(policy))
    with pytest.raises(PrivacyError, match="budget"):
        publish(site)


def test_with_noise_no_answer_depends_on_the_count_but_by_its_noise(tmp_path: Path) -> None:
    """Few and many, asked before or not: each is its count and its own draw, and nothing else."""
    site = make_site(tmp_path / "north", "north", noise=20.0)
    renew_index(site, load_catalogue(site.path / "catalogue.toml"))
    pairs = [question(("modality", "MR"), ("age", (30, top))) for top in (34, 39, 74, 79)]
    pairs.append(question(("modality", "XA")))
    with Desk.open(site) as desk:
        for asked in pairs:
            desk.answer(asked, asker=ASKER)
        masks = [match(desk.index, asked).subjects for asked in pairs]
    told = [entry.body["fresh"]["subjects"] for entry in answers_in(site)]
    apart = [value - mask.sum() for value, mask in zip(told, masks, strict=True)]
    assert len(set(apart)) == len(pairs)
    assert all(0 < abs(one) < 100 for one in apart)
    assert masks[-1].sum() == 0


def test_another_deviation_is_another_draw_and_is_paid_for(tmp_path: Path) -> None:
    """Two scales of one draw would tell the count: twice the first less the second."""
    site, asked = make_site(tmp_path / "north", "north", noise=20.0), question(("modality", "MR"))
    renew_index(site, load_catalogue(site.path / "catalogue.toml"))
    for text in ("noise = 20.0", "noise = 40.0"):
        path = site.path / "catalogue.toml"
        path.write_text(path.read_text("utf-8").replace("noise = 20.0", text), "utf-8")
        with Desk.open(site) as desk:
            desk.answer(asked, asker=ASKER)
            count = int(match(desk.index, asked).subjects.sum())
    first, second = (entry.body["fresh"]["subjects"] - count for entry in answers_in(site))
    assert abs(2 * first - second) > 0.1
    assert (site.path / "privacy/spends.jsonl").read_text().count("reserve") == 2


def test_with_noise_an_index_has_so_many_answers_whatever_they_count(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north", noise=20.0, most_questions=2)
    renew_index(site, load_catalogue(site.path / "catalogue.toml"))
    for rare in ("XA", "NM"):  # nobody has these
        with Desk.open(site) as desk:
            desk.answer(question(("modality", rare)), asker=ASKER)
    with Desk.open(site) as desk, pytest.raises(PolicyError, match="has told 2 counts"):
        desk.answer(question(("modality", "MR")), asker=ASKER)


def test_a_record_with_noise_names_no_rare_value_and_no_number_of_studies(tmp_path: Path) -> None:
    site = make_site(tmp_path / "north", "north", noise=50.0)
    lines = (site.path / "series.csv").read_text().splitlines()
    lines += [f"q{n},q{n}.1,q{n}.1.1,MR,Maker {n},BREAST,F,50,2020" for n in range(30)]
    (site.path / "series.csv").write_text("\n".join(lines) + "\n")
    facts = publish(site).facts
    assert not [name for name in facts.manufacturers if name.startswith("MAKER")]
    assert facts.studies is None


def answers_in(site: SiteFolder) -> list[Any]:
    """Return the ledger's answers."""
    found = read_log(site.path / "catalogue/ledger")
    return [entry for entry in found.entries if entry.kind == "catalogue_answer"]
