"""Certificates and start-up kits of a federation on NVIDIA FLARE 2.9, by FLARE's own provisioning.

A deployment is a folder at the study lead, on the host of the FLARE server:

authority/      FLARE's record of the project with the key of its certificate authority; it never leaves
server/         the server's kit: its certificate, and what it allows
lead/           the study lead's kit: a user's certificate with the role "lead"
sites/NAME/     one kit a site, to be carried there; the copy here may be deleted then
deployment.json names, host and port

Kits allow two classes in a job, both huizhen's, and no code that comes with a job; jobs must be signed with
the lead's certificate. The certificate of a site lets it connect and no more: what a site answers is signed
with the site's own key, which is made at the site and is not in its kit.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huizhen.core.files import storage_error, write_json
from huizhen.errors import FederationError, InvalidInputError

DEPLOYMENT, AUTHORITY = "deployment.json", "authority"
SETTINGS = "huizhen.json"
"""In a kit's `local` folder: which folder is the site's, and what opens its data; written at the site."""
CONTROLLER = "huizhen.federate.engines.flare_controller.FrameController"
EXECUTOR = "huizhen.federate.engines.flare_executor.SiteExecutor"
ALLOWED = (CONTROLLER, EXECUTOR)
"""The only classes that a job may name."""
LOG_STREAMERS = frozenset({"site_log_streamer", "log_receiver"})
"""What sends a site's logs to the server in FLARE's own kits: left out, since nothing but frames leaves."""
ROOT_DAYS = 1825
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")

_PERMISSIONS: Mapping[str, Any] = {
    "format_version": "1.0",
    "permissions": {
        "lead": {
            "submit_job": "any",
            "clone_job": "none",
            "manage_job": "n:submitter",
            "download_job": "none",
            "view": "any",
            "operate": "none",
            "shell_commands": "none",
            "byoc": "none",
            "server-predeployed-flwr": "none",
        }
    },
}
"""What a user may do: the lead submits and ends its own jobs and looks; no code, no shell, no shutdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provisioned project: `host` and `port` of its server, the `lead`'s user name, its `sites`."""

    path: Path
    project: str
    host: str
    port: int
    lead: str
    sites: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> Deployment:
        """Return the deployment in `path`. Raises `FederationError` when there is none."""
        try:
            found = json.loads((path / DEPLOYMENT).read_text(encoding="utf-8"))
            return cls(
                path=path.resolve(),
                project=str(found["project"]),
                host=str(found["host"]),
                port=int(found["port"]),
                lead=str(found["lead"]),
                sites=tuple(map(str, found["sites"])),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FederationError(
                "is no deployment on NVIDIA FLARE",
                remedy="make one with provision, or name the folder that holds deployment.json",
                file=str(path),
            ) from error

    @property
    def server(self) -> Path:
        """The server's kit."""
        return self.path / "server"

    @property
    def lead_kit(self) -> Path:
        """The study lead's kit."""
        return self.path / "lead"

    def site(self, name: str) -> Path:
        """Return a site's kit, as it was made here."""
        return self.path / "sites" / name


def provision(
    folder: Path,
    *,
    lead: str,
    sites: Sequence[str],
    host: str,
    port: int = 8002,
    project: str = "huizhen",
    scheme: str = "grpc",
) -> Deployment:
    """Make certificates and kits for a server on `host`, the `lead` (an e-mail address) and the `sites`.

    Called again for the same folder with more sites, it makes the kits that are missing and leaves the others
    as they are. Everybody reaches the server by one TCP `port`; `scheme` is "grpc", "tcp" or "http", each
    under mutual TLS. Certificates hold for 360 days, the authority for five years. Raises `StorageError`,
    `InvalidInputError` on names that FLARE refuses, `FederationError` when it can't provision.
    """
    deployment = Deployment(
        path=folder.resolve(),
        project=project,
        host=host,
        port=port,
        lead=lead,
        sites=tuple(sorted(sites)),
    )
    _check(deployment, scheme)
    _check_unchanged(deployment)
    _place(_build(deployment, scheme), deployment)
    write_json(folder / DEPLOYMENT, {k: v for k, v in asdict(deployment).items() if k != "path"})
    return deployment


def _check(deployment: Deployment, scheme: str) -> None:
    """Raise `InvalidInputError` on a name that a certificate can't carry."""
    if not deployment.sites or len(set(deployment.sites)) != len(deployment.sites):
        raise InvalidInputError(
            "sites are missing or named twice", remedy="name each site once", field="sites"
        )
    wrong = [name for name in deployment.sites if not _SITE.fullmatch(name) or name == "server"]
    if wrong:
        raise InvalidInputError(
            f"FLARE can't name sites {', '.join(wrong)}",
            remedy="use letters, digits, - and _, at most 64, and not the name server",
            field="sites",
        )
    if not _EMAIL.fullmatch(deployment.lead):
        raise InvalidInputError("is no e-mail address", remedy="name the lead by one", field="lead")
    if not _HOST.fullmatch(deployment.host) or not 0 < deployment.port < 65536:
        raise InvalidInputError(
            "is no host name with a port", remedy="give the server's name as sites resolve it", field="host"
        )
    if scheme not in ("grpc", "tcp", "http"):
        raise InvalidInputError("is no scheme of FLARE", remedy="choose grpc, tcp or http", field="scheme")


def _check_unchanged(new: Deployment) -> None:
    """Raise `FederationError` when the folder holds a deployment that `new` contradicts."""
    if not (new.path / DEPLOYMENT).exists():
        return
    old = Deployment.open(new.path)
    for name in ("project", "host", "port", "lead"):
        if getattr(old, name) != getattr(new, name):
            raise FederationError(
                f"the folder's deployment has another {name}",
                remedy="provision into another folder: certificates and kits are made for one",
                field=name,
            )
    if gone := set(old.sites) - set(new.sites):
        raise FederationError(
            f"the deployment has sites {', '.join(sorted(gone))} already",
            remedy="name all sites, those from before too",
            field="sites",
        )


def _build(deployment: Deployment, scheme: str) -> Path:
    """Let FLARE make certificates and kits, and return the folder that it put them in."""
    from nvflare.lighter.constants import CtxKey, WorkDir
    from nvflare.lighter.entity import Project
    from nvflare.lighter.impl.cert import CertBuilder
    from nvflare.lighter.impl.static_file import StaticFileBuilder
    from nvflare.lighter.impl.workspace import WorkspaceBuilder
    from nvflare.lighter.provisioner import Provisioner

    project = Project(name=deployment.project, description="a federation of huizhen")
    project.set_server(deployment.host, "lead", {"fed_learn_port": deployment.port})
    project.add_admin(deployment.lead, "lead", {"role": "lead"})
    for name in deployment.sites:
        project.add_client(name, re.sub(r"\W", "_", name), {})
    builders = [
        WorkspaceBuilder(),
        StaticFileBuilder(config_folder="config", scheme=scheme, require_signed_jobs=True),
        CertBuilder(root_valid_days=ROOT_DAYS),
    ]
    said = io.StringIO()
    try:
        (deployment.path / AUTHORITY).mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            context = Provisioner(str(deployment.path / AUTHORITY), builders).provision(project)
    except OSError as error:
        raise storage_error(deployment.path, error) from error
    except (ValueError, RuntimeError) as error:
        raise _not_provisioned(str(error)) from error
    if context.get(CtxKey.BUILD_ERROR):
        raise _not_provisioned((said.getvalue().strip().splitlines() or ["?"])[0])
    return Path(context[WorkDir.CURRENT_PROD_DIR])


def _not_provisioned(reason: str) -> FederationError:
    return FederationError(
        f"FLARE could not provision ({reason[:300]})",
        remedy="check names and ports, or provision into an empty folder",
        field="provision",
    )


def _place(made: Path, deployment: Deployment) -> None:
    """Move kits to their places, unless there is one, and write what each allows."""
    places = {deployment.host: deployment.server, deployment.lead: deployment.lead_kit}
    places |= {name: deployment.site(name) for name in deployment.sites}
    try:
        for name, place in places.items():
            if place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            kit = made / name
            if name != deployment.lead:
                _restrict(kit)
            kit.chmod(0o700)
            shutil.move(kit, place)
        shutil.rmtree(made)
    except OSError as error:
        raise storage_error(deployment.path, error) from error


def _restrict(kit: Path) -> None:
    """Write a kit's local files: two classes in jobs and no others, no logs to the server, permissions."""
    local = kit / "local"
    resources = json.loads((local / "resources.json.default").read_text(encoding="utf-8"))
    resources["class_allow_list"] = list(ALLOWED)
    resources["allow_log_streaming"] = False
    resources["components"] = [c for c in resources["components"] if c["id"] not in LOG_STREAMERS]
    write_json(local / "resources.json", resources)
    write_json(local / "authorization.json", _PERMISSIONS)
