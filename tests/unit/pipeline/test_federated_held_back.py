"""What a federation does not show: small groups, a site that keeps its own, a column that one lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hospitals import Federation, draws, table, table_source, write_rows, write_study

from huizhen.core.evidence import Verdict
from huizhen.federate.outbox import read_outbox
from huizhen.pipeline.federated_evidence import NOT_ALONE
from huizhen.pipeline.recompute import recompute

SITES = {"east": 130, "north": 130, "west": 130, "far": 60, "abroad": 60}
RARE = 12
"""So many patients of the east have the rare grade; about three of them are tested."""
MORE = """\
[split]
test = 0.3
[evaluation]
resamples = 200
[[subgroup]]
column = "grade"
groups = { low = ["low"], high = ["high"], rare = ["rare"], odd = ["odd"] }
[[subgroup]]
column = "ward"
groups = { one = ["1"], two = ["2"] }
[federation]
rounds = 1
round_timeout_s = 60
"""


def write_data(folder: Path) -> None:
    """Write a table a hospital; the west's has no column ward, a grade is odd at north alone."""
    for name, count in SITES.items():
        rng = draws(name)
        event = rng.random(count) < 0.45
        grade = rng.choice(["low", "high"], count)
        if name == "east":
            grade = np.where(np.arange(count) < RARE, "rare", grade)
        if name == "north":
            grade = np.where(np.arange(count) % 2, "odd", grade)
        rows = [
            {
                "patient": f"{name}-{i}",
                "event": int(event[i]),
                "x": f"{rng.normal(event[i], 1.2):.3f}",
                "grade": grade[i],
                **({} if name == "west" else {"ward": 1 + i % 2}),
            }
            for i in range(count)
        ]
        write_rows(folder / f"{name}.csv", rows)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    root = tmp_path_factory.mktemp("held-back")
    (root / "data").mkdir()
    write_data(root / "data")
    file = write_study(
        root / "data",
        "held-back",
        modalities=table("t", ["x"]),
        sites=SITES,
        source=lambda site: table_source("t", f"{site}.csv", outcome="event"),
        more=MORE,
    )
    policies = {"abroad": {"score_histograms": False}}
    found = Federation(root=root, file=file, names=tuple(SITES), policies=policies)
    found.result = found.run()
    return found


def test_groups_at_one_site_alone_are_held_back_whatever_their_size(done):
    """The odd ones are about twenty tested patients, all of the north: their sum would be its own."""
    found = done.evidence()
    for name in ("rare", "odd"):
        line = found[f"subgroup/cman/internal/grade/{name}"]
        assert (line.verdict, line.n) == (Verdict.NOT_ASSESSED, None)
        assert "too few sites" in line.reason
    for name in ("low", "high"):
        assert found[f"subgroup/cman/internal/grade/{name}"].estimate is not None
    told = found["grouping/cman/internal/grade"].detail
    assert (told["groups"], told["ungrouped"]) == (4, 0)


def test_what_is_held_back_stands_in_no_file_of_the_lead(done):
    for file in (done.root / "out").rglob("scores_test.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        assert record["held_back"]["grade"]["groups"] == ["rare", "odd"]
        names = {group["group"] for block in record["blocks"] for group in block["groups"]}
        assert names & {"rare", "odd"} == set()


def test_patients_of_a_site_without_the_column_are_in_no_group(done):
    """The rest are at two of three sites, so that the groups are held back."""
    found = done.evidence()
    assert found["grouping/cman/internal/ward"].verdict is Verdict.NOT_ASSESSED
    assert "no patient is in a group" in found["grouping/cman/internal/ward"].reason
    assert found["subgroup/cman/external/ward/one"].estimate is not None


def test_no_external_site_is_asked_alone_when_one_keeps_its_own(done):
    found = done.evidence()
    assert found["auc/cman/external/all"].n == SITES["far"] + SITES["abroad"]
    assert "auc/cman/external/far" not in found
    assert found["heterogeneity/cman/external/site"].reason == NOT_ALONE
    for name in ("far", "abroad"):
        lines = read_outbox(done.folders[name].path)
        large = [line.kind for line in lines if line.size > 200_000]
        assert set(large) == {"masked"}, "distributions left under masks only"


def test_it_is_made_again_from_the_dossier(done):
    assert recompute(done.result.dossier).differing == ()
