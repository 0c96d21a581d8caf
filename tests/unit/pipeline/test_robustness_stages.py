"""The locked model on disturbed images and rows: a small study from end to end, how patients are drawn."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huizhen.core.progress import Silent
from huizhen.core.study_robustness import Disturbance
from huizhen.core.words import Language
from huizhen.dossier.verification import verify_dossier
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline import robustness_stages as stages
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.recompute import recompute
from huizhen.pipeline.robustness_stages import Trial, sampled_rows
from huizhen.pipeline.run import run_study
from huizhen.validate.discrimination import auc

STUDY = """\
name = "spots"
title = "Spots"
question = "Is there a bright spot?"
seed = 5
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
size = 32
max_images = 2
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age"]
categorical = ["grade"]
{sites}
[[endpoint]]
metric = "auc"
at_least = 0.6
on = "estimate"
[network]
variants = ["cman"]
width = 16
heads = 2
[training]
epochs = 6
batch_size = 16
members = 2
learning_rate = 0.01
view_augment = 1
[robustness]
kinds = ["noise", "scanner", "missing"]
steps = [1, 5]
patients = 24
[conformal]
level = 0.8
"""
SITE = """
[[site]]
name = "{name}"
role = "{role}"
[[site.source]]
reader = "images"
modality = "US"
path = "{name}/images"
labels = "{name}/labels.csv"
columns = {{ patient = "patient", outcome = "event", image = "file" }}
[[site.source]]
reader = "table"
modality = "clinic"
path = "{name}/clinic.csv"
columns = {{ patient = "patient" }}
"""
SITES = (("north", "development", 90), ("far", "external", 24))


def hospital(folder: Path, name: str, count: int) -> None:
    """Write a hospital: events have a brighter spot, its outline as a mask, and are older."""
    rng = np.random.default_rng(sum(map(ord, name)))
    (folder / "images").mkdir(parents=True)
    gain = 60 if name == "far" else 0
    labels, clinic = [["patient", "event", "file"]], [["patient", "age", "grade"]]
    for i in range(count):
        event = i % 2
        pixels = rng.normal(90 + gain, 12, (48, 40))
        top, left = rng.integers(6, 24, 2)
        mask = np.zeros((48, 40), bool)
        mask[top : top + 10, left : left + 10] = True
        pixels[mask] += 70 * event + 15
        save(folder / "images" / f"{name}{i}.png", pixels)
        save(folder / "images" / f"{name}{i}_mask.png", mask * 255.0)
        labels.append([f"{name}-{i}", str(event), f"{name}{i}.png"])
        clinic.append([f"{name}-{i}", f"{rng.normal(55 + 5 * event, 6):.1f}", str(rng.integers(1, 4))])
    for file, rows in (("labels.csv", labels), ("clinic.csv", clinic)):
        with (folder / file).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)


def save(path: Path, values: NDArray[np.float64]) -> None:
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(path)


def run(folder: Path) -> RunResult:
    return run_study(
        folder / "study.toml",
        out=None,
        data_root=None,
        home=folder / "home",
        progress=Silent(),
        language=Language.EN,
    )


@dataclass(frozen=True)
class Finished:
    """A run that was killed within the second kind of disturbance and run again, and what was asked when."""

    result: RunResult
    before: tuple[str, ...]
    after: tuple[str, ...]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished run of the spots."""
    folder = tmp_path_factory.mktemp("spots")
    for name, _, count in SITES:
        hospital(folder / name, name, count)
    sites = "".join(SITE.format(name=name, role=role) for name, role, _ in SITES)
    (folder / "study.toml").write_text(STUDY.format(sites=sites), encoding="utf-8")
    told: list[str] = []
    asked = stages._asked

    def asked_and_told(trial: Trial, kind: Disturbance | None, step: int, about: str) -> NDArray[np.float64]:
        told.append(about)
        if about == "scanner 5" and told.count(about) == 1:
            raise KeyboardInterrupt
        return asked(trial, kind, step, about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "_asked", asked_and_told)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
        before = tuple(told)
        result = run(folder)
    return Finished(result=result, before=before, after=tuple(told[len(before) :]))


def entries(finished: Finished) -> list[tuple[str, dict[str, Any]]]:
    folder = finished.result.run_folder
    key = SigningKey.create_or_load(folder.parent / "home" / "signing_key.pem")
    with Log.open(folder / "ledger", key) as log:
        return [(entry.kind, dict(entry.body)) for entry in log.entries]


def evidence(finished: Finished) -> dict[str, dict[str, Any]]:
    return {str(body["key"]): body for kind, body in entries(finished) if kind == "evidence"}


def table(finished: Finished, kind: str) -> list[dict[str, str]]:
    path = finished.result.dossier / "files" / f"robustness_{kind}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_killed_run_goes_on_with_the_kind_that_it_stood_at(finished: Finished) -> None:
    assert finished.before == ("undisturbed", "noise 1", "noise 5", "scanner 1", "scanner 5")
    assert finished.after == ("scanner 1", "scanner 5", "undisturbed", "missing 1", "missing 5")


def test_every_step_has_an_auc_and_a_paired_difference(finished: Finished) -> None:
    found = evidence(finished)
    wanted = {f"robustness/undisturbed/{domain}/auc" for domain in ("images", "tables")}
    for kind in ("noise", "scanner", "missing"):
        wanted |= {f"robustness/{kind}/{step}/{m}" for step in (1, 5) for m in ("auc", "auc_difference")}
        wanted |= {f"robustness/{kind}/break"}
    assert {key for key in found if key.startswith("robustness/")} == wanted
    assert "not_assessed/robustness" not in found
    assert found["not_assessed/label_noise_training"]["reason"]
    noise = found["robustness/noise/5/auc"]
    assert (noise["detail"]["parameter"], noise["detail"]["value"]) == ("noise_sd", 0.32)
    assert found["robustness/scanner/break"]["detail"]["toward"] == {"US": {"far": "north", "north": "far"}}


def test_undisturbed_images_give_the_locked_risks(finished: Finished) -> None:
    base = evidence(finished)["robustness/undisturbed/images/auc"]
    assert base["detail"]["apart"] < 1e-6
    locked = {}
    with (finished.result.dossier / "files" / "predictions_test.csv").open(encoding="utf-8") as stream:
        locked = {row["patient"]: float(row["risk:cman"]) for row in csv.DictReader(stream)}
    rows = table(finished, "noise")
    assert len(rows) == base["n"]
    assert all(abs(float(row["risk:0"]) - locked[row["patient"]]) < 1e-6 for row in rows)


def test_numbers_can_be_made_again_from_the_files(finished: Finished) -> None:
    found = evidence(finished)
    for kind in ("noise", "scanner", "missing"):
        rows = table(finished, kind)
        outcome = np.array([row["outcome"] == "1" for row in rows])
        start, end = (np.array([float(row[f"risk:{step}"]) for row in rows]) for step in (0, 5))
        assert found[f"robustness/{kind}/5/auc"]["estimate"] == auc(outcome, end)
        gap = found[f"robustness/{kind}/5/auc_difference"]["estimate"]
        assert gap == pytest.approx(auc(outcome, end) - auc(outcome, start))
        assert not np.array_equal(start, end)


def test_the_dossier_recomputes_them(finished: Finished) -> None:
    again = recompute(finished.result.dossier)
    assert again.differing == ()
    assert [key for key in again.left if key.startswith(("robustness", "conformal", "label_noise"))] == []
    signed = {
        key for key in evidence(finished) if key.startswith(("robustness/", "conformal/", "label_noise/"))
    }
    assert len(signed) > 20
    assert again.claims > len(signed)


def test_gross_noise_costs_what_the_spot_gave(finished: Finished) -> None:
    found = evidence(finished)
    assert found["robustness/noise/5/auc_difference"]["interval"]["high"] < 0
    assert found["robustness/noise/break"]["detail"]["first_loss"] == 5


def test_nothing_that_was_locked_changes(finished: Finished) -> None:
    kinds = [kind for kind, _ in entries(finished)]
    assert [kinds.count(kind) for kind in ("lock", "model", "predictions", "unseal")] == [1, 1, 1, 1]
    places = [k for k, (kind, body) in enumerate(entries(finished)) if body.get("stage") == "robustness"]
    assert min(places) > kinds.index("unseal")


def test_the_dossier_holds_them(finished: Finished) -> None:
    assert verify_dossier(finished.result.dossier, expected_key_id=finished.result.key_id).entries
    page = (finished.result.dossier / "index.html").read_text(encoding="utf-8")
    assert 'id="figure-robustness-noise"' in page
    assert 'id="table-robustness"' in page


def test_prediction_sets_are_fixed_with_the_lock_and_counted_after_it(finished: Finished) -> None:
    [lock] = [body for kind, body in entries(finished) if kind == "lock"]
    assert set(lock["conformal"]["0"]) == {"north", "pooled"}
    found = evidence(finished)
    for cohort, site, cuts in (("internal", "north", "north"), ("external", "far", "pooled")):
        whole = found[f"conformal/coverage/{cohort}/all/any"]
        parts = [found[f"conformal/coverage/{cohort}/{site}/{which}"] for which in ("event", "other")]
        assert whole["detail"]["count"] == sum(part["detail"]["count"] for part in parts)
        assert {part["detail"]["cuts"] for part in parts} == {cuts}
        single = found[f"conformal/one_class/{cohort}/all"]["detail"]
        assert single["of"] == single["count"] + single["double"] + single.get("empty", 0)
    with (finished.result.dossier / "files" / "conformal_internal.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    held = [row["event"] if row["outcome"] == "1" else row["other"] for row in rows]
    assert held.count("1") == found["conformal/coverage/internal/all/any"]["detail"]["count"]
    page = (finished.result.dossier / "index.html").read_text(encoding="utf-8")
    assert 'id="table-conformal"' in page


def test_wrong_labels_are_swept_over(finished: Finished) -> None:
    found = evidence(finished)
    for cohort in ("internal", "external"):
        whole = found[f"auc/cman/{cohort}/all"]
        for wrong in ("both", "events", "others"):
            sweep = found[f"label_noise/{wrong}/{cohort}"]
            assert sweep["detail"]["auc"] == whole["estimate"]
            assert sweep["detail"]["share"] == [0.01, 0.02, 0.05, 0.1]
            assert sweep["n"] == whole["n"]
    page = (finished.result.dossier / "index.html").read_text(encoding="utf-8")
    assert 'id="table-label-noise-internal"' in page


def test_shortcuts_are_looked_for(finished: Finished) -> None:
    found = {
        k.removeprefix("shortcut/"): v for k, v in evidence(finished).items() if k.startswith("shortcut/")
    }
    ways = {"masked_images": ("auc",)}
    ways |= dict.fromkeys(("lesion_blanked", "lesion_only"), ("auc", "auc_difference", "score_change"))
    wanted = {
        f"{way}/{c}/{m}" for way, names in ways.items() for c in ("internal", "external") for m in names
    }
    assert set(found) == wanted | {"site/US/far", "site/clinic/far"}
    site = found["site/US/far"]
    assert (site["n"], site["n_events"], site["detail"]["by_outcome"]) == (46, 24, 0.5)
    whole, without = (found[f"{way}/internal/auc"] for way in ("masked_images", "lesion_blanked"))
    assert without["estimate"] < whole["estimate"], "the spot is all that the images show of the event"
    assert found["lesion_blanked/internal/auc_difference"]["interval"]["high"] < 0
    page = (finished.result.dossier / "index.html").read_text(encoding="utf-8")
    assert 'id="table-shortcut-sites"' in page
    assert 'id="table-shortcut-lesions"' in page


@pytest.mark.parametrize(
    ("events", "others", "most", "drawn"),
    [(50, 200, 40, (20, 20)), (5, 200, 40, (5, 35)), (200, 5, 40, (35, 5)), (8, 9, 40, (8, 9))],
)
def test_half_of_the_sample_has_the_event_as_far_as_there_are_so_many(
    events: int, others: int, most: int, drawn: tuple[int, int]
) -> None:
    outcome = np.array([True] * events + [False] * others + [True] * 10)
    able = np.arange(len(outcome)) < events + others
    rows = sampled_rows(outcome, able, most, seed=3)
    assert (int(outcome[rows].sum()), int((~outcome[rows]).sum())) == drawn
    assert able[rows].all()
    assert sorted(set(rows.tolist())) == rows.tolist()
    assert np.array_equal(rows, sampled_rows(outcome, able, most, seed=3))
