"""What a job runs at a site: it gives each frame to the site's worker and returns the worker's answer.

Which folder is the site's, and which code opens its data, is said by the site alone, in the file huizhen.json
in its own kit's `local` folder (`flare_processes.attach` writes it); a job can't name either.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
from pathlib import Path
from typing import IO

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from huizhen.errors import FederationError, HuizhenError
from huizhen.federate.engines.flare_controller import BEAT, FRAME, TASK
from huizhen.federate.engines.flare_provision import SETTINGS
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import OpenLearner
from huizhen.federate.site.lock import alone
from huizhen.federate.site.worker import Worker

BEAT_S = 2.0


class SiteExecutor(Executor):  # type: ignore[misc]  # nvflare has no types
    """Answers the study lead's frames with the worker of the site that this process runs at."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: Worker | None = None
        self._lock: IO[bytes] | None = None
        self._last: tuple[str, bytes] = "", b""

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Open the site when the job starts."""
        if event_type == EventType.START_RUN:
            try:
                self._open(fl_ctx)
            except HuizhenError as error:
                self.system_panic(str(error), fl_ctx)

    def _open(self, fl_ctx: FLContext) -> None:
        """Open the site's worker, alone on its folder, and give signs of life from now on."""
        engine = fl_ctx.get_engine()
        threading.Thread(target=_beats, args=(engine, os.getppid()), daemon=True).start()
        folder, learner = load_settings(Path(engine.get_workspace().get_site_config_dir()))
        site = SiteFolder.open(folder)
        if site.name != fl_ctx.get_identity_name():
            raise FederationError(
                f"the certificate is for {fl_ctx.get_identity_name()}, the folder is of {site.name}",
                remedy="give both one name",
                field="site",
            )
        self._lock = alone(site.path)
        self._worker = Worker(site, learner)

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Return the worker's answer; a task that FLARE brings twice gets the same one again."""
        frame, number = shareable.get(FRAME), str(fl_ctx.get_prop(FLContextKey.TASK_ID))
        if task_name != TASK or self._worker is None or not isinstance(frame, bytes):
            return make_reply(ReturnCode.BAD_TASK_DATA)
        if self._last[0] != number:
            try:
                self._last = number, self._worker.answer(frame)
            except HuizhenError as error:
                self.log_error(fl_ctx, f"nothing leaves: {error.code} {error.message}")
                return make_reply(ReturnCode.EXECUTION_EXCEPTION)
        reply = Shareable()
        reply[FRAME] = self._last[1]
        return reply


def load_settings(local: Path) -> tuple[Path, OpenLearner]:
    """Return the site's folder, and what opens its data, from the kit's `local` folder.

    Raises `FederationError` when the file isn't there, is another one, or names no such function.
    """
    try:
        found = json.loads((local / SETTINGS).read_text(encoding="utf-8"))
        module, _, name = str(found["learner"]).partition(":")
        learner: OpenLearner = getattr(importlib.import_module(module), name)
        return Path(found["site"]), learner
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise FederationError(
            f"the site's folder isn't attached ({type(error).__name__})",
            remedy="start the site with its folder",
            file=str(local / SETTINGS),
        ) from error


def _beats(engine: object, parent: int) -> None:
    """Give a sign of life every few seconds, and end this process when its FLARE client is gone."""
    beat = 0.0
    while os.getppid() == parent:
        if time.monotonic() - beat < BEAT_S:
            time.sleep(0.25)
            continue
        beat = time.monotonic()
        with engine.new_context() as fl_ctx:  # type: ignore[attr-defined]  # nvflare has no types
            engine.send_aux_request(  # type: ignore[attr-defined]  # nvflare has no types
                targets=["server"], topic=BEAT, request=Shareable(), timeout=0.0, fl_ctx=fl_ctx, optional=True
            )
    os._exit(9)
