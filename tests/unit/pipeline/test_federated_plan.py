"""What lead and sites both know: cells, names of queries, and what is refused of them."""

from __future__ import annotations

import pytest

from huizhen.core.cohort import Part
from huizhen.errors import FederationError
from huizhen.federate import messages as wire
from huizhen.pipeline.federated_plan import CELLS, PARTS, cell_of, federated_models, scores_of, scores_subject


def test_cells_are_one_to_one():
    cells = [cell_of(part, outcome) for part in PARTS for outcome in (0, 1)]
    assert cells == list(range(len(CELLS)))
    assert cell_of(Part.TRAIN, None) == cell_of(Part.TRAIN, 0)


@pytest.mark.parametrize("fold", [None, 0, 4])
@pytest.mark.parametrize(
    "models", [("cman",), ("cman", "specialist|MG+US"), ("cman", "single:U.S-2")], ids=str
)
def test_a_subject_says_exactly_which_scores(models, fold):
    subject = scores_subject(Part.EXTERNAL, fold, models)
    asked = scores_of(subject.removeprefix("scores/"))
    assert (asked.part, asked.fold, asked.models) == (Part.EXTERNAL, fold, models)
    message = wire.Ask(study="0" * 64, sender="lead", subject=subject, query="scores", step=0, secure=True)
    assert message.subject == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "test",
        "test/",
        "test/cman",
        "test/all",
        "test/all/",
        "test/-1/cman",
        "night/all/cman",
        "test/0/a b",
    ],
)
def test_a_subject_of_another_form_is_refused(subject):
    with pytest.raises(FederationError, match="another form"):
        scores_of(subject)


def test_folds_have_names_and_seeds_of_their_own(make_study):
    study = make_study(
        {"name": "T", "kind": "table", "numeric": ["x"]},
        split={"method": "folds", "folds": 3},
        network={"variants": ["cman", "table_lr"]},
        training={"members": 2},
    )
    models = federated_models(study)
    assert [m.name for m in models[:3]] == ["cman/fold0/member0", "cman/fold0/member1", "cman/fold1/member0"]
    assert [m.name for m in models if m.regression] == [f"table_lr/fold{k}/member0" for k in range(3)]
    assert len({m.seed(study) for m in models}) == len(models)


def test_members_start_from_seeds_of_their_own(make_study):
    study = make_study(
        {"name": "US", "kind": "image"}, {"name": "MG", "kind": "image"}, training={"members": 2}
    )
    models = federated_models(study)
    assert models[0].name == "cman/member0"
    assert len({model.name for model in models}) == len(models) == len({m.seed(study) for m in models})
    assert all(len(model.name) <= 500 for model in models)
