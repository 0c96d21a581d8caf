"""Evidence of subgroups, gaps and heterogeneity: recomputed, suppressed, or with the reason why not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.digests import canonical_json
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.validate.assess import assess
from huizhen.validate.assessments.interface import FromSums, HeldBack, Measured
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.fairness import fairness
from huizhen.validate.heterogeneity import auc_over_sites
from huizhen.validate.multiplicity import holm
from huizhen.validate.proportions import wilson
from huizhen.validate.worst_group import worst_group

N = 600
DRAW = np.random.default_rng(17)
OUTCOME = DRAW.random(N) < 0.4
RISK = 1 / (1 + np.exp(-(DRAW.normal(size=N) + 1.5 * (OUTCOME - 0.5))))
SITE = DRAW.choice(["north", "south", "west"], N)
SEX = np.where(np.arange(N) % 2 == 0, "F", "M")
AGE = np.round(DRAW.normal(58, 9, N), 1).astype(str)
AGE[:7] = ""
KIND = np.where(np.arange(N) < 3, "rare", np.where(np.arange(N) < 15, "few", "usual"))
MG = DRAW.random(N) < 0.7


def a_study(**more: Any) -> Study:
    source = {"reader": "images", "modality": "MG", "path": "mg", "labels": "l.csv"}
    columns = {"columns": {"patient": "id", "outcome": "y"}}
    return Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 3,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [{"name": "MG", "kind": "image"}],
            "site": [
                {"name": name, "source": [{**source, **columns}]} for name in ("north", "south", "west")
            ],
            "evaluation": {"resamples": 200},
            **more,
        }
    )


PLANNED: list[dict[str, Any]] = [
    {"column": "sex", "cross": ["age"]},
    {"column": "age", "edges": (50.0, 65.0)},
    {"column": "kind/of lesion"},
    {"column": "present:MG"},
    {"column": "unknown"},
]


def predictions(**changed: Any) -> Predictions:
    columns: dict[str, Any] = {
        "patient": np.arange(N).astype(str),
        "site": SITE,
        "part": Part.EXTERNAL,
        "outcome": OUTCOME,
        "risk": {"cman": RISK},
        "decision": {"cman": RISK >= 0.45},
        "present": {"MG": MG},
        "groups": {"sex": SEX, "age": AGE, "kind/of lesion": KIND},
    }
    return Predictions(**{**columns, **changed})


def found_by_key(given: Predictions | None = None, **more: Any) -> dict[str, Evidence]:
    study = a_study(**({"subgroup": PLANNED} | more))
    return {e.key: e for e in assess(given or predictions(), study, phantom=False)}


@pytest.fixture(scope="module")
def found() -> dict[str, Evidence]:
    return found_by_key()


def test_each_group_has_its_own_numbers(found: dict[str, Evidence]) -> None:
    evidence = found["subgroup/cman/external/sex/F"]
    own = SEX == "F"
    expected = auc_interval(OUTCOME[own], RISK[own], method="logit")
    assert (evidence.estimate, evidence.interval) == (expected.value, expected.interval)
    assert (evidence.n, evidence.n_events) == (own.sum(), OUTCOME[own].sum())
    called = RISK[own] >= 0.45
    share = wilson(int((called & OUTCOME[own]).sum()), int(OUTCOME[own].sum()))
    assert (evidence.detail["sensitivity"]["low"], evidence.detail["sensitivity"]["high"]) == (
        share.low,
        share.high,
    )
    assert {"specificity", "ppv", "npv", "calibration_slope", "observed_expected"} <= set(evidence.detail)


def test_bands_come_in_order_and_who_has_no_value_is_counted(found: dict[str, Evidence]) -> None:
    groups = [key.split("/")[-1] for key in found if key.startswith("subgroup/cman/external/age/")]
    assert groups == ["<50", "50–<65", "≥65"]
    told = found["grouping/cman/external/age"]
    assert (told.n, told.detail["ungrouped"], told.detail["groups"]) == (N - 7, 7, 3)


def test_small_groups_are_hidden_and_never_one_alone(found: dict[str, Evidence]) -> None:
    rare = found["subgroup/cman/external/kind%2Fof lesion/rare"]
    few = found["subgroup/cman/external/kind%2Fof lesion/few"]
    for evidence in (rare, few):
        assert evidence.verdict is Verdict.NOT_ASSESSED
        assert evidence.reason == "the group is too small to be shown"
        assert (evidence.n, evidence.n_events) == (None, None)
    text = " ".join(json.dumps(e.to_json()) for e in found.values() if "kind" in e.key)
    assert '"n": 3,' not in text
    shown = found_by_key(evaluation={"resamples": 200, "least_shown": 0})
    few = shown["subgroup/cman/external/kind%2Fof lesion/few"]
    assert (few.n, few.reason) == (12, "fewer events or non-events than the study asks for")


def test_intersections_are_groups_too(found: dict[str, Evidence]) -> None:
    groups = [key.split("/")[-1] for key in found if key.startswith("subgroup/cman/external/sex × age/")]
    assert groups == [f"{sex} · {band}" for sex in "FM" for band in ("<50", "50–<65", "≥65")]
    both = (SEX == "M") & (AGE != "")
    both[both] = AGE[both].astype(float) >= 65
    evidence = found["subgroup/cman/external/sex × age/M · ≥65"]
    assert (evidence.n, evidence.estimate) == (
        both.sum(),
        auc_interval(OUTCOME[both], RISK[both]).value,
    )


def test_the_worst_group_and_the_gaps_are_those_of_their_functions(found: dict[str, Evidence]) -> None:
    worst = worst_group(OUTCOME, RISK, SITE, resamples=200, seed=3)
    evidence = found["worst_group/cman/external/site"]
    assert (evidence.estimate, evidence.interval) == (worst.lowest.value, worst.lowest.interval)
    assert (evidence.detail["group"], evidence.detail["corrected"]) == (worst.name, worst.corrected)
    fair = fairness(OUTCOME, RISK >= 0.45, SITE, resamples=200, seed=3)
    assert found["equalised_odds/cman/external/site"].interval == fair.equalised_odds.interval
    gap = found["specificity_gap/cman/external/site"]
    assert gap.estimate == fair.gaps["false_positive_rate"].difference.value
    assert gap.detail["lowest"] == fair.gaps["false_positive_rate"].highest


def test_sites_vary_by_random_effects_where_there_are_three(found: dict[str, Evidence]) -> None:
    expected = auc_over_sites(OUTCOME, RISK, SITE)
    evidence = found["heterogeneity/cman/external/site"]
    assert (evidence.estimate, evidence.interval) == (expected.mean, expected.interval)
    assert expected.prediction is not None
    assert evidence.detail["prediction"]["low"] == expected.prediction.low
    assert "heterogeneity/cman/external/sex" not in found
    two = found_by_key(predictions(site=np.where(SITE == "west", "south", SITE)))
    assert "3 are needed" in two["heterogeneity/cman/external/site"].reason


def test_p_values_are_adjusted_over_all_tests(found: dict[str, Evidence]) -> None:
    tested = [e for e in found.values() if "p_holm" in e.detail]
    assert len(tested) == tested[0].detail["tests"] > 10
    adjusted = holm([e.detail["p"] for e in tested])
    assert [e.detail["p_holm"] for e in tested] == adjusted.tolist()


def test_sites_without_a_subgroup_are_compared_but_not_listed(found: dict[str, Evidence]) -> None:
    assert found["grouping/cman/external/site"].detail["planned"] is False
    assert not any(key.startswith("subgroup/cman/external/site/") for key in found)
    named = found_by_key(subgroup=[{"column": "site"}])
    assert len([key for key in named if key.startswith("subgroup/cman/external/site/")]) == 3


def test_what_is_not_known_of_patients_is_said(found: dict[str, Evidence]) -> None:
    assert "no column unknown" in found["grouping/cman/external/unknown"].reason
    many = predictions(groups={"sex": np.arange(N).astype(str)})
    reason = found_by_key(many, subgroup=[{"column": "sex"}])["grouping/cman/external/sex"].reason
    assert reason == "the column has 600 values, more than 60"
    none = predictions(groups={"age": np.full(N, "old")})
    plan = [{"column": "age", "edges": (50.0,)}]
    assert (
        "no patient is in a group" in found_by_key(none, subgroup=plan)["grouping/cman/external/age"].reason
    )


def from_sums(**more: Any) -> FromSums:
    def paired(one: str, other: str) -> Measured:
        raise NotEstimableError(f"{one} and {other} are not compared", remedy="compare them")

    return FromSums(paired=paired, **more)


def test_groups_that_sites_did_not_count_are_not_had() -> None:
    given = predictions(site=np.full(N, "all"), groups={}, present={})
    plan = a_study(subgroup=[{"column": "sex"}])
    sums = from_sums(uncounted={"sex": "nobody counted it"})
    lines = {e.key: e for e in assess(given, plan, phantom=False, sums=sums)}
    assert lines["grouping/cman/external/sex"].reason == "nobody counted it"
    assert not any("site" in key.split("/")[-1:] for key in lines)


def test_groups_that_are_held_back_are_named_and_not_taken_for_ungrouped() -> None:
    labels = np.array(["F", "M", ""])[np.arange(N) % 3]
    given = predictions(site=np.full(N, "all"), groups={"sex": labels}, present={})
    plan = a_study(subgroup=[{"column": "sex", "groups": {"F": ["F"], "M": ["M"], "X": ["X"], "Y": ["Y"]}}])
    sums = from_sums(held_back={"sex": HeldBack(groups=("X", "Y"), patients=40)})
    lines = {e.key: e for e in assess(given, plan, phantom=False, sums=sums)}
    told = lines["grouping/cman/external/sex"].detail
    assert (told["groups"], told["ungrouped"]) == (4, N // 3 - 40)
    for name in ("X", "Y"):
        line = lines[f"subgroup/cman/external/sex/{name}"]
        assert (line.verdict, line.n) == (Verdict.NOT_ASSESSED, None)
        assert "too small to be shown" in line.reason
    assert lines["subgroup/cman/external/sex/F"].estimate is not None


def test_without_a_threshold_or_with_ranks_only_what_can_be_said_is() -> None:
    lines = found_by_key(predictions(decision={}))
    assert set(lines["subgroup/cman/external/sex/F"].detail) & {"sensitivity", "ppv"} == set()
    assert "no threshold" in lines["equalised_odds/cman/external/sex"].reason
    ranked = found_by_key(predictions(ranked=("cman",)))["subgroup/cman/external/sex/F"]
    assert ranked.estimate is not None
    assert "calibration_slope" not in ranked.detail


def test_rows_of_one_patient_are_not_taken_as_patients() -> None:
    lines = found_by_key(predictions(cluster=np.repeat(np.arange(N // 2), 2).astype(str)))
    assert "several rows" in lines["subgroup/cman/external/sex/F"].reason
    assert lines["equalised_odds/cman/external/sex"].estimate is not None


def test_every_line_comes_back_from_its_canonical_form(found: dict[str, Evidence]) -> None:
    for evidence in found.values():
        record = json.loads(canonical_json(evidence.to_json()))
        assert Evidence.from_json(record).to_json() == record
