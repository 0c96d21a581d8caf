"""The portal as people use it: a real browser, a certified OpenID provider, a site that connects outwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chromium_pipe import CHROMIUM, Browser

from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey

PROVIDER = Path(__file__).parent / "oidc_provider"
INSTALLED = Path(os.environ.get("HUIZHEN_OIDC_PROVIDER", PROVIDER)) / "node_modules" / "oidc-provider"
WHOLE = bool(CHROMIUM and shutil.which("node") and INSTALLED.is_dir())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not WHOLE and "HUIZHEN_REQUIRE_OPTIONAL" not in os.environ,
        reason="no Chromium, node, or oidc-provider (npm ci in tests/e2e/oidc_provider)",
    ),
]
SETTINGS = """\
leads = ["{lead}"]

[portal]
title = "Test catalogue"
address = "http://127.0.0.1:{port}"
listen = "127.0.0.1:{port}"
wait_s = 30

[login]
issuer = "http://127.0.0.1:{issuer}"
client_id = "portal"
scopes = ["openid", "profile", "email", "entitlement"]

[roles]
viewer = ["urn:test:viewer"]
researcher = ["urn:test:researcher"]
auditor = ["urn:test:auditor"]

[[site]]
name = "north"
key = "{north}"
officers = ["urn:test:officer:north"]

[[site]]
name = "south"
key = "{south}"
officers = ["urn:test:officer:south"]
"""
RECORD = """\
[index]
series = "series.csv"
[record]
identifier = "https://example.org/d/1"
title = "Breast imaging"
title_zh = "乳腺影像"
description = "Mammograms and MR <script>alert(1)</script>"
version = "1.0.0"
interoperability_level = "SPEC1000011"
contact = {email = "data@example.org"}
publisher = {name = "A <b>hospital</b>", contact = {email = "data@example.org"}}
health_category = ["EHRS"]
dataset_type = ["PseudonymisedData"]
access_rights = "NON_PUBLIC"
legislation = ["http://data.europa.eu/eli/reg/2025/327/oj"]
condition = "CLIN1000060"
collection_method = ["SPEC1000003"]
keywords = ["breast"]
provenance = ["routine care"]
access_page = "https://example.org/ask"
use_conditions = ["HMB", "NCU"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A running portal: its address, its folder, and its site's."""

    address: str
    home: Path
    site: Path


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment with the source tree, and a home of its own."""
    source = str(Path(__file__).resolve().parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "HUIZHEN_HOME": str(home), "LC_ALL": "C.UTF-8"}


@contextmanager
def running(line: list[str], home: Path, *, at: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the background until the block ends; wait until its port answers."""
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(line, env=environment(home), stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while at is not None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", at)) == 0:
                        break
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def huizhen(home: Path, *arguments: object) -> str:
    """Run a command and return what it printed."""
    line = [sys.executable, "-m", "huizhen.cli", *map(str, arguments)]
    done = subprocess.run(line, env=environment(home), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A portal with a record of a site, which answers, and a site that doesn't; and a login provider."""
    home = tmp_path_factory.mktemp("portal")
    site, port, issuer = home / "north", free_port(), free_port()
    huizhen(home, "site", "init", site, "--name", "north", "--data", home)
    rows = [
        f"p{n},{n}.1,{n}.1.1,{'MR' if n % 3 else 'MG'},Siemens,BREAST,F,{40 + n % 30},2020"
        for n in range(400)
    ]
    head = "patient,study,series,modality,manufacturer,body_part,sex,age,year"
    (site / "series.csv").write_text("\n".join([head, *rows]) + "\n")
    (site / "catalogue.toml").write_text(RECORD, encoding="utf-8")
    (home / "records").mkdir()
    huizhen(home, "catalogue", "publish", site, "--out", home / "records/north.jsonld")
    (home / "records/forged.jsonld").write_bytes(
        (home / "records/north.jsonld").read_bytes().replace(b"Breast imaging", b"Forged imaging")
    )
    portal_key = SigningKey.create_or_load(home / "portal/key.pem").public.hex
    huizhen(home, "site", "join", site, "--lead", portal_key, "--peers", home / "peers.json")
    lead = huizhen(home, "federation", "key").strip()
    huizhen(home, "site", "join", site, "--lead", lead)
    settings = SETTINGS.format(
        port=port,
        issuer=issuer,
        lead=lead,
        north=SigningKey.load(site / "key.pem").public.hex,
        south=SigningKey.generate().public.hex,
    )
    (home / "portal.toml").write_text(settings.replace("wait_s = 30", "wait_s = 20"))
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "huizhen.cli", "catalogue"]
    with ExitStack() as stack:
        node = ["node", str(PROVIDER / "provider.mjs"), str(issuer), address]
        stack.enter_context(running(node, home, at=issuer))
        stack.enter_context(
            running([*command, "serve", "--config", str(home / "portal.toml")], home, at=port)
        )
        stack.enter_context(running([*command, "answer", str(site), "--portal", address], home))
        yield Place(address=address, home=home, site=site)


def logged_in(browser: Browser, place: Place, name: str) -> None:
    """Log in through the provider's own pages."""
    browser.open(f"{place.address}/welcome")
    browser.click("Log in")
    browser.fill("login", name)
    browser.fill("password", "any")
    browser.click("Sign-in")
    browser.click("Continue")


def test_a_request_from_login_to_decision(place: Place, tmp_path: Path) -> None:
    with Browser(tmp_path / "rita") as browser:
        browser.open(place.address)
        assert "/welcome" in browser.address
        assert "Breast imaging" not in browser.text
        logged_in(browser, place, "rita")
        assert browser.address == f"{place.address}/"
        assert "Breast imaging" in browser.text
        assert "Forged" not in browser.text
        assert "A <b>hospital</b>" in browser.text
        browser.click("Breast imaging")
        assert "<script>alert(1)</script>" in browser.text
        assert "NCU" in browser.text
        browser.click("Search")
        browser.click("magnetic resonance")
        browser.click("Ask the hospitals")
        text = browser.text
        assert "270" in text, text
        assert "no answer" in text
        assert "Sum over 1 of 2 hospitals" in text
        browser.click("Records")
        browser.click("Breast imaging")
        browser.click("Ask for access")
        browser.fill("title", "Density <i>and</i> risk")
        browser.fill("institution", "A university")
        browser.fill("description", "We look at density.")
        browser.click("The use is commercial")
        browser.click("Only not-for-profit organisations use the data")
        browser.click("Send the request")
        number = browser.address.rpartition("/")[2]
        assert "waits for a decision" in browser.text
        assert "they permit it" in browser.text
        assert "Density <i>and</i> risk" in browser.text
        browser.open(f"{place.address}/audit")
        assert "right" in browser.text
        browser.click("Log out")
        browser.open(f"{place.address}/requests/{number}")
        assert "/welcome" in browser.address
        assert [line for line in browser.said if "Content Security Policy" in line] == []
    with Browser(tmp_path / "olga") as browser:
        logged_in(browser, place, "olga")
        browser.open(f"{place.address}/requests/{number}")
        assert "no such page for you" in browser.text
        assert "Density" not in browser.text
    with Browser(tmp_path / "oskar") as browser:
        logged_in(browser, place, "oskar")
        browser.click("Requests")
        browser.click(number)
        browser.fill("reason", "Fits our conditions; approved by the committee.")
        browser.click("Approve")
        assert "approved" in browser.text
    with Browser(tmp_path / "anton") as browser:
        logged_in(browser, place, "anton")
        browser.click("Ledger")
        assert "access_decision" in browser.text
    with Browser(tmp_path / "eve") as browser:
        logged_in(browser, place, "eve")
        assert "doesn't give you this right" in browser.text
    kinds = [entry.kind for entry in read_log(place.home / "portal/ledger").entries]
    assert kinds.count("access_request") == kinds.count("access_decision") == 1
    assert kinds.count("login") == 5


def test_the_pages_are_there_in_chinese(place: Place, tmp_path: Path) -> None:
    with Browser(tmp_path / "zh") as browser:
        browser.open(f"{place.address}/welcome?lang=zh")
        browser.click("登录")
        browser.fill("login", "rita")
        browser.fill("password", "any")
        browser.click("Sign-in")
        browser.click("Continue")
        assert "乳腺影像" in browser.text
        browser.click("检索")
        assert "共同满足条件的单位" in browser.text


def test_a_lead_asks_through_the_portal_from_the_command_line(place: Place) -> None:
    said = huizhen(
        place.home,
        "catalogue",
        "search",
        "--with",
        "modality=MR",
        "--portal",
        place.address,
        "--peers",
        place.home / "peers.json",
    )
    assert "north: subjects 270" in said


def test_nothing_secret_is_in_the_log(place: Place) -> None:
    log = (place.home / "log").read_text(errors="replace")
    assert "code=" not in log
    assert "state=" not in log
    assert "eyJ" not in log
