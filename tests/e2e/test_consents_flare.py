"""A patient withdraws while a federation over NVIDIA FLARE trains: the next round is without them.

On the loopback interface, all in processes of their own: FLARE's server, three sites with their jobs, and the
lead. The hospitals' registers are ordinary files, which somebody changes meanwhile; one site is stopped and
started again right after.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "pipeline"))
from consent_hospitals import COUNT, withdraw, write_hospitals

from huizhen.data.consent.barred import person_key
from huizhen.federate.engines.flare import Deployment, attach, provision, start_server, start_site, stop
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, Learning, read_learned

SRC = Path(__file__).parents[2] / "src"
SITES = ("east", "north", "west")
MODEL = "cman/member0"
ROUNDS = 8
SOON_S = 240.0

pytestmark = pytest.mark.slow


def trained(site: Path) -> list[Learning]:
    """Return the rounds that a site has begun to train so far, in order."""
    return [one for one in read_learned(site) if one.how is How.TRAINED and one.model == MODEL]


def last_round(site: Path) -> int:
    """Return the last round that a site has begun; -1 before the first."""
    return max((one.round or 0 for one in trained(site)), default=-1)


def wait_for_round(site: Path, number: int, running: subprocess.Popen[bytes]) -> None:
    """Wait until a site has begun a round."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if running.poll() is not None or last_round(site) >= number:
            return
        time.sleep(0.02)
    raise AssertionError(f"no round {number} within {SOON_S} s")


@contextmanager
def deployed(root: Path, lead: SigningKey) -> Iterator[tuple[Deployment, dict[str, SiteFolder]]]:
    """Start a server and the sites on this machine, each with its folder; stop them all at the end."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    kits = provision(root / "lead", lead="lead@centre.org", sites=SITES, host="localhost", port=port)
    rules = SitePolicy(signers=(lead.public.hex,))
    folders: dict[str, SiteFolder] = {}
    with ExitStack() as ending:
        for name in SITES:
            place = root / "hospitals" / name
            folders[name] = SiteFolder.create(place, name=name, data=root / "data", policy=rules)
            attach(kits.site(name), site=place)
        ending.callback(stop, kits.server)
        start_server(kits.server, wait_s=SOON_S)
        for name in SITES:
            ending.callback(stop, kits.site(name))
            start_site(kits.site(name))
        yield kits, folders


def test_a_withdrawal_stops_use_within_one_round_over_flare(tmp_path: Path) -> None:
    file = write_hospitals(tmp_path, rounds=ROUNDS)
    out, home = tmp_path / "out", tmp_path / "home"
    key = SigningKey.create_or_load(home / "signing_key.pem")
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUIZHEN_")}
    env |= {"PYTHONPATH": str(SRC), "HUIZHEN_HOME": str(home)}
    begun = time.monotonic()
    with deployed(tmp_path, key) as (kits, folders):
        north = folders["north"]
        peers = tmp_path / "peers.json"
        peers.write_text(json.dumps({name: one.key.public.hex for name, one in folders.items()}))
        words = ["federation", "lead", str(file), "--out", str(out), "--peers", str(peers)]
        command = [sys.executable, "-m", "huizhen.cli", "--json", *words, "--flare", str(kits.path)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as running:
            wait_for_round(north.path, 2, running)
            secret = people_secret(north.key)
            names = {person_key(secret, "north", f"north-{i}"): i for i in range(COUNT)}
            who = min(names[key] for key in trained(north.path)[0].people)
            withdraw(tmp_path / "data", "north", who)
            at = last_round(north.path)
            stop(kits.site("north"))
            start_site(kits.site("north"))
            answer = json.loads(running.communicate(timeout=600)[0].splitlines()[-1])
        assert running.returncode == 0, answer
    gone = next(key for key, number in names.items() if number == who)
    rounds = {one.round: gone in one.people for one in trained(north.path)}
    last = max(number or 0 for number, used in rounds.items() if used)
    assert last <= at + 1, f"used in round {last}, withdrawn while round {at} was the last begun"
    ledger = (out / "ledger" / "entries.jsonl").read_text(encoding="utf-8")
    bodies = [json.loads(line)["body"] for line in ledger.splitlines()]
    (told,) = [body for body in bodies if body.get("key") == f"federation/{MODEL}"]
    counts, sites = (told["detail"][name] for name in ("patients_per_round", "sites_per_round"))
    assert sites[-1] == len(SITES), f"the site that was started again isn't back: {sites}"
    whole = [count for count, present in zip(counts, sites, strict=True) if present == len(SITES)]
    assert whole[0] - whole[-1] == 1
    (since,) = [body for body in bodies if body.get("key") == "consent_rounds/all"]
    assert (since["detail"]["left_out"], since["detail"]["withdrawn"]) == (1, 1)
    took = time.monotonic() - begun
    print(f"withdrawn during round {at} of {ROUNDS}; last used in {last}; {counts}, {sites}; {took:.0f} s")
