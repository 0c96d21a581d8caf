"""A federation of two small hospitals that asks for labels between its rounds."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.core import files
from huizhen.core.evidence import Evidence
from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline import federated_labelling, site_labelling
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.finish import RunResult
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
    frames: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in SITES})
    """What each site sent."""

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
                engine=InProcess({name: self._seen(name, w.answer) for name, w in workers.items()}),
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

    def _seen(self, site: str, answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def seen(frame: bytes) -> bytes:
            self.frames[site].append(answer(frame))
            return self.frames[site][-1]

        return seen

    def kill_after_writing(self, name: str, patch: pytest.MonkeyPatch) -> None:
        """Have the process die once, right after it wrote the file that begins so."""
        real = files.write_json

        def write(path: Path, value: Any) -> None:
            real(path, value)
            if path.name.startswith(name):
                raise Killed(name)

        for module in (site_labelling, federated_labelling):
            patch.setattr(module, "write_json", write)

    def weights(self, out: str = "out") -> bytes:
        """Return the trained weights."""
        (file,) = (self.root / out / "stages").glob("fit-cman-member0-*/weights.safetensors")
        return file.read_bytes()

    def stage(self, name: str, out: str = "out") -> str:
        """Return the name of a stage's folder."""
        (folder,) = (self.root / out / "stages").glob(f"{name}-*")
        return folder.name

    def learner(self, site: str) -> SiteLearner:
        """Return the study opened at a site; close its log after."""
        study = load_study(self.file)
        return open_learner(study, self.folders[site], self.folders[site].study(study.digest))

    def asked(self, site: str) -> list[dict[str, Any]]:
        """Return what query rounds asked at a site, in order."""
        found = sorted(self.folders[site].path.glob("studies/*/labels/asked-*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    def evidence(self, out: str = "out") -> dict[str, Evidence]:
        entries = read_log(self.root / out / "ledger").entries
        found = [Evidence.from_json(e.body) for e in entries if e.kind == "evidence"]
        return {item.key: item for item in found}

    def patients(self, site: str) -> list[list[str]]:
        """Return whom each query round asked about at a site, in order."""
        return [[row["patient"] for row in query["cases"]] for query in self.asked(site)]

    def files(self, site: str) -> list[dict[str, int]]:
        """Return what query rounds left at a site, in order."""
        found = sorted(self.folders[site].path.glob("studies/*/labels/labels-*.json"))
        return [json.loads(path.read_text(encoding="utf-8"))["labels"] for path in found]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program catches it."""
