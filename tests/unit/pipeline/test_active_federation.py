"""A federated study with [active]: labels asked for between rounds, of which nothing but counts tells."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from asking_hospitals import ORACLE, SITES, Hospitals
from hospitals import Killed

from huizhen.errors import DataError, FederationError
from huizhen.federate.outbox import read_outbox
from huizhen.federate.site.learner import Labelling
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.learned_from import How, read_learned
from huizhen.pipeline.site_questions import enter_labels, open_questions, study_queue, write_questions

READERS = (
    "initial = 14\nbudget = 4\nqueries = 1\nrounds_between = 1\nfloor_share = 1.0\nreaders = 2\n"
    'rule = "entropy"\n'
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    hospitals = Hospitals.make(tmp_path_factory.mktemp("asking"), ORACLE)
    hospitals.run_seen()
    return hospitals


def test_the_budget_is_spent_and_no_label_twice(simulated):
    found = simulated.evidence()
    assert found["labels/query0"].estimate == 20
    assert [found[f"labels/query{q}"].estimate for q in (1, 2)] == [6, 6]
    assert found["labels/query2"].n == 32
    for site in SITES:
        rounds = simulated.files(site)
        names = [name for labels in rounds for name in labels]
        assert len(names) == len(set(names))
        assert len(rounds[0]) == 10
    assert sum(len(labels) for site in SITES for labels in simulated.files(site)) == 32


def test_the_evidence_says_what_was_spent_where_and_that_nobody_read(simulated):
    found = simulated.evidence()
    asked = found["labels/query1"]
    assert "simulation" in asked.reason
    assert (asked.detail["annotator"], asked.detail["rule"]) == ("oracle", "fahl")
    assert {row["site"] for row in asked.detail["sites"]} == set(SITES)
    given = {site: len(simulated.files(site)[1]) for site in SITES}
    for row in asked.detail["sites"]:  # a site shows no count from one to below five
        count = given[row["site"]]
        assert row["labels"] == (None if 0 < count < 5 else count)
    points = [found[f"label_cost/query{q}"] for q in (1, 2, 3)]
    assert [point.detail["labels"] for point in points] == [20, 26, 32]
    assert all(point.interval.low <= point.estimate <= point.interval.high for point in points)


def test_the_dossier_tells_the_rounds_and_that_nobody_read(simulated):
    page = "".join(p.read_text(encoding="utf-8") for p in (simulated.root / "out").rglob("*.html"))
    for words in (
        "Labels asked for between rounds",
        "轮次之间请求的标注",
        "a simulation, in which nobody read a case",
        "这是模拟，没有人阅读过病例",
        "not shown",
    ):
        assert words in page


def test_what_the_model_learnt_from_are_the_labelled_patients(simulated):
    model = load_bundle(simulated.root / "out" / "stages" / simulated.stage("lock") / "model")
    tuning = simulated.evidence()["label_cost/query1"].n
    assert model.card.training.n == 32 + tuning
    assert any("simulation" in limit for limit in model.card.limits)
    assert simulated.evidence()["federation/cman/member0"].n == 32


@pytest.mark.slow
def test_the_same_study_ends_the_same_elsewhere(simulated, tmp_path):
    other = Hospitals.make(tmp_path / "again", ORACLE)
    other.run()
    assert other.weights() == simulated.weights()
    for key, item in simulated.evidence().items():
        if key.startswith(("labels/", "label_cost/", "auc/")):
            assert other.evidence()[key].to_json() == item.to_json()


def test_only_counts_and_masked_numbers_leave_while_labels_are_asked(simulated):
    """Between two rounds a site sends nothing but what secure sums and plain counts are made of."""
    sums = {"ready", "advertised", "shared", "masked", "endorsed", "unmasked"}
    for site in SITES:
        sent = list(read_outbox(simulated.folders[site].path))
        kinds = {item.kind for item in sent}
        assert kinds <= sums | {"accepted", "attested", "done", "aggregate", "refusal"}
        plain = [item.size for item in sent if item.kind == "aggregate"]
        assert plain
        assert max(plain) < 1000, "a plain answer is a count or two"
        names = [name for labels in simulated.files(site) for name in labels]
        frames = b"".join(simulated.frames[site])
        assert frames, "the control: what was sent was seen"
        assert not [name for name in names if name.encode() in frames]
        assert not [n for n in range(48) if f"{site}-{n}".encode() in frames]


def test_training_never_sees_a_label_that_was_not_asked(simulated):
    with simulated.learner("east") as learner:
        labelling = learner._labelling
        data, rows = labelling.training(1, labelling.train)
        assert len(rows) == 10
        hidden = np.setdiff1d(labelling.train, rows)
        assert np.isnan(data.outcome[hidden]).all()
        assert np.isfinite(data.outcome[labelling.tune]).all()
        assert len(labelling.training(3, labelling.train)[1]) > 10


def test_the_index_has_all_among_whom_it_was_chosen_not_only_who_was_asked_about(simulated):
    site = simulated.folders["east"]
    by = {how: set() for how in How}
    for one in read_learned(site.path):
        by[one.how] |= one.people
    with simulated.learner("east") as learner:
        assert len(by[How.POOLED]) == len(learner._labelling.train)
    assert by[How.ASKED] < by[How.POOLED]


def test_a_query_round_is_asked_once_and_only_if_it_is_planned(simulated):
    before = simulated.asked("east"), simulated.files("east")
    with simulated.learner("east") as learner:
        for at in (0.0, 1e9):
            learner._labelling.label(Labelling(model="cman/member0", query=1, at=at, labelled=10**6))
        assert (simulated.asked("east"), simulated.files("east")) == before
        for model, query in (("cman/member0", 3), ("other", 1)):
            with pytest.raises(FederationError, match="plans no query round"):
                learner._labelling.label(Labelling(model=model, query=query, at=0.0, labelled=0))
        with pytest.raises(FederationError, match="no labels are asked for here"):  # the models are locked
            learner.label(Labelling(model="cman/member0", query=1, at=0.0, labelled=0))
        for subject in ("curve/1/abc", "asking/1//cman/member0"):
            with pytest.raises(FederationError, match="other weights are held here"):
                learner._labelling.about(subject)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["asked-00001", "labels-00001", "query-1"])
def test_killed_in_a_query_round_it_ends_the_same(at, simulated, tmp_path, monkeypatch):
    hospitals = Hospitals.make(tmp_path / "killed", ORACLE)
    with monkeypatch.context() as patched:
        hospitals.kill_after_writing(at, patched)
        with pytest.raises(Killed):
            hospitals.run()
    hospitals.run()
    assert hospitals.weights() == simulated.weights()
    assert [hospitals.patients(site) for site in SITES] == [simulated.patients(site) for site in SITES]


# --- with readers ---------------------------------------------------------------------------------------


def label(hospitals: Hospitals, site: str, folder: Path, reader: str, *, wrong: int = 0) -> int:
    """Have a reader label what is open at a site from the written list; the first `wrong` rows wrongly."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{site}-{reader}.csv"
    write_questions(path, open_questions(hospitals.folders[site], reader=reader))
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for place, row in enumerate(rows):
        truth = int(row["patient"].rpartition("-")[2]) % 2
        row["label"] = str(1 - truth if place < wrong else truth)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return enter_labels(hospitals.folders[site], path, reader=reader).new


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    """A run with readers, who are waited for twice; they disagree on one case a site and time."""
    root = tmp_path_factory.mktemp("readers")
    hospitals = Hospitals.make(root, READERS, unlabelled=28)
    for time in range(2):
        with pytest.raises(FederationError, match="waiting for annotators at: east, north"):
            hospitals.run()
        for site in SITES:
            if not open_questions(hospitals.folders[site]):
                continue
            label(hospitals, site, root / "csv", "ann")
            label(hospitals, site, root / "csv", "bo", wrong=1)
            disputed = open_questions(hospitals.folders[site])
            assert {one.state.value for one in disputed} == {"disputed"}
            if time == 0 and site == "east":
                with pytest.raises(FederationError, match="waiting for annotators at: east"):
                    hospitals.run()
            ruling = root / "csv" / f"{site}-ruling.csv"
            lines = [f"{one.case},{int(one.patient.rpartition('-')[2]) % 2}" for one in disputed]
            ruling.write_text("\n".join(["case,label", *lines]) + "\n", encoding="utf-8")
            enter_labels(hospitals.folders[site], ruling, reader="chief", adjudicate=True)
    hospitals.run()
    return hospitals


def test_a_run_waits_for_readers_and_goes_on_when_they_are_done(read):
    found = read.evidence()
    assert found["labels/query1"].estimate == 4
    assert found["labels/query1"].detail["annotator"] == "queue"
    assert found["labels/query1"].reason == ""
    assert {"auc/cman/internal/all", "label_cost/query2"} <= set(found)
    assert found["labels/query0"].detail["before"] > 0
    assert found["labels/query1"].n == found["federation/cman/member0"].n
    kappa = found["label_agreement/all"]
    assert kappa.n == sum(len(query["cases"]) for site in SITES for query in read.asked(site))
    assert -1 <= kappa.interval.low <= kappa.estimate < 1


def test_who_has_an_outcome_is_not_asked_and_who_has_none_never_tests(read):
    for site in SITES:
        asked = {row["patient"] for query in read.asked(site) for row in query["cases"]}
        assert asked
        assert all(int(name.rpartition("-")[2]) >= 20 for name in asked)
        with read.learner(site) as learner:
            parts = learner.cohort.folds[0].parts
            late = [c for c in learner.cohort.cases if int(c.patient_id.rpartition("-")[2]) >= 20]
            assert len(late) == 28
            assert {parts[case.pseudonym].value for case in late} == {"train"}


def test_the_adjudicated_label_is_used(read):
    for site in SITES:
        with study_queue(read.folders[site]) as queue:
            assert {label.how.value for label in queue.labels()} == {"majority", "adjudicator"}
            assert not any(label.simulated for label in queue.labels())
        rows = {row["case"]: row["patient"] for query in read.asked(site) for row in query["cases"]}
        for labels in read.files(site):
            for name, outcome in labels.items():
                assert outcome == int(rows[name].rpartition("-")[2]) % 2


def test_a_wrong_file_names_every_row_and_changes_nothing(read, tmp_path):
    folder = read.folders["east"]
    with study_queue(folder) as queue:
        before = queue.answers()
        case = before[0].case
    path = tmp_path / "wrong.csv"
    path.write_text(f"case,label\nP-unknown,1\n{case},maybe\n{case},1\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        enter_labels(folder, path, reader="eve")
    text = caught.value.message
    assert "row 1: a case that was never asked" in text
    assert "no label of this queue" in text
    assert "the case of row 2 again" in text
    assert "P-unknown" not in text
    with study_queue(folder) as queue:
        assert queue.answers() == before


def test_a_site_that_needs_more_patients_than_it_has_labels_is_left_out(tmp_path):
    hospitals = Hospitals.make(tmp_path / "few", ORACLE)
    hospitals.policies["east"] = {"minimum_cohort": 15}
    with pytest.raises(FederationError, match="too few training patients"):
        hospitals.run()


def test_a_sites_policy_bounds_what_its_readers_are_asked(tmp_path):
    hospitals = Hospitals.make(tmp_path / "spared", ORACLE)
    hospitals.policies["east"] |= {"maximum_labels": 11}
    hospitals.run()
    given = {site: [len(labels) for labels in hospitals.files(site)] for site in SITES}
    assert sum(given["east"]) <= 11
    assert given["east"][0] == 10
    assert [a + b for a, b in zip(given["east"], given["north"], strict=True)] == [20, 6, 6]
