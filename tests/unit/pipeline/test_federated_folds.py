"""Folds and heatmaps in a federation: who predicts whom, what is summed, what stays at the sites."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hospitals import (
    IMAGES,
    Federation,
    draws,
    image_source,
    table,
    table_source,
    write_images,
    write_study,
)

from huizhen.core.cohort import Part
from huizhen.core.evidence import Verdict
from huizhen.core.progress import Silent
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import FederationError
from huizhen.federate.outbox import read_outbox
from huizhen.federate.statistics.interface import Query
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_plan import CALIBRATION
from huizhen.pipeline.predict import predict
from huizhen.pipeline.site_heatmaps import ROWS
from huizhen.validate.discrimination import auc

SITES = {"east": 40, "north": 33, "far": 26}
FOLDS = 3
MORE = """\
[split]
method = "folds"
folds = 3
tune = 0.25
near_duplicate_distance = 0
[federation]
rounds = 1
round_timeout_s = 120
"""


def write_data(folder: Path) -> None:
    """Write images with a bright spot, outlined, where the event is, and ages."""
    for name, count in SITES.items():
        rng = draws(name)
        event = np.arange(count) % 2
        images, masks = rng.integers(0, 90, (count, 32, 32)), np.zeros((count, 32, 32), np.uint8)
        for i in np.flatnonzero(event):
            row, column = rng.integers(2, 20, 2)
            masks[i, row : row + 10, column : column + 10] = 1
        images += 120 * masks
        ages = [f"{age:.1f}" for age in rng.normal(50 + 5 * event, 8)]
        write_images(folder, name, {"images": images.astype(np.uint8), "masks": masks}, event=event, age=ages)


def sources(name: str) -> str:
    """Return a site's sources."""
    return image_source(name, more='masks = "masks"\n') + table_source("clinic", f"{name}.csv")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("federated-folds")
    write_data(root / "data")
    file = write_study(
        root / "data",
        "federated-folds",
        modalities=IMAGES + table("clinic", ["age"]),
        sites=SITES,
        source=sources,
        variants=("cman", "table_lr"),
        more=MORE,
    )
    policies = {"far": {"heatmap_sums": False}}
    found = Federation(root=root, file=file, names=tuple(SITES), policies=policies)
    found.result = found.run()
    return found


def test_a_finished_run_goes_on_to_the_same_dossier(done):
    assert verify_dossier(done.result.dossier).entries == done.result.entries
    assert done.run().dossier == done.result.dossier


@pytest.fixture(scope="module")
def learners(done):
    with ExitStack() as stack:
        yield {name: stack.enter_context(done.learner(name)) for name in SITES}


def decisions(done: Federation) -> dict:
    (lock,) = [e.body for e in done.entries() if e.kind == "lock"]
    return lock["decisions"]


def test_every_patient_is_tested_once_and_in_no_fold_that_learnt_from_them(learners):
    for name in ("east", "north"):
        cohort = learners[name].cohort
        tested = [p for fold in cohort.folds for p in fold.members(Part.TEST)]
        assert sorted(tested) == sorted(c.pseudonym for c in cohort.cases)
        sizes = [len(fold.members(Part.TEST)) for fold in cohort.folds]
        assert max(sizes) - min(sizes) <= 2


def test_sites_begin_to_deal_at_folds_of_their_own(learners):
    sizes = np.array(
        [[len(f.members(Part.TEST)) for f in learners[n].cohort.folds] for n in ("east", "north")]
    )
    assert sizes.sum() == SITES["east"] + SITES["north"]
    assert np.ptp(sizes.sum(0)) <= 3


def test_the_internal_auc_is_that_of_each_patient_by_the_fold_that_never_saw_them(done, learners):
    told = decisions(done)["cman"]
    how = np.array(
        [[told[str(k)]["platt"]["slope"], told[str(k)]["platt"]["intercept"]] for k in range(FOLDS)]
    )
    cohorts = {"internal": (Part.TEST, ("east", "north")), "external": (Part.EXTERNAL, ("far",))}
    for cohort, (part, names) in cohorts.items():
        outcome, odds = [], []
        for name in names:
            scores, site = learners[name]._scores, learners[name]
            cases = scores.material(part).cases
            for row, case in enumerate(cases):
                folds = [k for k in range(FOLDS) if site.cohort.folds[k].parts[case.pseudonym] is part]
                assert len(folds) == (1 if part is Part.TEST else FOLDS)
                each = [how[k, 1] + how[k, 0] * scores.logits(part, "cman", k)[row] for k in folds]
                odds.append(np.mean(each))
                outcome.append(case.outcome == 1)
        risk = 1 / (1 + np.exp(-np.array(odds)))
        found = done.evidence()[f"auc/cman/{cohort}/all"]
        assert found.n == len(odds)
        assert found.estimate == pytest.approx(auc(np.array(outcome), np.floor(risk * 2**16)), abs=1e-9)


def test_the_bundle_holds_all_folds_and_predicts(done, tmp_path):
    bundle = load_bundle(done.result.model)
    names = ("cman", "cman|US", "cman|clinic")
    assert set(bundle.card.thresholds) == {f"{name}/fold{k}" for name in names for k in range(FOLDS)}
    assert {name.split("/")[0] for name in bundle.weights if name.startswith("fold")} == {
        f"fold{k}" for k in range(FOLDS)
    }
    assert set(bundle.card.preprocessing["clinic"]) == {f"fold{k}" for k in range(FOLDS)}
    assert bundle.card.training.n == SITES["east"] + SITES["north"]
    made = predict(done.result.model, done.file, out=tmp_path / "risks.csv", progress=Silent())
    assert made.patients == sum(SITES.values())


def test_folds_differ_in_their_encodings_and_floors(done):
    found = done.evidence()
    means = [found[f"encoding/clinic/fold{k}"].detail["columns"][0]["mean"] for k in range(FOLDS)]
    assert len(set(means)) == FOLDS
    assert all(found[f"floor/cman/fold{k}"].n for k in range(FOLDS))


def test_heatmaps_lie_at_the_sites_and_the_lead_has_none(done):
    for name in SITES:
        folder = done.folders[name].path / "studies"
        part = "external" if name == "far" else "internal"
        assert len(list(folder.rglob(f"heatmaps/{part}/*.png"))) == 8
        assert len(list(folder.rglob(f"heatmaps/{part}/*.dcm"))) == 8
    out = done.root / "out"
    assert not [p for p in out.rglob("*") if p.suffix in (".dcm", ".png") or "heatmap" in p.name]
    assert not [key for key in done.evidence() if key.startswith("heatmap/")]


def test_the_games_are_those_of_all_sites_patients_together(done):
    names, rows = ("east", "north"), []
    for name in names:
        for file in (done.folders[name].path / "studies").rglob(ROWS):
            rows += json.loads(file.read_text(encoding="utf-8"))["US"]
    found = done.evidence()
    pointing, energy = (found[f"{game}/US/internal"] for game in ("pointing_game", "energy_in_lesion"))
    assert pointing.n == energy.n == len(rows) == sum(SITES[n] // 2 for n in names)
    assert pointing.estimate == pytest.approx(np.mean([row[1] for row in rows]))
    assert energy.estimate == pytest.approx(np.mean([row[2] for row in rows]))
    assert pointing.detail["chance"] == pytest.approx(np.mean([row[3] for row in rows]))
    assert pointing.interval.method == "Wilson"
    assert energy.interval.low < energy.estimate < energy.interval.high


def test_the_dossier_shows_the_games(done):
    page = (done.result.dossier / "index.html").read_text(encoding="utf-8")
    assert "table-localisation" in page


def test_no_heat_before_the_lock_and_none_of_another_part(learners):
    learner = learners["east"]
    query = Query(name="localisation", values={CALIBRATION: np.zeros((FOLDS, 3))})
    for subject in ("train/US", "test/clinic", "test/MG"):
        with pytest.raises(FederationError, match="no heatmaps are made"):
            learner._heatmaps.about(subject, query)
    locked = learner.models.folder / "locked.json"
    content = locked.read_bytes()
    locked.unlink()
    try:
        with pytest.raises(FederationError, match="only after the models are locked"):
            learner._heatmaps.about("test/US", query)
    finally:
        locked.write_bytes(content)


def test_what_left_a_site_is_of_known_kinds(done):
    kinds = {line.kind for line in read_outbox(done.folders["east"].path)}
    assert kinds <= {
        *("accepted", "done", "ready", "advertised", "shared", "masked", "endorsed", "unmasked", "attested"),
        *("aggregate", "refusal"),
    }


def test_a_site_that_lets_no_sums_about_heat_out_has_its_heatmaps_all_the_same(done):
    found = done.evidence()["pointing_game/US/external"]
    assert found.verdict is Verdict.NOT_ASSESSED
    assert "heatmap_sums" in found.reason or "heatmaps don't leave" in found.reason
    assert list((done.folders["far"].path / "studies").rglob("heatmaps/external/*.png"))
