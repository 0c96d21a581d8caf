"""Intake through the real reader on real ultrasound: the flow's counts, and a leak that links prevent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.data.intake import Intake, intake
from huizhen.data.splits import check_leakage, split_cohort
from huizhen.errors import LeakageError

pytestmark = pytest.mark.realdata

STUDY = Study.model_validate(
    {
        "name": "busi",
        "title": "BUSI",
        "question": "Is the lesion malignant?",
        "seed": 1,
        "task": {"outcome": "pathology", "positive": ["malignant"], "negative": ["benign"]},
        "modality": [{"name": "US", "kind": "image"}],
        "site": [
            {
                "name": "busi",
                "source": [
                    {
                        "reader": "npz",
                        "modality": "US",
                        "path": "us_busi/busi_128.npz",
                        "labels": "us_busi/labels.csv",
                        "columns": {"patient": "id", "outcome": "label"},
                    }
                ],
            }
        ],
        "split": {"near_duplicate_distance": 32},
    }
)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """BUSI's cohort."""
    root = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (root / "us_busi").is_dir():
        pytest.skip("no real data: set HUIZHEN_DATA")
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return intake(STUDY, roots=[root], pseudonym_secret=b"s", cache=cache, progress=Silent())


def test_the_flow_is_that_of_the_published_set(taken):
    """780 images: 437 benign, 210 malignant, 133 normal; one an image, since BUSI names no patients."""
    steps = {step.step: step.patients for step in taken.flow.steps}
    assert (steps["found"], steps["readable"], steps["labelled"]) == (780, 780, 647)
    left_out = {e.reason: e.count for e in taken.flow.exclusions}
    assert left_out["other_class"] == 133
    assert set(left_out) == {"other_class", "conflicting_label"}
    assert steps["included"] == 647 - left_out["conflicting_label"] == len(taken.cohort.cases)


def test_links_keep_the_frames_of_a_sweep_together(taken):
    assert len(taken.links) > 90
    folds = split_cohort(taken.cohort, STUDY, taken.links)
    evidence = check_leakage(taken.cohort, folds, taken.fingerprints, 32)
    assert evidence.detail["nearest_across_parts"] > 32
    with pytest.raises(LeakageError, match="bits apart"):
        check_leakage(taken.cohort, split_cohort(taken.cohort, STUDY), taken.fingerprints, 32)
