"""A patient's own privacy loss: of the rounds that they were in, and of no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from huizhen.core.cohort import Case
from huizhen.core.digests import Digest
from huizhen.core.study import Study
from huizhen.data.consent.barred import person_key
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import FOLDER, How, Learned
from huizhen.pipeline.patient_spend import epsilon_of
from huizhen.pipeline.site_privacy import LEDGER
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger

SPEND = Spend(sampling_rate=0.2, noise_multiplier=1.3, steps=5)
MODEL = "cman/member0"


def study(**more: object) -> Study:
    source = {"reader": "npz", "modality": "US", "path": "t.npz", "labels": "t.csv"}
    source |= {"columns": {"patient": "p", "outcome": "y"}}  # type: ignore[dict-item]  # as TOML has it
    return Study.model_validate(
        {
            "name": "private",
            "title": "Private",
            "question": "?",
            "seed": 3,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "US", "size": 32, "norm": "group"}],
            "site": [{"name": name, "source": [source]} for name in ("north", "south")],
            "network": {"variants": ["cman"], "alignment_weight": 0},
            "federation": {"rounds": 3},
            **more,
        }
    )


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    """A site that trained three rounds; Ben left after the first."""
    asked = study(privacy={"epsilon": 8, "delta": 1e-4, "sampling": 8})
    made = SiteFolder.create(tmp_path / "north", name="north", data=tmp_path)
    folder = made.study(asked.digest)
    folder.mkdir(parents=True)
    (folder / "invitation.json").write_text(json.dumps({"definition": asked.model_dump_json()}))
    caps = {GROUP: Cap(epsilon=1e6, delta=1e-4)}
    learned = Learned(
        file=made.path / FOLDER / "x.jsonl",
        study=asked.name,
        digest=asked.digest,
        version=1,
        study_file="",
        folder=str(folder),
        secret=people_secret(made.key),
    )
    cases = [
        Case(pseudonym=f"P-{n}", patient_id=n, site="north", outcome=1, images={}, covariates={})
        for n in ("Anna", "Ben")
    ]
    with SpendLedger.open(made.path / LEDGER, caps) as ledger:
        for number in range(3):
            learned.note(How.TRAINED, MODEL, cases[: 2 if number == 0 else 1], number=number)
            paid = ledger.reserve(
                study=Digest(asked.digest), round_number=number, group=GROUP, spends=[SPEND]
            )
            ledger.settle(paid, [SPEND])
    return made


def test_who_was_left_out_of_a_round_is_not_charged_for_it(site: SiteFolder) -> None:
    digest = next((site.path / "studies").iterdir()).name
    secret = people_secret(site.key)
    anna, ben, nobody = (person_key(secret, "north", name) for name in ("Anna", "Ben", "Cem"))
    found = epsilon_of(site, digest, [anna, ben, nobody])
    assert found[anna] == pytest.approx(account([SPEND] * 3, delta=1e-4).epsilon)
    assert found[ben] == pytest.approx(account([SPEND], delta=1e-4).epsilon)
    assert found[nobody] == 0.0
    assert found[ben] < found[anna]


def test_a_study_without_privacy_or_of_another_site_has_none(site: SiteFolder) -> None:
    plain = study()
    folder = site.study(plain.digest)
    folder.mkdir(parents=True)
    (folder / "invitation.json").write_text(json.dumps({"definition": plain.model_dump_json()}))
    assert epsilon_of(site, plain.digest, ["x"]) == {}
    assert epsilon_of(site, "0" * 64, ["x"]) == {}
