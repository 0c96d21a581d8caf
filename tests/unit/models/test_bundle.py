"""Bundles: what is saved is loaded, and nothing else is."""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from huizhen.core.digests import Digest, canonical_json
from huizhen.errors import ModelError
from huizhen.models import bundle as room
from huizhen.models.bundle import bundle_digest, load_bundle, save_bundle
from huizhen.models.card import Card, check_card, model_card_markdown

FILES = ["weights.safetensors", "card.json", "digest.txt"]


def card_values(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "axilla",
        "version": "1.2.0",
        "study_digest": "ab" * 32,
        "task": {"outcome": "node status", "positive": ["N+"], "negative": ["N0"]},
        "modalities": [
            {"name": "MR", "kind": "image", "channels": 3},
            {"name": "clinical", "kind": "table", "numeric": ["age_years"]},
        ],
        "preprocessing": {
            "MR": {"size": 128, "mean": [0.1, 0.2, 0.3]},
            "clinical": {"mean": {"age_years": 51.5}},
        },
        "thresholds": {"cman": 0.37, "single:MR": 0.4},
        "calibration": {
            "cman": {"method": "logistic", "slope": 0.9, "intercept": -0.1},
            "single:MR": {"method": "none"},
        },
        "training": {"sites": ["north", "south"], "n": 210, "n_events": 80, "seed": 7},
        "intended_use": "Research on axillary staging | before surgery.",
        "limits": ["Two scanners only.", "Not for men."],
        "phantom": False,
    }
    return values | changes


def some_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    return dict(network.state_dict())


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Digest]:
    folder = tmp_path / "model"
    return folder, save_bundle(folder, weights=some_weights(), card=card_values())


def forge(folder: Path, weights: bytes, card: bytes) -> None:
    """Write a bundle whose digest is right, whatever is inside."""
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "card.json").write_bytes(card)
    (folder / "digest.txt").write_text(f"{bundle_digest(weights, card)}\n")


def good_card() -> bytes:
    return check_card(card_values(), file="card.json").canonical()


def test_what_was_saved_is_loaded(saved: tuple[Path, Digest]) -> None:
    folder, digest = saved
    loaded = load_bundle(folder, expected=digest)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert loaded.digest == digest
    assert loaded.card == Card.model_validate(card_values())
    assert set(loaded.weights) == set(some_weights())
    for name, tensor in some_weights().items():
        assert torch.equal(loaded.weights[name], tensor)
        assert loaded.weights[name].dtype is tensor.dtype


def test_bytes_depend_on_values_alone(saved: tuple[Path, Digest], tmp_path: Path) -> None:
    weights = {
        name: tensor.t().contiguous().t() if tensor.ndim == 2 else tensor
        for name, tensor in reversed(some_weights().items())
    }
    card = dict(reversed(card_values().items()))
    assert save_bundle(tmp_path / "again", weights=weights, card=card) == saved[1]
    for name in FILES:
        assert (saved[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_weights_that_share_memory_are_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    save_bundle(tmp_path / "model", weights={"a": base, "b": base.t(), "c": base[1:]}, card=card_values())
    loaded = load_bundle(tmp_path / "model").weights
    assert torch.equal(loaded["b"], base.t())
    assert torch.equal(loaded["c"], base[1:])


def test_loaded_weights_fit_a_network_and_can_be_trained_on(saved: tuple[Path, Digest]) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    weights = load_bundle(saved[0]).weights
    network.load_state_dict(dict(weights))
    for tensor in weights.values():
        tensor.add_(1)  # memory is the caller's own


@pytest.mark.parametrize("kind", ["folder", "empty", "file", "link"])
def test_nothing_is_overwritten(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "model"
    if kind == "folder":
        save_bundle(target, weights=some_weights(), card=card_values())
    elif kind == "empty":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(ModelError, match="exists already"):
        save_bundle(target, weights={"w": torch.zeros(1)}, card=card_values())
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_weights_are_neither_saved_nor_loaded(bad: float, tmp_path: Path) -> None:
    weights = {"w": torch.tensor([0.0, bad])}
    with pytest.raises(ModelError, match="w: holds NaN or infinity"):
        save_bundle(tmp_path / "model", weights=weights, card=card_values())
    assert list(tmp_path.iterdir()) == []
    forge(tmp_path / "model", serialise_tensors(weights), good_card())
    with pytest.raises(ModelError, match="w: holds NaN or infinity"):
        load_bundle(tmp_path / "model")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool])
def test_other_dtypes_are_neither_saved_nor_loaded(dtype: torch.dtype, tmp_path: Path) -> None:
    weights = {"w": torch.zeros(2, dtype=dtype)}
    with pytest.raises(ModelError, match="float32"):
        save_bundle(tmp_path / "model", weights=weights, card=card_values())
    forge(tmp_path / "model", serialise_tensors(weights), good_card())
    with pytest.raises(ModelError, match="float32"):
        load_bundle(tmp_path / "model")


def test_no_weights_and_sparse_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        save_bundle(tmp_path / "model", weights={}, card=card_values())
    with pytest.raises(ModelError, match="sparse"):
        save_bundle(tmp_path / "model", weights={"w": torch.eye(3).to_sparse()}, card=card_values())


@pytest.mark.parametrize("field", sorted(card_values()))
def test_every_field_of_the_card_is_required(field: str, tmp_path: Path) -> None:
    values = card_values()
    del values[field]
    with pytest.raises(ModelError, match=f"{field}: Field required"):
        save_bundle(tmp_path / "model", weights=some_weights(), card=values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "blue"}, "colour: Extra inputs"),
        ({"study_digest": "AB" * 32}, "study_digest"),
        ({"thresholds": {}}, "thresholds"),
        ({"thresholds": {"cman": 1.2}}, "thresholds.cman"),
        ({"thresholds": {"cman": float("nan")}}, "thresholds.cman"),
        ({"thresholds": {"cman|MR": 0.5}}, "without a calibration: cman"),
        ({"calibration": {"cman": {"method": "logistic", "slope": -1.0}}}, "slope"),
        ({"preprocessing": {"MR": {}}}, "different modalities"),
        ({"preprocessing": {"MR": {"mean": float("inf")}, "clinical": {}}}, "canonical|finite"),
        ({"modalities": [{"name": "MR", "kind": "image"}] * 2}, "twice"),
        ({"training": {"sites": [], "n": 1, "seed": 0}}, "training.sites"),
        ({"intended_use": " "}, "intended_use"),
        ({"limits": []}, "limits"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_wrong_cards_are_not_saved(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        save_bundle(tmp_path / "model", weights=some_weights(), card=card_values(**changes))
    assert list(tmp_path.iterdir()) == []


def test_a_threshold_that_calls_nobody_positive_is_kept(tmp_path: Path) -> None:
    never = math.nextafter(1, 2)
    card = card_values(thresholds={"cman": never, "single:MR": 0.0})
    save_bundle(tmp_path / "model", weights=some_weights(), card=card)
    assert load_bundle(tmp_path / "model").card.thresholds["cman"] == never


def test_2000_random_byte_flips_are_all_found(saved: tuple[Path, Digest]) -> None:
    folder, digest = saved
    draw = random.Random(20_16)
    missed = []
    for number in range(2000):
        path = folder / FILES[number % 3]
        position = draw.randrange(path.stat().st_size)
        with path.open("r+b", buffering=0) as file:
            byte = os.pread(file.fileno(), 1, position)
            os.pwrite(file.fileno(), bytes([byte[0] ^ draw.randrange(1, 256)]), position)
            try:
                load_bundle(folder)
                missed.append((path.name, position))
            except ModelError:
                pass
            os.pwrite(file.fileno(), byte, position)
    assert missed == []
    assert load_bundle(folder).digest == digest


def edits() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "appended": lambda data: data + b"\n",
        "truncated": lambda data: data[:-1],
        "emptied": lambda data: b"",
        "byte inserted": lambda data: data[:5] + b" " + data[5:],
        "doubled": lambda data: data + data,
    }


@pytest.mark.parametrize("edit", sorted(edits()))
@pytest.mark.parametrize("name", FILES)
def test_other_edits_are_found(name: str, edit: str, saved: tuple[Path, Digest]) -> None:
    path = saved[0] / name
    path.write_bytes(edits()[edit](path.read_bytes()))
    with pytest.raises(ModelError, match="not those of its digest"):
        load_bundle(saved[0])


def test_a_whole_exchange_is_found_by_the_expected_digest(saved: tuple[Path, Digest], tmp_path: Path) -> None:
    save_bundle(tmp_path / "other", weights={"w": torch.zeros(1)}, card=card_values())
    shutil.rmtree(saved[0])
    (tmp_path / "other").rename(saved[0])
    assert load_bundle(saved[0]).digest != saved[1]
    with pytest.raises(ModelError, match="not the model that was expected"):
        load_bundle(saved[0], expected=saved[1])


@pytest.mark.parametrize("field", ["thresholds", "preprocessing", "calibration"])
def test_one_digest_covers_weights_preprocessing_and_thresholds(field: str, tmp_path: Path) -> None:
    changes: dict[str, dict[str, Any]] = {
        "thresholds": {"cman": 0.38, "single:MR": 0.4},
        "preprocessing": card_values()["preprocessing"] | {"MR": {"size": 160}},
        "calibration": card_values()["calibration"] | {"single:MR": {"method": "temperature"}},
    }
    first = save_bundle(tmp_path / "a", weights=some_weights(), card=card_values())
    second = save_bundle(tmp_path / "b", weights=some_weights(), card=card_values(**{field: changes[field]}))
    assert first != second


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "a.pkl", "B.PTH", "x.ckpt"])
def test_a_pickle_is_named_and_never_opened(name: str, saved: tuple[Path, Digest], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]  # what unpickling would run

    for place in (saved[0] / name, tmp_path / name):
        place.write_bytes(pickle.dumps(Trap()))
        place.chmod(0o000)
    with pytest.raises(ModelError, match=f"pickle, {name}"):
        load_bundle(saved[0])
    with pytest.raises(ModelError, match=f"{name}: is a pickle"):
        load_bundle(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_a_renamed_pickle_is_not_read_as_weights(tmp_path: Path) -> None:
    forge(tmp_path / "model", pickle.dumps({"w": 1}), good_card())
    with pytest.raises(ModelError, match="not safetensors"):
        load_bundle(tmp_path / "model")


@pytest.mark.parametrize("name", [*FILES])
def test_a_missing_or_linked_file_is_refused(name: str, saved: tuple[Path, Digest], tmp_path: Path) -> None:
    (saved[0] / name).rename(tmp_path / name)
    with pytest.raises(ModelError, match=f"lacks {name}"):
        load_bundle(saved[0])
    (saved[0] / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelError, match=f"not plain files: {name}"):
        load_bundle(saved[0])


@pytest.mark.parametrize("name", [".DS_Store", "README.md", "weights.safetensors.part"])
def test_an_extra_file_is_refused(name: str, saved: tuple[Path, Digest]) -> None:
    (saved[0] / name).touch()
    with pytest.raises(ModelError, match=f"holds other files: {name}"):
        load_bundle(saved[0])


def test_an_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be read"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (canonical_json(json.loads(good_card()) | {"schema_version": 2}), "not a card of version 1"),
        (canonical_json(json.loads(good_card()) | {"schema_version": True}), "not a card of version 1"),
        (
            canonical_json({k: v for k, v in json.loads(good_card()).items() if k != "schema_version"}),
            "version",
        ),
        (canonical_json(json.loads(good_card()) | {"colour": "blue"}), "colour"),
        (canonical_json([1, 2]), "version"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (good_card().replace(b'"phantom":false', b'"phantom": false'), "canonical form"),
        (good_card().replace(b'"n":210', b'"n":"210"'), "canonical form"),
        (good_card().replace(b'"n":210', b'"n":5,"n":210'), "canonical form"),
    ],
)
def test_a_card_of_another_form_is_refused_even_with_its_digest(
    card: bytes, message: str, tmp_path: Path
) -> None:
    forge(tmp_path / "model", serialise_tensors(some_weights()), card)
    with pytest.raises(ModelError, match=message):
        load_bundle(tmp_path / "model")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_bytes", full)
    with pytest.raises(Exception, match="No space left"):
        save_bundle(tmp_path / "model", weights=some_weights(), card=card_values())
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_what_the_card_says() -> None:
    page = model_card_markdown(Card.model_validate(card_values()))
    assert "# axilla 1.2.0" in page
    assert "| single:MR | 0.4 | none | 1 | 0 |" in page
    assert "before surgery." in page
    assert "210 patients at north, south, seed 7." in page
    assert "- Not for men." in page
    assert "trained and" not in page
    assert "Phantom" not in page
    assert "staging \\| before" in page


def test_the_page_of_a_phantom_model_says_so_first() -> None:
    page = model_card_markdown(Card.model_validate(card_values(phantom=True, limits=["a\n# b", "<b>"])))
    assert "simulated" in page.splitlines()[2]
    assert "- a # b\n- \\<b\\>\n" in page


def test_a_folder_of_something_else_is_named_so_and_nothing_is_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "stages").mkdir()
    with pytest.raises(ModelError, match="no model's folder") as caught:
        load_bundle(tmp_path)
    assert "remove" not in caught.value.remedy
    assert "huizhen run" in caught.value.remedy


def test_who_trained_and_who_tuned_is_told_apart() -> None:
    values = card_values()
    counts = {"n_train": 150, "n_train_events": 50, "n_tune": 60, "n_tune_events": 21}
    card = Card.model_validate({**values, "training": {**values["training"], **counts}})
    assert "150 (50 events) trained and 60 (21 events) tuned" in model_card_markdown(card)
    assert b'"n_tune":60' in card.canonical()


def test_what_a_card_of_an_earlier_version_lacked_changes_no_digest() -> None:
    training = json.loads(Card.model_validate(card_values()).canonical())["training"]
    assert set(training) == {"sites", "n", "n_events", "seed"}


def test_zooms_stand_in_the_card_where_the_model_has_any() -> None:
    assert "zooms" not in json.loads(Card.model_validate(card_values()).canonical())["network"]
    given = {**card_values(), "network": {"zooms": [0.75, 1.0]}}
    found = json.loads(Card.model_validate(given).canonical())
    assert found["network"]["zooms"] == [0.75, 1.0]
    assert Card.model_validate(found).network.zooms == (0.75, 1.0)
