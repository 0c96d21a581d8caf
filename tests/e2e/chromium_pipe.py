"""A real browser, driven through the two pipes of its debugging protocol: no driver, no web socket."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
TIMEOUT_S = 60.0


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, folder: Path, *, language: str = "en") -> None:
        """Start it with its profile in `folder`."""
        read_there, self._write = os.pipe()
        self._read, write_there = os.pipe()
        flags = (
            "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
            "--disable-background-networking --remote-debugging-pipe --window-size=1100,1400 "
            f"--lang={language}"
        )
        line = f"exec '{CHROMIUM}' {flags} --user-data-dir='{folder}' 3<&{read_there} 4>&{write_there}"
        self._process = subprocess.Popen(
            ["bash", "-c", line],
            pass_fds=(read_there, write_there),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self._number, self._rest, self._session = 0, b"", ""
        self.said: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def open(self, address: str) -> None:
        """Go to an address, and wait until the page is there."""
        self._call("Page.navigate", url=address)
        self.settle()

    def run(self, script: str) -> Any:
        """Return what a script of the tester's gives in the page."""
        done = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def settle(self, *, left: bool = False) -> None:
        """Wait until the page is loaded and stays where it is; with `left`, another page than before."""
        deadline, before = time.monotonic() + TIMEOUT_S, ""
        while time.monotonic() < deadline:
            time.sleep(0.15)
            try:
                now = self.run("document.readyState + ' ' + !window.stale + ' ' + location.href")
            except AssertionError:  # it was just leaving
                continue
            if now == before and now.startswith("complete true" if left else "complete"):
                return
            before = now
        raise TimeoutError(before)

    @property
    def text(self) -> str:
        """What a reader sees."""
        return str(self.run("document.body.innerText"))

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.run("location.href"))

    def fill(self, name: str, value: str) -> None:
        """Write into the field of a name."""
        found = self.run(
            f"(() => {{ const f = document.querySelector('[name={json.dumps(name)}]'); "
            f"if (f) f.value = {json.dumps(value)}; return !!f; }})()"
        )
        assert found, f"no field {name} in: {self.text}"

    def click(self, words: str) -> None:
        """Click what says `words`; of a link or button, wait for the page that it leads to."""
        found = self.run(
            "(() => { const all = [...document.querySelectorAll('a, button, label, summary')]; "
            f"const one = all.find(e => e.innerText.trim() === {json.dumps(words)}); "
            "if (one) { window.stale = true; one.click(); } return one ? one.tagName : ''; })()"
        )
        assert found, f"nothing says {words} in: {self.text}"
        if found in ("A", "BUTTON"):
            self.settle(left=True)

    def picture(self, path: Path) -> None:
        """Keep the whole page as a picture."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one message and return its answer; what the console says meanwhile is kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            answer = self._received(deadline)
            if answer.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled"):
                self.said.append(json.dumps(answer["params"]))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
        raise TimeoutError(method)

    def _received(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser says nothing")
            self._rest += os.read(self._read, 1 << 16)
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))
