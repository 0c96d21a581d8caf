"""A site's folder, its lock, and the key of a lead or a peer entered in a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from huizhen.errors import FederationError, PolicyError, StorageError
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SITE, SiteFolder, accept_lead, enter_peer
from huizhen.federate.site.lock import alone
from huizhen.ledger.signing import SigningKey

HOLD = """
import sys
from pathlib import Path
from huizhen.federate.site.lock import alone
lock = alone(Path(sys.argv[1]))
print("locked", flush=True)
input()
"""


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    return SiteFolder.create(tmp_path / "north", name="north", data=tmp_path / "data", jurisdiction="DE")


def test_a_folder_is_made_once_and_opened_again(site):
    again = SiteFolder.open(site.path)
    assert (again.name, again.jurisdiction, again.key.public) == ("north", "DE", site.key.public)
    assert again.policy() == SitePolicy()
    with pytest.raises(StorageError, match="there is a site"):
        SiteFolder.create(site.path, name="north", data=site.data)


@pytest.mark.parametrize(
    "text", ["", "name = 1", 'name = "../x"\ndata = "d"', 'name="n"\ndata="d"\nkey="k"', "["]
)
def test_another_file_is_no_site(site, text):
    (site.path / SITE).write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"is no site's file|read as TOML"):
        SiteFolder.open(site.path)


def test_a_lead_is_accepted_once(site):
    lead = SigningKey.generate().public
    for _ in range(2):
        accept_lead(site, lead)
    assert site.policy().signers == (lead.hex,)


def test_a_peer_is_entered_and_another_key_under_its_name_refused(tmp_path):
    first, second = SigningKey.generate().public, SigningKey.generate().public
    file = tmp_path / "peers.json"
    for name in ("north", "west", "north"):
        enter_peer(file, name, first if name == "north" else second)
    assert json.loads(file.read_text()) == {"north": first.hex, "west": second.hex}
    with pytest.raises(PolicyError, match="another key stands under this name"):
        enter_peer(file, "north", second)
    file.write_text("[]")
    with pytest.raises(PolicyError):
        enter_peer(file, "north", first)


def test_approval_is_of_one_study(site):
    site.approve("a" * 64, by="officer")
    assert site.approved("a" * 64)
    assert not site.approved("b" * 64)


def test_one_worker_at_a_time(site):
    with (
        alone(site.path, patience_s=0.0),
        pytest.raises(FederationError, match="another worker"),
    ):
        alone(site.path, patience_s=0.2)
    alone(site.path, patience_s=0.0).close()


def test_the_lock_goes_with_a_killed_process(site):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(site.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(FederationError, match="another worker"):
            alone(site.path, patience_s=0.0)
        process.kill()
        process.wait()
    alone(site.path, patience_s=5.0).close()
