"""A federated study with [privacy]: sites train with noise, one whose budget is spent refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hospitals import ANY_DISTANCE, IMAGES, Federation, bright, draws, image_source, write_images, write_study
from scipy.optimize import brentq
from scipy.stats import norm

from huizhen.core.digests import Digest
from huizhen.core.study_file import load_study
from huizhen.federate.outbox import read_outbox
from huizhen.federate.site.private_rounds import GROUP
from huizhen.pipeline.federated_privacy import client_evidence
from huizhen.pipeline.site_privacy import LEDGER
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
SITES = ("east", "north", "west")
OTHER = Digest("a" * 64)
CAP = Cap(epsilon=1e6, delta=1e-4)
MORE = """\
[federation]
rounds = 2
quorum = 0.5
round_timeout_s = 60
[privacy]
epsilon = 8
delta = 1e-4
sampling = 8
"""
POLICY = {"maximum_epsilon": 8.0, "maximum_delta": 1e-4, "minimum_sites": 2}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """A finished run, of which north had spent its patients' budget on another study."""
    root, event = tmp_path_factory.mktemp("private"), np.arange(48) % 2
    for name in SITES:
        write_images(root / "data", name, {"images": bright(draws(name), event)}, event=event)
    file = write_study(
        root / "data",
        "private",
        modalities=IMAGES,
        sites=SITES,
        source=image_source,
        network="alignment_weight = 0\n",
        more=ANY_DISTANCE + MORE,
    )
    found = Federation(root=root, file=file, names=SITES, policies=dict.fromkeys(SITES, POLICY))
    with SpendLedger.open(found.folders["north"].path / LEDGER, {GROUP: CAP}) as ledger:
        spent = Spend(sampling_rate=0.5, noise_multiplier=1.1, steps=60)
        ledger.reserve(study=OTHER, round_number=0, group=GROUP, spends=[spent])
    found.run()
    return found


def test_the_sites_that_go_on_stay_within_the_studys_epsilon(done):
    found = done.evidence()
    for name in ("east", "west"):
        item = found[f"differential_privacy/{name}"]
        assert 7 < item.estimate <= 8
        assert (item.unit, item.detail["delta"]) == ("patient", pytest.approx(1e-4))
        assert abs(item.detail["prv"] - item.detail["pld"]) <= 0.01 * item.estimate
        assert item.estimate <= item.detail["rdp_upper_bound"]
        assert len(item.detail["head"]) == 64
    assert "not_assessed/differential_privacy" not in found
    assert found["federation/cman/member0"].detail["sites_per_round"] == [2, 2]


def test_a_site_whose_budget_is_spent_says_so_and_nothing_of_it_leaves(done):
    out = done.root / "out"
    journal = "".join(p.read_text(encoding="utf-8") for p in (out / "federation").glob("*.jsonl"))
    assert "HZ93" in journal
    assert "group patients would spend epsilon" in journal
    kinds = {item.kind for item in read_outbox(done.folders["north"].path)}
    assert "update" not in kinds
    assert done.evidence()["differential_privacy/north"].estimate == 0


def test_every_step_that_was_charged_was_taken(done):
    with SpendLedger.open(done.folders["east"].path / LEDGER, {GROUP: CAP}) as ledger:
        assert not ledger.unsettled()
        (spend,) = ledger.spends(GROUP)
    assert spend.steps == done.evidence()["differential_privacy/east"].detail["steps"]


def test_the_dossier_tells_each_sites_epsilon(done):
    pages = "".join(p.read_text(encoding="utf-8") for p in (done.root / "out").rglob("*.html"))
    assert "Privacy loss of a patient (epsilon), east" in pages
    assert "training was not differentially private" not in pages


def test_what_hides_a_hospital_is_reckoned_over_all_rounds_and_models(done):
    federation = load_study(done.file).federation
    assert federation is not None
    noisy = federation.model_copy(update={"client_noise": 4.0, "maximum_norm": 1.0, "rounds": 5})
    study = load_study(done.file).model_copy(update={"federation": noisy})
    found = client_evidence(study, models=2)
    assert (found.unit, found.detail["steps"]) == ("site", 10)
    # ten Gaussian mechanisms at multiplier 4: mu = sqrt(10) / 4 of Gaussian differential privacy
    mu, delta = math.sqrt(10) / 4, found.detail["delta"]
    exact = brentq(
        lambda e: norm.cdf(mu / 2 - e / mu) - math.exp(e) * norm.cdf(-mu / 2 - e / mu) - delta, 0, 20
    )
    assert found.estimate == pytest.approx(exact, rel=0.01)
