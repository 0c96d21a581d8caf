"""Evidence of one cohort: every key, its numbers recomputed, and the reasons where nothing is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.digests import canonical_json
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import InvalidInputError
from huizhen.validate.assess import assess, endpoints_not_assessed
from huizhen.validate.calibration import brier, in_the_large, observed_expected, recalibrate, scaled_brier
from huizhen.validate.calibration_error import calibration_error
from huizhen.validate.discrimination import auc_interval, paired_difference
from huizhen.validate.flexible_calibration import flexible_calibration
from huizhen.validate.proportions import wilson

SITES = {"north": 120, "south": 70, "tiny": 4}
NAMES = ("cman", "concatenation", "single:MG", "single:US", "cman|MG", "cman|MG+US", "specialist|MG")


def a_study(**more: Any) -> Study:
    source = {
        "reader": "images",
        "modality": "MG",
        "path": "mg",
        "labels": "labels.csv",
        "columns": {"patient": "id", "outcome": "y"},
    }
    return Study.model_validate(
        {
            "name": "small",
            "title": "A small study",
            "question": "Malignant or benign?",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [{"name": "MG", "kind": "image"}, {"name": "US", "kind": "image"}],
            "site": [{"name": site, "source": [source]} for site in SITES],
            **more,
        }
    )


def some_predictions(*, part: Part = Part.TEST, seed: int = 5, **changed: Any) -> Predictions:
    """194 patients at three sites, "tiny" with one event; the single models need their own image."""
    draw = np.random.default_rng(seed)
    site = np.repeat(list(SITES), list(SITES.values()))
    outcome = draw.random(site.size) < 0.4
    outcome[site == "tiny"] = [True, False, False, False]
    present = {name: draw.random(site.size) < 0.8 for name in ("MG", "US")}
    strength = {"cman": 2.2, "concatenation": 1.6, "cman|MG+US": 2.0}
    risk = {}
    for name in NAMES:
        latent = draw.normal(size=site.size) + strength.get(name, 1.0) * (outcome - 0.4)
        risk[name] = 1 / (1 + np.exp(-latent))
    for name in ("single:MG", "cman|MG", "specialist|MG"):
        risk[name][~present["MG"]] = np.nan
    risk["single:US"][~present["US"]] = np.nan
    decision = {name: np.nan_to_num(values) >= 0.4 for name, values in risk.items()}
    columns = {"site": site, "outcome": outcome, "risk": risk, "decision": decision, "present": present}
    patient = np.array([f"P{index:03d}" for index in range(site.size)])
    return Predictions(patient=patient, part=part, **{**columns, **changed})


def by_key(found: list[Evidence]) -> dict[str, Evidence]:
    keyed = {evidence.key: evidence for evidence in found}
    assert len(keyed) == len(found)
    return keyed


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return some_predictions()


@pytest.fixture(scope="module")
def found(predictions: Predictions) -> dict[str, Evidence]:
    return by_key(assess(predictions, a_study(), phantom=False))


def test_the_keys_are_exactly_these(found: dict[str, Evidence]) -> None:
    models, groups = ["cman", "concatenation", "single:MG", "single:US"], ["all", "north", "south", "tiny"]
    expected = {
        f"{m}/{n}/internal/{g}" for m in ("auc", "sensitivity", "specificity") for n in models for g in groups
    }
    expected |= {f"auc_difference/cman~{name}/internal/all" for name in models[1:]}
    expected |= {f"{m}/cman/internal/all" for m in ("ppv", "npv")}
    calibrated = ("calibration_slope", "calibration_intercept", "calibration_in_the_large")
    calibrated += ("observed_expected", "brier", "scaled_brier")
    expected |= {f"{m}/{n}/internal/all" for m in calibrated for n in models}
    expected |= {f"roc/{name}/internal" for name in models} | {"calibration_curve/cman/internal"}
    expected |= {"decision_curve/cman/internal"}
    for family in ("grouping", "worst_group", "equalised_odds", "heterogeneity"):
        expected.add(f"{family}/cman/internal/site")
    assert found["equalised_odds/cman/internal/site"].reason  # one line says why sites aren't compared here
    expected |= {f"calibration_distance/cman/internal/{name}" for name in ("ici", "e50", "e90")}
    expected |= {f"expected_calibration_error/cman/internal/{name}" for name in ("equal_size", "equal_width")}
    expected |= {"subset_auc/MG/internal", "subset_auc/MG+US/internal", "threshold_target/cman/internal"}
    assert set(found) == expected
    assert all(evidence.metric == key.split("/")[0] for key, evidence in found.items())
    assert {evidence.stage for evidence in found.values()} == {"validate"}


def test_external_predictions_get_external_keys() -> None:
    external = assess(some_predictions(part=Part.EXTERNAL), a_study(), phantom=True)
    assert all("/external" in evidence.key and evidence.phantom for evidence in external)


def test_aucs_are_those_of_the_patients_answered(
    found: dict[str, Evidence], predictions: Predictions
) -> None:
    for model in ("cman", "single:MG"):
        for group in ("all", "north"):
            kept = ~np.isnan(predictions.risk[model]) & ((predictions.site == group) | (group == "all"))
            truth, risk = predictions.outcome[kept], predictions.risk[model][kept]
            evidence, expected = (
                found[f"auc/{model}/internal/{group}"],
                auc_interval(truth, risk, method="logit"),
            )
            assert (evidence.estimate, evidence.interval) == (expected.value, expected.interval)
            assert (evidence.n, evidence.n_events) == (kept.sum(), truth.sum())
            usual = auc_interval(truth, risk).interval
            assert (evidence.detail["delong_low"], evidence.detail["delong_high"]) == (usual.low, usual.high)
    assert found["auc/single:MG/internal/all"].detail["unanswered"] > 0
    assert "unanswered" not in found["auc/cman/internal/all"].detail


def test_differences_are_paired_on_those_whom_both_answer(
    found: dict[str, Evidence], predictions: Predictions
) -> None:
    kept = ~np.isnan(predictions.risk["single:US"])
    expected = paired_difference(
        predictions.outcome[kept], predictions.risk["cman"][kept], predictions.risk["single:US"][kept]
    )
    evidence = found["auc_difference/cman~single:US/internal/all"]
    assert (evidence.estimate, evidence.interval, evidence.n) == (
        expected.estimate,
        expected.interval,
        kept.sum(),
    )
    assert (evidence.detail["p"], evidence.detail["z"]) == (expected.p, expected.z)
    assert evidence.verdict is Verdict.REPORTED


def test_decisions_are_counted_on_those_answered(
    found: dict[str, Evidence], predictions: Predictions
) -> None:
    kept = ~np.isnan(predictions.risk["single:MG"])
    truth, called = predictions.outcome[kept], predictions.decision["single:MG"][kept]
    sens, spec = (found[f"{name}/single:MG/internal/all"] for name in ("sensitivity", "specificity"))
    assert sens.interval == wilson(int((truth & called).sum()), int(truth.sum()))
    assert spec.interval == wilson(int((~truth & ~called).sum()), int((~truth).sum()))
    assert (sens.n, sens.n_events, spec.n, spec.n_events) == (truth.sum(), truth.sum(), (~truth).sum(), 0)


def test_predictive_values_name_their_prevalence(
    found: dict[str, Evidence], predictions: Predictions
) -> None:
    truth, called = predictions.outcome, predictions.decision["cman"]
    evidence = found["ppv/cman/internal/all"]
    assert evidence.interval == wilson(int((truth & called).sum()), int(called.sum()))
    assert evidence.detail["prevalence"] == truth.mean()
    assert evidence.detail["note"] == "not transportable to another prevalence"
    assert found["npv/cman/internal/all"].n == (~called).sum()


def test_calibration_is_recomputed(found: dict[str, Evidence], predictions: Predictions) -> None:
    truth, risk = predictions.outcome, predictions.risk["cman"]
    expected = recalibrate(truth, risk)
    assert found["calibration_slope/cman/internal/all"].interval == expected.slope.interval
    assert found["calibration_intercept/cman/internal/all"].interval == expected.intercept.interval
    assert found["brier/cman/internal/all"].interval == brier(truth, risk).interval
    in_large, ratio = in_the_large(truth, risk), observed_expected(truth, risk)
    assert found["calibration_in_the_large/cman/internal/all"].interval == in_large.interval
    assert found["observed_expected/cman/internal/all"].interval == ratio.interval
    assert found["scaled_brier/cman/internal/all"].estimate == scaled_brier(truth, risk).value
    flexible = flexible_calibration(truth, risk, seed=1)
    ici = found["calibration_distance/cman/internal/ici"]
    assert (ici.estimate, ici.interval) == (flexible.ici.estimate.value, flexible.ici.estimate.interval)
    error = calibration_error(truth, risk, by="width", seed=1)
    assert found["expected_calibration_error/cman/internal/equal_width"].interval == error.estimate.interval
    curve = found["calibration_curve/cman/internal"]
    assert curve.detail["smooth_observed"] == flexible.observed.tolist()
    assert curve.descriptive
    assert sum(curve.detail["n"]) == truth.size
    assert {len(curve.detail[name]) for name in ("predicted", "observed", "low", "high", "n")} == {10}


def test_curves_run_from_corner_to_corner(found: dict[str, Evidence]) -> None:
    detail = found["roc/cman/internal"].detail
    assert (detail["fpr"][0], detail["tpr"][0], detail["fpr"][-1], detail["tpr"][-1]) == (0, 0, 1, 1)
    assert len(detail["band_fpr"]) == len(detail["band_low"]) == len(detail["band_high"])
    assert "band_fpr" not in found["roc/concatenation/internal"].detail


def test_subsets_stand_beside_their_specialist(found: dict[str, Evidence], predictions: Predictions) -> None:
    kept = predictions.present["MG"]
    expected = paired_difference(
        predictions.outcome[kept], predictions.risk["cman|MG"][kept], predictions.risk["specialist|MG"][kept]
    )
    detail = found["subset_auc/MG/internal"].detail
    assert detail["modalities"] == ["MG"]
    assert detail["difference"]["estimate"] == expected.estimate
    assert (detail["difference"]["low"], detail["difference"]["high"]) == (
        expected.interval.low,
        expected.interval.high,
    )
    assert found["subset_auc/MG+US/internal"].detail["modalities"] == ["MG", "US"]
    assert "difference" not in found["subset_auc/MG+US/internal"].detail


def test_a_site_with_one_event_is_not_assessed_and_says_why(found: dict[str, Evidence]) -> None:
    for metric in ("auc", "sensitivity"):
        evidence = found[f"{metric}/cman/internal/tiny"]
        assert evidence.verdict is Verdict.NOT_ASSESSED
        assert "at least 2" in evidence.reason
        assert evidence.estimate is None
    assert found["specificity/cman/internal/tiny"].detail["small"] is True
    assert "small" not in found["auc/cman/internal/north"].detail


def test_every_line_has_a_canonical_form_and_comes_back(found: dict[str, Evidence]) -> None:
    for evidence in found.values():
        record = json.loads(canonical_json(evidence.to_json()))
        assert Evidence.from_json(record).to_json() == record


def test_one_class_is_never_a_crash() -> None:
    for value in (True, False):
        lines = assess(some_predictions(outcome=np.full(194, value)), a_study(), phantom=False)
        wanted = {
            evidence.verdict for evidence in lines if evidence.metric in ("auc", "roc", "calibration_slope")
        }
        assert wanted == {Verdict.NOT_ASSESSED}


def test_a_model_that_never_answers_is_not_assessed() -> None:
    risk = dict(some_predictions().risk)
    risk["single:US"] = np.full(194, np.nan)
    keyed = by_key(assess(some_predictions(risk=risk), a_study(), phantom=False))
    for key in ("auc/single:US/internal/all", "auc_difference/cman~single:US/internal/all"):
        assert keyed[key].verdict is Verdict.NOT_ASSESSED
        assert "no patient is answered" in keyed[key].reason


def test_a_specialist_that_never_answers_leaves_the_subset_assessed() -> None:
    risk = dict(some_predictions().risk)
    risk["specialist|MG"] = np.full(194, np.nan)
    evidence = by_key(assess(some_predictions(risk=risk), a_study(), phantom=False))["subset_auc/MG/internal"]
    assert evidence.estimate is not None
    assert "no patient is answered" in evidence.detail["difference_reason"]


def test_a_site_named_all_does_not_hide_the_whole() -> None:
    site = some_predictions().site
    keyed = by_key(
        assess(some_predictions(site=np.where(site == "north", "all", site)), a_study(), phantom=False)
    )
    assert keyed["auc/cman/internal/all"].n == 194
    assert keyed["auc/cman/internal/site:all"].n == 120


@pytest.mark.parametrize("part", [Part.TRAIN, Part.TUNE])
def test_training_and_tuning_parts_are_refused(part: Part) -> None:
    with pytest.raises(InvalidInputError, match=part.value):
        assess(some_predictions(part=part), a_study(), phantom=False)


def test_predictions_without_the_model_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="cman"):
        assess(some_predictions(risk={"concatenation": np.full(194, 0.5)}), a_study(), phantom=False)


ENDPOINTS = [
    {"metric": "auc", "at_least": 0.8},
    {"metric": "auc", "at_least": 0.99},
    {"metric": "auc", "at_least": 0.9, "on": "estimate"},
    {"metric": "auc_difference", "against": "concatenation", "at_least": 0.0},
    {"metric": "auc_difference", "against": "single", "at_least": 0.0},
    {"metric": "sensitivity", "at_least": 0.5},
    {"metric": "specificity", "at_least": 0.5, "model": "table_lr"},
    {"metric": "auc", "at_least": 0.8, "cohort": "external"},
]


def test_endpoints_are_judged_by_the_bounds_set_beforehand(predictions: Predictions) -> None:
    study = a_study(endpoint=ENDPOINTS)
    keyed = by_key(assess(predictions, study, phantom=False))
    judged = {key: evidence for key, evidence in keyed.items() if key.startswith("endpoint/")}
    assert set(judged) == {
        f"endpoint/{number}/{endpoint['metric']}/internal"
        for number, endpoint in enumerate(ENDPOINTS[:7], start=1)
    }
    whole = keyed["auc/cman/internal/all"]
    assert whole.estimate is not None
    assert whole.interval is not None
    for number, value in ((1, whole.interval.low), (2, whole.interval.low), (3, whole.estimate)):
        evidence = judged[f"endpoint/{number}/auc/internal"]
        assert (evidence.estimate, evidence.interval) == (whole.estimate, whole.interval)
        assert evidence.bound is not None
        passes = value >= evidence.bound.at_least
        assert evidence.verdict is (Verdict.PASS if passes else Verdict.FAIL)
    assert {judged[f"endpoint/{k}/auc/internal"].verdict for k in (1, 2)} == {Verdict.PASS, Verdict.FAIL}
    assert judged["endpoint/4/auc_difference/internal"].detail["against"] == "concatenation"
    assert judged["endpoint/7/specificity/internal"].verdict is Verdict.NOT_ASSESSED
    assert "table_lr" in judged["endpoint/7/specificity/internal"].reason


def test_against_single_means_against_each_of_them(predictions: Predictions) -> None:
    study = a_study(endpoint=ENDPOINTS)
    keyed = by_key(assess(predictions, study, phantom=False))
    lows = {}
    for name in ("single:MG", "single:US"):
        interval = keyed[f"auc_difference/cman~{name}/internal/all"].interval
        assert interval is not None
        lows[name] = interval.low
    evidence = keyed["endpoint/5/auc_difference/internal"]
    assert evidence.interval is not None
    assert evidence.interval.low == min(lows.values())
    assert evidence.detail["against"] == min(lows, key=lambda name: lows[name])


def test_endpoints_of_a_cohort_without_predictions_are_not_assessed() -> None:
    (evidence,) = endpoints_not_assessed(
        a_study(endpoint=ENDPOINTS), cohort="external", reason="the study has no external site", phantom=False
    )
    assert (evidence.key, evidence.verdict) == ("endpoint/8/auc/external", Verdict.NOT_ASSESSED)
    assert evidence.bound is not None


def test_a_model_without_locked_threshold_has_no_decisions() -> None:
    keyed = by_key(assess(some_predictions(decision={}), a_study(), phantom=False))
    assert "no threshold was locked" in keyed["sensitivity/cman/internal/all"].reason
    assert "no threshold was locked" in keyed["ppv/cman/internal/all"].reason


@pytest.mark.parametrize(("decided", "judgement"), [(1.0, "kept"), (0.0, "not kept"), (0.9, "inconclusive")])
def test_the_thresholds_target_is_judged_by_the_interval(decided: float, judgement: str) -> None:
    predictions = some_predictions()
    events = np.flatnonzero(predictions.outcome)
    decision = np.zeros(len(predictions.patient), bool)
    decision[events[: round(decided * len(events))]] = True
    changed = replace(predictions, decision={**predictions.decision, "cman": decision})
    evidence = by_key(assess(changed, a_study(), phantom=False))["threshold_target/cman/internal"]
    assert evidence.detail["judgement"] == judgement
    assert (evidence.detail["metric"], evidence.detail["target"]) == ("sensitivity", 0.9)
    assert evidence.verdict is Verdict.REPORTED


def test_youdens_rule_has_no_target() -> None:
    found = by_key(assess(some_predictions(), a_study(threshold={"rule": "youden"}), phantom=False))
    assert "threshold_target/cman/internal" not in found
