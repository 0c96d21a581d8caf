"""The prediction table: one row a patient, columns of one length, risks in [0, 1]."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.errors import InvalidInputError


def table(**changed: object) -> Predictions:
    columns: dict[str, object] = {
        "patient": np.array(["a", "b"]),
        "site": np.array(["n", "n"]),
        "part": Part.TEST,
        "outcome": np.array([True, False]),
        "risk": {"cman": np.array([0.2, np.nan])},
    }
    return Predictions(**{**columns, **changed})  # type: ignore[arg-type]  # the test chooses the columns


def test_a_model_may_leave_a_patient_unanswered() -> None:
    assert np.isnan(table().risk["cman"][1])
    assert table(risk={"single:MG": np.array([np.nan, np.nan])}).part is Part.TEST


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"patient": np.array(["a", "a"])}, "stands twice"),
        ({"outcome": np.array([True])}, "outcome has 1 rows"),
        ({"risk": {"cman": np.array([0.1])}}, "cman has 1 rows"),
        ({"risk": {"cman": np.array([0.1, 1.2])}}, "leave"),
        ({"risk": {"cman": np.array([-0.1, 0.2])}}, "leave"),
        ({"decision": {"cman": np.array([True, True, False])}}, "cman has 3 rows"),
        ({"present": {"MG": np.array([])}}, "MG has 0 rows"),
        ({"groups": {"sex": np.array(["f"])}}, "sex has 1 rows"),
    ],
)
def test_other_tables_are_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        table(**changed)
