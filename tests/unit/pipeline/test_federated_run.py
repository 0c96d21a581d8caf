"""A federated study in one process: odd sites, the lead's model, and going on where it stood."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.evidence import Evidence
from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import FederationError
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder, policy_toml
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.models.bundle import load_bundle
from huizhen.pipeline.federated_cohort import BEGUN
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predict import predict
from huizhen.pipeline.site_learner import SiteLearner, open_learner

SITES = {"east": (36, None), "north": (40, None), "onesided": (30, 0), "lone": (1, 1), "far": (30, None)}
"""Site -> patients, and the one outcome of all of them."""
STUDY = """\
name = "federated"
title = "Federated"
question = "Is it?"
seed = 3
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
encoder = "resnet18"
pretrained = false
size = 32
{sites}
[split]
near_duplicate_distance = 0
[network]
variants = ["cman"]
width = 16
heads = 2
[training]
epochs = 1
[federation]
rounds = 2
quorum = 0.5
round_timeout_s = 60
site_specific = ["joint.*"]
"""
SITE = """
[[site]]
name = "{name}"
role = "{role}"
[[site.source]]
reader = "npz"
modality = "US"
path = "{name}.npz"
labels = "{name}.csv"
columns = {{ patient = "patient", outcome = "event" }}
"""


def write_study(folder: Path) -> Path:
    """Write a study of images, brighter where the event is, and return its file."""
    folder.mkdir()
    for name, (count, only) in SITES.items():
        rng = np.random.default_rng(sum(map(ord, name)))
        event = np.arange(count) % 2 if only is None else np.full(count, only)
        images = rng.integers(0, 120, (count, 32, 32)) + 100 * event[:, None, None]
        np.savez(folder / f"{name}.npz", images=images.astype(np.uint8))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(
                [("patient", "event"), *((f"{name}-{i}", y) for i, y in enumerate(event))]
            )
    roles = {name: "external" if name == "far" else "development" for name in SITES}
    sites = "".join(SITE.format(name=name, role=role) for name, role in roles.items())
    file = folder / "study.toml"
    file.write_text(STUDY.format(sites=sites), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Hospitals:
    """The study's file and its sites' folders."""

    root: Path
    file: Path
    folders: Mapping[str, SiteFolder]

    def run(self, out: str = "out", *, without: tuple[str, ...] = ()) -> RunResult:
        """Run the study with fresh workers; sites `without` refuse everything."""
        stranger = SitePolicy()
        for name, folder in self.folders.items():
            rules = stranger if name in without else self.rules()
            (folder.path / "policy.toml").write_text(policy_toml(rules), encoding="utf-8")
        workers = {name: Worker(folder, open_learner) for name, folder in self.folders.items()}
        try:
            return run_federated(
                self.file,
                out=self.root / out,
                engine=InProcess({name: worker.answer for name, worker in workers.items()}),
                peers={name: folder.key.public for name, folder in self.folders.items()},
                home=self.root / "home",
                progress=Silent(),
                language=Language.EN,
            )
        finally:
            for worker in workers.values():
                for opened in worker._studies.values():
                    assert isinstance(opened.learner, SiteLearner)
                    opened.learner._run.log.close()  # as a process that ends does

    def rules(self) -> SitePolicy:
        key = SigningKey.load(self.root / "home" / "signing_key.pem")
        return SitePolicy(signers=(key.public.hex,), smallest_count=1)

    def entries(self) -> list:
        return list(read_log(self.root / "out" / "ledger").entries)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    root = tmp_path_factory.mktemp("federated")
    file, home = write_study(root / "data"), root / "home"
    home.mkdir()
    SigningKey.create_or_load(home / "signing_key.pem")
    folders = {
        name: SiteFolder.create(root / "sites" / name, name=name, data=root / "data") for name in SITES
    }
    return Hospitals(root=root, file=file, folders=folders)


@pytest.fixture(scope="module")
def result(hospitals: Hospitals) -> RunResult:
    return hospitals.run()


def test_sites_with_one_class_or_one_patient_do_not_stop_the_others(hospitals, result):
    found = [Evidence.from_json(e.body) for e in hospitals.entries() if e.kind == "evidence"]
    (rounds,) = [item for item in found if item.key == "federation/cman/member0"]
    assert rounds.detail["rounds"] == 2
    journal = [
        json.loads(x) for x in (hospitals.root / "out/federation/journal.jsonl").read_text().splitlines()
    ]
    refused = {note["site"]: note["reason"] for note in journal if note["event"] == "refusal"}
    assert "lone" in refused  # too few patients for the policy
    assert all("lone-0" not in reason and "onesided-" not in reason for reason in refused.values())
    assert min(rounds.detail["sites_per_round"]) >= 2
    aucs = {item.key: item for item in found if item.key.startswith("auc/cman/")}
    assert {"auc/cman/internal/all", "auc/cman/external/all"} <= set(aucs)


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


def test_a_resumed_run_keeps_to_the_sites_that_it_began_with(hospitals, result):
    begun = json.loads((hospitals.root / "out" / BEGUN).read_text())
    assert begun == sorted(SITES)
    assert hospitals.run(without=("lone",)).dossier == result.dossier
    with pytest.raises(FederationError, match="fewer than the quorum"):
        hospitals.run(without=("east", "north", "onesided"))


def test_locked_models_survive_a_restart_of_the_site(hospitals, result):
    folder = hospitals.folders["east"]
    study = load_study(hospitals.file)
    learner = open_learner(study, folder, folder.study(study.digest))
    try:
        assert set(learner.models.digests) == {"cman/member0"}
        assert learner.models.locked() == learner.models.digests
    finally:
        learner._run.log.close()
