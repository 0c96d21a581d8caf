"""Verification: every byte of a dossier is hashed again, its pages are rendered again and compared.

    verified = verify_dossier(Path("dossier"), expected_key_id="0123456789abcdef")

Without an `expected_key_id` or an `external_head` a dossier that verifies is whole in itself, but anybody
could have signed it: compare the key id with one that came by another way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.digests import digest_file
from huizhen.dossier.artefacts import artefacts_of
from huizhen.dossier.build import FILES, LEDGER, MACHINE, PAGE, SHEET, render
from huizhen.dossier.citations import resolve
from huizhen.dossier.content import content_of
from huizhen.dossier.crate import CRATE, render_crate
from huizhen.dossier.manifest import MANIFEST, Manifest, broken, read_manifest, renderer
from huizhen.dossier.openings import check_openings, check_tables
from huizhen.errors import HuizhenError, InvalidInputError, VerificationError
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, VerifiedLog, read_log
from huizhen.ledger.records import SignedHead

OURS = frozenset({PAGE, MACHINE, SHEET, CRATE, f"{LEDGER}/{ENTRIES_FILE}", f"{LEDGER}/{HEADS_FILE}"})

DEEPEST = 32
"""Folders within each other in which a dossier's file may lie; those that huizhen builds need four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDossier:
    """A dossier that verified: its counts of `entries`, `numbers` and `files`, who signed, and its head."""

    entries: int
    numbers: int
    files: int
    key_id: str
    head: SignedHead


def verify_dossier(
    folder: Path, *, expected_key_id: str | None = None, external_head: SignedHead | None = None
) -> VerifiedDossier:
    """Return what was verified, if every check holds.

    The manifest's signature and key; no file extra, missing or altered; the whole log (as `read_log`), signed
    by the same key, under the head that the manifest names; every artefact against the digest in its ledger
    entry; every page rendered again and compared byte by byte; every number in dossier.json
    against the entry that it links to; what was opened against what was committed to, and the published
    predictions against what was fixed before outcomes were opened. Raises `VerificationError` that names the
    file and the remedy.
    """
    manifest = read_manifest(folder / MANIFEST)
    _check_key(manifest, expected_key_id)
    _check_files(folder, manifest)
    log = read_log(folder / LEDGER, expected_key_id=manifest.key.key_id, external_head=external_head)
    _check_head(manifest, log)
    _check_pages(folder, manifest, log)
    _check_openings(folder, log)
    return VerifiedDossier(
        entries=len(log.entries),
        numbers=_check_numbers(folder, log),
        files=len(manifest.statement.files) + 1,
        key_id=manifest.key.key_id,
        head=log.head,
    )


def _check_key(manifest: Manifest, expected: str | None) -> None:
    if expected is not None and manifest.key.key_id != expected:
        raise broken(f"is signed by key {manifest.key.key_id}, not {expected}", MANIFEST)


def _check_files(folder: Path, manifest: Manifest) -> None:
    """Check that the folder holds exactly the files of the manifest, each with its digest."""
    recorded = manifest.statement.files
    present = set(_walk(folder))
    for path in sorted(present - set(recorded) - {MANIFEST}):
        raise broken("is not in the manifest", path)
    for path in sorted(set(recorded) - present):
        raise broken("is missing", path)
    for path, record in recorded.items():
        if (folder / path).stat().st_size != record.size or digest_file(folder / path) != record.sha256:
            raise broken("was altered: its digest is not that of the manifest", path)


def _walk(folder: Path) -> Iterator[str]:
    """Yield every file below, by relative path; links, special files and undue depth are refused."""
    waiting = [(folder, "")]
    while waiting:
        here, prefix = waiting.pop()
        for item in _items(here, prefix or folder.name):
            path = prefix + item.name
            if item.is_symlink() or not (item.is_dir() or item.is_file()):
                raise broken("is a link or no plain file", path)
            if item.is_file():
                yield path
            elif path.count("/") >= DEEPEST:
                raise broken(f"lies in more than {DEEPEST} folders", f"{path[:64]}...")
            else:
                waiting.append((Path(item.path), f"{path}/"))


def _items(folder: Path, path: str) -> list[os.DirEntry[str]]:
    """Return what a folder of the dossier holds, by name; it holds something."""
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
    except OSError as error:
        raise broken(f"can't be read ({error.strerror})", path) from error
    if not items:
        raise broken("is an empty folder", path.rstrip("/"))
    return items


def _check_head(manifest: Manifest, log: VerifiedLog) -> None:
    if log.head != manifest.head:
        raise broken("names another signed head than the ledger's last", MANIFEST)


def _check_pages(folder: Path, manifest: Manifest, log: VerifiedLog) -> None:
    """Check the artefacts against the log, and both pages against what the log renders to."""
    try:
        content = content_of(log)
        named = artefacts_of(content.record)
        for path in sorted(set(manifest.statement.files) ^ (OURS | {f"{FILES}/{a}" for a in named})):
            raise broken("is in the manifest or in the ledger, but not in both", path)
        for artefact in named.values():
            record = manifest.statement.files[f"{FILES}/{artefact.path}"]
            if (record.sha256, record.size) != (artefact.sha256, artefact.size):
                raise broken(f"is not what ledger entry {artefact.entry} holds", f"{FILES}/{artefact.path}")
        rendered = render(content, manifest.language, named, folder / FILES)
        rendered[CRATE] = render_crate(content, manifest.statement.files)
    except VerificationError:
        raise
    except HuizhenError as error:
        raise broken(f"can't be told from the ledger: {error.message}", error.file or PAGE) from error
    for path, data in rendered.items():
        if (folder / path).read_bytes() != data:
            raise _differs(path, manifest)


def _check_openings(folder: Path, log: VerifiedLog) -> None:
    """Check that the outcomes opened, and the predictions, are those fixed before they were opened."""
    check_openings(log.entries)
    check_tables(log.entries, lambda path: (folder / FILES / path).read_bytes())


def _differs(path: str, manifest: Manifest) -> VerificationError:
    wrote, here = manifest.statement.renderer, renderer()
    if wrote == here:
        return broken("says something else than the ledger", path)
    return VerificationError(
        f"was written by huizhen {wrote.version} (renderer {wrote.digest[:12]}), this is {here.version} "
        f"({here.digest[:12]}), so it can't be compared byte by byte",
        remedy=f"verify with huizhen {wrote.version} and the jinja2 it was installed with; files, ledger and "
        "signature of this copy did hold",
        file=path,
    )


def _check_numbers(folder: Path, log: VerifiedLog) -> int:
    """Check every value in dossier.json against the entry and the pointer that it names; return how many."""
    numbers = json.loads((folder / MACHINE).read_bytes())["numbers"]
    for number in numbers:
        _check_number(number, log)
    return len(numbers)


def _check_number(number: Mapping[str, Any], log: VerifiedLog) -> None:
    index = number["entry"]
    try:
        body = log.entries[index].body
        agree = number["leaf"] == log.leaves[index].hex() and all(
            resolve(body, pointer) == value for pointer, value in number["values"].items()
        )
    except (IndexError, InvalidInputError):
        agree = False
    if not agree:
        raise broken(f"a number of {number.get('block')} is not what ledger entry {index} holds", MACHINE)
