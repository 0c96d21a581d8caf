"""A federation in one process over real site folders, for tests of the pipeline."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder, policy_toml
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.site_learner import SiteLearner, open_learner

Rows = Sequence[Mapping[str, object]]


def write_rows(path: Path, rows: Rows) -> None:
    """Write rows as a CSV file with the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Federation:
    """A study file over sites, each with a folder; their data lies under `root`/data."""

    root: Path
    file: Path
    names: tuple[str, ...]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, SiteFolder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "home").mkdir(exist_ok=True)
        self.key = SigningKey.create_or_load(self.root / "home" / "signing_key.pem")
        for name in self.names:
            self.folders[name] = SiteFolder.create(
                self.root / "sites" / name, name=name, data=self.root / "data"
            )

    def run(self, out: str = "out", *, answers: Any = None) -> RunResult:
        """Run the study with fresh workers; `answers` may wrap how a site answers."""
        for name, folder in self.folders.items():
            rules = SitePolicy(signers=(self.key.public.hex,), **self.policies.get(name, {}))
            (folder.path / "policy.toml").write_text(policy_toml(rules), encoding="utf-8")
        workers = {name: Worker(folder, open_learner) for name, folder in self.folders.items()}
        sites = {name: worker.answer for name, worker in workers.items()}
        try:
            return run_federated(
                self.file,
                out=self.root / out,
                engine=InProcess(answers(sites) if answers else sites),
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

    def learner(self, name: str) -> SiteLearner:
        """Return a site's learner; close its log after."""
        study, folder = load_study(self.file), self.folders[name]
        return open_learner(study, folder, folder.study(study.digest))

    def evidence(self, out: str = "out") -> dict[str, Evidence]:
        """Return the lead's evidence by key."""
        entries = read_log(self.root / out / "ledger").entries
        found = [Evidence.from_json(e.body) for e in entries if e.kind == "evidence"]
        return {item.key: item for item in found}
