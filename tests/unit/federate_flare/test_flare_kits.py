"""Kits and jobs: what they allow, what they hold, and what is refused before FLARE is started."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from huizhen.errors import FederationError, InvalidInputError
from huizhen.federate.engines.flare import Deployment, FlareEngine, attach, provision, start_site, stop
from huizhen.federate.engines.flare_console import write_job
from huizhen.federate.engines.flare_processes import _keep_store, command, running
from huizhen.federate.engines.flare_provision import ALLOWED, SETTINGS
from huizhen.federate.site.folder import SiteFolder

LEARNER = "huizhen.federate.site.worker:study_of"
"""Any function: these tests don't call it."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return provision(
        tmp_path_factory.mktemp("kits") / "lead",
        lead="a@b.org",
        sites=["north"],
        host="localhost",
        port=18999,
    )


def test_a_deployment_is_found_again(deployment: Deployment) -> None:
    assert Deployment.open(deployment.path) == deployment
    with pytest.raises(FederationError, match="no deployment"):
        Deployment.open(deployment.path / "lead")


def test_more_sites_get_kits_and_the_others_keep_theirs(tmp_path: Path) -> None:
    first = provision(tmp_path, lead="a@b.org", sites=["north"], host="localhost")
    before = (first.site("north") / "startup" / "client.crt").read_bytes()
    more = provision(tmp_path, lead="a@b.org", sites=["north", "south"], host="localhost")
    assert (more.site("north") / "startup" / "client.crt").read_bytes() == before
    roots = {(more.site(n) / "startup" / "rootCA.pem").read_bytes() for n in ("north", "south")}
    assert len(roots) == 1
    with pytest.raises(FederationError, match="has sites north already"):
        provision(tmp_path, lead="a@b.org", sites=["south"], host="localhost")
    with pytest.raises(FederationError, match="another host"):
        provision(tmp_path, lead="a@b.org", sites=["north", "south"], host="elsewhere")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"sites": []}, "sites"),
        ({"sites": ["a", "a"]}, "sites"),
        ({"sites": ["server"]}, "sites"),
        ({"sites": ["a.b"]}, "sites"),
        ({"lead": "nobody"}, "lead"),
        ({"host": "a b"}, "host"),
        ({"port": 0}, "host"),
        ({"scheme": "udp"}, "scheme"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_made(tmp_path: Path, wrong, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        provision(tmp_path / "x", **{"lead": "a@b.org", "sites": ["n"], "host": "localhost", **wrong})
    assert caught.value.field == field
    assert not (tmp_path / "x").exists()


def test_kits_allow_two_classes_signed_jobs_and_no_code(deployment: Deployment) -> None:
    for kit, name in ((deployment.server, "fed_server"), (deployment.site("north"), "fed_client")):
        resources = json.loads((kit / "local" / "resources.json").read_text())
        assert resources["class_allow_list"] == list(ALLOWED)
        assert resources["class_list_enforcement_mode"] == "enforce"
        assert not [c for c in resources["components"] if "log" in c["id"]]
        startup = json.loads((kit / "startup" / f"{name}.json").read_text())
        assert startup["require_signed_jobs"] is True
        assert '"connection_security": "mtls"' in (kit / "startup" / f"{name}.json").read_text()
        rights = json.loads((kit / "local" / "authorization.json").read_text())["permissions"]
        assert set(rights) == {"lead"}
        assert (
            rights["lead"]["byoc"] == rights["lead"]["shell_commands"] == rights["lead"]["operate"] == "none"
        )


def test_flare_builds_our_two_classes_and_refuses_its_own(deployment: Deployment) -> None:
    from nvflare.apis.fl_exception import UnsafeComponentError
    from nvflare.app_common.widgets.component_path_authorizer import ComponentPathAuthorizer

    file = deployment.site("north") / "local" / "resources.json"
    place = SimpleNamespace(get_resources_file_path=lambda: str(file), get_root_dir=lambda: str(file.parent))
    guard = ComponentPathAuthorizer()
    for path in ALLOWED:
        guard.authorize_component_config({"path": path}, workspace=place)
    for path in ("nvflare.app_common.np.np_trainer.NPTrainer", "subprocess.Popen"):
        with pytest.raises(UnsafeComponentError):
            guard.authorize_component_config({"path": path}, workspace=place)


def test_keys_are_for_their_owner_only(deployment: Deployment) -> None:
    keys = [*deployment.path.rglob("*.key")]
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((deployment.path / "authority").stat().st_mode) == 0o700


def test_the_servers_jobs_stay_in_its_kit(deployment: Deployment) -> None:
    _keep_store(deployment.server)
    text = (deployment.server / "local" / "resources.json").read_text()
    assert "/nvflare/" not in text
    assert str(deployment.server / "store" / "jobs") in text


def test_a_job_names_two_classes_and_nothing_of_the_site(tmp_path: Path) -> None:
    job = write_job(tmp_path, "north")
    files = sorted(str(file.relative_to(job)) for file in job.rglob("*") if file.is_file())
    assert files == ["app/config/config_fed_client.json", "app/config/config_fed_server.json", "meta.json"]
    client = json.loads((job / files[0]).read_text())
    server = json.loads((job / files[1]).read_text())
    named = (server["workflows"][0], client["executors"][0]["executor"])
    assert tuple(each["path"] for each in named) == ALLOWED
    assert all(each["args"] == {} for each in named)
    assert json.loads((job / "meta.json").read_text())["deploy_map"] == {"app": ["server", "north"]}


def test_a_site_is_attached_by_itself_and_only_to_its_own_folder(
    deployment: Deployment, tmp_path: Path
) -> None:
    kit = deployment.site("north")
    with pytest.raises(FederationError, match="no site's folder is attached"):
        start_site(kit)
    SiteFolder.create(tmp_path / "south", name="south", data=tmp_path)
    with pytest.raises(FederationError, match="the kit is for north, the folder is of south"):
        attach(kit, site=tmp_path / "south", learner=LEARNER)
    SiteFolder.create(tmp_path / "north", name="north", data=tmp_path)
    with pytest.raises(FederationError, match="there is no nowhere:open"):
        attach(kit, site=tmp_path / "north", learner="nowhere:open")
    attach(kit, site=tmp_path / "north", learner=LEARNER)
    found = json.loads((kit / "local" / SETTINGS).read_text())
    assert found == {"site": str(tmp_path / "north"), "learner": LEARNER}


def test_commands_name_the_kit_and_nothing_runs(deployment: Deployment) -> None:
    line = command(deployment.site("north"))
    assert line[-5:-1] == ["secure_train=true", "uid=north", "org=north", "config_folder=config"]
    assert "uid=north" not in command(deployment.server)
    assert not running(deployment.server)
    assert not stop(deployment.server)
    (deployment.server / "huizhen.pid").write_text(f"{os.getpid()}\n")  # an id given anew to another process
    assert not running(deployment.server)
    assert not stop(deployment.server)


def test_only_sites_of_the_deployment_can_be_led(deployment: Deployment) -> None:
    with pytest.raises(FederationError, match="has no site west"):
        FlareEngine(deployment, ["north", "west"])
