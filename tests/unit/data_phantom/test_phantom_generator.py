"""Writing a study: the same bytes from the same seed, whole or absent, resumed, and never mixed."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from huizhen.data.phantom import PhantomFolder, PhantomSpec, best_score, breast_trio_spec, generate
from huizhen.data.phantom.folder import score_column
from huizhen.data.phantom.latent import subset_name
from huizhen.data.phantom.spec import MODALITIES
from huizhen.errors import DataError, InvalidInputError, StorageError, UnreadableFileError

SPEC = replace(
    breast_trio_spec(patients_per_hospital=3, external_patients=2, label_noise=0.3), truth_draws=4_000
)
PATIENTS = 11


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Steps:
    """Progress that counts."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Callable[[int], None]]:
        self.total = total

        def advance(steps: int) -> None:
            self.done += steps

        yield advance

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PhantomFolder:
    return generate(SPEC, tmp_path_factory.mktemp("phantom") / "study", seed=21)


def copy(study: PhantomFolder, to: Path) -> Path:
    for name, content in contents(study.root).items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(content)
    return to


def test_same_seed_same_bytes_with_any_number_of_workers(study: PhantomFolder, tmp_path: Path) -> None:
    generate(SPEC, tmp_path / "again", seed=21, workers=2)
    assert contents(tmp_path / "again") == contents(study.root)


def test_another_seed_gives_other_pictures_and_identifiers(study: PhantomFolder, tmp_path: Path) -> None:
    one = replace(SPEC, hospitals=(replace(SPEC.hospitals[0], patients=1),))
    generate(one, tmp_path / "other", seed=22)
    other = contents(tmp_path / "other" / "alder" / "dicom").values()
    assert set(other).isdisjoint(contents(study.dicom("alder")).values())
    identifiers = {pydicom.dcmread(p).SOPInstanceUID for p in study.dicom("alder").rglob("*.dcm")}
    assert identifiers.isdisjoint(pydicom.dcmread(BytesIO(content)).SOPInstanceUID for content in other)


def test_a_whole_study_is_returned_at_once(study: PhantomFolder) -> None:
    before = {p: p.stat().st_mtime_ns for p in study.root.rglob("*")}
    steps = Steps()
    again = generate(SPEC, study.root, seed=21, progress=steps)
    assert again == study == PhantomFolder.open(study.root)
    assert steps.total == 0
    assert {p: p.stat().st_mtime_ns for p in study.root.rglob("*")} == before


def test_resumes_after_losing_manifest_and_files(study: PhantomFolder, tmp_path: Path) -> None:
    folder = copy(study, tmp_path / "study")
    (folder / "manifest.json").unlink()
    lost = next((folder / "birch" / "dicom").glob("*/*.dcm"))
    lost.unlink()
    damaged = next((folder / "cedar" / "masks").iterdir())
    damaged.write_bytes(b"")
    left = folder / "birch" / "dicom" / ".PHANTOM-B0001.x1.part"  # what SIGKILL leaves
    left.mkdir()
    (left / "US-1.dcm").write_bytes(lost.name.encode())
    (folder / "alder" / "masks" / ".2.25.1.png.x1.part").write_bytes(b"")
    kept = next((folder / "alder" / "dicom").glob("*/*.dcm"))
    touched = kept.stat().st_mtime_ns
    with pytest.raises(DataError, match="no whole phantom"):
        PhantomFolder.open(folder)
    steps = Steps()
    generate(SPEC, folder, seed=21, progress=steps)
    assert (steps.done, steps.total) == (PATIENTS, PATIENTS)
    assert contents(folder) == contents(study.root)
    assert kept.stat().st_mtime_ns == touched


def test_an_interrupted_study_is_not_whole_and_goes_on(
    study: PhantomFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huizhen.data.phantom import generator

    calls = []
    original = generator._files

    def dies(
        job: generator._Job,
    ) -> Iterator[tuple[str, bytes]]:  # the fourth patient dies after its first file
        calls.append(job)
        for count, item in enumerate(original(job)):
            if len(calls) == 4 and count == 1:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr(generator, "_files", dies)
    with pytest.raises(KeyboardInterrupt):
        generate(SPEC, tmp_path / "study", seed=21)
    assert not (tmp_path / "study" / "manifest.json").exists()
    assert len(list((tmp_path / "study").glob("*/dicom/PHANTOM-*"))) == 3
    monkeypatch.setattr(generator, "_files", original)
    generate(SPEC, tmp_path / "study", seed=21)
    assert contents(tmp_path / "study") == contents(study.root)


@pytest.mark.parametrize("whole", [True, False])
def test_another_study_is_never_mixed_in(study: PhantomFolder, tmp_path: Path, whole: bool) -> None:
    folder = copy(study, tmp_path / "study")
    if not whole:
        (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="another seed"):
        generate(SPEC, folder, seed=22)
    with pytest.raises(DataError, match="another seed"):
        generate(replace(SPEC, healthy=0.2), folder, seed=21)
    if whole:
        PhantomFolder.open(folder).check()


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        generate(SPEC, tmp_path, seed=21)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_unwritable_place_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        generate(SPEC, tmp_path / "file" / "study", seed=21)


@pytest.mark.parametrize(("seed", "workers"), [(-1, 1), (1, 0)])
def test_impossible_arguments_are_refused(tmp_path: Path, seed: int, workers: int) -> None:
    with pytest.raises(InvalidInputError):
        generate(SPEC, tmp_path / "study", seed=seed, workers=workers)
    assert not (tmp_path / "study").exists()


def test_manifest_lists_every_file_and_check_finds_changes(study: PhantomFolder, tmp_path: Path) -> None:
    study.check()
    folder = PhantomFolder.open(copy(study, tmp_path / "study"))
    labels = folder.labels("alder")
    text = labels.read_text()
    labels.write_text(text.replace("benign", "malignant", 1))
    with pytest.raises(DataError, match=r"alder/labels\.csv"):
        folder.check()
    labels.write_text(text)
    folder.check()
    (folder.dicom("alder") / "extra.dcm").write_bytes(b"x")
    with pytest.raises(DataError, match=r"extra\.dcm"):
        folder.check()


def test_damaged_manifest_is_named(study: PhantomFolder, tmp_path: Path) -> None:
    folder = copy(study, tmp_path / "study")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UnreadableFileError, match=r"manifest\.json"):
        PhantomFolder.open(folder)


def test_files_patients_labels_and_masks_agree(study: PhantomFolder) -> None:
    truth = {row["patient"]: row for row in study.latent()}
    assert len(truth) == PATIENTS
    for hospital in study.hospitals:
        folders = {p.name for p in study.dicom(hospital).iterdir()}
        lines = study.labels(hospital).read_text().splitlines()
        assert lines[0] == "patient,outcome"
        labels = dict(line.split(",") for line in lines[1:])
        assert set(labels) == folders == {p for p, row in truth.items() if row["hospital"] == hospital}
        masks = {p.stem for p in study.masks(hospital).iterdir()}
        instances = set()
        for patient in folders:
            row = truth[patient]
            assert labels[patient] == row["recorded"]
            files = [pydicom.dcmread(p) for p in sorted((study.dicom(hospital) / patient).iterdir())]
            assert {d.PatientID for d in files} == {patient}
            present = {m for m in MODALITIES if row[f"present_{m}"] == "1"}
            assert {{"MR": "MRI"}.get(d.Modality, d.Modality) for d in files} == present
            own = {d.SOPInstanceUID for d in files if d.get("TemporalPositionIdentifier", 1) == 1}
            assert bool(own & masks) == (row["lesion"] == "1")
            instances |= own
        assert masks <= instances


def test_masks_match_their_images_and_are_not_empty(study: PhantomFolder) -> None:
    shapes = {
        d.SOPInstanceUID: (d.Rows, d.Columns)
        for d in (pydicom.dcmread(p, stop_before_pixels=True) for p in study.root.rglob("*.dcm"))
    }
    masks = list(study.root.glob("*/masks/*.png"))
    assert masks
    for path in masks:
        mask = np.asarray(Image.open(path))
        assert mask.dtype == np.uint8
        assert mask.shape == shapes[path.stem]
        assert set(np.unique(mask)) == {0, 255}


def test_external_outcomes_are_true_and_others_noisy(tmp_path: Path) -> None:
    from huizhen.data.phantom.truth import latent_of

    flips = {}
    for hospital in SPEC.hospitals:
        rows = [latent_of(SPEC, hospital, index, 3) for index in range(300)]
        flips[hospital.name] = np.mean([row.recorded[0] != row.malignant[0] for row in rows])
    assert flips["dogwood"] == 0
    assert all(0.2 < flips[name] < 0.4 for name in ("alder", "birch", "cedar"))


def test_truth_gives_best_scores_and_best_aucs(study: PhantomFolder) -> None:
    rows = study.latent()
    for row in rows:
        present = frozenset(m for m in MODALITIES if row[f"present_{m}"] == "1")
        assert best_score(row) == best_score(row, present)
        assert bool(row[score_column(frozenset({"MRI"}))]) == (row["present_MRI"] == "1")
    best = study.best_auc()
    assert set(best["groups"]) == {*study.hospitals, "role:development", "role:external", "all"}
    for group in best["groups"].values():
        assert len(group) == 7
        assert all(0.5 < cell["auc"] < 1 and 0 < cell["standard_error"] < 0.05 for cell in group.values())
    assert best["groups"]["dogwood"] == best["groups"]["role:external"]
    with pytest.raises(InvalidInputError):
        score_column(frozenset({"CT"}))
    assert subset_name(frozenset(MODALITIES)) in best["groups"]["all"]


def test_a_patient_stays_small(study: PhantomFolder) -> None:
    for hospital in study.hospitals:
        for patient in study.dicom(hospital).iterdir():
            assert sum(p.stat().st_size for p in patient.iterdir()) < 520_000


def test_specification_is_kept_with_the_truth(study: PhantomFolder) -> None:
    record = json.loads((study.root / "truth" / "spec.json").read_text())
    assert record["seed"] == 21
    assert record["spec"] == json.loads(json.dumps(SPEC.to_json()))
    manifest = json.loads((study.root / "manifest.json").read_text())
    assert manifest["phantom"] is True
    assert manifest["spec_digest"] == SPEC.digest


def test_growing_a_hospital_keeps_its_patients(study: PhantomFolder, tmp_path: Path) -> None:
    from huizhen.data.phantom.truth import latent_of

    larger: PhantomSpec = breast_trio_spec(patients_per_hospital=50, label_noise=0.3)
    small, large = (latent_of(s, s.hospitals[0], 2, 21) for s in (SPEC, larger))
    assert np.array_equal(small.rendered, large.rendered)


def test_speed_is_reported(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Not asserted: the figure stands in the test report."""
    start = time.perf_counter()
    generate(replace(SPEC, truth_draws=1_000), tmp_path / "study", seed=23)
    record_property("seconds_per_patient", (time.perf_counter() - start) / PATIENTS)
    assert len(list((tmp_path / "study").glob("*/dicom/*"))) == PATIENTS
