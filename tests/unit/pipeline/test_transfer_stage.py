"""Nothing starts unless the rules permit every flow; what they permit stands in the ledger."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.errors import PolicyError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.stage import Run
from huizhen.pipeline.transfer_stage import permitted_flows, transfer_stage

PAPERS = [{"kind": "impact_assessment", "id": "I-1", "issued": date(2026, 1, 1)}]


def study(**transfer: Any) -> Study:
    source = {"reader": "npz", "modality": "US", "path": "a.npz", "labels": "a.csv"}
    source["columns"] = {"patient": "who", "outcome": "what"}  # type: ignore[assignment]  # a table within
    return Study.model_validate(
        {
            "name": "abroad",
            "title": "Abroad",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
            "modality": [{"name": "US", "size": 32}],
            "site": [{"name": "north", "jurisdiction": "DE", "source": [source]}],
            **({"transfer": transfer} if transfer else {}),
        }
    )


def run(study: Study, folder: Path, log: Log, key: SigningKey) -> Run:
    return Run(
        study=study,
        folder=folder,
        roots=(folder,),
        key=key,
        log=log,
        cache=Cache(folder / "cache"),
        progress=Silent(),
    )


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create_or_load(tmp_path / "key.pem")


def test_what_is_permitted_is_entered_once(tmp_path: Path, key: SigningKey) -> None:
    told = {"lead": "FR", "facts": {"consent_explicit": True}, "document": PAPERS}
    with Log.open(tmp_path / "ledger", key) as log:
        for _ in range(2):
            asked = run(study(**told), tmp_path, log, key)
            assert transfer_stage(asked, permitted_flows(asked, tmp_path / "study.toml")) is not None
        found = [entry.body for entry in log.entries if entry.kind == "evidence"]
    (one,) = found
    assert one["key"] == "transfer/north/lead/images"
    assert one["verdict"] == "pass"
    assert one["detail"]["documents"] == ["I-1"]
    assert "GDPR-eea" in one["detail"]["rules"]


def test_what_is_not_permitted_stops_before_anything_is_entered(tmp_path: Path, key: SigningKey) -> None:
    with Log.open(tmp_path / "ledger", key) as log:
        asked = run(study(lead="FR", facts={"consent_explicit": True}), tmp_path, log, key)
        with pytest.raises(PolicyError, match=r"north>lead/images \(impact_assessment\)"):
            permitted_flows(asked, tmp_path / "study.toml")
        assert not log.entries


def test_a_study_that_says_nothing_of_transfers_is_as_before(tmp_path: Path, key: SigningKey) -> None:
    assert "transfer" not in study().model_dump(mode="json")
    with Log.open(tmp_path / "ledger", key) as log:
        asked = run(study(), tmp_path, log, key)
        assert permitted_flows(asked, tmp_path / "study.toml") is None
        assert transfer_stage(asked, None) is None
        assert not log.entries
