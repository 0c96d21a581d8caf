"""Cases to predict for: no label is read, and nobody usable is left out for the lack of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.data.unlabelled import unlabelled_cases
from huizhen.errors import DataError


def study_over(folder: Path, labels: str) -> Study:
    """Write four images of three patients with `labels`, and return a study over them."""
    images = np.random.default_rng(0).integers(0, 255, (4, 40, 40)).astype(np.uint8)
    np.savez(folder / "scans.npz", images=images)
    (folder / "labels.csv").write_text(labels, encoding="utf-8")
    source = {
        "reader": "npz",
        "modality": "US",
        "path": "scans.npz",
        "labels": "labels.csv",
        "columns": {"patient": "who", "outcome": "what"},
    }
    return Study.model_validate(
        {
            "name": "new-patients",
            "title": "New patients",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
            "modality": [{"name": "US", "size": 32, "max_images": 1}],
            "site": [{"name": "north", "source": [source]}],
        }
    )


def test_patients_without_a_label_are_cases_and_no_label_is_read(tmp_path: Path) -> None:
    study = study_over(tmp_path, "who,what\na,bad\na,bad\nb,\nc,neither\n")
    found = unlabelled_cases(study, roots=[tmp_path], cache=Cache(tmp_path / "cache"), progress=Silent())
    assert [case.patient_id for case in found.cases] == ["a", "b", "c"]
    assert [case.outcome for case in found.cases] == [None, None, None]
    assert all(len(case.images["US"]) == 1 for case in found.cases)  # the bag's limit holds


def test_nobody_left_is_an_error(tmp_path: Path) -> None:
    study = study_over(tmp_path, "who,what\na,bad\na,bad\nb,\nc,neither\n")
    np.savez(tmp_path / "scans.npz", images=np.zeros((4, 40, 40), np.uint8))
    with pytest.raises(DataError, match="no patient"):
        unlabelled_cases(study, roots=[tmp_path], cache=Cache(tmp_path / "cache"), progress=Silent())
