"""The appendix: each stage says which entries it was made from, so that the chain can be followed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from huizhen.dossier.sections.appendix import LONGEST_LIST, sources_of


def test_each_stage_names_the_entries_before_it(built: Path, built_zh: Path) -> None:
    lines = (built / "ledger" / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    stages = [k for k, line in enumerate(lines) if json.loads(line)["kind"] == "stage"]
    assert len(stages) > 2
    for page, pattern in ((built, r", from #(\d+)"), (built_zh, r"，依据 #(\d+)")):
        text = (page / "index.html").read_text(encoding="utf-8")
        assert sorted({int(k) for k in re.findall(pattern, text)}) == stages[:-1]


@pytest.mark.parametrize(
    "inputs", [None, [], "c0", {"c0": 1}, [1, "c0"], [{"what": "x", "digest": "unknown"}]]
)
def test_stages_without_known_sources_name_none(inputs: object) -> None:
    assert sources_of({"inputs": inputs}, {"c0": 4}) == ""


def test_many_sources_are_cut() -> None:
    body = {"inputs": [{"what": "fit", "digest": f"d{k}"} for k in range(40)]}
    shown = sources_of(body, {f"d{k}": 100 - k for k in range(40)})
    assert shown.startswith("#61, #62, ")
    assert shown.endswith(", …")
    assert shown.count("#") == LONGEST_LIST
