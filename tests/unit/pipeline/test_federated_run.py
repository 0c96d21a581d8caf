"""A federated study in one process: odd sites, the lead's model, and going on where it stood."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hospitals import ANY_DISTANCE, IMAGES, Federation, bright, draws, image_source, write_images, write_study

from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import FederationError, VerificationError
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.log import Log
from huizhen.ledger.reading import read_log
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_cohort import BEGUN
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predict import predict
from huizhen.pipeline.site_audit import audit_site

SITES = {"east": (36, None), "north": (40, None), "onesided": (30, 0), "lone": (1, 1), "far": (30, None)}
"""Site -> patients, and the one outcome of all of them."""
MORE = """\
[federation]
rounds = 2
quorum = 0.5
round_timeout_s = 60
site_specific = ["joint.*"]
"""


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("federated")
    for name, (count, only) in SITES.items():
        event = np.arange(count) % 2 if only is None else np.full(count, only)
        write_images(root / "data", name, {"images": bright(draws(name), event)}, event=event)
    file = write_study(
        root / "data",
        "federated",
        modalities=IMAGES,
        sites=SITES,
        source=image_source,
        more=ANY_DISTANCE + MORE,
    )
    policies = {name: {"smallest_count": 1} for name in SITES}
    return Federation(root=root, file=file, names=tuple(SITES), policies=policies)


@pytest.fixture
def refusing(hospitals: Federation) -> Iterator[Callable[..., None]]:
    """Makes sites refuse everything, as long as the test lasts."""
    before = dict(hospitals.policies)
    yield lambda *names: hospitals.policies.update(before | {name: {"signers": ()} for name in names})
    hospitals.policies.update(before)


@pytest.fixture(scope="module")
def result(hospitals: Federation) -> RunResult:
    return hospitals.run()


def test_sites_with_one_class_or_one_patient_do_not_stop_the_others(hospitals, result):
    found = hospitals.evidence()
    keys = [e.body["key"] for e in hospitals.entries() if e.kind == "evidence"]
    assert keys.count("federation/cman/member0") == 1
    rounds = found["federation/cman/member0"]
    assert rounds.detail["rounds"] == 2
    journal = [
        json.loads(x) for x in (hospitals.root / "out/federation/journal.jsonl").read_text().splitlines()
    ]
    refused = {note["site"]: note["reason"] for note in journal if note["event"] == "refusal"}
    assert "lone" in refused  # too few patients for the policy
    assert all("lone-0" not in reason and "onesided-" not in reason for reason in refused.values())
    assert min(rounds.detail["sites_per_round"]) >= 2
    assert {"auc/cman/internal/all", "auc/cman/external/all"} <= set(found)


def test_the_dossier_verifies(result):
    assert verify_dossier(result.dossier, expected_key_id=result.key_id).entries == result.entries


def test_the_lead_has_the_locked_model_under_one_digest(hospitals, result):
    bundle = load_bundle(result.model)
    (locked,) = [e.body for e in hospitals.entries() if e.kind == "lock"]
    (entered,) = [e.body for e in hospitals.entries() if e.kind == "model"]
    assert locked["model_digest"] == entered["digest"] == bundle.digest
    assert bundle.card.study_digest == load_study(hospitals.file).digest
    assert set(bundle.card.thresholds) == {"cman/fold0"}
    assert bundle.card.training.n_events < bundle.card.training.n
    assert "far" not in bundle.card.training.sites
    assert any("stayed at their sites" in limit for limit in bundle.card.limits)


def test_the_model_predicts_for_new_patients(hospitals, result, tmp_path):
    done = predict(result.model, hospitals.file, out=tmp_path / "risks.csv", progress=Silent())
    rows = list(csv.DictReader(done.table.read_text(encoding="utf-8").splitlines()))
    assert done.patients == len(rows) == sum(count for count, _ in SITES.values())
    risks = {row["patient"]: float(row["risk"]) for row in rows}
    decision = load_bundle(result.model).card.thresholds["cman/fold0"]
    assert all(0 <= risk <= 1 for risk in risks.values())
    assert all((float(row["risk"]) >= decision) == (row["decision"] == "1") for row in rows)
    assert len(set(risks.values())) > 10


def test_a_finished_run_goes_on_to_the_same_dossier(hospitals, result):
    before = hospitals.entries()
    again = hospitals.run()
    assert again.dossier == result.dossier
    assert hospitals.entries() == before


def test_a_resumed_run_keeps_to_the_sites_that_it_began_with(hospitals, result, refusing):
    begun = json.loads((hospitals.root / "out" / BEGUN).read_text())
    assert begun == sorted(SITES)
    refusing("lone")
    assert hospitals.run().dossier == result.dossier
    refusing("east", "north", "onesided")
    with pytest.raises(FederationError, match="fewer than the quorum"):
        hospitals.run()


def test_locked_models_survive_a_restart_of_the_site(hospitals, result):
    with hospitals.learner("east") as learner:
        assert set(learner.models.digests) == {"cman/member0"}
        assert learner.models.locked() == learner.models.digests


def test_the_lead_keeps_heads_of_every_site_s_ledger(hospitals, result):
    taking_part = sorted(json.loads((hospitals.root / "out" / BEGUN).read_text()))
    heads = {e.body["moment"]: e for e in hospitals.entries() if e.kind == "site_heads"}
    (locked,) = [e.index for e in hospitals.entries() if e.kind == "lock"]
    (unsealed,) = [e.index for e in hospitals.entries() if e.kind == "unseal"]
    assert heads["cohort"].index < locked < heads["locked"].index < unsealed
    assert all(list(e.body["heads"]) == e.body["asked"] == taking_part for e in heads.values())


def test_no_event_of_a_tested_patient_is_counted_before_the_lock(hospitals, result):
    counts = next((hospitals.root / "out" / "stages").glob("cohort-*/sites.json"))
    found = json.loads(counts.read_text(encoding="utf-8"))["counts"]
    assert found["development"]["test/1"] == 0
    assert found["development"]["test/0"] > 0
    assert found["far"]["external/1"] == 0
    assert found["development"]["train/1"] > 0
    cohort = hospitals.evidence()["data/cohort"]
    assert cohort.n_events is None
    assert all("positive" not in row for row in cohort.detail["sites"])
    outcomes = hospitals.evidence()["data/outcomes/external"]
    assert (outcomes.n, outcomes.n_events) == (30, 15)


@pytest.mark.parametrize("name", ["east", "far"])
def test_a_site_s_ledger_is_the_one_that_its_heads_fixed(hospitals, result, name):
    found = audit_site(hospitals.folders[name].path, result.dossier, key_id=result.key_id)
    assert found.study == load_study(hospitals.file).digest
    assert found.fixed["cohort"] < found.fixed["locked"] < found.entries
    assert found.opened == 1


def changed_site(
    hospitals: Federation, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]
) -> Path:
    """Return a copy of east's folder with another ledger, written and signed anew with east's own key."""
    folder = hospitals.folders["east"]
    copy = tmp_path / "east"
    shutil.copytree(folder.path, copy)
    ledger = copy / "studies" / load_study(hospitals.file).digest / "ledger"
    entries = [{"kind": e.kind, "body": dict(e.body)} for e in read_log(ledger).entries]
    change(entries)
    shutil.rmtree(ledger)
    with Log.open(ledger, folder.key) as log:
        for entry in entries:
            log.append(entry["kind"], entry["body"])
        log.commit()
    return copy


def test_a_ledger_that_a_site_wrote_anew_is_found_out(hospitals, result, tmp_path):
    def other_cohort(entries: list[dict[str, Any]]) -> None:
        commit = next(e for e in entries if e["kind"] == "commit")
        commit["body"]["commitments"] = dict.fromkeys(commit["body"]["commitments"], "0" * 64)

    site = changed_site(hospitals, tmp_path, other_cohort)
    with pytest.raises(VerificationError, match="not the one whose head of cohort"):
        audit_site(site, result.dossier)


def test_a_shortened_ledger_is_found_out(hospitals, result, tmp_path):
    site = changed_site(hospitals, tmp_path, lambda entries: entries.__delitem__(slice(2, None)))
    with pytest.raises(VerificationError, match="fewer entries"):
        audit_site(site, result.dossier)


def test_a_site_that_took_no_part_has_no_head(hospitals, result, tmp_path):
    site = SiteFolder.create(tmp_path / "elsewhere", name="elsewhere", data=tmp_path)
    with pytest.raises(VerificationError, match="holds no head of elsewhere"):
        audit_site(site.path, result.dossier)
