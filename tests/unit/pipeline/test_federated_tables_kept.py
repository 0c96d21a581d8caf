"""Tables in a federation when things go wrong: kills, policies that refuse, levels that can't be named."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from federated_sites import Federation, write_rows

from huizhen.errors import HuizhenError, PolicyError
from huizhen.federate.policy import SitePolicy

SITES = {"east": 40, "north": 44}
STUDY = """\
name = "kept"
title = "Kept"
question = "Does the event follow?"
seed = 5
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age"]
categorical = ["grade"]
{levels}
{sites}
[network]
variants = ["cman", "table_lr"]
width = 16
heads = 2
[training]
epochs = 1
[federation]
rounds = 2
round_timeout_s = 60
quorum = 1.0
"""
SITE = """
[[site]]
name = "{name}"
[[site.source]]
reader = "table"
modality = "clinic"
path = "{name}.csv"
columns = {{ patient = "patient", outcome = "event" }}
"""


def federation(root: Path, *, grades: tuple[str, ...] = ("1", "2"), levels: str = "") -> Federation:
    """Return a federation of two hospitals with one table."""
    (root / "data").mkdir(parents=True)
    for name, count in SITES.items():
        rng = np.random.default_rng(sum(map(ord, name)))
        rows = [
            {
                "patient": f"{name}-{i}",
                "event": i % 2,
                "age": f"{rng.normal(50 + 6 * (i % 2), 8):.2f}",
                "grade": str(rng.choice(grades)),
            }
            for i in range(count)
        ]
        write_rows(root / "data" / f"{name}.csv", rows)
    sites = "".join(SITE.format(name=name) for name in SITES)
    file = root / "data" / "study.toml"
    file.write_text(STUDY.format(sites=sites, levels=levels), encoding="utf-8")
    return Federation(root=root, file=file, names=tuple(SITES))


class Killed(BaseException):
    """The lead's process ends here."""


def killing_at(number: int) -> Any:
    """Return a wrapper under which the lead dies at its `number`th frame to a site."""
    left = [number]

    def wrap(sites: Mapping[str, Any]) -> Mapping[str, Any]:
        def answering(answer: Any) -> Any:
            def answered(frame: bytes) -> bytes:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return bytes(answer(frame))

            return answered

        return {name: answering(answer) for name, answer in sites.items()}

    return wrap


def kept(found: Federation) -> dict[str, bytes]:
    """Return what the lead keeps of tables and fits: everything that must be the same."""
    stages = (found.root / "out" / "stages").glob("*/*")
    names = ("encodings.json", "weights.safetensors", "decisions.json")
    return {p.parent.name.rsplit("-", 1)[0]: p.read_bytes() for p in stages if p.name in names}


def test_a_killed_run_ends_in_the_same_encodings_floors_and_weights(tmp_path):
    whole, broken = federation(tmp_path / "whole"), federation(tmp_path / "broken")
    whole.run()
    for number in (9, 40, 90, 200):
        with pytest.raises(Killed):
            broken.run(answers=killing_at(number))
    broken.run()
    assert set(kept(whole)) == set(kept(broken)) >= {"tables", "fit-cman-member0", "fit-table_lr-member0"}
    assert kept(whole) == kept(broken)


def refusals(found: Federation) -> str:
    """Return what the sites refused, as the lead's journal has it."""
    lines = (found.root / "out/federation/journal.jsonl").read_text(encoding="utf-8").splitlines()
    return " ".join(str(json.loads(line).get("reason", "")) for line in lines)


@pytest.mark.parametrize(
    "policy",
    [{"category_names": False}, {"smallest_count": 9}],
    ids=["names", "count"],
)
def test_a_site_that_lets_no_names_of_categories_out_refuses(tmp_path, policy):
    found = federation(tmp_path)
    found.policies = {"north": policy}
    with pytest.raises(PolicyError, match="fewer than the quorum"):
        found.run()
    (field,) = policy
    assert field in refusals(found)


def test_levels_that_the_study_states_are_never_asked_for(tmp_path):
    found = federation(tmp_path, levels='levels = { grade = ["1", "2", "3"] }')
    found.policies = {name: {"category_names": False} for name in SITES}
    found.run()
    (column,) = [
        c for c in found.evidence()["encoding/clinic/fold0"].detail["columns"] if c["name"] == "grade"
    ]
    assert column["levels"] == ["1", "2", "3"]
    assert column["other"] is False


def test_a_level_with_too_long_a_name_is_refused_without_saying_it(tmp_path):
    found = federation(tmp_path, grades=("1", "secret" * 20))
    with pytest.raises(HuizhenError) as caught:
        found.run()
    assert "secret" not in str(caught.value)
    assert "more than 64 bytes" in refusals(found)
    assert "secret" not in refusals(found)


def test_policies_name_what_they_refuse():
    SitePolicy(smallest_count=5).name_levels(smallest=5)
    SitePolicy().tell_heat()
    for refused, field in (
        (lambda: SitePolicy(category_names=False).name_levels(smallest=99), "category_names"),
        (lambda: SitePolicy(smallest_count=6).name_levels(smallest=5), "smallest_count"),
        (lambda: SitePolicy(heatmap_sums=False).tell_heat(), "heatmap_sums"),
    ):
        with pytest.raises(PolicyError) as caught:
            refused()
        assert caught.value.field == field
