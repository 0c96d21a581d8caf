"""A locked model's card: the same form wherever it was trained, of CMAN alone, with every limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huizhen.core.study import Study
from huizhen.data.tables import TableEncoding
from huizhen.models.card import check_card
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.model_bundle import card_values, frozen_encoders, write_card
from huizhen.validate.calibration import Platt

CLINIC = {"name": "clinic", "kind": "table", "numeric": ["age"]}
IMAGES = {"name": "US", "encoder": "resnet18", "pretrained": False, "size": 32}
TRAINING = {"sites": ["a"], "n": 4, "n_events": 2}


def values(study: Study, **more: object) -> dict[str, object]:
    """Return the card of a study with a decision for CMAN, a subset of it, and a baseline."""
    decision = Decision(platt=Platt(intercept=0.5, slope=2.0), threshold=0.4)
    decisions = {name: {0: decision} for name in ("cman", "cman|clinic", "table_lr", "specialist|clinic+US")}
    encodings = [{m.name: TableEncoding.fit([{"age": 50.0}], m) for m in study.table_modalities}]
    return card_values(study, decisions, encodings, training=TRAINING, **more)  # type: ignore[arg-type]  # limits


def test_it_is_a_card_of_cman_and_its_subsets_alone(make_study: Callable[..., Study], tmp_path: Path) -> None:
    card = check_card(values(make_study(CLINIC, IMAGES)), file="card.json")
    assert set(card.thresholds) == set(card.calibration) == {"cman/fold0", "cman|clinic/fold0"}
    assert card.calibration["cman/fold0"].slope == 2.0
    assert card.training.seed == 7
    assert card.preprocessing["US"]["letterbox"] == 32
    assert set(card.preprocessing["clinic"]) == {"fold0"}
    write_card(tmp_path, card)
    assert {path.name for path in tmp_path.rglob("model_card.*")} == {"model_card.json", "model_card.md"}


def test_limits_are_those_of_every_model_and_its_own(make_study: Callable[..., Study]) -> None:
    plain = values(make_study(CLINIC))["limits"]
    more = values(make_study(CLINIC, phantom=True), limits=["Only so."])["limits"]
    assert isinstance(plain, list)
    assert isinstance(more, list)
    assert more[: len(plain)] == plain
    assert "phantoms" in more[-2]
    assert more[-1] == "Only so."


def test_encoders_are_in_the_bundle_where_features_are_of_them(make_study: Callable[..., Study]) -> None:
    assert frozen_encoders(make_study(IMAGES, training={"mode": "finetune"})) == {}
    found = frozen_encoders(make_study(IMAGES, CLINIC, training={"mode": "frozen"}))
    assert found
    assert all(name.startswith("encoder/US/") for name in found)
