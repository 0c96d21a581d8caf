"""A federation of two small hospitals that asks for labels between its rounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hospitals import (
    ANY_DISTANCE,
    IMAGES,
    Answers,
    Federation,
    Killed,
    bright,
    draws,
    image_source,
    write_images,
    write_study,
)

from huizhen.core import files
from huizhen.pipeline import federated_labelling, site_labelling
from huizhen.pipeline.finish import RunResult

SITES = ("east", "north")
FEDERATION = "[federation]\nrounds = 3\nround_timeout_s = 60\n"
ORACLE = 'annotator = "oracle"\ninitial = 10\nbudget = 6\nqueries = 2\nrounds_between = 1\n'


@dataclass
class Hospitals(Federation):
    """A federation that asks for labels, and what each of its sites sent."""

    frames: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in SITES})

    @classmethod
    def make(cls, root: Path, active: str, *, unlabelled: int = 0, patients: int = 48) -> Hospitals:
        """Write a study of images, brighter where the event is; the last `unlabelled` have no outcome."""
        for name in SITES:
            event = np.arange(patients) % 2
            known = [y if i < patients - unlabelled else "" for i, y in enumerate(event)]
            write_images(root / "data", name, {"images": bright(draws(name), event)}, event=known)
        file = write_study(
            root / "data",
            "asking",
            modalities=IMAGES,
            sites=SITES,
            source=image_source,
            more=ANY_DISTANCE + FEDERATION + f"[active]\n{active}",
        )
        policies = {name: {"minimum_cohort": 5} for name in SITES}
        return cls(root=root, file=file, names=SITES, policies=policies)

    def run_seen(self, out: str = "out") -> RunResult:
        """Run the study, and note what each site sends."""
        return self.run(out, answers=self._seen)

    def _seen(self, sites: Answers) -> Answers:
        def seen(site: str, answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
            def answered(frame: bytes) -> bytes:
                self.frames[site].append(answer(frame))
                return self.frames[site][-1]

            return answered

        return {site: seen(site, answer) for site, answer in sites.items()}

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

    def asked(self, site: str) -> list[dict[str, Any]]:
        """Return what query rounds asked at a site, in order."""
        found = sorted(self.folders[site].path.glob("studies/*/labels/asked-*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    def patients(self, site: str) -> list[list[str]]:
        """Return whom each query round asked about at a site, in order."""
        return [[row["patient"] for row in query["cases"]] for query in self.asked(site)]

    def files(self, site: str) -> list[dict[str, int]]:
        """Return what query rounds left at a site, in order."""
        found = sorted(self.folders[site].path.glob("studies/*/labels/labels-*.json"))
        return [json.loads(path.read_text(encoding="utf-8"))["labels"] for path in found]
