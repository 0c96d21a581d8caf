"""The material of predictions: a modality that nobody has is an empty column; that of fits is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from huizhen.core.cohort import Case
from huizhen.core.study import Study, Variant
from huizhen.data.tables import TableEncoding
from huizhen.errors import DataError
from huizhen.models.build import build_network
from huizhen.pipeline.material import Columns, Material, slices_of
from huizhen.pipeline.stage import Run
from huizhen.pipeline.subset_logits import subset_logits

MakeStudy = Callable[..., Study]
CASES = tuple(
    Case(
        pseudonym=f"P-{i}",
        patient_id=f"{i}",
        site="a",
        outcome=i % 2,
        covariates={"clinic": {"age": 40.0 + i}} if i else {},
    )
    for i in range(5)
)


def opened(bench: Any, make_study: MakeStudy, mode: str) -> Run:
    """Return an open run whose only images are of a modality that no case has."""
    image = {"name": "US", "kind": "image", "size": 64, "pretrained": False, "channels": 3}
    clinic = {"name": "clinic", "kind": "table", "numeric": ["age"]}
    study = make_study(
        image, clinic, training={"mode": mode, "view_augment": 3}, network={"width": 16, "heads": 2}
    )
    (bench.folder / "x").mkdir(parents=True)
    run: Run = bench.open(study)
    return run


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_a_modality_that_nobody_has_is_an_empty_column(bench: Any, make_study: MakeStudy, mode: str) -> None:
    run = opened(bench, make_study, mode)
    with run.log:
        material = Material(run=run, cases=CASES, columns=Columns(run, CASES, augmented=False))
        column, pack = material.columns.made["US"]
        assert (len(pack), len(column.payload), column.features) == (0, 0, mode == "frozen")
        assert pack.pixels.shape[1:] == (3, 64, 64)
        assert pack.rows([]).shape == (0,)
        encodings = {
            "clinic": TableEncoding.fit([{"age": 40.0}, {"age": 60.0}], run.study.table_modalities[0])
        }
        data = material.data(encodings)
    assert not data.present[:, 0].any()
    names = ("US", "clinic")
    slices = slices_of(encodings)
    network = build_network(run.study, Variant.CMAN, names, slices, frozen=mode == "frozen", seed=1)
    with torch.no_grad():
        bag = data.batch(np.arange(5), names).bags["US"]
        assert network.encode(data.batch(np.arange(5), names))["US"].shape == (0, 4, 1280)
    assert (len(bag.payload), bag.width) == (0, 1)
    keeps = {"all": None, "US": ("US",), "clinic": ("clinic",)}
    found = subset_logits(network, data, np.arange(5), names, keeps)
    assert np.isnan(found["US"]).all()
    assert np.isfinite(found["all"]).tolist() == [False, True, True, True, True]
    np.testing.assert_array_equal(found["all"], found["clinic"])


@pytest.mark.parametrize(("weight", "brought"), [(0.0, False), (0.5, True)])
def test_masks_are_brought_where_lesions_are_to_be_found(
    bench: Any, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, weight: float, brought: bool
) -> None:
    run = opened(bench, make_study, "finetune")
    training = run.study.training.model_copy(update={"lesion_weight": weight})
    run = replace(run, study=run.study.model_copy(update={"training": training}))
    with run.log:
        empty = Columns(run, CASES, augmented=False).made["US"][1]
        pack = replace(empty, masks=np.zeros((0, 64, 64), np.bool_))
        monkeypatch.setattr("huizhen.pipeline.material.pack_images", lambda *_: pack)
        column = Columns(run, CASES, augmented=True).made["US"][0]
    assert (column.masks is not None) is brought
    assert (column.has_mask is not None) is brought


def test_nobody_to_learn_a_modality_from_is_an_error_that_names_it(bench: Any, make_study: MakeStudy) -> None:
    run = opened(bench, make_study, "frozen")
    with run.log, pytest.raises(DataError, match="no image to pack") as caught:
        _ = Columns(run, CASES, augmented=True).made
    assert caught.value.field == "US"
    assert "sources of this modality" in caught.value.remedy
