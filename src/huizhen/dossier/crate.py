"""ro-crate-metadata.json: the dossier's folder described for repositories and workflow tools.

Plain JSON-LD after RO-Crate Metadata Specification 1.1 (sections "Root Data Entity", "Data Entities" and
"Provenance of entities"), with `sha256` from schema.org. Every file is listed with its digest but this one
and the manifest, whose digest covers this one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from huizhen import __version__
from huizhen.dossier.content import Content
from huizhen.dossier.manifest import MANIFEST, FileRecord
from huizhen.dossier.wording import say

__all__ = ["CRATE", "render_crate"]

CRATE = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/crate/1.1"
FORMATS: Mapping[str, str] = {
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".csv": "text/csv",
    ".png": "image/png",
    ".dcm": "application/dicom",
    ".toml": "application/toml",
}
TOLD = ("index.html", "sheet.html", "dossier.json", "ledger/entries.jsonl", "ledger/heads.jsonl", MANIFEST)
"""Files that the words describe, as crate.<name>."""


def render_crate(content: Content, files: Mapping[str, FileRecord]) -> bytes:
    """Return the bytes of ro-crate-metadata.json over `files` (path -> digest and size), always the same."""
    paths = [path for path in sorted(files) if path != CRATE]
    graph = [
        _descriptor(),
        _root(content, [*paths, MANIFEST]),
        *(_file(path, files[path]) for path in paths),
        _file(MANIFEST, None),
        *_made(content),
        {"@id": "#licence", "@type": "CreativeWork", "name": say("crate.licence").en},
    ]
    crate = {"@context": [f"{PROFILE}/context", {"sha256": "https://schema.org/sha256"}], "@graph": graph}
    return (json.dumps(crate, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _descriptor() -> dict[str, Any]:
    return {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": PROFILE},
    }


def _root(content: Content, paths: list[str]) -> dict[str, Any]:
    """Return the folder itself: what it is of, when its log was signed, and its files."""
    told = say("crate.phantom" if content.record.phantom else "crate.what")
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": content.title.en,
        "alternateName": content.title.zh,
        "description": f"{told.en} {told.zh}",
        "datePublished": content.head.time,
        "identifier": f"sha256:{content.record.study_entry.body['digest']}",
        "license": {"@id": "#licence"},
        "mainEntity": {"@id": "index.html"},
        "hasPart": [{"@id": quote(path)} for path in paths],
    }


def _file(path: str, record: FileRecord | None) -> dict[str, Any]:
    """Return one file; of the manifest, which is written later, neither size nor digest is known."""
    suffix = PurePosixPath(path).suffix
    found: dict[str, Any] = {
        "@id": quote(path),
        "@type": "File",
        "name": PurePosixPath(path).name,
        "encodingFormat": FORMATS.get(suffix, "application/octet-stream"),
    }
    if path in TOLD:
        found["description"] = say(f"crate.{path.replace('/', '_').replace('.', '_')}").en
    if record is not None:
        found |= {"contentSize": str(record.size), "sha256": record.sha256}
    return found


def _made(content: Content) -> list[dict[str, Any]]:
    """Return by what, and when, the pages were made from the log."""
    software = {
        "@id": "#huizhen",
        "@type": "SoftwareApplication",
        "name": "huizhen",
        "softwareVersion": __version__,
    }
    action = {
        "@id": "#rendering",
        "@type": "CreateAction",
        "name": say("crate.rendering").en,
        "instrument": {"@id": "#huizhen"},
        "object": [{"@id": "ledger/entries.jsonl"}, {"@id": "ledger/heads.jsonl"}],
        "result": [{"@id": name} for name in ("index.html", "sheet.html", "dossier.json")],
        "endTime": content.head.time,
    }
    return [software, action]
