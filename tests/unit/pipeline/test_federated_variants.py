"""Every baseline in a federation: specialists answer for whom they were trained on, the others for all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from federated_sites import Federation, write_rows

from huizhen.core.cohort import Part

SITES = {"east": 60, "north": 54}
TABLES = ("a", "b", "c")
STUDY = """\
name = "variants"
title = "Variants"
question = "Does the event follow?"
seed = 5
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
{modalities}
{sites}
[network]
variants = ["cman", "specialist", "concatenation", "late_average"]
width = 16
heads = 2
[training]
epochs = 1
[federation]
rounds = 1
round_timeout_s = 60
"""
MODALITY = '[[modality]]\nname = "{name}"\nkind = "table"\nnumeric = ["x"]\n'
SOURCE = """
[[site.source]]
reader = "table"
modality = "{table}"
path = "{site}-{table}.csv"
columns = {{ patient = "patient", outcome = "event" }}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("variants")
    (root / "data").mkdir()
    for place, (site, count) in enumerate(SITES.items()):
        rng = np.random.default_rng(place)
        for skip, table in enumerate(TABLES, start=4):  # each table lacks other patients
            rows = [
                {"patient": f"{site}-{i}", "event": i % 2, "x": f"{rng.normal(i % 2, 1):.3f}"}
                for i in range(count)
                if i % skip
            ]
            write_rows(root / "data" / f"{site}-{table}.csv", rows)
    sites = "".join(
        f'[[site]]\nname = "{site}"\n' + "".join(SOURCE.format(site=site, table=table) for table in TABLES)
        for site in SITES
    )
    modalities = "".join(MODALITY.format(name=name) for name in TABLES)
    file = root / "data" / "study.toml"
    file.write_text(STUDY.format(sites=sites, modalities=modalities), encoding="utf-8")
    found = Federation(root=root, file=file, names=tuple(SITES))
    found.run()
    return found


def test_each_variant_is_assessed_and_compared(done):
    found = done.evidence()
    names = ["concatenation", "late_average", *(f"specialist|{one}+{two}" for one, two in ("ab", "ac", "bc"))]
    for name in names:
        assert found[f"auc/{name}/internal/all"].estimate is not None, name
        assert found[f"auc_difference/cman~{name}/internal/all"].estimate is not None, name
        assert found[f"floor/{name}/fold0"].n, name


def test_a_specialist_answers_for_patients_who_have_all_that_it_was_trained_on(done):
    learners = {name: done.learner(name) for name in SITES}
    try:
        whole = sum(
            {"a", "b"} <= case.modalities
            for learner in learners.values()
            for case in learner._scores.material(Part.TEST).cases
        )
    finally:
        for learner in learners.values():
            learner._run.log.close()
    found = done.evidence()
    assert found["auc/specialist|a+b/internal/all"].n == whole < found["auc/concatenation/internal/all"].n
