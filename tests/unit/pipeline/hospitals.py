"""Small hospitals and the studies over them, and a federation of them in one process, for tests."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder, policy_toml
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.records import Entry
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.site_learner import SiteLearner, open_learner

Answers = Mapping[str, Callable[[bytes], bytes]]
"""Site -> what answers its frames."""

EXTERNAL = ("far", "abroad")
"""Hospitals of these names are external; all others develop."""
IMAGES = """\
[[modality]]
name = "US"
encoder = "resnet18"
pretrained = false
size = 32
"""
ANY_DISTANCE = "[split]\nnear_duplicate_distance = 0\n"
"""Images of noise lie close together."""
STUDY = """\
name = "{name}"
title = "{title}"
question = "Does the event follow?"
seed = {seed}
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
{modalities}{sites}[network]
variants = [{variants}]
width = 16
heads = 2
{network}[training]
{training}{more}"""


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program catches it."""


# -- studies -----------------------------------------------------------------------------------------------


def write_study(
    folder: Path,
    name: str,
    *,
    modalities: str,
    sites: Iterable[str],
    source: Callable[[str], str],
    seed: int = 3,
    variants: Sequence[str] = ("cman",),
    network: str = "",
    training: str = "epochs = 1\n",
    more: str = "",
) -> Path:
    """Write the study of `sites`, whose data lies beside it, and return its file.

    `source`: site -> its [[site.source]] tables. `network`, `training`: further lines of these tables;
    `more`: further tables.
    """
    text = STUDY.format(
        name=name,
        title=name.capitalize(),
        seed=seed,
        modalities=modalities,
        sites="".join(_site(site, source(site)) for site in sites),
        variants=_quoted(variants),
        network=network,
        training=training,
        more=more,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _site(name: str, sources: str) -> str:
    role = "external" if name in EXTERNAL else "development"
    return f'[[site]]\nname = "{name}"\nrole = "{role}"\n{sources}'


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def table(name: str, numeric: Sequence[str], categorical: Sequence[str] = (), more: str = "") -> str:
    """Return a table modality of a study."""
    columns = {"numeric": numeric, "categorical": categorical}
    lines = [f"{kind} = [{_quoted(names)}]" for kind, names in columns.items() if names]
    return "\n".join(["[[modality]]", f'name = "{name}"', 'kind = "table"', *lines, more, ""])


def image_source(site: str, *, more: str = "") -> str:
    """Return the source of a site's images SITE.npz, with outcomes in SITE.csv."""
    return (
        f'[[site.source]]\nreader = "npz"\nmodality = "US"\npath = "{site}.npz"\n{more}'
        f'labels = "{site}.csv"\ncolumns = {{ patient = "patient", outcome = "event" }}\n'
    )


def table_source(modality: str, path: str, *, outcome: str | None = None) -> str:
    """Return the source of a site's table at `path`, with the outcome in the column of that name."""
    more = f', outcome = "{outcome}"' if outcome else ""
    return (
        f'[[site.source]]\nreader = "table"\nmodality = "{modality}"\npath = "{path}"\n'
        f'columns = {{ patient = "patient"{more} }}\n'
    )


# -- data --------------------------------------------------------------------------------------------------


def draws(name: str) -> np.random.Generator:
    """Return the random numbers of a hospital."""
    return np.random.default_rng(sum(map(ord, name)))


def bright(rng: np.random.Generator, event: np.ndarray) -> np.ndarray:
    """Return noisy images (n, 32, 32), brighter where the event is."""
    images: np.ndarray = rng.integers(0, 120, (len(event), 32, 32)) + 100 * event[:, None, None]
    return images.astype(np.uint8)


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as a CSV file with the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_images(folder: Path, name: str, arrays: Mapping[str, np.ndarray], **columns: Iterable[Any]) -> None:
    """Write a hospital's arrays as NAME.npz, and `columns` as NAME.csv, a row a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", **arrays)
    cells = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_rows(folder / f"{name}.csv", [{"patient": f"{name}-{i}", **row} for i, row in enumerate(cells)])


# -- federations -------------------------------------------------------------------------------------------


@dataclass
class Federation:
    """A study file over sites, each with a folder; their data lies under `root`/data."""

    root: Path
    file: Path
    names: tuple[str, ...]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What sites allow beside taking the lead's frames."""
    folders: dict[str, SiteFolder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "home").mkdir(exist_ok=True)
        self.key = SigningKey.create_or_load(self.root / "home" / "signing_key.pem")
        for name in self.names:
            self.folders[name] = SiteFolder.create(
                self.root / "sites" / name, name=name, data=self.root / "data"
            )

    def run(self, out: str = "out", *, answers: Callable[[Answers], Answers] = dict) -> RunResult:
        """Run the study with fresh workers; `answers` may wrap how sites answer."""
        for name, folder in self.folders.items():
            rules = SitePolicy(**{"signers": (self.key.public.hex,), **self.policies.get(name, {})})
            (folder.path / "policy.toml").write_text(policy_toml(rules), encoding="utf-8")
        workers = {name: Worker(folder, open_learner) for name, folder in self.folders.items()}
        try:
            return run_federated(
                self.file,
                out=self.root / out,
                engine=InProcess(answers({name: worker.answer for name, worker in workers.items()})),
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

    @contextmanager
    def learner(self, name: str) -> Iterator[SiteLearner]:
        """Open the study at a site."""
        study, folder = load_study(self.file), self.folders[name]
        learner = open_learner(study, folder, folder.study(study.digest))
        try:
            yield learner
        finally:
            learner._run.log.close()

    def entries(self, out: str = "out") -> list[Entry]:
        """Return the entries of the lead's ledger."""
        return list(read_log(self.root / out / "ledger").entries)

    def evidence(self, out: str = "out") -> dict[str, Evidence]:
        """Return the lead's evidence by key."""
        found = [Evidence.from_json(e.body) for e in self.entries(out) if e.kind == "evidence"]
        return {item.key: item for item in found}
