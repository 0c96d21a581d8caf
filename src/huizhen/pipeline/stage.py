"""Stages: one shape for all work. What a stage made is kept by the digest of what it was made from.

A stage's folder appears by one rename, and its evidence enters the ledger in one commit; whatever moment the
process is killed at, the next run finds either a whole stage or none.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huizhen
from huizhen.core.digests import Digest, digest_file, digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.files import whole_folder, write_json
from huizhen.core.progress import Progress
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.errors import StageError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

RECORD = "stage.json"
ARTEFACTS = "artefacts"
"""Files under this folder of a stage go into the dossier, each with its digest in the ledger."""


@dataclass(slots=True)
class Made:
    """What a stage has to say: evidence, and entries of other kinds that go into the ledger before it."""

    evidence: list[Evidence] = field(default_factory=list)
    entries: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A finished stage: its folder and the digest of what it was made from."""

    name: str
    folder: Path
    digest: Digest

    def read(self, name: str) -> Any:
        """Return the JSON value that the stage wrote as `name`."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An open run: the signed study, its folder, the ledger being written and where to report progress."""

    study: Study
    folder: Path
    roots: tuple[Path, ...]
    key: SigningKey
    log: Log
    cache: Cache
    progress: Progress
    kept: Path | None = None
    """Where what outlasts this run is kept by who runs it: who was learned from, and who withdrew."""
    whole: Study | None = None
    """The study over all its sites, where `study` is one site's part of it."""

    def stage(
        self,
        name: str,
        inputs: Sequence[object],
        body: Callable[[Path], Made],
        *,
        made_from: Mapping[str, Digest],
    ) -> Stage:
        """Return the stage `name` made from `inputs` (plain values), running `body` only if it isn't there.

        `body` is given an empty folder to fill. Its evidence and files are entered in the ledger once, and
        with them `made_from`: earlier stages, parts of the study and files by name, so that a reader of the
        ledger can go from any stage back to the signed study.
        """
        digest = digest_value({"stage": name, "inputs": list(inputs), "version": huizhen.__version__})
        folder = self.folder / "stages" / f"{name.replace('/', '-').replace(':', '-')}-{digest[:16]}"
        if not folder.exists():
            for left in folder.parent.glob(f".{folder.name}.*.part"):  # by a killed run; only one run is open
                shutil.rmtree(left, ignore_errors=True)
            started = time.monotonic()
            with whole_folder(folder) as scratch:
                made = body(scratch)
                record = {
                    "digest": digest,
                    "entries": [[kind, dict(value)] for kind, value in made.entries],
                    "evidence": [item.to_json() for item in made.evidence],
                    "inputs": [{"what": what, "digest": found} for what, found in made_from.items()],
                    "seconds": round(time.monotonic() - started, 3),
                }
                write_json(scratch / RECORD, record)
        stage = Stage(name=name, folder=folder, digest=digest)
        self._enter(stage)
        return stage

    def entered(self) -> set[str]:
        """Return the digests of the stages that the ledger already holds."""
        return {entry.body["digest"] for entry in self.log.entries if entry.kind == "stage"}

    def _enter(self, stage: Stage) -> None:
        """Append a stage's entries to the ledger in one commit, unless they are there."""
        if stage.digest in self.entered():
            return
        record = stage.read(RECORD)
        if record["digest"] != stage.digest:
            raise StageError(
                "holds another stage's record",
                remedy="delete this folder and run again",
                file=str(stage.folder),
            )
        for kind, body in record["entries"]:
            self.log.append(kind, body)
        for body in record["evidence"]:
            self.log.append("evidence", body)
        for path, body in artefacts(stage):
            self.log.append("artefact", {"path": path, **body})
        done = {"stage": stage.name, "digest": stage.digest, "seconds": record["seconds"]}
        self.log.append("stage", {**done, "inputs": record.get("inputs", [])})
        self.log.commit()


def study_part(study: Study, *keys: str) -> dict[str, Digest]:
    """Return the name and digest of some top-level parts of a study, to be given as `made_from`."""
    return {f"study: {', '.join(keys)}": digest_value(study.model_dump(mode="json", include=set(keys)))}


def artefacts(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    """Return a stage's public files: relative path, and digest and size of each, sorted by path."""
    root = stage.folder / ARTEFACTS
    found = sorted(path for path in root.rglob("*") if path.is_file()) if root.exists() else []
    return [
        (path.relative_to(root).as_posix(), {"sha256": digest_file(path), "size": path.stat().st_size})
        for path in found
    ]
