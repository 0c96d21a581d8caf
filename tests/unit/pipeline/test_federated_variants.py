"""Every baseline in a federation: specialists answer for whom they were trained on, the others for all."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from hospitals import Federation, table, table_source, write_rows, write_study

from huizhen.core.cohort import Part

SITES = {"east": 60, "north": 54}
TABLES = ("a", "b", "c")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("variants")
    file = write_study(
        root / "data",
        "variants",
        modalities="".join(table(name, ["x"]) for name in TABLES),
        sites=SITES,
        source=lambda site: "".join(
            table_source(name, f"{site}-{name}.csv", outcome="event") for name in TABLES
        ),
        seed=5,
        variants=("cman", "specialist", "concatenation", "late_average"),
        more="[federation]\nrounds = 1\nround_timeout_s = 60\n",
    )
    for place, (site, count) in enumerate(SITES.items()):
        rng = np.random.default_rng(place)
        for skip, name in enumerate(TABLES, start=4):  # each table lacks other patients
            rows = [
                {"patient": f"{site}-{i}", "event": i % 2, "x": f"{rng.normal(i % 2, 1):.3f}"}
                for i in range(count)
                if i % skip
            ]
            write_rows(root / "data" / f"{site}-{name}.csv", rows)
    found = Federation(root=root, file=file, names=tuple(SITES))
    found.run()
    return found


def test_each_variant_is_assessed_and_compared(done):
    found = done.evidence()
    names = ["concatenation", "late_average", *(f"specialist|{one}+{two}" for one, two in ("ab", "ac", "bc"))]
    for name in names:
        assert found[f"floor/{name}/fold0"].n, name
        if "|" not in name:
            assert found[f"auc/{name}/internal/all"].estimate is not None, name
            assert found[f"auc_difference/cman~{name}/internal/all"].estimate is not None, name
            continue
        beside = found[f"subset_auc/{name.partition('|')[2]}/internal"]
        assert beside.estimate is not None, name
        assert beside.detail["specialist"]["n"] == beside.n == beside.detail["difference"]["n"], name


def test_a_specialist_answers_for_patients_who_have_all_that_it_was_trained_on(done):
    with ExitStack() as stack:
        learners = [stack.enter_context(done.learner(name)) for name in SITES]
        whole = sum(
            {"a", "b"} <= case.modalities
            for learner in learners
            for case in learner._scores.material(Part.TEST).cases
        )
    found = done.evidence()
    assert (
        found["subset_auc/a+b/internal"].detail["specialist"]["n"]
        == whole
        < found["auc/concatenation/internal/all"].n
    )
