"""Validation from distributions of scores: the same numbers as from the patients themselves."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.federate.statistics.data import scored
from huizhen.federate.statistics.runner import run
from huizhen.federate.statistics.scores import Scores
from huizhen.pipeline.federated_assess import predictions_of
from huizhen.validate.discrimination import auc


def test_a_table_of_nobody_has_the_outcomes_and_risks_of_all():
    rng = np.random.default_rng(0)
    outcome = rng.random(90) < 0.4
    risk = np.round(np.clip(rng.normal(0.4 + 0.2 * outcome, 0.2), 0.01, 0.99), 3)
    parts = [slice(0, 20), slice(20, 65), slice(65, 90)]
    scores = run(Scores(), [scored(outcome[p], risk[None, p]) for p in parts]).result
    table = predictions_of([(scores, 0.4)], Part.TEST)
    assert len(table.patient) == len(set(table.patient.tolist())) == 90
    assert table.outcome.sum() == outcome.sum()
    pooled, found = auc(outcome, risk), auc(table.outcome, table.risk["cman"])
    assert found == pytest.approx(pooled, abs=1e-12)
    np.testing.assert_array_equal(table.decision["cman"], table.risk["cman"] >= 0.4)
    order = np.argsort(table.patient)
    assert not np.array_equal(table.risk["cman"][order], risk), "no patient's order"
