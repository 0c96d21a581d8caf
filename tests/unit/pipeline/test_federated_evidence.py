"""A federated study's evidence from sums beside that of its patients pooled: the same keys and numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hospitals import Federation, draws, table, table_source, write_rows, write_study
from scipy.special import expit, logit

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions, with_single_specialists
from huizhen.core.study_file import load_study
from huizhen.dossier.wording import say_or
from huizhen.federate.statistics.delong import BINS, bins_of
from huizhen.pipeline.recompute import _pairs, recompute
from huizhen.pipeline.risk_levels import level_over_folds
from huizhen.pipeline.site_learner import SiteLearner
from huizhen.validate.assess import assess
from huizhen.validate.conformal import Cuts, mean_cuts, prediction_sets
from huizhen.validate.triage.levels import RiskLevels

SITES = {"east": 190, "north": 184, "west": 178, "far": 90, "abroad": 84}
FOLDS = """\
[split]
method = "folds"
folds = 2
"""
ENDPOINT = """\
[[endpoint]]
metric = "auc_difference"
cohort = "internal"
at_least = -0.2
against = "table_lr"
"""
MORE = (
    ENDPOINT
    + """\
[evaluation]
resamples = 200
prevalence = 0.2
at_specificity = 0.8
costs = { false_negative = 10.0, false_positive = 1.0 }
partial_auc = { specificity = 0.5 }
[[subgroup]]
column = "sex"
groups = { F = ["f"], M = ["m"] }
cross = ["age"]
[[subgroup]]
column = "age"
edges = [50]
[[subgroup]]
column = "present:b"
[[subgroup]]
column = "ward"
[conformal]
level = 0.8
[triage]
levels = 4
[triage.readers]
first = { sensitivity = 0.8, specificity = 0.85 }
[[triage.policy]]
kind = "double"
[[triage.policy]]
kind = "ai_triage"
from_level = 4
[federation]
rounds = 1
round_timeout_s = 60
"""
)


def write_data(folder: Path) -> None:
    """Write two tables a hospital, each lacking other patients, and columns that no model sees."""
    for name, count in SITES.items():
        rng = draws(name)
        event = rng.random(count) < 0.45
        sex, age = rng.choice(["f", "m"], count), rng.integers(30, 75, count)
        for skip, of in enumerate(("a", "b"), start=4):
            rows = [
                {
                    "patient": f"{name}-{i}",
                    "event": int(event[i]),
                    "x": f"{rng.normal(event[i], 1.2):.3f}",
                    "y": f"{rng.normal(event[i], 1.2):.3f}",
                    "sex": sex[i],
                    "age": age[i],
                    "ward": "one",
                }
                for i in range(count)
                if i % skip
            ]
            write_rows(folder / f"{name}-{of}.csv", rows)


@pytest.fixture(scope="module", params=["holdout", "folds"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("evidence")
    (root / "data").mkdir()
    write_data(root / "data")
    file = write_study(
        root / "data",
        "evidence",
        modalities="".join(table(name, ["x", "y"]) for name in ("a", "b")),
        sites=SITES,
        source=lambda site: "".join(
            table_source(name, f"{site}-{name}.csv", outcome="event") for name in ("a", "b")
        ),
        variants=("cman", "single", "concatenation", "table_lr")
        if request.param == "holdout"
        else ("cman", "table_lr"),
        more=MORE if request.param == "holdout" else FOLDS + MORE,
    )
    found = Federation(root=root, file=file, names=tuple(SITES))
    found.result = found.run()
    return found


@pytest.fixture(scope="module")
def pooled(done: Federation) -> dict[str, Evidence]:
    """The evidence of the same patients in one table, their risks rounded to 16 bits as sites count them."""
    study = load_study(done.file)
    found: list[Evidence] = []
    for part, names in ((Part.TEST, ("east", "north", "west")), (Part.EXTERNAL, ("far", "abroad"))):
        tables = []
        for name in names:
            with done.learner(name) as learner:
                tables.append(columns_of(learner, part, locked(done)))
        given = joined(part, tables)
        found += assess(with_single_specialists(given), study, phantom=study.phantom)
    return {item.key: item for item in found if not item.key.endswith("/site:all")}


def locked(done: Federation) -> dict[str, Any]:
    """Return what was locked of each model by fold."""
    (lock,) = [e.body for e in done.entries() if e.kind == "lock"]
    return dict(lock["decisions"])


def columns_of(learner: SiteLearner, part: Part, decisions: Mapping[str, Any]) -> dict[str, Any]:
    """Return one site's patients as columns of a table of predictions."""
    scores, cases = learner._scores, learner._scores.material(part).cases
    standing = np.array([scores.standing(part, fold) for fold in range(len(learner.cohort.folds))])
    risk, decision = {}, {}
    for model, by_fold in decisions.items():
        platt = np.array([[own["platt"]["slope"], own["platt"]["intercept"]] for own in by_fold.values()])
        odds = scores.odds(part, None, model, platt)
        binned = (bins_of(expit(np.nan_to_num(odds))) + 0.5) / BINS
        risk[model] = np.where(np.isnan(odds), np.nan, binned)
        cuts = logit([own["threshold"] for own in by_fold.values()])
        decision[model] = risk[model] >= expit(cuts @ standing / standing.sum(0))
    levels = [RiskLevels.from_json(own["levels"]) for own in decisions["cman"].values()]
    level = level_over_folds(np.asarray(logit(risk["cman"])), levels, standing)
    return {
        "level": {"cman": level},
        "patient": [case.pseudonym for case in cases],
        "site": ["all" if part is Part.TEST else case.site for case in cases],  # internal ones tell together
        "outcome": [case.outcome == 1 for case in cases],
        "risk": risk,
        "decision": decision,
        "present": {name: np.array([name in case.modalities for case in cases]) for name in ("a", "b")},
        "groups": {
            column: np.array([case.groups[column] for case in cases]) for column in ("sex", "age", "ward")
        },
    }


def joined(part: Part, tables: Sequence[Mapping[str, Any]]) -> Predictions:
    """Return sites' columns as one table."""

    def both(name: str) -> Any:
        first = tables[0][name]
        if not isinstance(first, dict):
            return np.concatenate([one[name] for one in tables])
        return {key: np.concatenate([one[name][key] for one in tables]) for key in first}

    names = ("patient", "site", "outcome", "risk", "decision", "present", "groups", "level")
    return Predictions(part=part, **{name: both(name) for name in names})


def by_cohort(found: Mapping[str, Evidence], cohort: str) -> dict[str, Evidence]:
    """Return the evidence of the validation of one cohort."""
    return {key: item for key, item in found.items() if item.stage == "validate" and cohort in key.split("/")}


NOT_FROM_SUMS = {
    "internal": {"grouping/cman/internal/ward", "grouping/cman/internal/site"},
    "external": {"grouping/cman/external/ward"},
}
ONLY_POOLED = {
    cohort: {f"{metric}/cman/{cohort}/ward" for metric in ("equalised_odds", "worst_group")}
    | {f"subgroup/cman/{cohort}/ward/one"}
    for cohort in ("internal", "external")
}


@pytest.mark.parametrize("cohort", ["internal", "external"])
def test_every_number_is_that_of_the_pooled_patients(done, pooled, cohort):
    """Resampling included: it draws by counts, and is seeded."""
    found, wanted = by_cohort(done.evidence(), cohort), by_cohort(pooled, cohort)
    more = {"heterogeneity/cman/internal/site", "grouping/cman/internal/site"} & set(found)
    assert set(wanted) - set(found) == ONLY_POOLED[cohort]
    assert set(found) - set(wanted) == more
    compared = 0
    drawn = {key for key in found if key.startswith("triage/")}  # readers are drawn row by row
    for key in (set(found) & set(wanted)) - NOT_FROM_SUMS[cohort] - drawn:
        for place, one, other in _pairs(key, found[key].to_json(), wanted[key].to_json()):
            if isinstance(one, int | float) and isinstance(other, int | float):
                assert one == pytest.approx(other, abs=1e-10), place
                compared += 1
            else:
                assert one == other, place
    assert compared > 1000


@pytest.mark.parametrize("cohort", ["internal", "external"])
def test_triage_differs_by_the_draw_of_its_readers_only(done, pooled, cohort):
    found, wanted = by_cohort(done.evidence(), cohort), by_cohort(pooled, cohort)
    keys = [key for key in wanted if key.startswith("triage/")]
    assert len(keys) == 6
    for key in keys:
        one, other = found[key], wanted[key]
        assert (one.n, one.n_events) == (other.n, other.n_events)
        width = other.interval.high - other.interval.low
        assert one.estimate == pytest.approx(other.estimate, abs=width / 2 + 1e-9), key
    assert found[f"triage_levels/cman/{cohort}"].to_json() == wanted[f"triage_levels/cman/{cohort}"].to_json()


def test_prediction_sets_are_those_of_the_pooled_patients_with_the_cuts_of_all(done):
    study, (lock,) = load_study(done.file), [e.body for e in done.entries() if e.kind == "lock"]
    cuts = [Cuts.from_json(by_site["pooled"]) for by_site in lock["conformal"].values()]
    for part, names in ((Part.TEST, ("east", "north", "west")), (Part.EXTERNAL, ("far", "abroad"))):
        right, events = 0, 0
        for name in names:
            with done.learner(name) as learner:
                table = columns_of(learner, part, locked(done))
                scores = learner._scores
                standing = [scores.standing(part, fold) for fold in range(len(cuts))]
            pairs = zip(logit(table["risk"]["cman"]), table["outcome"], strict=True)
            for row, (odds, event) in enumerate(pairs):
                own = mean_cuts([cut for cut, here in zip(cuts, standing, strict=True) if here[row]])
                right += event and bool(prediction_sets(np.array([odds]), own).event[0])
                events += event
        cohort = "internal" if part is Part.TEST else "external"
        found = done.evidence()[f"conformal/coverage/{cohort}/all/event"]
        assert (found.detail["count"], found.n) == (right, events)
        assert found.detail["cuts"] == "pooled"
        assert found.detail["level"] == study.conformal.level
        assert (f"conformal/coverage/{cohort}/far/event" in done.evidence()) == (part is Part.EXTERNAL)


def test_what_cannot_be_had_is_not_assessed_with_the_reason(done):
    found = done.evidence()
    for cohort, keys in NOT_FROM_SUMS.items():
        for key in keys:
            assert found[key].verdict is Verdict.NOT_ASSESSED, key
            assert say_or(f"reason.{found[key].reason}", "").zh, cohort
    spread = found["heterogeneity/cman/internal/site"]
    assert "show each one's result" in spread.reason


def test_an_endpoint_on_a_difference_is_judged(done):
    assert done.evidence()["endpoint/1/auc_difference/internal"].verdict in (Verdict.PASS, Verdict.FAIL)


def test_sites_fix_the_groups_before_the_lock(done):
    """They stand in the cohort that each site commits to, and no event of a tested patient beside them."""
    for name in SITES:
        (cases,) = (done.folders[name].path / "studies").rglob("cases.json")
        records = json.loads(cases.read_text(encoding="utf-8"))
        assert {record["groups"]["sex"] for record in records} == {"f", "m"}


def test_the_lead_writes_down_what_it_reckoned_from(done):
    for part in ("test", "external"):
        record = json.loads(
            (done.result.dossier / "files" / f"scores_{part}.json").read_text(encoding="utf-8")
        )
        blocks, cohort = record["blocks"], "internal" if part == "test" else "external"
        events = sum(sum(block["models"]["cman"]["events"].values()) for block in blocks)
        assert events == done.evidence()[f"auc/cman/{cohort}/all"].n_events
        assert {block["site"] for block in blocks} == ({"all"} if part == "test" else {"far", "abroad"})
        assert {group["group"] for group in blocks[0]["groups"] if group["column"] == "sex"} == {"F", "M"}


def test_every_number_is_made_again_from_the_dossier_alone(done):
    found = recompute(done.result.dossier)
    assert found.differing == ()
    assert found.values > 2000
    families = {key.partition("/")[0] for key in found.left}
    assert families == {"threshold", "risk_levels"} & families, "tuning scores are not in the dossier"


def test_a_number_that_was_changed_is_found(done, tmp_path):
    copy = tmp_path / "dossier"
    shutil.copytree(done.result.dossier, copy)
    file = copy / "files" / "scores_test.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    others = record["blocks"][0]["models"]["cman"]["others"]
    others["65535"] = others.get("65535", 0) + 1
    file.write_text(json.dumps(record), encoding="utf-8")
    assert any(one.key == "auc/cman/internal/all" for one in recompute(copy).differing)
