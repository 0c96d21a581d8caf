"""Patients withdraw from a private federation of real processes: a certificate, then a model made anew."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "pipeline"))
from hospitals import ANY_DISTANCE, IMAGES, bright, draws, image_source, write_images, write_rows, write_study

ROOT = Path(__file__).resolve().parents[2]
SITES = ("east", "north", "west")
COUNT = 96
BOUND = 6.0
MORE = f"""\
[use]
ethics_approval = "2026-114"
commercial = false
[federation]
rounds = 2
[privacy]
epsilon = 2
delta = 1e-4
sampling = 8
unlearning_epsilon = {BOUND}
"""


def register(data: Path, site: str, gone: Collection[str] = ()) -> Path:
    """Write a site's register, in which `gone` have withdrawn and wish to be unlearnt."""
    row = {"version": "1", "given": "2025-01-01", "terms": "HMB", "withdrawal": "approximate"}
    people = [f"{site}-{i}" for i in range(COUNT)]
    path = data / f"{site}-consents.csv"
    write_rows(
        path, [{"patient": one, **row, "withdrawn": "2026-11-20" if one in gone else ""} for one in people]
    )
    return path


def hospitals(data: Path) -> Path:
    """Write images, registers and the study, and return its file."""
    event = np.arange(COUNT) % 2
    for name in SITES:
        write_images(data, name, {"images": bright(draws(name), event)}, event=event)
        register(data, name)
    return write_study(
        data,
        "private",
        modalities=IMAGES,
        sites=SITES,
        source=lambda name: f'consent = "{name}-consents.csv"\n' + image_source(name),
        network="alignment_weight = 0\n",
        more=ANY_DISTANCE + MORE,
    )


def huizhen(root: Path, *words: object) -> dict[str, Any]:
    """Run a command that works, and return what it says to a machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUIZHEN_")}
    environment = {**kept, "PYTHONPATH": str(ROOT / "src"), "HUIZHEN_HOME": str(root / "home")}
    command = [sys.executable, "-m", "huizhen.cli", *map(str, words), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def used(root: Path, how: str) -> list[str]:
    """Return north's patients that the model met in that way, by the list the hospital keeps for itself."""
    with (root / "affected.csv").open(encoding="utf-8-sig", newline="") as lines:
        return [row["patient"] for row in csv.DictReader(lines) if row["used"].split()[0] == how]


def answers(site: Path) -> list[dict[str, Any]]:
    """Return what the site's ledger says of unlearning, in order."""
    (log,) = site.glob("studies/*/ledger/entries.jsonl")
    bodies = [json.loads(line)["body"] for line in log.read_text(encoding="utf-8").splitlines()]
    return [body for body in bodies if body.get("metric") == "consent_unlearned"]


@pytest.mark.slow
def test_a_certificate_while_it_holds_and_a_new_model_after(tmp_path: Path) -> None:
    data, out, certificates = tmp_path / "data", tmp_path / "out", tmp_path / "certificates"
    file = hospitals(data)
    huizhen(tmp_path, "run", file, "--data", data, "--out", out)
    ask = ("site", "consents", "withdrawn", data / "north-consents.csv", "--site", out / "sites" / "north")
    everybody = [f"north-{i}" for i in range(COUNT)]
    register(data, "north", everybody)
    huizhen(tmp_path, *ask, "--csv", tmp_path / "affected.csv")  # it begins nothing: who was trained on?
    learned, tested = used(tmp_path, "trained"), used(tmp_path, "tested")
    assert len(learned) > 20
    assert not set(learned) & set(tested)

    register(data, "north", [*learned[:2], tested[0]])
    huizhen(tmp_path, *ask, "--begin", "--certificates", certificates)
    (certificate,) = certificates.glob("unlearning-*.json")
    assert not any(one in certificate.read_text(encoding="utf-8") for one in everybody)
    done = huizhen(tmp_path, "run", file, "--data", data, "--out", out, "--evidence", certificate)
    page = (Path(done["dossier"]) / "index.html").read_text(encoding="utf-8")
    assert "consent_unlearned/north" in page
    verified = huizhen(tmp_path, "verify", done["dossier"], "--key", done["key_id"], "--recompute")
    assert verified["recomputed"]["differing"] == []

    told = answers(out / "sites" / "north")
    assert [(one["verdict"], one["n"]) for one in told] == [("pass", 2)]
    assert 2 < told[0]["estimate"] <= BOUND

    register(data, "north", learned[2:9])  # the two from before count, whatever today's register says
    huizhen(tmp_path, *ask, "--begin", "--certificates", tmp_path / "none")
    assert not list(tmp_path.glob("none/*"))
    latest = answers(out / "sites" / "north")[-1]
    assert (latest["verdict"], latest["n"]) == ("fail", 9)
    assert latest["estimate"] > BOUND
