"""ro-crate-metadata.json: every file of the folder with its digest, in the form of RO-Crate 1.1."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from huizhen.dossier.content import content_of
from huizhen.dossier.crate import CRATE, render_crate
from huizhen.dossier.manifest import MANIFEST, FileRecord
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey


@pytest.fixture(scope="module")
def graph(built: Path) -> dict[str, Any]:
    """The entities of the made-up run's crate, by id."""
    crate = json.loads((built / CRATE).read_bytes())
    assert crate["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    found = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(found) == len(crate["@graph"])
    return found


def test_the_descriptor_is_about_the_root(graph: dict[str, Any]) -> None:
    assert graph[CRATE]["about"] == {"@id": "./"}
    assert graph[CRATE]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}


def test_the_root_says_what_it_is(graph: dict[str, Any], run: Any, key: SigningKey) -> None:
    root = graph["./"]
    log = read_log(run.ledger, expected_key_id=key.key_id)
    assert root["@type"] == "Dataset"
    assert root["datePublished"] == log.head.time
    assert root["identifier"] == f"sha256:{log.entries[0].body['digest']}"
    assert "simulated patients" in root["description"]
    assert root["license"]["@id"] in graph


def test_every_file_is_listed_with_its_digest(graph: dict[str, Any], built: Path) -> None:
    present = {p.relative_to(built).as_posix() for p in built.rglob("*") if p.is_file()} - {CRATE}
    listed = {unquote(part["@id"]) for part in graph["./"]["hasPart"]}
    assert listed == present
    for path in present - {MANIFEST}:
        data = (built / path).read_bytes()
        entity = next(e for e in graph.values() if unquote(e["@id"]) == path)
        assert entity["sha256"] == hashlib.sha256(data).hexdigest()
        assert entity["contentSize"] == str(len(data))


def test_references_lead_somewhere(graph: dict[str, Any]) -> None:
    def targets(node: Any) -> set[str]:
        if isinstance(node, dict):
            inner = {t for k, v in node.items() if k != "@id" for t in targets(v)}
            return inner | ({node["@id"]} if set(node) == {"@id"} else set())
        return {t for x in node for t in targets(x)} if isinstance(node, list) else set()

    outside = {t for t in targets(list(graph.values())) if not t.startswith("https://")}
    assert outside <= set(graph)


def test_the_manifest_covers_it(built: Path) -> None:
    files = json.loads((built / MANIFEST).read_bytes())["statement"]["files"]
    assert files[CRATE]["sha256"] == hashlib.sha256((built / CRATE).read_bytes()).hexdigest()


def test_odd_names_are_quoted(run: Any, key: SigningKey) -> None:
    content = content_of(read_log(run.ledger, expected_key_id=key.key_id))
    made = json.loads(render_crate(content, {"files/a b#1.png": FileRecord(sha256="0" * 64, size=3)}))
    entity = next(e for e in made["@graph"] if e.get("encodingFormat") == "image/png")
    assert entity["@id"] == "files/a%20b%231.png"
    assert entity["name"] == "a b#1.png"
