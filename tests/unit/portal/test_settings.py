"""`portal.toml`, sessions and numbers that count once, by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from huizhen.errors import InvalidInputError, StageError
from huizhen.portal import serving
from huizhen.portal.fences import policy_of
from huizhen.portal.mailbox import Seen
from huizhen.portal.roles import Person
from huizhen.portal.serving import serve
from huizhen.portal.sessions import FLOW_S, Sessions
from huizhen.portal.settings import Settings, load_settings

GOOD: dict[str, Any] = {
    "portal": {"title": "T", "address": "https://catalogue.example.org/"},
    "login": {"issuer": "https://login.example.org", "client_id": "portal"},
}


def changed(table: str, **values: Any) -> dict[str, Any]:
    """Return the settings with some values of a table changed."""
    return {**GOOD, table: {**GOOD[table], **values}}


def test_good_settings() -> None:
    found = Settings.model_validate(GOOD)
    assert found.secure
    assert found.portal.address == "https://catalogue.example.org"
    assert "form-action 'self' https://login.example.org" in policy_of(found)


@pytest.mark.parametrize(
    "given",
    [
        changed("portal", address="http://catalogue.example.org"),
        changed("portal", address="http://127.0.0.1.evil.example"),
        changed("portal", address="https://x/<script>"),
        changed("login", issuer="http://login.example.org"),
        changed("login", issuer="https://user:word@login.example.org"),
        changed("login", scopes=["profile"]),
        changed("login", secret_variable="a secret"),
        changed("login", client_secret="written down"),
        changed("portal", certificate="c.pem"),
        {**GOOD, "site": [{"name": "a", "key": "0" * 64}, {"name": "a", "key": "1" * 64}]},
        {**GOOD, "site": [{"name": "a", "key": "x"}]},
        {**GOOD, "more": 1},
    ],
    ids=lambda given: str({k: v for k, v in given.items() if v != GOOD.get(k)})[:70],
)
def test_wrong_settings_are_named(given: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "portal.toml"
    path.write_text(_toml(given))
    with pytest.raises(InvalidInputError) as caught:
        load_settings(path)
    assert caught.value.file == "portal.toml"


def _toml(given: dict[str, Any]) -> str:
    """Return tables of plain values as TOML, inline."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {inline(one)}" for name, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return f'"{value}"' if isinstance(value, str) else str(value)

    return "".join(f"{name} = {inline(value)}\n" for name, value in given.items())


def test_no_file_and_no_toml(tmp_path: Path) -> None:
    for text in (None, "[portal"):
        path = tmp_path / "portal.toml"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InvalidInputError, match="TOML"):
            load_settings(path)


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


SOMEBODY = Person(id="0" * 16, name="", email="", rights=frozenset(), officer_of=frozenset())


def test_sessions_end() -> None:
    clock = Clock()
    sessions = Sessions(idle_s=1800, longest_s=28_800, clock=clock)
    token, session = sessions.begin()
    session.person = SOMEBODY
    guest, _ = sessions.begin()
    clock.now = FLOW_S + 1
    assert sessions.find(guest) is None
    assert sessions.find(token) is session
    clock.now += 1801
    assert sessions.find(token) is None
    token, session = sessions.begin()
    session.person = SOMEBODY
    for _ in range(20):
        clock.now += 1500
        found = sessions.find(token)
    assert found is None
    assert sessions.find(None) is sessions.find("x" * 500) is None


def test_a_flood_of_guests_ends_nobodys_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huizhen.portal.sessions.MOST", 10)
    sessions = Sessions(idle_s=1800, longest_s=28_800)
    token, session = sessions.begin()
    session.person = SOMEBODY
    for _ in range(30):
        sessions.begin()
    assert sessions.find(token) is session
    assert len(sessions._held) <= 11


def test_a_number_counts_once() -> None:
    seen = Seen()
    assert [seen.once("a"), seen.once("a"), seen.once("b")] == [True, False, True]


def test_a_taken_address_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*arguments: object, **options: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr("uvicorn.run", taken)
    monkeypatch.setattr(serving.logging, "basicConfig", lambda **options: None)
    with pytest.raises(StageError, match="can't listen"):
        serve(Settings.model_validate(GOOD), tmp_path / "portal.toml", told=lambda text, language: text)


@pytest.mark.parametrize("there", [[], ["portal.pem"]])
def test_a_certificate_that_is_not_there_is_said(there: list[str], tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).touch()
    with_tls = {**GOOD["portal"], "certificate": "portal.pem", "private_key": "portal.key"}
    settings = Settings.model_validate({**GOOD, "portal": with_tls})
    with pytest.raises(InvalidInputError, match="no such file") as caught:
        serve(settings, tmp_path / "portal.toml", told=lambda text, language: text)
    assert caught.value.field == ("portal.private_key" if there else "portal.certificate")
