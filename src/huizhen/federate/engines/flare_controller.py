"""What a job runs at the FLARE server: it takes asks from the study lead and sets them as tasks for one site.

A job is for one site, so that a site that dies takes no other's job down with it. Not one of FLARE's own
controllers: those wait for a site that was killed and came back for ever.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from huizhen.federate.engines.flare_hub import Line, call_hub

TASK = "huizhen"
FRAME = "frame"
BEAT = "huizhen.beat"
POLL_S, PAUSE_S = 0.02, 0.5
SILENT_S = 10.0
"""A site of which nothing was heard for so long counts as gone. It gives a sign of life every 2 s."""
ALONE_S = 180.0
"""How long a job waits for the study lead to come back."""


class FrameController(Controller):  # type: ignore[misc]  # nvflare has no types
    """Carries frames between the study lead's process and the one site of this job."""

    def __init__(self) -> None:
        super().__init__(task_check_period=0.05)
        self._site = self._job = ""
        self._workspace = Path()
        self._heard = -math.inf
        self._task: Task | None = None
        self._number = 0
        self._done: SimpleQueue[tuple[int, bytes]] = SimpleQueue()

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Find the site that this job is for."""
        engine = fl_ctx.get_engine()
        (client,) = engine.get_clients()
        self._site, self._job = client.name, fl_ctx.get_job_id()
        self._workspace = Path(engine.get_workspace().get_root_dir())
        engine.register_aux_message_handler(BEAT, self._beat)

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Let go of the open task."""
        self.cancel_all_tasks(fl_ctx=fl_ctx)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Serve the lead until it ends the job, or stays away too long."""
        alone = time.monotonic()
        while not abort_signal.triggered and time.monotonic() - alone < ALONE_S:
            line = call_hub(self._workspace, site=self._site, job=self._job)
            if line is None:
                time.sleep(PAUSE_S)
                continue
            if self._serve(line, abort_signal, fl_ctx):
                return
            alone = time.monotonic()

    def _serve(self, line: Line, abort_signal: Signal, fl_ctx: FLContext) -> bool:
        """Serve one line until the lead hangs up; tell whether it ended the job."""
        silent = True
        try:
            while not abort_signal.triggered:
                if line.waiting(POLL_S):
                    note, frame = line.receive()
                    if note["kind"] == "end":
                        return True
                    self._ask(int(note["number"]), frame, math.ceil(note["timeout_s"]), fl_ctx)
                while not self._done.empty():
                    number, answer = self._done.get()
                    kind = "answer" if answer else "failed"
                    line.send({"kind": kind, "number": number}, answer)
                if silent != (time.monotonic() - self._heard > SILENT_S):
                    silent = not silent
                    line.send({"kind": "silent" if silent else "back"})
        except (OSError, EOFError, KeyError, ValueError) as error:
            self.log_info(fl_ctx, f"the line to the study lead broke: {type(error).__name__}")
        finally:
            line.close()
        return False

    def _ask(self, number: int, frame: bytes, timeout_s: int, fl_ctx: FLContext) -> None:
        """Set the site a task, in place of the one before, which the lead no longer waits for."""
        if self._task is not None:
            self.cancel_task(self._task)
        data = Shareable()
        data[FRAME] = frame
        self._number = number
        answered = partial(self._answered, number)
        self._task = Task(name=TASK, data=data, timeout=max(timeout_s, 1), result_received_cb=answered)
        self.broadcast(self._task, fl_ctx, targets=[self._site], min_responses=1)

    def _answered(self, number: int, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Keep the answer for the line; one to an earlier ask is dropped."""
        result, client_task.result = client_task.result, None
        frame = result.get(FRAME) if result.get_return_code() == ReturnCode.OK else None
        if number == self._number:
            self._done.put((number, frame if isinstance(frame, bytes) else b""))

    def _beat(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """Note a sign of life."""
        self._heard = time.monotonic()
        return make_reply(ReturnCode.OK)

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """Drop an answer that came too late."""
        self.log_info(fl_ctx, "a late answer was dropped")
