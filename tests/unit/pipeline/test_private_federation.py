"""A federated study with [privacy]: sites train with noise, one whose budget is spent refuses."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence
from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.outbox import read_outbox
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP
from huizhen.federate.site.worker import Worker
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.federated_run import run_federated
from huizhen.pipeline.site_learner import open_learner
from huizhen.pipeline.site_privacy import LEDGER
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
SITES = ("east", "north", "west")
OTHER = Digest("a" * 64)
CAP = Cap(epsilon=1e6, delta=1e-4)
STUDY = """\
name = "private"
title = "Private"
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
alignment_weight = 0
[training]
epochs = 1
[federation]
rounds = 2
quorum = 0.5
round_timeout_s = 60
[privacy]
epsilon = 8
delta = 1e-4
sampling = 8
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


def write_study(folder: Path) -> Path:
    """Write a study of images, brighter where the event is, and return its file."""
    folder.mkdir()
    for name in SITES:
        rng = np.random.default_rng(sum(map(ord, name)))
        event = np.arange(48) % 2
        images = rng.integers(0, 120, (48, 32, 32)) + 100 * event[:, None, None]
        np.savez(folder / f"{name}.npz", images=images.astype(np.uint8))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["patient", "event"])
            writer.writerows([f"{name}-{i}", y] for i, y in enumerate(event))
    file = folder / "study.toml"
    file.write_text(STUDY.format(sites="".join(SITE.format(name=n) for n in SITES)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, SiteFolder]]:
    """A finished run, of which north had spent its patients' budget on another study."""
    root = tmp_path_factory.mktemp("private")
    file, home = write_study(root / "data"), root / "home"
    home.mkdir()
    lead = SigningKey.create_or_load(home / "signing_key.pem")
    rules = SitePolicy(signers=(lead.public.hex,), maximum_epsilon=8.0, maximum_delta=1e-4, minimum_sites=2)
    folders = {
        name: SiteFolder.create(root / "sites" / name, name=name, data=root / "data", policy=rules)
        for name in SITES
    }
    with SpendLedger.open(folders["north"].path / LEDGER, {GROUP: CAP}) as ledger:
        spent = Spend(sampling_rate=0.5, noise_multiplier=1.1, steps=60)
        ledger.reserve(study=OTHER, round_number=0, group=GROUP, spends=[spent])
    workers = {name: Worker(folder, open_learner) for name, folder in folders.items()}
    run_federated(
        file,
        out=root / "out",
        engine=InProcess({name: worker.answer for name, worker in workers.items()}),
        peers={name: folder.key.public for name, folder in folders.items()},
        home=home,
        progress=Silent(),
        language=Language.EN,
    )
    return root / "out", folders


def evidence_of(out: Path) -> dict[str, Evidence]:
    entries = read_log(out / "ledger").entries
    found = [Evidence.from_json(e.body) for e in entries if e.kind == "evidence"]
    return {item.key: item for item in found}


def test_the_sites_that_go_on_stay_within_the_studys_epsilon(run):
    found = evidence_of(run[0])
    for name in ("east", "west"):
        item = found[f"differential_privacy/{name}"]
        assert 7 < item.estimate <= 8
        assert (item.unit, item.detail["delta"]) == ("patient", pytest.approx(1e-4))
        assert abs(item.detail["prv"] - item.detail["pld"]) <= 0.01 * item.estimate
        assert item.estimate <= item.detail["rdp_upper_bound"]
        assert len(item.detail["head"]) == 64
    assert "not_assessed/differential_privacy" not in found
    assert found["federation/cman/member0"].detail["sites_per_round"] == [2, 2]


def test_a_site_whose_budget_is_spent_says_so_and_nothing_of_it_leaves(run):
    out, folders = run
    journal = "".join(p.read_text(encoding="utf-8") for p in (out / "federation").glob("*.jsonl"))
    assert "HZ93" in journal
    assert "group patients would spend epsilon" in journal
    kinds = {item.kind for item in read_outbox(folders["north"].path)}
    assert "update" not in kinds
    assert evidence_of(out)["differential_privacy/north"].estimate == 0


def test_every_step_that_was_charged_was_taken(run):
    _, folders = run
    with SpendLedger.open(folders["east"].path / LEDGER, {GROUP: CAP}) as ledger:
        assert not ledger.unsettled()
        (spend,) = ledger.spends(GROUP)
    assert spend.steps == evidence_of(run[0])["differential_privacy/east"].detail["steps"]


def test_the_dossier_tells_each_sites_epsilon(run):
    pages = "".join(p.read_text(encoding="utf-8") for p in run[0].rglob("*.html"))
    assert "Privacy loss of a patient (epsilon), east" in pages
    assert "training was not differentially private" not in pages
