"""Rooms import one way, and what must answer at once or run at a regulator's stays light."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

HEAVY = ["torch", "pandas", "matplotlib", "scipy", "sklearn", "highdicom", "pydicom", "nibabel", "pyarrow"]

HELP = """
import sys
from huizhen.cli import main
sys.argv = ["huizhen", "--help"]
try:
    main()
except SystemExit as stop:
    code = stop.code
"""


def environment(root: Path) -> dict[str, str]:
    """Return this process's environment with the source tree on the path."""
    return {**os.environ, "PYTHONPATH": str(root / "src"), "LANG": "C", "LC_ALL": "C"}


def imported(root: Path, code: str) -> list[str]:
    """Return the top-level modules that a fresh process has imported after running `code`."""
    ending = (
        "\nimport json, sys\nprint()\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    line = [sys.executable, "-c", code + ending]
    done = subprocess.run(line, env=environment(root), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_import_contracts_hold(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "src"))
    assert lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def test_help_imports_nothing_heavy(root: Path) -> None:
    found = imported(root, HELP)
    assert "typer" in found
    assert [name for name in [*HEAVY, "numpy", "pydantic"] if name in found] == []


@pytest.mark.parametrize(
    "module",
    ["huizhen.dossier.verification", "huizhen.ledger.reading", "huizhen.core.study_file", "huizhen.errors"],
)
def test_a_regulators_modules_import_nothing_heavy(root: Path, module: str) -> None:
    found = imported(root, f"import {module}")
    assert "huizhen" in found
    assert [name for name in HEAVY if name in found] == []


def test_help_answers_in_half_a_second_of_processor_time(root: Path) -> None:
    spent_s = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        line = [sys.executable, "-m", "huizhen.cli", "--help"]
        subprocess.run(line, env=environment(root), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent_s.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(spent_s) < 0.5


def test_torchvision_is_absent() -> None:
    assert importlib.util.find_spec("torchvision") is None
