"""What `portal.toml` allows whom just now: read again when the file changed, without a restart.

Of a changed file only [roles] and sites' officers count. One that can't be read allows nobody anything until
it can: who takes a right away and errs in writing it isn't to leave it in force.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from huizhen.errors import HuizhenError
from huizhen.portal.settings import Roles, Settings, load_settings

__all__ = ["Rules"]

_LOG = logging.getLogger("huizhen.portal")


class Rules:
    """The settings that a portal began with, and the file that they came from, if any."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self._began, self._file = settings, file
        self._lock = threading.Lock()
        self._mark = _mark(file)
        self._now = settings

    def now(self) -> Settings:
        """Return the settings with the roles and officers that the file has now."""
        if self._file is None:
            return self._began
        with self._lock:
            if (mark := _mark(self._file)) != self._mark:
                self._mark, self._now = mark, self._read(self._file)
            return self._now

    def _read(self, file: Path) -> Settings:
        try:
            said = load_settings(file)
        except HuizhenError as error:
            _LOG.error("%s can't be used: nobody may anything (%s)", file.name, error.field or error.code)
            none = [site.model_copy(update={"officers": ()}) for site in self._began.site]
            return self._began.model_copy(update={"roles": Roles(), "site": tuple(none)})
        _LOG.warning("%s was changed: its roles count from now on", file.name)
        officers = {site.name: site.officers for site in said.site}
        sites = [
            site.model_copy(update={"officers": officers.get(site.name, ())}) for site in self._began.site
        ]
        return self._began.model_copy(update={"roles": said.roles, "site": tuple(sites)})


def _mark(file: Path | None) -> tuple[int, int, int]:
    """Return what tells whether a file was written or replaced; zeros of none."""
    try:
        status = file.stat() if file is not None else None
    except OSError:
        status = None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status is not None else (0, 0, 0)
