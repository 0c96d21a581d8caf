"""An empty `catalogue.toml`, with what to fill in."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from huizhen.core.files import write_text
from huizhen.data.catalogue.record import CATALOGUE
from huizhen.errors import StorageError

__all__ = ["write_template"]


def write_template(folder: Path) -> Path:
    """Write `catalogue.toml` into a site's folder, return its path. Raises `StorageError` if there is one."""
    path = folder / CATALOGUE
    if path.exists():
        raise StorageError("is there already", remedy="change it, or move it away first", file=str(path))
    write_text(path, (files("huizhen.data.catalogue") / "template.toml").read_text(encoding="utf-8"))
    return path
