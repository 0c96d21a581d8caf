"""Kinds of documents that rules may ask for: a closed list, so that none is misspelt into existence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

__all__ = ["document_titles"]


@cache
def document_titles() -> Mapping[str, Mapping[str, str]]:
    """Return the title by language of each kind of document.

    >>> document_titles()["impact_assessment"]["en"]
    'Impact assessment'
    """
    text = (files("huizhen.data.transfer") / "documents.toml").read_text(encoding="utf-8")
    return {kind: found["title"] for kind, found in tomllib.loads(text).items()}
