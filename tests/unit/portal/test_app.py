"""The pages, as somebody hostile uses them."""

from __future__ import annotations

import json
import logging
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from portal_at_work import House
from site_at_work import SAID

from huizhen.data.catalogue.jsonld import record_bytes
from huizhen.data.catalogue.record import Description, Facts
from huizhen.federate.site.folder import accept_lead
from huizhen.ledger.signing import SigningKey
from huizhen.portal.post import answer_waiting, poll_of

XSS = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
WANTED = {
    "title": XSS,
    "institution": "A university",
    "description": "We look at density.",
    "purpose": "research",
    "non_profit": "on",
    "methods": "on",
}


def csrf_of(client: httpx.Client, path: str = "/requests") -> str:
    """Return the token of a page's form."""
    return client.get(path).text.split('name="csrf" value="')[1].split('"')[0]


def post(client: httpx.Client, path: str, data: dict[str, Any], **headers: str) -> httpx.Response:
    """Post a form as its own page does."""
    return client.post(path, data={"csrf": csrf_of(client), **data}, headers=headers)


def record_name(client: httpx.Client) -> str:
    """Return the name of the record on show."""
    return re.findall(r'href="/records/([0-9a-f]{16})"', client.get("/").text)[0]


def asked(house: House, who: str = "rita", **more: str) -> int:
    """Make a request, and return its number."""
    client = house.logged_in(who)
    page = post(client, f"/records/{record_name(client)}/request", {**WANTED, **more})
    assert page.status_code == 200, page.text
    return int(page.url.path.rpartition("/")[2])


def test_without_a_login_nothing_is_shown(house: House) -> None:
    for path in ("/", "/search", "/requests", "/requests/1", "/audit", "/records/0000000000000000"):
        page = house.browser().get(path)
        assert page.url.path == "/welcome", path
        assert "Breast" not in page.text


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("vera", {"/", "/requests"}),
        ("rita", {"/", "/requests", "/search"}),
        ("oskar", {"/", "/requests"}),
        ("anton", {"/", "/requests", "/audit"}),
        ("eve", set()),
    ],
)
def test_roles_open_what_is_theirs(house: House, who: str, allowed: set[str]) -> None:
    client = house.logged_in(who)
    found = {path for path in ("/", "/requests", "/search", "/audit") if client.get(path).status_code == 200}
    assert found == allowed


def test_what_people_write_is_shown_as_text(house: House) -> None:
    number = asked(house)
    for who, path in (("rita", "/requests"), ("oskar", f"/requests/{number}"), ("anton", "/audit")):
        text = house.logged_in(who).get(path).text
        assert "<script" not in text, path
        assert "<img" not in text, path


def test_what_a_record_says_is_shown_as_text(house: House) -> None:
    """A dishonest site signs a record full of markup."""
    said = {**SAID, "title": XSS, "description": XSS, "keywords": [XSS], "provenance": [XSS]}
    facts = Facts(
        subjects=100,
        studies=100,
        sexes=("F",),
        modalities=("MR",),
        manufacturers=("<SVG/ONLOAD=A()>",),
        body_parts=("X",),
        smallest=10,
        rounding=10,
    )
    data = record_bytes("north", Description.model_validate(said), facts, house.site.key)
    path = Path(house.office.shelf.folder) / "hostile.jsonld"
    path.write_bytes(data)
    try:
        client = house.logged_in("rita")
        names = re.findall(r'href="/records/([0-9a-f]{16})"', client.get("/").text)
        texts = [
            client.get(path).text
            for name in names
            for path in (f"/records/{name}", f"/records/{name}/request")
        ]
    finally:
        path.unlink()
    assert len(names) == 2
    assert any("&lt;script&gt;" in text for text in texts)
    assert not any("<script" in text or "<img" in text or "<SVG" in text for text in texts)


def test_records_of_strangers_and_damaged_ones_are_left_out(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(house.office.shelf.folder)
    good = (folder / "north.jsonld").read_bytes()
    whole = json.loads(good)
    facts = Facts.model_validate(whole["huizhen:stated"]["@value"]["facts"])
    stranger = record_bytes("north", Description.model_validate(SAID), facts, SigningKey.generate())
    bad = {
        "s.jsonld": stranger,
        "b.jsonld": b"[" * 200_000,
        "x\x1b[2J.jsonld": good.replace(b"Breast", b"Chest"),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    try:
        with caplog.at_level(logging.WARNING):
            shown = house.office.shelf.all()
    finally:
        for name in bad:
            (folder / name).unlink()
    assert len(shown) == 1
    assert len(caplog.messages) == 3
    assert not any("\x1b" in message for message in caplog.messages)


def test_a_form_from_elsewhere_is_refused(house: House) -> None:
    client = house.logged_in("rita")
    path, token = f"/records/{record_name(client)}/request", csrf_of(client)
    other = csrf_of(house.logged_in("rita"))
    assert client.post(path, data=WANTED).status_code == 403
    assert client.post(path, data={**WANTED, "csrf": other}).status_code == 403
    assert client.post(path, data={**WANTED, "csrf": ""}).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path, data={**WANTED, "csrf": token}, headers=headers).status_code == 403
    own = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    assert client.post(path, data={**WANTED, "csrf": token}, headers=own).status_code == 200
    assert client.get("/logout").status_code == 405


def test_a_request_is_seen_by_who_made_it_its_officers_and_auditors(house: House) -> None:
    number = asked(house)
    path = f"/requests/{number}"
    seen = {who: house.logged_in(who).get(path).status_code for who in ("rita", "oskar", "anton")}
    assert set(seen.values()) == {200}
    assert house.logged_in("eve").get(path).status_code == 403
    for who in ("rosa", "olga", "vera"):
        client = house.logged_in(who)
        hidden, absent = client.get(path), client.get("/requests/99999")
        assert (hidden.status_code, absent.status_code) == (404, 404), who
        assert hidden.text == absent.text.replace("/requests/99999", path)
        assert f'href="{path}"' not in client.get("/requests").text


@pytest.mark.parametrize("who", ["rita", "rosa", "olga", "vera", "anton"])
def test_only_an_officer_of_the_site_decides(house: House, who: str) -> None:
    number = asked(house)
    client = house.logged_in(who)
    given = {"verdict": "approve", "reason": "because I want to"}
    assert post(client, f"/requests/{number}/decision", given).status_code in (403, 404)
    assert house.office.desk._all()[number].decision is None


def test_a_decision_is_made_once_with_a_reason_and_not_of_oneself(house: House) -> None:
    number = asked(house)
    oskar = house.logged_in("oskar")
    path = f"/requests/{number}/decision"
    assert post(oskar, path, {"verdict": "approve", "reason": " "}).status_code == 400
    assert post(oskar, path, {"verdict": "maybe", "reason": "some reason or other"}).status_code == 400
    done = post(oskar, path, {"verdict": "approve", "reason": "fits the conditions"})
    assert "approved" in done.text
    assert post(oskar, path, {"verdict": "refuse", "reason": "on second thoughts"}).status_code == 400
    own = asked(house, "both")
    client = house.logged_in("both")
    said = post(client, f"/requests/{own}/decision", {"verdict": "approve", "reason": "it is my own"})
    assert "nobody decides their own request" in said.text
    assert house.office.desk._all()[own].decision is None


def test_what_the_conditions_forbid_is_not_approved(house: House) -> None:
    number = asked(house, commercial="on")
    page = house.logged_in("oskar").get(f"/requests/{number}").text
    assert "a condition isn&#39;t kept" in page
    oskar = house.logged_in("oskar")
    path = f"/requests/{number}/decision"
    said = post(oskar, path, {"verdict": "approve", "reason": "let us do it anyway"})
    assert said.status_code == 400
    assert "permit what is wanted" in said.text
    assert "refused" in post(oskar, path, {"verdict": "refuse", "reason": "commercial use is barred"}).text


def test_an_incomplete_request_keeps_what_was_written(house: House) -> None:
    client = house.logged_in("rita")
    page = post(client, f"/records/{record_name(client)}/request", {**WANTED, "description": ""})
    assert page.status_code == 400
    assert "(description)" in page.text
    assert "A university" in page.text
    more = post(client, f"/records/{record_name(client)}/request", {**WANTED, "admin": "1"})
    assert more.status_code == 400


def test_answers_say_who_is_silent(house: House) -> None:
    client = house.logged_in("rita")
    page = post(client, "/search", {"modality": "MR"})
    assert page.text.count("no answer") == 2
    assert "Sum over 0 of 2 hospitals" in page.text
    assert page.text.count('<td class="number">not told</td>') == 3


def test_a_search_is_in_the_ledger_before_any_site_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the portal falls over")

    client = house.logged_in("rita")
    monkeypatch.setattr(type(house.office.mailbox), "ask", broken)
    assert post(client, "/search", {"modality": "MR"}).status_code == 500
    noted = house.office.desk.entries()[-1]
    assert (noted.kind, noted.body["asked"]) == ("catalogue_search", ["north", "south"])
    assert noted.body["question"]["children"][0]["value"] == ["MR"]


def test_a_site_answers_by_asking_for_questions(house: House) -> None:
    accept_lead(house.site, house.office.key.public)
    client, token = house.logged_in("rita"), ""
    token = csrf_of(client)
    found: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: found.append(
            client.post("/search", data={"csrf": token, "modality": "MR", "age_from": "50"})
        )
    )
    mailbox = house.office.mailbox
    patient = house.office.settings.portal
    object.__setattr__(patient, "wait_s", 5.0)
    try:
        waiting.start()
        while not mailbox._waiting.get("north"):
            pass
        assert answer_waiting(house.site, house.address, once=True) == 1
        waiting.join(20)
    finally:
        object.__setattr__(patient, "wait_s", 0.3)
    assert "Sum over 1 of 2 hospitals" in found[0].text
    assert re.search(r"Between \d+ and \d+ subjects", found[0].text)


def test_what_records_hold_can_be_asked_for(house: House) -> None:
    page = house.logged_in("rita").get("/search").text
    assert 'name="manufacturer" value="HOLOGIC"' in page


def test_a_question_that_is_none_is_said(house: House) -> None:
    client = house.logged_in("rita")
    for given in (
        {"tree": "{"},
        {"tree": "[" * 5000},
        {"age_from": "x"},
        {"within": "ward"},
        {"sex": "a';--"},
    ):
        assert post(client, "/search", given).status_code == 400


def test_the_exchange_takes_signed_requests_of_known_sites_once(house: House) -> None:
    browser = house.browser()
    poll = poll_of(house.site, wait_s=0.0)
    body = poll.model_dump_json()
    assert browser.post("/exchange/next", content=body).status_code == 204
    assert browser.post("/exchange/next", content=body).status_code == 400
    altered = {**json.loads(body), "number": "1" * 64}
    assert browser.post("/exchange/next", content=json.dumps(altered)).status_code == 403
    unknown = {**json.loads(body), "site": "west"}
    assert browser.post("/exchange/next", content=json.dumps(unknown)).status_code == 403
    for path in ("/exchange/next", "/exchange/answers", "/exchange/ask"):
        for junk in (b"", b"{}", b"[" * 50_000, b"\xff", b"[1]"):
            assert browser.post(path, content=junk).status_code == 400, (path, junk[:5])


def test_large_bodies_and_other_hosts_are_refused(house: House) -> None:
    browser = house.browser()
    assert browser.post("/exchange/next", content=b"x" * 200_000).status_code == 413
    assert browser.post("/exchange/next", content=iter([b"x"] * 3)).status_code == 413
    assert browser.get("/welcome", headers={"Host": "evil.example"}).status_code == 421


def test_every_answer_keeps_a_browser_strict(house: House) -> None:
    for path in ("/welcome", "/style.css", "/nowhere", "/requests/x", "/login"):
        said = house.browser().get(path, follow_redirects=False).headers
        policy = said["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert "unsafe" not in policy
        assert said["x-content-type-options"] == "nosniff"
        assert said["cache-control"] == "no-store"


def test_no_page_loads_anything_from_elsewhere(house: House) -> None:
    client = house.logged_in("rita")
    name = record_name(client)
    for path in ("/", f"/records/{name}", "/search", f"/records/{name}/request", "/requests"):
        text = client.get(path).text
        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r'(src|href|action)="(https?:)?//', text), path


@pytest.mark.parametrize("path", ["//evil.example/x", "/%2f/evil.example", "/<script>", '/"onclick=x'])
def test_no_link_leads_where_a_path_says(house: House, path: str) -> None:
    page = house.browser().get(f"{house.address}{path}")
    assert page.status_code == 404
    assert not re.search(r'href="(//|https?:)', page.text)
    assert "<script" not in page.text
    assert "onclick" not in page.text


def test_no_secret_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client = house.logged_in("rita")
        client.get("/callback", params={"code": "sesame", "state": "x\n[forged] line"})
        client.get("/records/%0aforged")
    own = [record.getMessage() for record in caplog.records if record.name.startswith("huizhen")]
    assert own
    assert not any("sesame" in line or "secret-token" in line or "forged" in line for line in own)


def test_pages_speak_both_languages(house: House) -> None:
    client = house.logged_in("rita")
    assert "共同满足条件" in client.get("/search", params={"lang": "zh"}).text
    assert "共同满足条件" in client.get("/search").text
    assert "Met together by" in client.get("/search", params={"lang": "en"}).text
    assert "乳腺影像" in client.get("/", headers={"Accept-Language": "zh-CN"}, params={"lang": "zh"}).text


def test_the_auditor_sees_the_head_of_the_ledger(house: House) -> None:
    asked(house)
    page = house.logged_in("anton").get("/audit").text
    size, root = house.office.desk.head()
    assert root in page
    assert f"{size} entries" in page


def test_a_record_is_given_as_it_was_signed(house: House) -> None:
    client = house.logged_in("vera")
    got = client.get(f"/records/{record_name(client)}.jsonld")
    assert got.headers["content-type"].startswith("application/ld+json")
    assert "attachment" in got.headers["content-disposition"]
    assert got.content == (Path(house.office.shelf.folder) / "north.jsonld").read_bytes()


def test_what_is_no_plain_text_is_refused_and_breaks_nothing(house: House) -> None:
    """A state beyond ASCII, and a form whose charset makes half signs."""
    browser = house.browser()
    browser.get("/login", follow_redirects=False)
    assert browser.get("/callback?state=%C3%A9&code=x").status_code == 403
    client = house.logged_in("rita")
    fields = {"csrf": csrf_of(client), "title": "\\ud800 study", "description": "d", "institution": "i"}
    parts = [f'--B\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    path = f"/records/{record_name(client)}/request"
    for charset in ("raw_unicode_escape", "idna", "utf-7", "; charset=utf-8; charset=idna"):
        headers = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
        assert client.post(path, content="".join(parts) + "--B--\r\n", headers=headers).status_code == 400
    headers = {"Content-Type": "multipart/form-data; boundary=B; charset=UTF-8"}
    assert client.post(path, content="".join(parts) + "--B--\r\n", headers=headers).status_code == 200
