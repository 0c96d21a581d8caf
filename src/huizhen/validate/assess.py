"""Assess locked predictions: all claims of one cohort, each as Evidence with its interval and n.

    evidence = assess(predictions, study, phantom=study.phantom)

The keys, where cohort is "internal" or "external" and a group is "all" or a site:

- auc/<model>/<cohort>/<group>, auc_difference/cman~<model>/<cohort>/all, roc/<model>/<cohort>
- sensitivity/<model>/<cohort>/<group>, specificity/<model>/<cohort>/<group>, ppv/cman/<cohort>/all,
  npv/cman/<cohort>/all
- calibration_slope/<model>/<cohort>/all, and so calibration_intercept, calibration_in_the_large,
  observed_expected, brier, scaled_brier; calibration_curve/cman/<cohort>,
  calibration_distance/cman/<cohort>/ici (e50, e90),
  expected_calibration_error/cman/<cohort>/equal_size (equal_width)
- decision_curve/cman/<cohort>; where the study's [evaluation] asks for them ppv_at_prevalence,
  npv_at_prevalence, sensitivity_at_specificity, partial_auc, expected_cost, expected_cost_at_prevalence, each
  /<model>/<cohort>/all
- grouping/cman/<cohort>/<column>, subgroup/cman/<cohort>/<column>/<group>,
  worst_group/cman/<cohort>/<column>, and so equalised_odds, sensitivity_gap, specificity_gap, ppv_gap,
  demographic_parity, heterogeneity
- subset_auc/<subset>/<cohort>
- where the model leaves patients unanswered, unanswered/<auc|sensitivity|specificity>/<cohort>
- where the study's [robustness] names shares, label_noise/<both|events|others>/<cohort>
- endpoint/<number>/<metric>/<cohort>
- threshold_target/cman/<cohort>
- triage_levels/cman/<cohort>, triage/<policy>/<claim>/<cohort>
"""

from __future__ import annotations

from collections.abc import Callable

from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.validate.assessments.calibration import calibration
from huizhen.validate.assessments.calibration_curves import calibration_curves
from huizhen.validate.assessments.decisions import decisions
from huizhen.validate.assessments.discrimination import discrimination
from huizhen.validate.assessments.endpoints import endpoints, endpoints_not_assessed
from huizhen.validate.assessments.interface import Evaluation, FromSums
from huizhen.validate.assessments.label_noise import wrong_labels
from huizhen.validate.assessments.multiplicity import with_multiplicity
from huizhen.validate.assessments.planned import planned
from huizhen.validate.assessments.subgroups import subgroups
from huizhen.validate.assessments.subsets import subsets
from huizhen.validate.assessments.targets import targets
from huizhen.validate.assessments.triage import triage
from huizhen.validate.assessments.unanswered import unanswered
from huizhen.validate.assessments.utility import utility

__all__ = ["assess", "endpoints_not_assessed", "with_multiplicity"]

FAMILIES: tuple[Callable[[Evaluation], list[Evidence]], ...] = (
    endpoints,
    targets,
    discrimination,
    decisions,
    unanswered,
    planned,
    calibration,
    calibration_curves,
    utility,
    subgroups,
    subsets,
    triage,
    wrong_labels,
)
"""The families of claims, in the order in which their evidence is returned."""


def assess(
    predictions: Predictions, study: Study, *, phantom: bool, sums: FromSums | None = None
) -> list[Evidence]:
    """Return the evidence of one cohort: internal for predictions of the test part, external for external.

    What can't be measured (a site with one event, a model without predictions) is NOT_ASSESSED with the
    reason. `phantom` marks every line. `sums`: the rows were made again from sums over sites. Raises
    `InvalidInputError` for predictions of another part, or without cman.
    """
    evaluation = Evaluation(predictions=predictions, study=study, phantom=phantom, sums=sums)
    return [evidence for family in FAMILIES for evidence in family(evaluation)]
