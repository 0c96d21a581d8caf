"""Tables in a federation against the pooled tables: encodings, floors, the clinical regression."""

from __future__ import annotations

import csv
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hospitals import EXTERNAL, Federation, draws, table, table_source, write_rows, write_study
from safetensors.numpy import load_file

from huizhen.core.cohort import Part
from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.data.tables import TableEncoding
from huizhen.errors import FederationError
from huizhen.federate.statistics.data import design
from huizhen.federate.statistics.logistic import Logistic
from huizhen.federate.statistics.runner import run as run_statistic
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_plan import federated_models
from huizhen.pipeline.federated_regression import RIDGES
from huizhen.pipeline.federated_tables import TablePlan
from huizhen.pipeline.predict import predict
from huizhen.train.floor import floor_design
from huizhen.train.table_regression import table_features

SITES = {"east": 70, "north": 60, "west": 50, "far": 40}


def write_data(folder: Path) -> None:
    """Write hospitals of tables: west measures no size, blood is missing for some, sites differ in level."""
    for place, (name, count) in enumerate(SITES.items()):
        rng, clinic, blood = draws(name), [], []
        for i in range(count):
            event = int(rng.random() < 0.45)
            grade = str(rng.choice(["1", "2", "3.0"]) if i % 9 else "x" if name == "far" else "odd")
            clinic.append(
                {
                    "patient": f"{name}-{i}",
                    "event": event,
                    "age": f"{rng.normal(55 + 6 * event + 3 * place, 8):.3f}",
                    "size": "NA" if name == "west" or i % 7 == 0 else f"{1e3 + rng.normal(event, 2):.4f}",
                    "grade": "" if i % 11 == 5 else grade if i % 9 or (place < 3 and i) else "unheard of",
                    "side": rng.choice(["left", "right"]),
                }
            )
            marker = "inf" if name == "east" and i == 4 else f"{rng.normal(event, 1):.4f}"
            if i % 5:
                blood.append({"patient": f"{name}-{i}", "marker": marker, "rare": "4.0" if place else "NA"})
        write_rows(folder / f"{name}.csv", clinic)
        write_rows(folder / f"{name}-blood.csv", blood)


def sources(name: str) -> str:
    """Return a site's sources."""
    return table_source("clinic", f"{name}.csv", outcome="event") + table_source("blood", f"{name}-blood.csv")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("federated-tables")
    levels = 'levels = { side = ["left", "right"] }'
    clinic = table("clinic", ["age", "size"], ["grade", "side"], levels)
    file = write_study(
        root / "data",
        "federated-tables",
        modalities=clinic + table("blood", ["marker", "rare"]),
        sites=SITES,
        source=sources,
        variants=("cman", "single", "table_lr"),
        more="[federation]\nrounds = 2\nround_timeout_s = 60\n",
    )
    write_data(root / "data")
    found = Federation(root=root, file=file, names=tuple(SITES))
    found.result = found.run()
    return found


@pytest.fixture(scope="module")
def learners(done):
    with ExitStack() as stack:
        yield {name: stack.enter_context(done.learner(name)) for name in SITES if name not in EXTERNAL}


def test_a_finished_run_goes_on_to_the_same_dossier(done):
    assert done.run().dossier == done.result.dossier


def plan_of(done: Federation) -> TablePlan:
    (file,) = (done.root / "out").rglob("encodings.json")
    return TablePlan.from_text(file.read_text(encoding="utf-8"), load_study(done.file))


def pooled_rows(learners, name: str) -> list:
    """Return the training patients' rows of a table, of all sites together."""
    found = []
    for learner in learners.values():
        parts = learner.cohort.folds[0].parts
        train = [c for c in learner.cohort.cases if parts[c.pseudonym] is Part.TRAIN]
        found += [c.covariates[name] for c in train if name in c.covariates]
    return found


def test_the_encoding_is_that_of_the_pooled_table(done, learners):
    study, (encodings,) = load_study(done.file), plan_of(done).encodings
    for modality in study.table_modalities:
        rows = pooled_rows(learners, modality.name)
        pooled = TableEncoding.fit(rows, modality)
        for mine, theirs in zip(encodings[modality.name].columns, pooled.columns, strict=True):
            assert (mine.name, mine.kind, mine.n) == (theirs.name, theirs.kind, theirs.n)
            assert mine.mean == pytest.approx(theirs.mean, rel=1e-9, abs=1e-9)
            assert mine.sd == pytest.approx(theirs.sd, rel=1e-9)
            counts = [sum(str(row[mine.name]) == name for row in rows) for name in theirs.levels]
            named = mine.name == "side" or not mine.levels or min(counts) >= 5
            assert named == (not mine.other)
    side = next(c for c in encodings["clinic"].columns if c.name == "side")
    assert side.levels == ("left", "right")


def test_a_constant_column_at_all_sites_but_one_that_lacks_it_stays_whole(done):
    rare = plan_of(done).encodings[0]["blood"].columns[1]
    assert (rare.mean, rare.sd) == (4.0, 1.0)
    assert rare.n > 0


def test_a_level_unheard_of_elsewhere_is_pooled_and_evidence_says_so(done, learners):
    grade = next(c for c in plan_of(done).encodings[0]["clinic"].columns if c.name == "grade")
    rows = pooled_rows(learners, "clinic")
    few = {str(r["grade"]) for r in rows if r["grade"]} - {"1", "2", "3.0", "odd"}
    assert "unheard of" not in grade.levels
    assert {"1", "2", "3"} <= set(grade.levels)
    assert grade.other == bool(few) or grade.other
    told = done.evidence()["encoding/clinic/fold0"].detail
    assert told["smallest_count"] == 5
    assert ("grade" in told["pooled_levels"]) == grade.other


@pytest.mark.parametrize("name", ["cman", "single:clinic", "table_lr"])
def test_the_floor_is_the_pooled_regression(done, learners, name):
    study = load_study(done.file)
    model = next(m for m in federated_models(study) if m.planned.name == name)
    features, outcome = [], []
    for learner in learners.values():
        data, rows = learner._data(0), learner._rows(model, Part.TRAIN)
        tables = model.planned.modalities
        features.append(table_features(data, rows) if model.regression else floor_design(data, tables, rows))
        outcome.append(data.outcome[rows])
    x, y = np.concatenate(features), np.concatenate(outcome).astype(np.float64)
    told = done.evidence()[f"floor/{name}/fold0"]
    assert (told.n, told.n_events, told.detail["columns"]) == (len(x), int(y.sum()), x.shape[1])
    assert told.detail["penalty"] in RIDGES
    columns = tuple(f"c{i}" for i in range(x.shape[1]))
    logistic = Logistic(columns=columns, ridge=told.detail["penalty"])
    pooled = run_statistic(logistic, [design(columns, x, y)]).result.coefficients
    weights = weights_of(done, model.name)
    if model.regression:
        found = np.concatenate([weights["intercept"], weights["weights"]])
    else:
        floors = [weights[f"tokenizers.{table}.floor"] for table in tables]
        found = np.concatenate([weights["intercept"].reshape(1), *floors])
    np.testing.assert_allclose(found, pooled, atol=1e-6)
    assert np.abs(pooled[1:]).max() > 0.01, "the penalty leaves something of the regression"


def weights_of(done: Federation, name: str) -> dict[str, np.ndarray]:
    """Return what the lead keeps of a fitted model."""
    slug = f"fit-{name.replace(':', '-').replace('/', '-')}-"
    (file,) = list((done.root / "out" / "stages").glob(f"{slug}*/weights.safetensors"))
    return load_file(file)


def test_the_pooled_regression_is_scikit_learns(done, learners):
    from sklearn.linear_model import LogisticRegression

    study = load_study(done.file)
    model = next(m for m in federated_models(study) if m.regression)
    pairs = [
        (
            table_features(le._data(0), le._rows(model, Part.TRAIN)),
            le._data(0).outcome[le._rows(model, Part.TRAIN)],
        )
        for le in learners.values()
    ]
    x, y = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
    penalty = done.evidence()["floor/table_lr/fold0"].detail["penalty"]
    pooled = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(weights_of(done, model.name)["weights"], pooled.coef_[0], atol=1e-5)


def test_every_model_is_assessed_inside_and_outside(done):
    found = done.evidence()
    for name in ("cman", "single:clinic", "single:blood", "table_lr"):
        for cohort in ("internal", "external"):
            assert found[f"auc/{name}/{cohort}/all"].estimate is not None, name


def test_the_bundle_encodes_and_predicts_new_patients(done, tmp_path):
    card = load_bundle(done.result.model).card
    study, (encodings,) = load_study(done.file), plan_of(done).encodings
    for modality in study.table_modalities:
        record = card.preprocessing[modality.name]["fold0"]
        assert TableEncoding.from_json(record) == encodings[modality.name]
    made = predict(done.result.model, done.file, out=tmp_path / "risks.csv", progress=Silent())
    rows = list(csv.DictReader(made.table.read_text(encoding="utf-8").splitlines()))
    assert made.patients == len(rows) == sum(SITES.values())


def test_a_site_keeps_to_the_first_plan(done, learners):
    other = json.loads(plan_of(done).to_text())
    other["encodings"][0]["clinic"]["columns"][0]["mean"] += 1
    with pytest.raises(FederationError, match="another plan was fixed"):
        learners["east"].plan(json.dumps(other))
    for wrong in ("", "[]", '{"encodings": []}', '{"encodings": [{}]}'):
        with pytest.raises(FederationError, match="a plan"):
            learners["east"].plan(wrong)
