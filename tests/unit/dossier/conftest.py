"""What the dossier's tests share: a key, the made-up run, and its dossier, built once and copied per test."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from huizhen.core.words import Language
from huizhen.dossier.build import build_dossier
from huizhen.ledger.signing import SigningKey


def _load() -> ModuleType:
    """Return the module beside this file (test folders are no packages)."""
    if "dossier_synthetic" not in sys.modules:
        place = Path(__file__).with_name("synthetic.py")
        spec = importlib.util.spec_from_file_location("dossier_synthetic", place)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["dossier_synthetic"] = module
        spec.loader.exec_module(module)
    return sys.modules["dossier_synthetic"]


@pytest.fixture(scope="session")
def synthetic() -> Any:
    """The module that makes up a run."""
    return _load()


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """The key of the made-up run."""
    return SigningKey.generate()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, synthetic: Any) -> Any:
    """The made-up run, with few images."""
    return synthetic.write_run(tmp_path_factory.mktemp("run"), key, cases=4)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, run: Any, key: SigningKey) -> Path:
    """The dossier of the made-up run, not to be changed."""
    out = tmp_path_factory.mktemp("built") / "dossier"
    return build_dossier(run.ledger, out, key=key, artefacts=run.artefacts)


@pytest.fixture(scope="session")
def built_zh(tmp_path_factory: pytest.TempPathFactory, run: Any, key: SigningKey) -> Path:
    """The same dossier, opening in Chinese."""
    out = tmp_path_factory.mktemp("built") / "zh"
    return build_dossier(run.ledger, out, key=key, artefacts=run.artefacts, language=Language.ZH)


@pytest.fixture
def dossier(built: Path, tmp_path: Path) -> Path:
    """A copy of the dossier, to be tampered with."""
    return Path(shutil.copytree(built, tmp_path / "dossier"))


@pytest.fixture
def build(key: SigningKey, tmp_path: Path) -> Callable[..., Path]:
    """Build the dossier of a run in a new folder."""

    def make(
        run: Any, language: Language = Language.EN, name: str = "made", signed_by: SigningKey = key
    ) -> Path:
        return build_dossier(
            run.ledger, tmp_path / name, key=signed_by, artefacts=run.artefacts, language=language
        )

    return make
