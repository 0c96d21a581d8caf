"""Every example in the documents runs, every link leads somewhere, every picture is small.

A page's shell and Python blocks run in order, in a folder of the page's own that holds what a reader has: a
finished small demo (`huizhen-demo`), a study of images (`study.toml`, `northside`), and the folder of another
hospital (`harbour`). Comments before a block say otherwise:

    <!-- not run: why -->            the block is shown only
    <!-- run as: command -->         this is run in its place (the demo with fewer patients)
    <!-- run first: command -->      this is run before it (what the reader would have from elsewhere)
"""

from __future__ import annotations

import csv
import doctest
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from huizhen.core.study_file import check_study_text

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LANGUAGES = {"sh", "python", "toml", "text", "csv", "json"}
SMALL_DEMO = "huizhen --quiet demo huizhen-demo --patients 14"
LARGEST_PICTURE = 300_000
TIMEOUT_S = 900

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ ]*$", re.M | re.S)
MARK = re.compile(r"<!-- (not run|run as|run first): (.+?) -->")
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
OF_ITSELF = (
    "is an unknown key",
    "can't be",
    "must be",
    "is not a plain name",
    "has an unknown",
    "has no kind",
)
"""How reasons begin that concern what a part of a study says, not what the rest would have to add."""
OTHER_FILE = re.compile(r"# (?!study)[\w-]+\.toml\b")
"""How a block begins that is another file's: a comment with its name."""
STUDY_HEAD = 'name = "x"\ntitle = "x"\nquestion = "x"\nseed = 1\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    marks: tuple[tuple[str, str], ...]

    def marked(self, kind: str) -> list[str]:
        """Return what the block's marks of `kind` say."""
        return [value for key, value in self.marks if key == kind]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page with the marks that stand right before them."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        before: list[str] = []
        for line in reversed(text[: match.start()].splitlines()):
            if not line.startswith("<!--"):
                break
            before.insert(0, line)
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start()) + 1,
            language=match[1].strip(),
            text=match[2],
            marks=tuple(MARK.findall("\n".join(before))),
        )


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@every_page
def test_blocks_name_their_language_and_say_why_they_are_not_run(page: Path) -> None:
    for block in blocks(page):
        place = f"{name_of(page)}:{block.line}"
        assert block.language in LANGUAGES, place
        assert not block.marks or block.language in ("sh", "python"), f"{place}: marks are for what is run"
        assert all(len(why) > 10 for why in block.marked("not run")), f"{place}: say why"
        if block.language == "sh" and "huizhen" in block.text:
            assert "$ " not in block.text, f"{place}: commands only, without a prompt"


@every_page
def test_toml_blocks_are_studies_or_parts_of_one(page: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and not OTHER_FILE.match(block.text):
            whole = "schema_version" in tomllib.loads(block.text)
            problems = check_study_text(block.text if whole else STUDY_HEAD + block.text)
            wrong = [problem for problem in problems if whole or problem.reason.startswith(OF_ITSELF)]
            assert wrong == [], f"{name_of(page)}:{block.line}"


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in LINK.findall(prose):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or not found.is_relative_to(ROOT) or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as repository hosts make them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        targets = [link.partition("#")[0] for link in links if "://" not in link]
        waiting += [(page.parent / target).resolve() for target in targets if target]
    assert sorted(name_of(page) for page in PAGES if page not in reached) == []


def test_pictures_are_small_and_used() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (ROOT / "docs/images").iterdir():
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name
        assert picture.name in text, f"{picture.name} is on no page"


# --- Running the examples ------------------------------------------------------------------------------


def hospital(folder: Path, *, patients: int, columns: tuple[str, str, str], seed: int) -> None:
    """Write a hospital's images, one a patient, and its table; half of the patients are malignant."""
    draw = np.random.default_rng(seed)
    images = folder / "images"
    images.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for number in range(patients):
            name, malignant = f"{folder.name[0].upper()}{number:03d}", number % 2
            pixels = draw.random((96, 96)) * 90 + 20
            row, column = draw.integers(20, 70, 2)
            pixels[row - 8 : row + 8, column - 8 : column + 8] += 30 + 40 * malignant
            Image.fromarray(pixels.astype(np.uint8)).save(images / f"{name}.png")
            writer.writerow([name, f"{name}.png", ("benign", "malignant")[malignant]])


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which `huizhen` and `python` are this checkout's."""
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    for name, line in (("huizhen", "-m huizhen.cli "), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line}"$@"\n')
        (commands / name).chmod(0o755)
    own = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "HUIZHEN_HOME": str(folder / "home"),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }
    return {**{k: v for k, v in os.environ.items() if k != "HUIZHEN_DATA"}, **own}


def shell(script: str, folder: Path, home: Path) -> None:
    """Run a script as a reader would, and fail with what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what readers have before they start on a page."""
    folder = tmp_path_factory.mktemp("desk")
    hospital(folder / "northside", patients=80, columns=("patient", "image", "outcome"), seed=1)
    (folder / "northside/images").rename(folder / "northside/US")
    hospital(folder / "harbour", patients=30, columns=("patient_id", "file", "diagnosis"), seed=2)
    shell(
        "huizhen study new study.toml --name ultrasound --title Ultrasound --question 'Is it malignant?' "
        "--outcome diagnosis --positive malignant --negative benign --modality US "
        f"--site northside:development:northside\n{SMALL_DEMO}",
        folder,
        folder,
    )
    return folder


RUNNABLE = [
    page
    for page in PAGES
    if any(b.language in ("sh", "python") and not b.marked("not run") for b in blocks(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_examples_run(page: Path, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "huizhen-demo").symlink_to(desk / "huizhen-demo")
    for name in ("northside", "harbour"):
        shutil.copytree(desk / name, tmp_path / name)
    shutil.copyfile(desk / "study.toml", tmp_path / "study.toml")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    script = ""
    for block in blocks(page):
        if block.language == "sh":
            script += "\n".join([*block.marked("run first"), shell_text(block)]) + "\n"
        elif block.language == "python":
            shell(script, tmp_path, desk)
            script = ""
            run_python(block, names)
    shell(script, tmp_path, desk)


def shell_text(block: Block) -> str:
    """Return what is run for a shell block."""
    if block.marked("not run"):
        return ""
    return "\n".join(block.marked("run as")) or block.text


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block as a doctest if it is one, else as a script; later blocks see its names."""
    if block.marked("not run"):
        return
    place = f"{name_of(block.page)}:{block.line}"
    if ">>>" not in block.text:
        exec(compile(block.text, place, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, place, str(block.page), block.line)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(report)
