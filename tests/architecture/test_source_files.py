"""Every source file: short, exporting what is there, and tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

LONGEST = 400

COMMANDS = "tests/unit/cli/test_commands.py"
SITES = "tests/unit/cli/test_site_commands.py"
FORMS = "tests/unit/cli/test_form_commands.py"
ELSEWHERE: dict[str, str] = {
    "huizhen.cli.__main__": "tests/architecture/test_imports.py",
    "huizhen.cli.commands.data_describe": COMMANDS,
    "huizhen.cli.commands.demo": COMMANDS,
    "huizhen.cli.commands.form_check": FORMS,
    "huizhen.cli.commands.form_new": FORMS,
    "huizhen.cli.commands.export": COMMANDS,
    "huizhen.cli.commands.show": COMMANDS,
    "huizhen.cli.commands.study_lock": "tests/unit/cli/test_validate.py",
    "huizhen.cli.commands.verify": COMMANDS,
}
"""Modules that no test names, because they are run by what they do, with the test that runs them."""


def names_in(tree: ast.Module) -> set[str]:
    """Return the names that a module defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def exported(tree: ast.Module) -> list[str] | None:
    """Return a module's `__all__`, or None if it has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return None


def test_no_file_is_too_long(sources: dict[str, Path]) -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in sources.items()}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_exports_are_there_once(sources: dict[str, Path]) -> None:
    wrong: dict[str, list[str]] = {}
    for name, path in sources.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = exported(tree) or []
        known = names_in(tree) | {
            module.rpartition(".")[2] for module in sources if module.rpartition(".")[0] == name
        }
        missing = [item for item in names if item not in known]
        twice = [item for item in set(names) if names.count(item) > 1]
        if missing or twice:
            wrong[name] = missing + twice
    assert wrong == {}


def test_every_module_has_a_docstring(sources: dict[str, Path]) -> None:
    bare = [
        n for n, path in sources.items() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert bare == []


def test_every_module_is_tested(root: Path, sources: dict[str, Path]) -> None:
    """By a test of its name, by one that imports it, or as a part of a tested module of its own room."""
    files = [path for path in (root / "tests").rglob("test_*.py") if path.name != Path(__file__).name]
    tests = {path: path.read_text(encoding="utf-8") for path in files}
    stems, text = {path.stem for path in tests}, "\n".join(tests.values())
    tested = {name for name in sources if is_named(name, stems, text)}
    frontier = set(tested)
    while frontier:
        parts = {part for name in frontier for part in parts_of(name, sources)}
        frontier = parts - tested
        tested |= parts
    untested = {name for name, path in sources.items() if name not in tested and not is_shown(path)}
    assert sorted(untested - set(ELSEWHERE)) == []
    assert sorted(set(ELSEWHERE) - untested) == [], "these have a test of their name: take them off the list"
    assert [test for test in ELSEWHERE.values() if not (root / test).is_file()] == []


def is_named(name: str, stems: set[str], text: str) -> bool:
    """Tell whether a test file is called after a module, or imports it."""
    package, _, module = name.rpartition(".")
    named = {f"test_{module}", f"test_{package.rpartition('.')[2]}_{module}"} & stems
    imported = re.search(rf"(from|import) {re.escape(name)}\b(?!\.)|[\"']{re.escape(name)}\b", text)
    return bool(named or imported or re.search(rf"from {re.escape(package)} import .*\b{module}\b", text))


def parts_of(name: str, sources: dict[str, Path]) -> set[str]:
    """Return the modules of its own room that a module imports."""
    return {part for part in imports_in(sources[name], sources) if room(part) == room(name)}


def imports_in(path: Path, sources: dict[str, Path]) -> set[str]:
    """Return the modules of huizhen that a module imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(sources)


def room(name: str) -> str:
    """Return the room of a module: huizhen.core.words is in core."""
    return name.split(".")[1] if "." in name else name


def is_shown(path: Path) -> bool:
    """Tell whether a module is a package's front, or each of its functions shows a checked example."""
    return path.name == "__init__.py" or has_only_a_doctest(path)


def has_only_a_doctest(path: Path) -> bool:
    """Tell whether each function of a module shows its own example, which the test run checks."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    return bool(functions) and all(">>>" in (ast.get_docstring(node) or "") for node in functions)
