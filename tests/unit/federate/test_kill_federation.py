"""Killed at random moments, lead and sites come to the same weights and the same AUC, bit for bit.

`benchmarks/kill_federation.py` does it as often as one likes; here a few times, and once with sites that
forget, which must be found out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "kill_federation.py"


def killed(*options: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_killed_federations_end_like_an_undisturbed_one():
    found = killed("--kills", "6", "--seed", "7")
    assert sum(found["kills"].values()) == 6
    assert found["differ"] == []


@pytest.mark.slow
def test_sites_that_forget_are_found_out():
    assert killed("--kills", "4", "--seed", "7", "--forgetful")["differ"]
