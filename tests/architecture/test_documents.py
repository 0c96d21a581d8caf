"""Documents, word tables and error codes can't fall behind the code."""

from __future__ import annotations

import importlib
import inspect
import re
import string
import subprocess
import tomllib
from pathlib import Path

import pytest

from huizhen import errors
from huizhen.cli.lazy import COMMANDS
from huizhen.cli.reference import cli_reference
from huizhen.core.cohort import REASONS
from huizhen.core.study_reference import study_reference
from huizhen.federate.policy_reference import policy_reference

CLASSES = [
    item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, errors.HuizhenError)
]

REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted",
    "anaconda" + ".org",
    "npm" + "js",
    "download." + "pytorch",
]
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|tmp|home|mnt)/[\w.]")


def tracked(root: Path) -> list[Path]:
    """Return the tracked files, or skip where this is no checkout."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def test_error_codes_and_exit_codes_are_unique() -> None:
    assert len({item.code for item in CLASSES}) == len(CLASSES)
    own = [item for item in CLASSES if item is not errors.HuizhenError]
    assert len({item.exit_code for item in own}) == len(own)
    assert not {item.exit_code for item in own} & {0, 1, 2, 130}
    assert all(item.exit_code == int(item.code.removeprefix("HZ")) for item in own)


@pytest.mark.parametrize("item", CLASSES, ids=lambda item: str(item.__name__))
def test_each_error_is_drawn_exported_and_documented(root: Path, item: type[errors.HuizhenError]) -> None:
    assert item.__name__ in errors.__all__
    assert item.__name__ in (errors.__doc__ or "")
    rows = (root / "docs/reference/errors.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if row.startswith(f"| {item.code} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"`{item.__name__}`"
    assert cells[4] == str(item.exit_code)


def test_errors_outside_the_tree_have_the_code_of_their_parent(sources: dict[str, Path]) -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    owners = [name for name, text in texts.items() if re.search(r'^    code = "HZ', text, re.M)]
    assert owners == ["huizhen.errors"]


@pytest.mark.parametrize(
    ("page", "text"),
    [("cli.md", cli_reference), ("study.md", study_reference), ("site-policy.md", policy_reference)],
    ids=["cli.md", "study.md", "site-policy.md"],
)
def test_reference_pages_are_up_to_date(root: Path, page: str, text: object) -> None:
    assert callable(text)
    made = text()
    assert (root / "docs/reference" / page).read_text(encoding="utf-8") == made, (
        "write it anew; its head says how"
    )


def test_each_key_of_the_study_file_has_a_meaning() -> None:
    bare = [line for line in study_reference().splitlines() if re.match(r"\| `\w+` .*\|\s*\|$", line)]
    assert bare == []


def test_each_key_of_a_sites_policy_has_a_meaning() -> None:
    bare = [line for line in policy_reference().splitlines() if re.match(r"\| `\w+` .*\|\s*\|$", line)]
    assert bare == []


def flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    """Return nested tables with their keys joined by dots."""
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: str(value)}
    return found


def word_tables(root: Path) -> list[Path]:
    """Return the folders of word tables."""
    return sorted(path for path in (root / "src").rglob("words") if path.is_dir())


def test_words_exist_in_both_languages_with_the_same_values(root: Path) -> None:
    assert word_tables(root)
    for folder in word_tables(root):
        en, zh = (flat(tomllib.loads((folder / f"{code}.toml").read_text("utf-8"))) for code in ("en", "zh"))
        assert set(en) ^ set(zh) == set(), folder
        for key in en:
            assert en[key].strip(), (folder, key)
            assert zh[key].strip(), (folder, key)
            assert placeholders(en[key]) == placeholders(zh[key]), (folder, key)


def placeholders(text: str) -> set[str]:
    """Return the names that a text leaves open."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_each_task_that_reports_progress_has_words(root: Path, sources: dict[str, Path]) -> None:
    words = flat(tomllib.loads((root / "src/huizhen/cli/words/en.toml").read_text("utf-8")))
    texts = [path.read_text("utf-8") for path in sources.values()]
    tasks = {task for text in texts for task in re.findall(r'\.track\(\s*"(\w+)"', text)}
    assert tasks
    assert sorted(task for task in tasks if f"task.{task}" not in words) == []


def test_each_reason_for_exclusion_has_words(root: Path) -> None:
    words = flat(tomllib.loads((root / "src/huizhen/cli/words/en.toml").read_text("utf-8")))
    assert "unreadable" in REASONS
    assert sorted(reason for reason in REASONS if f"reason.{reason}" not in words) == []


def test_each_command_has_a_module() -> None:
    for group, names in COMMANDS.items():
        for name in names:
            if name not in COMMANDS:
                path = name if group == "huizhen" else f"{group}_{name}"
                path = path.replace("-", "_")
                assert callable(importlib.import_module(f"huizhen.cli.commands.{path}").command)


def test_no_tracked_file_names_a_registry_or_a_path_of_one_machine(root: Path) -> None:
    wrong: list[str] = []
    for path in tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [host for host in REGISTRIES if host in text]
        found += [match.group() for match in MACHINE_PATH.finditer(text)]
        if found and path != Path(__file__):
            wrong.append(f"{path.relative_to(root)}: {found[:3]}")
    assert wrong == []
