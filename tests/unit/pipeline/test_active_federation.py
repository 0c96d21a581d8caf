"""A federated study with [active]: labels asked for between rounds, of which nothing but counts tells."""

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
from huizhen.core.words import Language
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.run import RunResult
from huizhen.pipeline.site_learner import SiteLearner, open_learner

SITES = ("east", "north")
STUDY = """\
name = "asking"
title = "Asking"
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
rounds = 3
round_timeout_s = 60
[active]
{active}
"""
SITE = """
[[site]]
name = "{name}"
[[site.source]]
reader = "npz"
modality = "US"
path = "{name}.npz"
labels = "{name}.csv"
columns = {{ patient = "patient", outcome = "event" }}
"""
ORACLE = 'annotator = "oracle"\ninitial = 10\nbudget = 6\nqueries = 2\nrounds_between = 1\n'


@dataclass(frozen=True)
class Hospitals:
    """A study's file and its sites' folders, for runs with fresh workers."""

    root: Path
    file: Path
    folders: Mapping[str, SiteFolder]

    @classmethod
    def make(cls, root: Path, active: str, *, unlabelled: int = 0, patients: int = 48) -> Hospitals:
        """Write a study of images, brighter where the event is; the last `unlabelled` have no outcome."""
        data, home = root / "data", root / "home"
        data.mkdir(parents=True)
        home.mkdir()
        for name in SITES:
            rng = np.random.default_rng(sum(map(ord, name)))
            event = np.arange(patients) % 2
            images = rng.integers(0, 120, (patients, 32, 32)) + 100 * event[:, None, None]
            np.savez(data / f"{name}.npz", images=images.astype(np.uint8))
            with (data / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
                rows = [(f"{name}-{i}", y if i < patients - unlabelled else "") for i, y in enumerate(event)]
                csv.writer(stream).writerows([("patient", "event"), *rows])
        file = data / "study.toml"
        sites = "".join(SITE.format(name=name) for name in SITES)
        file.write_text(STUDY.format(sites=sites, active=active), encoding="utf-8")
        key = SigningKey.create_or_load(home / "signing_key.pem")
        rules = SitePolicy(signers=(key.public.hex,), minimum_cohort=5)
        folders = {
            name: SiteFolder.create(root / "sites" / name, name=name, data=data, policy=rules)
            for name in SITES
        }
        return cls(root=root, file=file, folders=folders)

    def run(self, out: str = "out") -> RunResult:
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

    def evidence(self, out: str = "out") -> dict[str, Evidence]:
        entries = read_log(self.root / out / "ledger").entries
        found = [Evidence.from_json(e.body) for e in entries if e.kind == "evidence"]
        return {item.key: item for item in found}

    def files(self, site: str) -> list[dict]:
        """Return what query rounds left at a site, in order."""
        found = sorted(self.folders[site].path.glob("studies/*/labels/labels-*.json"))
        return [json.loads(path.read_text(encoding="utf-8"))["labels"] for path in found]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    hospitals = Hospitals.make(tmp_path_factory.mktemp("asking"), ORACLE)
    hospitals.run()
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
