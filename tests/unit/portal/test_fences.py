"""What holds for every request, also for one that fails; records kept; questions that count once."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from portal_at_work import House

from huizhen.data.catalogue.criteria import parse_query
from huizhen.data.catalogue.jsonld import load_record
from huizhen.federate.catalogue.asking import asked_of
from huizhen.ledger.signing import SigningKey
from huizhen.portal import fences
from huizhen.portal import shelf as shelf_module
from huizhen.portal.sessions import Sessions
from huizhen.portal.shelf import Shelf

STRICT = (
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "permissions-policy",
    "cache-control",
)


def test_an_error_nobody_foresaw_says_its_number_and_nothing_else(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Shelf) -> list[Any]:
        raise RuntimeError("Zhang San, born 1960")

    client = house.logged_in("vera")
    strict = {name for name in client.get("/").headers if name.lower() in STRICT}
    monkeypatch.setattr(Shelf, "all", broken)
    monkeypatch.setattr(fences._LOG, "disabled", False)  # what other tests start may have silenced loggers
    monkeypatch.setattr(fences._LOG, "handlers", [caplog.handler])
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", logger=fences._LOG.name):
        page = client.get("/")
    assert page.status_code == 500
    number = re.search(r"Incident ([0-9a-f]{8})", page.text)
    assert number is not None
    assert f"incident {number[1]}: RuntimeError at portal/" in caplog.text
    assert "Zhang" not in caplog.text + page.text
    assert len(strict) == len(STRICT)
    assert strict <= set(page.headers)


def test_where_not_even_the_page_of_an_error_can_be_made(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Zhang San, born 1960")

    client = house.logged_in("vera")
    monkeypatch.setattr(Sessions, "find", broken)
    with caplog.at_level("DEBUG"):
        page = client.get("/")
    assert (page.status_code, "Zhang" in caplog.text + page.text) == (500, False)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_record_is_verified_when_it_is_new_or_changed(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[Path] = []

    def counting(path: Path) -> Any:
        read.append(path)
        return load_record(path)

    monkeypatch.setattr(shelf_module, "load_record", counting)
    data = next(house.office.shelf.folder.glob("north.jsonld")).read_bytes()
    (tmp_path / "a.jsonld").write_bytes(data)
    shelf = Shelf(folder=tmp_path, keys=house.office.shelf.keys)
    assert len(shelf.all()) == len(shelf.all()) == 1
    assert len(read) == 1
    (tmp_path / "a.jsonld").write_bytes(data.replace(b"Breast", b"Breath", 1))
    assert shelf.all() == []
    (tmp_path / "a.jsonld").unlink()
    assert shelf.all() == []
    assert (len(read), shelf._held) == (2, {})


def test_a_leads_question_counts_once(house: House) -> None:
    """Sent again within its ten minutes by anybody, it reaches no site."""
    lead = SigningKey.generate()
    settings = house.office.settings.model_copy(update={"leads": (lead.public.hex,)})
    body = [
        one.model_dump(mode="json")
        for one in asked_of(
            parse_query({"operand": "AND", "children": []}),
            {"north": house.site.key.public},
            key=lead,
            asker="a" * 16,
        ).values()
    ]
    before = house.office.settings
    object.__setattr__(house.office, "settings", settings)
    try:
        statuses = [house.browser().post("/exchange/ask", json=body).status_code for _ in range(2)]
    finally:
        object.__setattr__(house.office, "settings", before)
    assert statuses == [200, 400]


@pytest.mark.parametrize("path", ["/requests/abc", "/requests/" + "9" * 5000, "/requests/1e3"])
def test_a_number_that_is_none_is_no_page(house: House, path: str) -> None:
    page = house.logged_in("rita").get(path)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


def test_a_body_that_never_ends_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "BODY_S", 0.2)
    host = house.address.removeprefix("http://")
    head = f"POST /exchange/ask HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n["
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=10) as line:
        line.sendall(head.encode())
        said = line.recv(65_536).decode().lower()
    assert said.startswith("http/1.1 408")
    assert all(name in said for name in STRICT)
