"""What a lead asks of tested patients: sites apart or together, blocks by fold, and what when refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.evidence import Verdict
from huizhen.core.study_evaluation import Subgroup
from huizhen.errors import FederationError, NotEstimableError, PolicyError
from huizhen.federate.statistics.data import Scored, scored
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.grouped import GroupedScores, ScoresByGroup
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import answer_words, plain_sum
from huizhen.federate.statistics.scores import Scores
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.federated_asking import Asking, calibrations, whole
from huizhen.pipeline.federated_assess import _told
from huizhen.pipeline.federated_evidence import NOT_ALONE, TOGETHER_ONLY, _paired, _untold
from huizhen.pipeline.federated_groups import counted_groups
from huizhen.pipeline.federated_plan import ScoresAsked, scores_of
from huizhen.validate.calibration import Platt

N = 80
SITES = ("abroad", "far", "remote")
SEX = Subgroup(column="sex", groups={"F": ("f",), "M": ("m",)})


def a_study(folds: int = 1, subgroups: Sequence[Subgroup] = (SEX, Subgroup(column="site"))) -> Any:
    return SimpleNamespace(
        main="cman",
        split=SimpleNamespace(method="folds" if folds > 1 else "holdout", folds=folds),
        subgroup=tuple(subgroups),
        federation=SimpleNamespace(smallest_count=5),
        phantom=False,
    )


def decisions(folds: int = 1, names: Sequence[str] = ("cman", "table_lr", "single:a")) -> Any:
    own = {k: Decision(platt=Platt(slope=1.0, intercept=0.0), threshold=0.4 + k / 10) for k in range(folds)}
    return dict.fromkeys(names, own)


def patients(site: str, asked: ScoresAsked) -> Scored:
    """Return a site's patients in a fold, other ones at each, with several models' scores."""
    draw = np.random.default_rng([*site.encode(), 0 if asked.fold is None else asked.fold])
    outcome, score = (
        draw.random(N) < 0.4,
        {m: draw.random(N).round(3) for m in ("cman", "table_lr", "single:a")},
    )
    answered = np.arange(N) % 4 > 0 if "single:a" in asked.models else np.ones(N, bool)
    return scored(outcome[answered], np.array([score[m][answered] for m in asked.models]))


@dataclass
class Answering:
    """Stands for a lead over sites that answer at once; `away` and `refuse` say who doesn't."""

    study: Any
    alone: frozenset[str] = frozenset(SITES)
    away: tuple[str, ...] = ()
    refuse: Callable[[str, str], bool] = lambda subject, query: False
    questions: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    journal: Any = field(default_factory=lambda: SimpleNamespace(note=lambda *_, **__: None))

    def enough(self, sites: Sequence[str], of: Sequence[str]) -> None:
        if 3 * len(sites) < 2 * len(of):
            raise FederationError("fewer than the quorum", remedy="wait")

    def exchange(self, subject: str, *, secure: bool, sites: tuple[str, ...]) -> Callable[[Query], Any]:
        assert secure

        def summed(query: Query) -> Any:
            self.questions.append((subject, query.name, sites))
            if set(sites) & set(self.away):
                raise FederationError("a site is away", remedy="wait")
            if self.refuse(subject, query.name):
                raise PolicyError("the distribution of scores doesn't leave this site", remedy="ask for less")
            asked = scores_of(subject.removeprefix("scores/"))
            return plain_sum([self.words(site, asked, query) for site in sites])

        return summed

    def words(self, site: str, asked: ScoresAsked, query: Query) -> Any:
        own = patients(site, asked)
        statistic: Any = Scores() if query.name == "scores" else DeLong(models=2)
        data: Any = own
        if query.name == "scores_by_group":
            counted, _ = counted_groups(self.study)
            statistic = ScoresByGroup(divisions=tuple(one.division for one in counted))
            group = np.arange(own.n)[np.newaxis] % 3 - 1
            data = GroupedScores(scored=own, group=np.repeat(group, len(counted), 0), smallest=1)
        return answer_words(statistic, query, data, sites=3, smallest=1, masked=True)


def asking(part: Part = Part.EXTERNAL, *, folds: int = 1, **more: Any) -> Asking:
    study = a_study(folds)
    lead: Any = Answering(study=study, **more)
    return Asking(study=study, lead=lead, decisions=decisions(folds), part=part, sites=SITES)


def test_external_sites_are_asked_apart_when_all_let_their_own_out():
    found = asking()
    blocks = found.blocks()
    assert found.apart
    assert [block.site for block in blocks] == list(SITES)
    assert [block.n for block in blocks] == [N] * 3
    assert not found.uncounted
    lead: Any = found.lead
    assert {sites for _, query, sites in lead.questions} == {(site,) for site in SITES}


def test_when_one_does_not_no_single_site_is_asked():
    """The difference of the sum and the others' own would be that site's."""
    found = asking(alone=frozenset(SITES[:2]))
    (block,) = found.blocks()
    assert block.site == "all"
    assert block.n == 3 * N
    lead: Any = found.lead
    assert {sites for _, _, sites in lead.questions} == {SITES}
    assert "site" in found.uncounted


def test_development_sites_are_asked_together_fold_by_fold():
    found = asking(Part.TEST, folds=3)
    blocks = found.blocks()
    assert [(block.site, block.fold, block.n) for block in blocks] == [("all", k, 3 * N) for k in range(3)]
    assert [block.thresholds["cman"] for block in blocks] == pytest.approx([0.4, 0.5, 0.6])
    assert all(set(block.scores) == {"cman", "table_lr", "single:a"} for block in blocks)
    assert {sites for _, _, sites in found.lead.questions} == {SITES}  # type: ignore[attr-defined] # a stand-in


def test_external_patients_are_judged_by_all_folds_together():
    blocks = asking(folds=3).blocks()
    assert {block.fold for block in blocks} == {None}
    odds = np.log([0.4 / 0.6, 0.5 / 0.5, 0.6 / 0.4])
    assert blocks[0].thresholds["cman"] == pytest.approx(1 / (1 + np.exp(-odds.mean())))


def test_a_site_that_is_away_is_left_out_while_the_quorum_holds():
    found = asking(away=("far",))
    assert [block.site for block in found.blocks()] == ["abroad", "remote"]
    assert found.sites == ("abroad", "remote")
    with pytest.raises(FederationError, match="quorum"):
        asking(away=("far", "remote")).blocks()
    with pytest.raises(FederationError, match="away"):
        asking(Part.TEST, away=("far",)).blocks()


def test_what_sites_refuse_of_the_model_is_refused():
    with pytest.raises(PolicyError):
        asking(refuse=lambda subject, query: True).blocks()


def test_what_sites_refuse_of_a_baseline_or_of_groups_is_told_with_the_reason():
    found = asking(refuse=lambda subject, query: "table_lr" in subject or query == "scores_by_group")
    blocks = found.blocks()
    assert all(set(block.scores) == {"cman", "single:a"} and block.groups is None for block in blocks)
    assert "doesn't leave" in found.refused["table_lr"]
    assert "doesn't leave" in found.uncounted["sex"]
    assert found.counted == ()
    lines = {line.key: line for line in _untold(found.study, _told(found))}
    assert set(lines) == {"auc/table_lr/external/all", "auc_difference/cman~table_lr/external/all"}
    assert all(line.verdict is Verdict.NOT_ASSESSED for line in lines.values())


@pytest.mark.parametrize(("part", "reason"), [(Part.TEST, TOGETHER_ONLY), (Part.EXTERNAL, NOT_ALONE)])
def test_that_sites_are_not_compared_is_told_with_the_reason(part, reason):
    found = asking(part, alone=frozenset())
    lines = _untold(found.study, _told(found))
    assert {line.metric for line in lines} == {"grouping", "heterogeneity"}
    assert {line.reason for line in lines} == {reason}


def test_groups_at_sites_that_are_few_are_held_back():
    """A group that one of three sites has alone would be that site's own distribution."""
    found = asking(Part.TEST)
    (block,) = found.blocks()
    assert block.groups is not None
    assert not block.groups.hidden.any()
    grouped = [q for _, q, _ in found.lead.questions if q == "scores_by_group"]  # type: ignore[attr-defined] # a stand-in
    assert len(grouped) == 2


def test_differences_are_of_those_whom_both_models_answer():
    found = asking()
    known = _told(found)
    told = _paired(known, found.aucs, 3 * N, "cman", "single:a")
    assert told.n == 3 * N * 3 // 4
    assert told.detail["unanswered"] == 3 * N // 4
    assert found.aucs("cman", "specialist|a").n_pos == found.aucs("cman", "single:a").n_pos
    with pytest.raises(NotEstimableError, match="no predictions of late_average"):
        found.aucs("cman", "late_average")
    asked: Any = found.lead
    before = len(asked.questions)
    assert _paired(known, found.aucs, 3 * N, "cman", "single:a") == told, "it is noted, and not asked again"
    assert len(asked.questions) == before


def test_why_two_models_are_not_compared_is_noted():
    known = _told(asking())
    for _ in range(2):
        with pytest.raises(NotEstimableError, match="don't tell"):
            _paired(known, lambda one, other: "sites don't tell", 3 * N, "cman", "table_lr")
    assert known.pairs == {"cman~table_lr": "sites don't tell"}


def test_a_part_that_sites_do_not_tell_of_is_absent_with_the_reason():
    known = _told(asking(refuse=lambda subject, query: True))
    assert "doesn't leave" in known.absent
    assert known.blocks == ()


def test_a_model_without_a_threshold_in_every_fold_is_not_asked_about():
    study, some = a_study(2), decisions(2)
    some["table_lr"] = {0: some["cman"][0]}
    assert whole(study, some, "cman")
    assert not whole(study, some, "table_lr")
    assert calibrations(some, ["cman"]).shape == (1, 2, 2)
