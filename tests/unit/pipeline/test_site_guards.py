"""What a site's learner refuses a lead that asks for more than the study plans: scores, sums, weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.errors import FederationError, PolicyError
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.learner import Asked
from huizhen.federate.statistics.interface import Query
from huizhen.pipeline.federated_plan import CALIBRATION, scores_subject
from huizhen.pipeline.site_alone import check_alone, check_paid
from huizhen.pipeline.site_models import SiteModels
from huizhen.pipeline.site_scores import SiteScores

N = 6


def scores(part: Part, *, locked: bool) -> SiteScores:
    """Return the scores of six patients who all stand in one part, by one model."""
    cases = [SimpleNamespace(pseudonym=f"p{i}", outcome=i % 2) for i in range(N)]
    cohort: Any = SimpleNamespace(
        folds=[SimpleNamespace(parts={case.pseudonym: part for case in cases})], within=lambda *_: cases
    )
    study: Any = SimpleNamespace(
        split=SimpleNamespace(method="holdout"), active=None, modality=[], subgroup=[]
    )
    models: Any = SimpleNamespace(
        models={"cman": SimpleNamespace(planned=SimpleNamespace(name="cman"), fold=0, name="cman/member0")},
        locked=lambda: {"cman/member0": "d"} if locked else {},
    )
    material: Any = SimpleNamespace(cases=tuple(cases))
    run: Any = None
    return SiteScores(
        study=study,
        run=run,
        models=models,
        development=lambda: material,
        cohort=lambda: cohort,
        unsealed=lambda: cohort,
        encodings=lambda _: {},
        _materials={Part.TEST: material, Part.EXTERNAL: material},
        _logits={(part, "cman/member0", (), frozenset()): np.linspace(-1, 1, N)},
    )


def about(part: Part, *, locked: bool, hidden: bool) -> int:
    query = Query(name="scores", values={CALIBRATION: np.array([[[1.0, 0.0]]])})
    subject = scores_subject(part, 0, ["cman"]).removeprefix("scores/")
    return scores(part, locked=locked).about(subject, query, hidden=hidden).n


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_training_patients_are_never_scored_by_outcome(locked, hidden):
    """A lead that chooses the weights would read a pixel of each, past any differential privacy."""
    with pytest.raises(FederationError, match="training patients are not scored"):
        about(Part.TRAIN, locked=locked, hidden=hidden)


@pytest.mark.parametrize(
    ("part", "locked", "hidden", "answers"),
    [
        (Part.TUNE, False, True, True),
        (Part.TUNE, True, False, False),
        (Part.TEST, True, True, True),
        (Part.TEST, True, False, False),
        (Part.TEST, False, True, False),
        (Part.EXTERNAL, True, False, True),
        (Part.EXTERNAL, False, False, False),
    ],
)
def test_scores_leave_alone_only_after_the_lock_and_of_external_sites(part, locked, hidden, answers):
    if answers:
        assert about(part, locked=locked, hidden=hidden) == N
        return
    with pytest.raises(FederationError, match=r"secure sum only|only after the models are locked"):
        about(part, locked=locked, hidden=hidden)


def by_group(part: Part, *, locked: bool, hidden: bool) -> int:
    query = Query(name="scores_by_group", values={CALIBRATION: np.array([[[1.0, 0.0]]])})
    subject = scores_subject(part, 0, ["cman"]).removeprefix("scores/")
    return scores(part, locked=locked).by_group(subject, query, hidden=hidden, smallest=5).n


@pytest.mark.parametrize(
    ("part", "locked", "hidden"),
    [
        (Part.TRAIN, True, True),
        (Part.TUNE, True, True),
        (Part.TEST, False, True),
        (Part.TEST, True, False),
        (Part.EXTERNAL, False, False),
    ],
)
def test_groups_are_counted_of_tested_patients_only_and_after_the_lock(part, locked, hidden):
    with pytest.raises(FederationError, match=r"tested patients only|secure sum only|after the models are"):
        by_group(part, locked=locked, hidden=hidden)
    assert by_group(Part.TEST, locked=True, hidden=True) == N


def test_the_model_is_asked_with_subsets_of_the_studys_modalities_only():
    with pytest.raises(FederationError, match="plans no model"):
        scores(Part.TEST, locked=True).odds(Part.TEST, 0, "cman|MG", np.array([[1.0, 0.0]]))


def asked(subject: str, *, hidden: bool = False) -> Asked:
    return Asked(subject=subject, query=Query(name="q"), sites=3, smallest=5, hidden=hidden)


@pytest.mark.parametrize(
    "subject",
    ["regression/fit/cman", "moments/0/T", "levels/0/T/1", "curve/1/ab", "asking/1/ab/m", "agreement"],
)
def test_what_a_lead_gives_parameters_for_leaves_in_secure_sums_only(subject):
    with pytest.raises(FederationError, match="secure sum only"):
        check_alone(asked(subject), SitePolicy())
    check_alone(asked(subject, hidden=True), SitePolicy())


def test_without_histograms_no_scores_leave_alone_in_any_form():
    strict = SitePolicy(score_histograms=False)
    with pytest.raises(PolicyError, match="distribution of scores"):
        check_alone(asked("scores/external/all/cman"), strict)
    check_alone(asked("cohort/cman"), strict)


@pytest.mark.parametrize("subject", ["regression/fit/cman", "moments/0/T", "curve/1/ab", "labelled/0"])
def test_with_privacy_nothing_is_computed_from_training_patients_unpaid(subject):
    with pytest.raises(FederationError, match=r"nothing is computed from training patients"):
        check_paid(asked(subject, hidden=True))
    check_paid(asked("cohort/cman"))


def models(folder: Path, planned: int) -> SiteModels:
    return SiteModels(
        folder=folder,
        models={},
        fresh=lambda _: pytest.fail("a regression is no network"),
        own=lambda _: {},
        shapes=lambda _: {"weights": (2,), "intercept": (1,)},
        planned=lambda _: planned,
    )


def test_as_many_weights_are_held_as_the_study_plans_also_after_a_restart(tmp_path):
    """With any number of models to ask about, tuning patients' scores would tell the patients."""
    model: Any = SimpleNamespace(name="table_lr/member0", regression=True)

    def hold(value: float) -> None:
        weights = {"weights": np.full(2, value, np.float32), "intercept": np.zeros(1, np.float32)}
        models(tmp_path, 2).hold(model, weights)

    for value in (0.0, 1.0, 0.0, 1.0):  # the same ones again are nothing new
        hold(value)
    with pytest.raises(FederationError, match="plans no more weights"):
        hold(2.0)
