"""Login: the right way through, and every wrong one refused."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from portal_at_work import House, another_key, by_public_key, unsigned

from huizhen.portal.access import LOGIN


def logins(house: House) -> int:
    """Return how many logins the ledger has."""
    return sum(entry.kind == LOGIN for entry in house.office.desk.entries())


def sent_back(client: httpx.Client) -> httpx.Response:
    """Return the provider's redirect to the portal, not followed."""
    address = client.get("/login", follow_redirects=False).headers["location"]
    return client.get(address, follow_redirects=False)


def test_a_login(house: House) -> None:
    before = logins(house)
    client = house.logged_in("rita")
    page = client.get("/")
    assert page.status_code == 200
    assert "Breast imaging" in page.text
    assert logins(house) == before + 1


def test_the_request_has_all_that_binds_its_answer(house: House) -> None:
    address = house.browser().get("/login", follow_redirects=False).headers["location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 40
    assert len(asked["nonce"]) >= 40
    assert asked["redirect_uri"] == f"{house.address}/callback"
    assert "code_verifier" not in asked


NOW = int(time.time())


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("claims", {"nonce": "other"}),
        ("claims", {"nonce": None}),
        ("claims", {"aud": "other"}),
        ("claims", {"aud": ["portal", "other"], "azp": "portal"}),
        ("claims", {"azp": "other"}),
        ("claims", {"iss": "https://evil.example"}),
        pytest.param("claims", {"exp": NOW - 3600, "iat": NOW - 7200}, id="expired"),
        ("claims", {"exp": None}),
        pytest.param("claims", {"iat": NOW + 7200}, id="issued in the future"),
        ("claims", {"sub": None}),
        ("claims", {"sub": ""}),
        ("claims", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        ("told", {"sub": "somebody else"}),
        ("metadata", {"authorization_response_iss_parameter_supported": True}),
        ("metadata", {"issuer": "https://evil.example"}),
        ("metadata", {"token_endpoint": "http://evil.example/token"}),
        ("metadata", {"code_challenge_methods_supported": ["plain"]}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_answer_is_refused(house: House, change: str, value: dict[str, Any]) -> None:
    getattr(house.provider, change).update(value)
    before = logins(house)
    page = house.logged_in("rita").get("/")
    assert "Breast imaging" not in page.text
    assert logins(house) == before


@pytest.mark.parametrize("how", ["none", "HS256 by the public key", "another key", "unknown key"])
def test_a_wrong_signature_is_refused(house: House, how: str) -> None:
    match how:
        case "none":
            house.provider.sign = unsigned
        case "HS256 by the public key":
            house.provider.sign = by_public_key
        case "another key":
            house.provider.signer = another_key()
            house.provider.header["alg"] = "RS256"
        case _:
            house.provider.header["kid"] = "two"
    assert "Breast imaging" not in house.logged_in("rita").get("/").text


def test_a_clock_may_differ_a_little(house: House) -> None:
    house.provider.claims.update({"iat": int(time.time()) + 30, "exp": int(time.time()) - 30})
    assert "Breast imaging" in house.logged_in("rita").get("/").text


def test_an_answer_to_no_login_of_this_browser_is_refused(house: House) -> None:
    """Login CSRF: somebody else's answer is put into a victim's browser."""
    mine = house.browser()
    back = sent_back(mine)
    other = house.browser()
    other.get("/login", follow_redirects=False)
    assert other.get(back.headers["location"]).status_code == 403
    assert house.browser().get(back.headers["location"]).status_code == 403


def test_an_answer_counts_once(house: House) -> None:
    client = house.browser()
    back = client.get(
        client.get("/login", follow_redirects=False).headers["location"], follow_redirects=False
    )
    address = back.headers["location"]
    assert client.get(address).status_code == 200
    assert client.get(address).status_code == 403


def test_a_code_without_this_browsers_verifier_is_worth_nothing(house: House) -> None:
    """A stolen code, sent to a browser whose login has another verifier."""
    thief, victim = house.browser(), house.browser()
    stolen = victim.get(
        victim.get("/login", follow_redirects=False).headers["location"], follow_redirects=False
    )
    code = parse_qs(urlsplit(stolen.headers["location"]).query)["code"][0]
    asked = urlsplit(thief.get("/login", follow_redirects=False).headers["location"]).query
    state = parse_qs(asked)["state"][0]
    assert thief.get("/callback", params={"code": code, "state": state}).status_code == 403
    assert code in house.provider.refused


def test_an_error_of_the_provider_is_shown_without_its_words(house: House) -> None:
    client = house.browser()
    asked = urlsplit(client.get("/login", follow_redirects=False).headers["location"]).query
    state = parse_qs(asked)["state"][0]
    given = {"state": state, "error": "x", "error_description": "<script>alert(1)</script>"}
    page = client.get("/callback", params=given)
    assert page.status_code == 403
    assert "alert(1)" not in page.text


def test_a_session_set_before_the_login_is_worth_nothing_after(house: House) -> None:
    client = house.browser()
    client.get("/login", follow_redirects=False)
    fixed = client.cookies["huizhen-login"]
    client.cookies.set("huizhen", fixed)
    client.get(client.get("/login", follow_redirects=False).headers["location"])
    assert {one.value for one in client.cookies.jar if one.name == "huizhen"} != {fixed}
    assert house.browser(huizhen=fixed).get("/").url.path == "/welcome"


def test_who_begins_a_login_elsewhere_ends_no_session(house: House) -> None:
    """Another site can make a browser ask for /login; that must not log anybody out."""
    client = house.logged_in("rita")
    client.get("/login", follow_redirects=False)
    assert client.get("/").status_code == 200
    assert "Breast imaging" in client.get("/").text


def test_the_cookie_is_not_for_scripts_nor_other_sites(house: House) -> None:
    said = house.browser().get("/login", follow_redirects=False).headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    assert "path=/" in said


def test_logout_ends_both_sessions(house: House) -> None:
    client = house.logged_in("rita")
    token = client.cookies["huizhen"]
    csrf = client.get("/search").text.split('name="csrf" value="')[1].split('"')[0]
    gone = client.post("/logout", data={"csrf": csrf}, follow_redirects=False)
    assert gone.headers["location"].startswith(f"{house.provider.issuer}/end?id_token_hint=")
    assert house.browser(huizhen=token).get("/").url.path == "/welcome"


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example/", "/\\evil.example", "/%0d%0aX: y"]
)
def test_after_login_nobody_is_led_elsewhere(house: House, onward: str) -> None:
    client = house.browser()
    client.get("/login", params={"next": onward})
    assert str(client.get("/").url).startswith(house.address)
    assert client.get("/").url.path == "/"


def test_after_login_one_is_where_one_wanted_to_be(house: House) -> None:
    house.provider.who = "rita"
    page = house.browser().get("/login", params={"next": "/requests"})
    assert page.url.path == "/requests"


def test_an_unreachable_login_server_is_said_with_what_to_do(house: House) -> None:
    away = house.office.provider
    login, away._login = away._login, away._login.model_copy(update={"issuer": "http://127.0.0.1:9"})
    away._metadata = None
    try:
        page = house.browser().get("/login")
    finally:
        away._login, away._metadata = login, None
        house.office.patience.open_again()
    assert page.status_code == 503
    assert "login server can" in page.text
    assert "try again in some minutes" in page.text
    assert house.logged_in("rita").get("/").status_code == 200


def test_nobody_has_rights_that_no_claim_gives(house: House) -> None:
    for told in ([], "admin", ["Researcher"], {"researcher": True}, None, 3):
        house.provider.told["eduperson_entitlement"] = told
        assert house.logged_in("eve").get("/").status_code == 403


def test_a_role_taken_away_is_gone_at_the_next_request(house: House) -> None:
    client, rules = house.logged_in("rita"), house.office.rules
    assert client.get("/search").status_code == 200
    began, person = rules._began, house.office.desk.entries()[-1].body["by"]
    for roles in (
        began.roles.model_copy(update={"researcher": ()}),
        began.roles.model_copy(update={"revoked": (person,)}),
    ):
        rules._began = began.model_copy(update={"roles": roles})
        try:
            paths = ("/search", "/", "/requests", "/requests/1")
            assert [client.get(path).status_code for path in paths] == [403, 403, 403, 403]
        finally:
            rules._began = began
    assert client.get("/search").status_code == 200


def test_a_silent_login_server_holds_no_page(house: House) -> None:
    """Forty-five browsers wait for a server that takes a connection and says nothing."""
    office, provider = house.office, house.office.provider
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        login, longest = provider._login, office.patience._longest
        provider._login = login.model_copy(update={"issuer": issuer, "timeout_s": 1.5})
        provider._metadata, office.patience._longest = None, 1.5
        try:
            with ThreadPoolExecutor(45) as crowd:
                waiting = [crowd.submit(httpx.get, f"{house.address}/login", timeout=60) for _ in range(45)]
                time.sleep(0.3)
                start = time.monotonic()
                page = httpx.get(f"{house.address}/welcome", timeout=60)
                spent = time.monotonic() - start
                statuses = {one.result().status_code for one in waiting}
        finally:
            provider._login, provider._metadata, office.patience._longest = login, None, longest
    assert page.status_code == 200
    assert spent < 1.2
    assert statuses == {503}
    assert house.browser().get("/login").status_code == 503  # a pause, in which nobody is kept waiting
    office.patience.open_again()
    assert "Breast imaging" in house.logged_in("rita").get("/").text
