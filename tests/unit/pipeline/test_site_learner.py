"""A study opened at a site: what it refuses a lead that asks for what the study doesn't plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hospitals import Federation, draws, table, table_source, write_rows, write_study

from huizhen.errors import FederationError
from huizhen.federate.site.learner import Asked, Labelling
from huizhen.federate.statistics.interface import Query
from huizhen.pipeline.site_learner import SiteLearner

SITES = ("east", "north")


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteLearner]:
    """A study of one table, opened at east, before its lead fixed a plan."""
    root = tmp_path_factory.mktemp("learner")
    file = write_study(
        root / "data",
        "learner",
        modalities=table("clinic", ["age"]),
        sites=SITES,
        source=lambda name: table_source("clinic", f"{name}.csv", outcome="event"),
        variants=("cman", "table_lr"),
        more="[federation]\nrounds = 1\n",
    )
    for name in SITES:
        ages = draws(name).normal(50, 8, 40)
        rows = [{"patient": f"{name}-{i}", "event": i % 2, "age": f"{a:.1f}"} for i, a in enumerate(ages)]
        write_rows(root / "data" / f"{name}.csv", rows)
    with Federation(root=root, file=file, names=SITES).learner("east") as opened:
        yield opened


def asked(subject: str, name: str) -> Asked:
    return Asked(subject=subject, query=Query(name=name), sites=2, smallest=1, hidden=True)


def test_the_cohort_is_of_the_sites_own_patients(learner):
    names = {case.patient_id for case in learner.cohort.cases}
    assert names == {f"east-{i}" for i in range(40)}
    words = learner.answer(asked("cohort/cman/member0", "categories"))
    assert len(words) > 8
    assert np.asarray(words).dtype == np.uint32


@pytest.mark.parametrize(
    ("subject", "name", "says"),
    [
        ("cohort/other", "categories", "plans no model other"),
        ("cohort/cman/member0", "scores", "nothing is known here of scores"),
        ("moments/7/clinic", "moments", "no fold 7"),
        ("moments/x/clinic", "moments", "no fold x"),
        ("moments/0/blood", "moments", "no table blood"),
        ("levels/0/clinic/0", "levels", "no categorical column 0"),
        ("privacy", "spending", "nothing is known here of spending"),
        ("labelled/0", "categories", "nothing is known here of categories"),
    ],
)
def test_what_the_study_does_not_plan_is_not_answered(learner, subject, name, says):
    with pytest.raises(FederationError, match=says):
        learner.answer(asked(subject, name))


def test_a_regression_takes_no_rounds_and_no_labels_are_asked_for_without_active(learner):
    with pytest.raises(FederationError, match="takes no rounds"):
        learner.train("table_lr/member0", 0, {})
    with pytest.raises(FederationError, match="plans no model other"):
        learner.train("other", 0, {})
    with pytest.raises(FederationError, match="no labels are asked for here"):
        learner.label(Labelling(model="cman/member0", query=0, at=0.0, labelled=0))


def test_nothing_is_trained_before_the_plan_of_the_tables_is_fixed(learner):
    with pytest.raises(FederationError, match="plan isn't fixed here yet"):
        learner.patients("cman/member0", 0, {})
