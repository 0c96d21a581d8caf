"""The page in a real browser: its script runs under its own policy, and nothing is asked of a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(
    not CHROMIUM and "HUIZHEN_REQUIRE_OPTIONAL" not in os.environ, reason="no Chromium is on this machine"
)


def opened(page: Path, anchor: str, tmp_path: Path) -> tuple[str, str]:
    """Return the page's elements after its script ran, and what the browser had to say."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000",
            "--enable-logging=stderr",
            "--dump-dom",
            f"{page.as_uri()}#{anchor}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


def test_script_unfolds_the_entry_that_a_link_names(built: Path, tmp_path: Path) -> None:
    elements, said = opened(built / "index.html", "entry-3", tmp_path)
    tags = dict(re.findall(r'<details id="(entry-\d+)"([^>]*)>', elements))
    assert "open" in tags.pop("entry-3")
    assert not any("open" in rest for rest in tags.values())
    console = [line for line in said.splitlines() if "CONSOLE" in line]
    assert console == []


def test_a_changed_script_is_refused_by_the_policy(built: Path, tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    text = (built / "index.html").read_text(encoding="utf-8")
    page.write_text(text.replace('"use strict";', '"use strict"; /* changed */', 1), encoding="utf-8")
    elements, said = opened(page, "entry-3", tmp_path)
    assert "open" not in dict(re.findall(r'<details id="(entry-\d+)"([^>]*)>', elements))["entry-3"]
    assert "Content Security Policy" in said
