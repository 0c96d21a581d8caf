"""Harmonised features from end to end: a pooled run, a federation of the same hospitals, and a new site."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hospitals import ANY_DISTANCE, IMAGES, Federation, bright, draws, image_source, write_images, write_study

from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DataError, FederationError, StudyError
from huizhen.federate.site.learner import Asked
from huizhen.federate.statistics.interface import Query
from huizhen.ledger.reading import read_log
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_harmony import combat_of, harmony_from_json, harmony_to_json
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.harmonise_stage import read_harmonies
from huizhen.pipeline.predict import predict
from huizhen.pipeline.run import run_study
from huizhen.pipeline.stage import Stage

SITES = {"east": (44, 1.0), "north": (40, 0.55), "far": (30, 0.8)}
"""Site -> patients, and its scanner's gain."""
HARMONISATION = '[harmonisation]\nkeep = ["outcome"]\n'
FEDERATION = "[federation]\nrounds = 1\nround_timeout_s = 60\n"


def study(folder: Path, more: str, *, training: str = "epochs = 1\n") -> Path:
    for name, (count, gain) in SITES.items():
        event = np.arange(count) % 2
        images = (bright(draws(name), event) * gain).astype(np.uint8)
        write_images(folder, name, {"images": images}, event=event)
    return write_study(
        folder,
        "harmonised",
        modalities=IMAGES + 'harmonise = ["inside-borders", "centre-square"]\n',
        sites=SITES,
        source=image_source,
        more=ANY_DISTANCE + more,
        training=training,
    )


def run(file: Path, out: Path | None = None) -> RunResult:
    return run_study(
        file,
        out=out,
        data_root=None,
        home=file.parent / "home",
        progress=Silent(),
        language=Language.EN,
    )


def evidence_of(done: RunResult) -> dict[str, Evidence]:
    entries = read_log(done.run_folder / "ledger").entries
    found = [Evidence.from_json(e.body) for e in entries if e.kind == "evidence"]
    return {item.key: item for item in found}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(study(tmp_path_factory.mktemp("harmonised"), HARMONISATION))


def stage_of(done: RunResult, name: str) -> Stage:
    [folder] = (done.run_folder / "stages").glob(f"{name}-[0-9a-f]*")
    return Stage(name=name, folder=folder, digest="0" * 64)  # type: ignore[arg-type]  # not looked at


def test_development_sites_have_their_shift_before_and_external_ones_after_the_lock(done: RunResult) -> None:
    before = read_harmonies(stage_of(done, "harmonise"), 0)["US"]
    after = read_harmonies(stage_of(done, "harmonise-tested"), 0)["US"]
    assert sorted(before.shifts) == ["east", "north"]
    assert sorted(after.shifts) == ["east", "far", "north"]
    assert after.shifts["far"].n == 30
    assert np.array_equal(before.pooled.centre, after.pooled.centre)
    kinds = [e.kind for e in read_log(done.run_folder / "ledger").entries]
    tested = [
        i
        for i, e in enumerate(read_log(done.run_folder / "ledger").entries)
        if e.kind == "stage" and e.body["stage"] == "harmonise-tested"
    ]
    assert kinds.index("lock") < tested[0] < kinds.index("unseal")


def test_sites_are_told_by_before_and_after_with_interval_and_n(done: RunResult) -> None:
    found = evidence_of(done)
    told = {key: e for key, e in found.items() if key.startswith("harmonisation/US/") and "/linear" in key}
    assert set(told) == {
        f"harmonisation/US/{site}/{when}/linear"
        for site in ("east", "north", "far")
        for when in ("before", "after")
    }
    measured = [e for e in told.values() if e.verdict is not Verdict.NOT_ASSESSED]
    assert all(e.interval is not None and e.n for e in measured)
    assert measured
    for when in ("before", "after"):  # halves of 15 move each other: what 15 patients' means err by is told
        assert told[f"harmonisation/US/far/{when}/linear"].detail["showings"] == 2
    assert found["harmonisation/US/fitted"].detail["keep"] == ["outcome"]


def test_the_dossier_shows_it_and_holds(done: RunResult) -> None:
    verify_dossier(done.dossier)
    page = (done.dossier / "index.html").read_text(encoding="utf-8")
    assert "table-harmonisation-sites" in page


def test_the_bundle_holds_the_shared_part_and_no_site(done: RunResult) -> None:
    bundle = load_bundle(done.model)
    names = {name for name in bundle.weights if name.startswith("harmony/")}
    assert "harmony/US/fold0/centre" in names
    assert not any("east" in name or "site" in name for name in names)
    assert bundle.card.preprocessing["US"]["harmonisation"]["keep"] == ["outcome"]  # type: ignore[index,call-overload]  # JSON


def newcomers(done: RunResult, folder: Path, keep: int) -> Path:
    source = done.run_folder.parent
    with np.load(source / "far.npz") as file:
        images = file["images"][:keep]
    write_images(folder, "far", {"images": images}, nothing=np.zeros(keep, int))
    text = (source / "study.toml").read_text(encoding="utf-8")
    head, *sites = text.split("[[site]]")
    far = next(s for s in sites if 'name = "far"' in s).partition("[network]")[0]
    plain = f"{head}[[site]]{far}".replace(', outcome = "event"', "").replace('role = "external"\n', "")
    (folder / "new.toml").write_text(plain, encoding="utf-8")
    return folder / "new.toml"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_new_site_gets_the_risks_of_the_test_from_its_unlabelled_images(
    done: RunResult, tmp_path: Path
) -> None:
    predict(done.model, newcomers(done, tmp_path, 30), out=tmp_path / "risks.csv", progress=Silent())
    [tested] = done.dossier.rglob("predictions_external.csv")
    expected = sorted(float(row["risk:cman"]) for row in rows(tested))
    found = sorted(float(row["risk"]) for row in rows(tmp_path / "risks.csv"))
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found) > 0


def test_a_new_site_of_a_few_patients_is_refused(done: RunResult, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a site of 4 patients can't be harmonised"):
        predict(done.model, newcomers(done, tmp_path, 4), out=tmp_path / "risks.csv", progress=Silent())
    assert not (tmp_path / "risks.csv").exists()


# --- a federation of the same hospitals ------------------------------------------------------------------


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("federated-harmony")
    file = study(root / "data", HARMONISATION + FEDERATION)
    policies = {name: {"smallest_count": 1} for name in SITES}
    return Federation(root=root, file=file, names=tuple(SITES), policies=policies)


@pytest.fixture(scope="module")
def result(federation: Federation) -> RunResult:
    return federation.run()


def test_the_federation_finds_what_the_pooled_features_give(
    federation: Federation, result: RunResult
) -> None:
    weights = load_bundle(result.model).weights
    with federation.learner("east") as east, federation.learner("north") as north:
        statistic = combat_of(east._study, "US")
        sides = [one._harmony.features("0/US", hidden=True)[1] for one in (east, north)]
    from huizhen.federate.statistics.runner import run as over

    pooled = over(statistic, sides).result
    assert np.allclose(weights["harmony/US/fold0/centre"].numpy(), pooled.centre, rtol=1e-6, atol=1e-6)
    assert np.allclose(weights["harmony/US/fold0/scale"].numpy(), pooled.scale, rtol=1e-6, atol=1e-6)


def test_each_site_moves_its_features_by_its_own_shift_alone(
    federation: Federation, result: RunResult
) -> None:
    with federation.learner("east") as east:
        moved = east._data(0).images["US"].harmonised
        assert moved is not None
        assert list(east._harmony._found[0]["US"].shifts) == ["east"]
    plan = next((federation.root / "sites").glob("*/studies/*/plan.json")).read_text(encoding="utf-8")
    assert "gamma" not in plan
    assert '"centre"' in plan


def test_what_nobody_could_measure_is_said(federation: Federation, result: RunResult) -> None:
    found = federation.evidence()
    assert found["harmonisation/US/sites"].verdict is Verdict.NOT_ASSESSED
    assert found["harmonisation/US/fitted"].n
    verify_dossier(result.dossier)


def test_a_new_site_is_answered_by_the_federation_s_model_too(result: RunResult, tmp_path: Path) -> None:
    source = result.run_folder.parent / "data"
    with np.load(source / "far.npz") as file:
        images = file["images"]
    write_images(tmp_path, "far", {"images": images}, nothing=np.zeros(30, int))
    text = (source / "study.toml").read_text(encoding="utf-8").split("[[site]]")
    far = next(s for s in text if 'name = "far"' in s).partition("[network]")[0]
    plain = f"{text[0]}[[site]]{far}".replace(', outcome = "event"', "").replace('role = "external"\n', "")
    (tmp_path / "new.toml").write_text(plain, encoding="utf-8")
    predict(result.model, tmp_path / "new.toml", out=tmp_path / "risks.csv", progress=Silent())
    assert len(rows(tmp_path / "risks.csv")) == 30


def asked(subject: str, *, hidden: bool) -> Asked:
    return Asked(subject=subject, query=Query(name="combat"), sites=2, smallest=1, hidden=hidden)


def test_sums_of_one_site_s_features_do_not_leave_it(federation: Federation, result: RunResult) -> None:
    with federation.learner("east") as east:
        with pytest.raises(FederationError, match="in a secure sum only"):
            east._harmony.features("0/US", hidden=False)
        for subject in ("9/US", "0/MR", "x/US", ""):
            with pytest.raises(FederationError, match="are harmonised"):
                east._harmony.features(subject, hidden=True)
        assert east.answer(asked("combat/0/US", hidden=True)).size > 1000


def test_a_plan_s_harmony_comes_back_and_others_are_refused(
    federation: Federation, result: RunResult
) -> None:
    with federation.learner("east") as east:
        harmony = east._tables.harmonies(0)["US"]
    again = harmony_from_json(harmony_to_json(harmony))
    assert np.array_equal(again.pooled.centre, harmony.pooled.centre)
    record = harmony_to_json(harmony)
    record["scale"] = [0.0] * len(record["scale"])
    with pytest.raises(Exception, match="doesn't fit together"):
        harmony_from_json(record)


@pytest.mark.parametrize(
    ("more", "training", "why"),
    [
        (HARMONISATION, 'epochs = 1\nmode = "finetune"\n', "training.mode = frozen"),
        ('[harmonisation]\nkeep = ["clinic.age"]\n', "epochs = 1\n", "no column of a table"),
        ('[harmonisation]\nreference = "far"\n', "epochs = 1\n", "no development site"),
        ('[harmonisation]\nreference = "east"\n' + FEDERATION, "epochs = 1\n", "a site's own means"),
        ('[harmonisation]\nkeep = ["outcome", "outcome"]\n', "epochs = 1\n", "names one twice"),
    ],
    ids=["finetune", "unknown", "external", "federated", "twice"],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, more: str, training: str, why: str) -> None:
    with pytest.raises(StudyError, match=why):
        run(study(tmp_path, more, training=training))
