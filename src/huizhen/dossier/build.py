"""Building the dossier: from a run's ledger and the files that it names to one signed, whole folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huizhen.core.files import whole_folder, write_bytes
from huizhen.core.words import Language
from huizhen.dossier.artefacts import Artefact, artefacts_of, read_artefact
from huizhen.dossier.content import Content, content_of
from huizhen.dossier.crate import CRATE, render_crate
from huizhen.dossier.machine import render_json
from huizhen.dossier.manifest import MANIFEST, FileRecord, record_of, write_manifest
from huizhen.dossier.page import render_page
from huizhen.dossier.sheet import sheet_of
from huizhen.dossier.sheet_page import render_sheet
from huizhen.errors import DossierError
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, read_part, verify_bytes
from huizhen.ledger.signing import SigningKey

PAGE, MACHINE, FILES, LEDGER = "index.html", "dossier.json", "files", "ledger"
SHEET = "sheet.html"


def build_dossier(
    run_ledger: Path, out: Path, *, key: SigningKey, artefacts: Path, language: Language = Language.EN
) -> Path:
    """Write the dossier of the log in `run_ledger` to the new folder `out` and return `out`.

    The page and its numbers are rendered from ledger entries only. Every artefact that the log names is
    copied from `artefacts` once its digest holds. `key` must be the log's own; it signs the manifest, last.
    `language` is what the page opens in; both are inside. The same log, files, key and language give the
    same bytes.

    Raises `VerificationError` when the log doesn't verify under `key`, `DossierError` when an artefact isn't
    what the log says or the log can't be told, `StorageError` when `out` can't be written or exists.
    """
    ledger = {f"{LEDGER}/{name}": read_part(run_ledger / name) for name in (ENTRIES_FILE, HEADS_FILE)}
    log = verify_bytes(*ledger.values(), expected_key_id=key.key_id)
    content = content_of(log)
    named = artefacts_of(content.record)
    rendered = {**render(content, language, named, artefacts), **ledger}
    if out.exists() or out.is_symlink():
        raise DossierError(
            "exists already", remedy="name a new folder; a dossier is never overwritten", file=out.name
        )
    with whole_folder(out) as scratch:
        files: dict[str, bytes | FileRecord] = dict(rendered)
        for path, data in rendered.items():
            write_bytes(scratch / path, data)
        for artefact in named.values():
            data = read_artefact(artefacts, artefact)
            write_bytes(scratch / FILES / artefact.path, data)
            files[f"{FILES}/{artefact.path}"] = record_of(data)
        known = {path: f if isinstance(f, FileRecord) else record_of(f) for path, f in files.items()}
        files[CRATE] = crate = render_crate(content, known)
        write_bytes(scratch / CRATE, crate)
        write_bytes(scratch / MANIFEST, write_manifest(files, log.head, language, key))
    return out


def render(
    content: Content, language: Language, named: Mapping[str, Artefact], folder: Path
) -> dict[str, bytes]:
    """Return the bytes of index.html, dossier.json and sheet.html.

    Images come from `folder`, checked by their digests. Raises `DossierError` when an image isn't named by
    the log, or isn't what the log says.
    """

    def read(path: str) -> bytes:
        if path not in named:
            raise DossierError(
                "is shown by an entry, but no entry holds its digest",
                remedy='append an entry of kind "artefact" for it',
                file=path,
            )
        return read_artefact(folder, named[path])

    return {
        PAGE: render_page(content, language, read),
        MACHINE: render_json(content, language),
        SHEET: render_sheet(sheet_of(content.record), content.head, language, read),
    }
