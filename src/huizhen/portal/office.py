"""What a portal's pages share: its settings and everything it keeps, opened together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huizhen.core.words import Language
from huizhen.ledger.signing import SigningKey
from huizhen.portal.access import Desk
from huizhen.portal.login import Provider
from huizhen.portal.mailbox import Mailbox, Seen
from huizhen.portal.patience import Patience
from huizhen.portal.rules import Rules
from huizhen.portal.sessions import Sessions
from huizhen.portal.settings import Settings
from huizhen.portal.shelf import Shelf

__all__ = ["Office", "Told"]

CALLS = 2.0
"""Times of one answer that a whole login may take."""
Told = Callable[[str, Language], str]
"""Gives an error's English text in a language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An open portal."""

    settings: Settings
    key: SigningKey
    sessions: Sessions
    provider: Provider
    shelf: Shelf
    desk: Desk
    mailbox: Mailbox
    seen: Seen
    told: Told
    rules: Rules
    patience: Patience

    @classmethod
    def open(cls, settings: Settings, home: Path, *, told: Told, file: Path | None = None) -> Office:
        """Open a portal whose paths are relative to `home`; `file` holds the settings, to be read again.

        Raises `LedgerError` when another process serves it, `StorageError` when its folder can't be written.
        """
        portal = settings.portal
        state = home / portal.state
        key = SigningKey.create_or_load(state / "key.pem")
        return cls(
            settings=settings,
            key=key,
            sessions=Sessions(idle_s=60.0 * portal.idle_minutes, longest_s=3600.0 * portal.longest_hours),
            provider=Provider(settings.login, redirect=f"{portal.address}/callback"),
            shelf=Shelf.of(home / portal.records, settings.site),
            desk=Desk(state / "ledger", key),
            mailbox=Mailbox(),
            seen=Seen(),
            told=told,
            rules=Rules(settings, file),
            patience=Patience(CALLS * settings.login.timeout_s),
        )

    def close(self) -> None:
        """Let another process open the portal."""
        self.patience.close()
        self.desk.close()

    @property
    def cookie(self) -> str:
        """The session cookie's name; with https one that only this host may set."""
        return "__Host-huizhen" if self.settings.secure else "huizhen"

    @property
    def flow_cookie(self) -> str:
        """The cookie's name of a login under way: who begins one doesn't end the session before."""
        return f"{self.cookie}-login"
