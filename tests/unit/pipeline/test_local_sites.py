"""Sites on this machine: folders, peers, processes that are started again and end with their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from huizhen.errors import FederationError
from huizhen.federate.site.borders import check_borders
from huizhen.federate.site.folder import SITE, SiteFolder
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.local_sites import (
    HIDDEN,
    HUIZHEN,
    Supervisor,
    prepare_sites,
    read_peers,
    write_peers,
)

SOON_S = 60.0
COUNTS = "import os, sys, time; open(sys.argv[1], 'a').write(str(os.getpid()) + '\\n'); time.sleep(600)"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that nobody waits for counts as ended)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_sites_are_made_once_and_accept_the_lead(tmp_path, make_study):
    study, lead = make_study({"name": "US", "kind": "image"}), SigningKey.generate()
    first = prepare_sites(study, tmp_path, data=tmp_path / "data", lead=lead)
    again = prepare_sites(study, tmp_path, data=tmp_path / "elsewhere", lead=lead)
    assert first["a"].key.public == again["a"].key.public
    assert again["a"].data == first["a"].data, "where the data lies is the site's to say"
    assert again["a"].policy().signers == (lead.public.hex,)
    assert again["a"].policy().studies == (study.name,)


def test_folders_of_one_machine_stand_nowhere_where_the_study_says_nothing_of_transfers(tmp_path, make_study):
    study = make_study({"name": "US", "kind": "image"})
    sites = [site.model_copy(update={"jurisdiction": "DE"}) for site in study.site]
    study = study.model_copy(update={"site": sites})
    found = prepare_sites(study, tmp_path, data=tmp_path, lead=SigningKey.generate())
    assert {site.jurisdiction for site in found.values()} == {""}
    for site in found.values():
        check_borders(study, site)


def test_another_sites_folder_is_refused(tmp_path, make_study):
    study = make_study({"name": "US", "kind": "image"})
    SiteFolder.create(tmp_path / "a", name="b", data=tmp_path)
    with pytest.raises(FederationError, match="is the folder of b"):
        prepare_sites(study, tmp_path, data=tmp_path, lead=SigningKey.generate())
    assert (tmp_path / "a" / SITE).exists()


def test_peers_are_names_and_keys_and_nothing_else(tmp_path):
    site = SiteFolder.create(tmp_path / "a", name="a", data=tmp_path / "secret-place")
    write_peers(tmp_path / "peers.json", {"a": site})
    assert read_peers(tmp_path / "peers.json") == {"a": site.key.public}
    assert "secret-place" not in (tmp_path / "peers.json").read_text()
    assert "HUIZHEN_DATA" in HIDDEN


@pytest.mark.parametrize("text", ["", "[]", '{"a": "short"}', '{"a": 5}'])
def test_another_file_is_no_list_of_peers(tmp_path, text):
    (tmp_path / "peers.json").write_text(text)
    with pytest.raises(FederationError, match="no file of sites' public keys"):
        read_peers(tmp_path / "peers.json")


def test_a_site_that_dies_is_started_again_and_all_end_with_the_run(tmp_path):
    log = tmp_path / "pids"
    supervisor = Supervisor(
        commands={"a": [sys.executable, "-c", COUNTS, str(log)]}, logs=tmp_path / "logs", env=dict(os.environ)
    )
    supervisor.start()
    try:
        until(lambda: log.exists() and len(log.read_text().split()) == 1)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)
        until(lambda: len(log.read_text().split()) == 2)
    finally:
        supervisor.stop()
    assert not any(alive(int(pid)) for pid in log.read_text().split())


def test_processes_end_when_whoever_started_them_is_killed(tmp_path):
    """SIGKILL gives the starter no chance to stop its sites; they notice by themselves."""
    site = SiteFolder.create(tmp_path / "a", name="a", data=tmp_path)
    starter = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from huizhen.pipeline.local_sites import running_sites\n"
        "from huizhen.federate.site.folder import SiteFolder\n"
        "site = SiteFolder.open(Path(sys.argv[1]))\n"
        "with running_sites({'a': site}, Path(sys.argv[2]), Path(sys.argv[3])) as running:\n"
        "    print(running.processes['a'].pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    arguments = [str(site.path), str(tmp_path / "s"), str(tmp_path / "logs")]
    with subprocess.Popen(
        [sys.executable, "-c", starter, *arguments], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
        process.wait()
    until(lambda: not alive(pid))
    assert HUIZHEN[-1] == "huizhen.cli.tied"
