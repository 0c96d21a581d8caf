"""Features reduced to components from end to end: a pooled run, a federation of the same, and a new site."""

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
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DataError
from huizhen.federate.statistics.runner import run as over
from huizhen.ledger.reading import read_log
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_harmony import (
    combat_of,
    harmonies_fit,
    harmony_from_json,
    harmony_to_json,
)
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predict import predict
from huizhen.pipeline.recompute import recompute
from huizhen.pipeline.run import run_study
from huizhen.pipeline.site_telling_file import read_tellings, told_again

SITES = {"east": (56, 1.0), "north": (52, 0.55), "far": (30, 0.8)}
HARMONISATION = '[harmonisation]\nkeep = ["outcome"]\ncomponents = 2\n'
FEDERATION = "[federation]\nrounds = 1\nround_timeout_s = 60\n"


def study(folder: Path, more: str, *, one_sided: str = "") -> Path:
    for name, (count, gain) in SITES.items():
        event = np.arange(count) % 2 * (name != one_sided)
        images = (bright(draws(name), np.arange(count) % 2) * gain).astype(np.uint8)
        write_images(folder, name, {"images": images}, event=event)
    return write_study(
        folder,
        "components",
        modalities=IMAGES,
        sites=SITES,
        source=image_source,
        more=ANY_DISTANCE + more,
        training="epochs = 1\n",
    )


def run(file: Path) -> RunResult:
    home = file.parent / "home"
    return run_study(file, out=None, data_root=None, home=home, progress=Silent(), language=Language.EN)


def evidence_of(folder: Path) -> dict[str, Evidence]:
    found = [Evidence.from_json(e.body) for e in read_log(folder).entries if e.kind == "evidence"]
    return {item.key: item for item in found}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(study(tmp_path_factory.mktemp("components"), HARMONISATION))


def test_the_run_tells_how_many_components_and_how_sites_are_told_by_them(done: RunResult) -> None:
    found = evidence_of(done.run_folder / "ledger")
    assert found["harmonisation/US/fitted"].detail["components"] == 2
    after = found["harmonisation/US/far/after/linear"]
    assert after.detail["features"] == 2
    assert after.detail["showings"] == 2
    assert found["harmonisation/US/far/before/linear"].detail["features"] == 512
    verify_dossier(done.dossier)
    page = (done.dossier / "index.html").read_text(encoding="utf-8")
    assert "partial least squares" in page
    assert "boosted trees" in page
    assert (
        found["harmonisation/US/far/after/trees"].reason
        == "fewer than 100 patients in all for this classifier"
    )


def test_how_sites_are_told_is_made_again_from_the_dossier_s_own_table(done: RunResult) -> None:
    found = recompute(done.dossier)
    assert found.differing == ()
    assert not any(key.startswith("harmonisation/") for key in found.left)
    again = told_again(
        read_tellings(done.dossier / "files"), load_study(done.run_folder.parent / "study.toml")
    )
    signed = evidence_of(done.run_folder / "ledger")
    measured = [e for e in again if e.estimate is not None]
    assert {e.key for e in measured} >= {"harmonisation/US/far/after/linear"}
    assert all(signed[e.key].estimate == pytest.approx(e.estimate, abs=1e-12) for e in measured)


def test_the_bundle_holds_components_and_no_site(done: RunResult) -> None:
    bundle = load_bundle(done.model)
    names = {name for name in bundle.weights if name.startswith("harmony/")}
    assert {"harmony/US/fold0/components/axes", "harmony/US/fold0/components/aligned/scale"} <= names
    assert not any("site/" in name for name in names)
    assert bundle.card.preprocessing["US"]["harmonisation"]["components"] == 2  # type: ignore[index,call-overload]  # JSON


def newcomers(done: RunResult, folder: Path, keep: int) -> Path:
    with np.load(done.run_folder.parent / "far.npz") as file:
        images = file["images"][:keep]
    write_images(folder, "far", {"images": images}, nothing=np.zeros(keep, int))
    head, *sites = (done.run_folder.parent / "study.toml").read_text(encoding="utf-8").split("[[site]]")
    far = next(s for s in sites if 'name = "far"' in s).partition("[network]")[0]
    plain = f"{head}[[site]]{far}".replace(', outcome = "event"', "").replace('role = "external"\n', "")
    (folder / "new.toml").write_text(plain, encoding="utf-8")
    return folder / "new.toml"


def risks(path: Path, column: str) -> list[float]:
    with path.open(encoding="utf-8", newline="") as stream:
        return sorted(float(row[column]) for row in csv.DictReader(stream))


def test_a_new_site_gets_the_risks_of_the_test_without_outcomes(done: RunResult, tmp_path: Path) -> None:
    predict(done.model, newcomers(done, tmp_path, 30), out=tmp_path / "risks.csv", progress=Silent())
    [tested] = done.dossier.rglob("predictions_external.csv")
    found = risks(tmp_path / "risks.csv", "risk")
    assert found == pytest.approx(risks(tested, "risk:cman"), abs=1e-5)
    assert np.ptp(found) > 0


def test_a_new_site_of_a_few_patients_is_refused(done: RunResult, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a site of 4 patients can't be harmonised"):
        predict(done.model, newcomers(done, tmp_path, 4), out=tmp_path / "risks.csv", progress=Silent())


def test_a_development_site_of_one_outcome_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="training patients at north don't have both outcomes"):
        run(study(tmp_path, HARMONISATION, one_sided="north"))


# --- a federation of the same hospitals ------------------------------------------------------------------


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("federated-components")
    file = study(root / "data", HARMONISATION + FEDERATION)
    policies = {name: {"smallest_count": 1} for name in SITES}
    return Federation(root=root, file=file, names=tuple(SITES), policies=policies)


@pytest.fixture(scope="module")
def result(federation: Federation) -> RunResult:
    return federation.run()


def test_the_federation_finds_what_the_sites_sums_give(federation: Federation, result: RunResult) -> None:
    weights = load_bundle(result.model).weights
    with federation.learner("east") as east, federation.learner("north") as north:
        statistic = combat_of(east._study, "US")
        sides = [one._harmony.features("0/US", hidden=True)[1] for one in (east, north)]
    found = over(statistic, sides).result  # type: ignore[arg-type]  # of components
    axes = weights["harmony/US/fold0/components/axes"].numpy()
    assert np.allclose(axes, found.reduction.axes, rtol=1e-4, atol=1e-6)
    centre = weights["harmony/US/fold0/components/aligned/centre"].numpy()
    assert np.allclose(centre, found.aligned.centre, atol=1e-5)
    assert federation.evidence()["harmonisation/US/fitted"].detail["components"] == 2
    assert federation.evidence()["harmonisation/US/sites"].verdict is Verdict.NOT_ASSESSED
    verify_dossier(result.dossier)


def test_a_site_s_own_alignment_stays_there(federation: Federation, result: RunResult) -> None:
    with federation.learner("east") as east:
        east._data(0)
        few = east._harmony._found[0]["US"].components
        assert few is not None
        assert list(few.aligned.shifts) == ["east"]
    plan = next((federation.root / "sites").glob("*/studies/*/plan.json")).read_text(encoding="utf-8")
    assert "components/axes" in plan
    assert "gamma" not in plan


def test_a_plan_of_other_components_is_not_the_study_s(federation: Federation, result: RunResult) -> None:
    with federation.learner("east") as east:
        harmony, own = east._tables.harmonies(0)["US"], east._study
    record = harmony_to_json(harmony)
    again = harmony_from_json(record)
    assert again.components is not None
    assert harmonies_fit(own, [{"US": again}])
    without = harmony_from_json({k: v for k, v in record.items() if not k.startswith("components/")})
    assert not harmonies_fit(own, [{"US": without}])
    other = own.model_copy(
        update={"harmonisation": own.harmonisation.model_copy(update={"components": 3})}  # type: ignore[union-attr]  # it has one
    )
    assert not harmonies_fit(other, [{"US": again}])
