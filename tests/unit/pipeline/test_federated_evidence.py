"""A federated study's evidence from sums beside that of its patients pooled: the same keys and numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hospitals import Federation, draws, table, table_source, write_rows, write_study
from scipy.special import expit

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study_file import load_study
from huizhen.dossier.wording import say_or
from huizhen.federate.statistics.delong import BINS, bins_of
from huizhen.pipeline.predict_stage import with_single_specialists
from huizhen.pipeline.recompute import _pairs
from huizhen.validate.assess import assess

SITES = {"east": 190, "north": 184, "west": 178, "far": 90, "abroad": 84}
MORE = """\
[evaluation]
resamples = 200
prevalence = 0.2
at_specificity = 0.8
costs = { false_negative = 10.0, false_positive = 1.0 }
partial_auc = { specificity = 0.5 }
[[endpoint]]
metric = "auc_difference"
cohort = "internal"
at_least = -0.2
against = "table_lr"
[[subgroup]]
column = "sex"
groups = { F = ["f"], M = ["m"] }
cross = ["age"]
[[subgroup]]
column = "age"
edges = [50]
[[subgroup]]
column = "present:b"
[[subgroup]]
column = "ward"
[federation]
rounds = 1
round_timeout_s = 60
"""


def write_data(folder: Path) -> None:
    """Write two tables a hospital, each lacking other patients, and columns that no model sees."""
    for name, count in SITES.items():
        rng = draws(name)
        event = rng.random(count) < 0.45
        sex, age = rng.choice(["f", "m"], count), rng.integers(30, 75, count)
        for skip, of in enumerate(("a", "b"), start=4):
            rows = [
                {
                    "patient": f"{name}-{i}",
                    "event": int(event[i]),
                    "x": f"{rng.normal(event[i], 1.2):.3f}",
                    "y": f"{rng.normal(event[i], 1.2):.3f}",
                    "sex": sex[i],
                    "age": age[i],
                    "ward": "one",
                }
                for i in range(count)
                if i % skip
            ]
            write_rows(folder / f"{name}-{of}.csv", rows)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("evidence")
    (root / "data").mkdir()
    write_data(root / "data")
    file = write_study(
        root / "data",
        "evidence",
        modalities="".join(table(name, ["x", "y"]) for name in ("a", "b")),
        sites=SITES,
        source=lambda site: "".join(
            table_source(name, f"{site}-{name}.csv", outcome="event") for name in ("a", "b")
        ),
        variants=("cman", "single", "concatenation", "table_lr"),
        more=MORE,
    )
    found = Federation(root=root, file=file, names=tuple(SITES))
    found.result = found.run()
    return found


@pytest.fixture(scope="module")
def pooled(done: Federation) -> dict[str, Evidence]:
    """The evidence of the same patients in one table, their risks rounded to 16 bits as sites count them."""
    study = load_study(done.file)
    (lock,) = [e.body for e in done.entries() if e.kind == "lock"]
    found: list[Evidence] = []
    for part, names in ((Part.TEST, ("east", "north", "west")), (Part.EXTERNAL, ("far", "abroad"))):
        rows: dict[str, list[object]] = {}
        with ExitStack() as stack:
            for name in names:
                scores = stack.enter_context(done.learner(name))._scores
                cases = scores.material(part).cases
                told = "all" if part is Part.TEST else name  # of internal patients sites tell together
                rows.setdefault("site", []).extend([told] * len(cases))
                rows.setdefault("case", []).extend(cases)
                for model, (own,) in ((m, d.values()) for m, d in lock["decisions"].items()):
                    platt = np.array([[own["platt"]["slope"], own["platt"]["intercept"]]])
                    rows.setdefault(model, []).extend(expit(scores.odds(part, None, model, platt)))
        found += assess(_table(study, part, lock["decisions"], rows), study, phantom=study.phantom)
    return {item.key: item for item in found if not item.key.endswith("/site:all")}


def _table(study, part, decisions, rows) -> Predictions:
    """Return cases and risks as a table of predictions."""
    cases = rows["case"]
    known = {model: np.array(rows[model]) for model in decisions}
    risk = {
        model: np.where(np.isnan(values), np.nan, (bins_of(np.nan_to_num(values)) + 0.5) / BINS)
        for model, values in known.items()
    }
    table = Predictions(
        patient=np.array([case.pseudonym for case in cases]),
        site=np.array(rows["site"]),
        part=part,
        outcome=np.array([case.outcome == 1 for case in cases]),
        risk=risk,
        decision={model: values >= decisions[model]["0"]["threshold"] for model, values in risk.items()},
        present={name: np.array([name in case.modalities for case in cases]) for name in ("a", "b")},
        groups={
            column: np.array([case.groups[column] for case in cases]) for column in ("sex", "age", "ward")
        },
    )
    return with_single_specialists(table)


def by_cohort(found: Mapping[str, Evidence], cohort: str) -> dict[str, Evidence]:
    """Return the evidence of the validation of one cohort."""
    return {key: item for key, item in found.items() if item.stage == "validate" and cohort in key.split("/")}


NOT_FROM_SUMS = {
    "internal": {"grouping/cman/internal/ward", "grouping/cman/internal/site"},
    "external": {"grouping/cman/external/ward"},
}
ONLY_POOLED = {
    cohort: {f"{metric}/cman/{cohort}/ward" for metric in ("equalised_odds", "worst_group")}
    | {f"subgroup/cman/{cohort}/ward/one"}
    for cohort in ("internal", "external")
}


@pytest.mark.parametrize("cohort", ["internal", "external"])
def test_every_number_is_that_of_the_pooled_patients(done, pooled, cohort):
    """Resampling included: it draws by counts, and is seeded."""
    found, wanted = by_cohort(done.evidence(), cohort), by_cohort(pooled, cohort)
    more = {"heterogeneity/cman/internal/site", "grouping/cman/internal/site"} & set(found)
    assert set(wanted) - set(found) == ONLY_POOLED[cohort]
    assert set(found) - set(wanted) == more
    compared = 0
    for key in set(found) & set(wanted) - NOT_FROM_SUMS[cohort]:
        for place, one, other in _pairs(key, found[key].to_json(), wanted[key].to_json()):
            if isinstance(one, int | float) and isinstance(other, int | float):
                assert one == pytest.approx(other, abs=1e-10), place
                compared += 1
            else:
                assert one == other, place
    assert compared > 1000


def test_what_cannot_be_had_is_not_assessed_with_the_reason(done):
    found = done.evidence()
    for cohort, keys in NOT_FROM_SUMS.items():
        for key in keys:
            assert found[key].verdict is Verdict.NOT_ASSESSED, key
            assert say_or(f"reason.{found[key].reason}", "").zh, cohort
    spread = found["heterogeneity/cman/internal/site"]
    assert "show each one's result" in spread.reason


def test_an_endpoint_on_a_difference_is_judged(done):
    assert done.evidence()["endpoint/1/auc_difference/internal"].verdict in (Verdict.PASS, Verdict.FAIL)


def test_sites_fix_the_groups_before_the_lock(done):
    """They stand in the cohort that each site commits to, and no event of a tested patient beside them."""
    for name in SITES:
        (cases,) = (done.folders[name].path / "studies").rglob("cases.json")
        records = json.loads(cases.read_text(encoding="utf-8"))
        assert {record["groups"]["sex"] for record in records} == {"f", "m"}


def test_the_lead_writes_down_what_it_reckoned_from(done):
    for part in ("test", "external"):
        (file,) = (done.root / "out" / "stages").rglob(f"scores_{part}.json")
        blocks = json.loads(file.read_text(encoding="utf-8"))
        cohort = "internal" if part == "test" else "external"
        events = sum(sum(block["models"]["cman"]["events"].values()) for block in blocks)
        assert events == done.evidence()[f"auc/cman/{cohort}/all"].n_events
        assert {block["site"] for block in blocks} == ({"all"} if part == "test" else {"far", "abroad"})
        assert {group["group"] for group in blocks[0]["groups"] if group["column"] == "sex"} == {"F", "M"}
