"""Tables in a federation when things go wrong: kills, policies that refuse, levels that can't be named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hospitals import Answers, Federation, Killed, draws, table, table_source, write_rows, write_study

from huizhen.errors import HuizhenError, PolicyError
from huizhen.federate.policy import SitePolicy

SITES = {"east": 40, "north": 44}
MORE = "[federation]\nrounds = 2\nround_timeout_s = 60\nquorum = 1.0\n"


def federation(root: Path, *, grades: tuple[str, ...] = ("1", "2"), levels: str = "") -> Federation:
    """Return a federation of two hospitals with one table."""
    file = write_study(
        root / "data",
        "kept",
        modalities=table("clinic", ["age"], ["grade"], levels),
        sites=SITES,
        source=lambda name: table_source("clinic", f"{name}.csv", outcome="event"),
        seed=5,
        variants=("cman", "table_lr"),
        more=MORE,
    )
    for name, count in SITES.items():
        rng = draws(name)
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
    return Federation(root=root, file=file, names=tuple(SITES))


def killing_at(number: int) -> Callable[[Answers], Answers]:
    """Return a wrapper under which the lead dies at its `number`th frame to a site."""
    left = [number]

    def wrap(sites: Answers) -> Answers:
        def answering(answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
            def answered(frame: bytes) -> bytes:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return answer(frame)

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
