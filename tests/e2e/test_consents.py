"""A patient withdraws while a federation of real processes trains: the next round is without them.

The hospitals' registers are ordinary files, which somebody changes while sites and lead are running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "pipeline"))
from consent_hospitals import COUNT, register, withdraw, write_hospitals

from huizhen.data.consent.barred import person_key
from huizhen.federate.site.folder import SiteFolder
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, Learning, read_learned

SRC = Path(__file__).parents[2] / "src"
MODEL = "cman/member0"
ROUNDS = 8
SOON_S = 240.0


def trained(site: Path) -> list[Learning]:
    """Return the rounds that a site has begun to train so far, in order."""
    found = read_learned(site)
    return [one for one in found if one.how is How.TRAINED and one.model == MODEL and one.round is not None]


def wait_for_round(site: Path, number: int, running: subprocess.Popen[bytes]) -> None:
    """Wait until a site has begun a round."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if running.poll() is not None or any((one.round or 0) >= number for one in trained(site)):
            return
        time.sleep(0.02)
    raise AssertionError(f"no round {number} within {SOON_S} s")


@pytest.mark.slow
def test_a_withdrawal_stops_use_within_one_round(tmp_path: Path) -> None:
    file = write_hospitals(tmp_path, rounds=ROUNDS)
    data, out = tmp_path / "data", tmp_path / "out"
    site = out / "sites" / "north"
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUIZHEN_")}
    env |= {"PYTHONPATH": str(SRC), "HUIZHEN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "huizhen.cli", "run", str(file), "--data", str(data), "--out", str(out)]
    with subprocess.Popen([*command, "--json"], env=env, stdout=subprocess.PIPE) as running:
        wait_for_round(site, 2, running)
        folder = SiteFolder.open(site)
        names = {person_key(people_secret(folder.key), "north", f"north-{i}"): i for i in range(COUNT)}
        (first, *_) = trained(site)
        who = min(names[key] for key in first.people)
        withdraw(data, "north", who)
        at = max(one.round or 0 for one in trained(site))
        answer = json.loads(running.communicate(timeout=600)[0])
    assert running.returncode == 0, answer
    key = next(key for key, number in names.items() if number == who)
    rounds = {one.round: key in one.people for one in trained(site)}
    assert set(rounds) == set(range(ROUNDS))
    last = max(number or 0 for number, used in rounds.items() if used)
    assert last <= at + 1, f"used in round {last}, withdrawn while round {at} was the last begun"
    ledger = (out / "ledger" / "entries.jsonl").read_text(encoding="utf-8")
    bodies = [json.loads(line)["body"] for line in ledger.splitlines()]
    (told,) = [b for b in bodies if b.get("key") == f"federation/{MODEL}"]
    counts = told["detail"]["patients_per_round"]
    assert counts[0] - counts[-1] == 1
    assert counts == sorted(counts, reverse=True)
    register(data, "north")  # a new consent is for the study's next version
    print(f"withdrawn during round {at} of {ROUNDS}; last used in round {last}; patients {counts}")
