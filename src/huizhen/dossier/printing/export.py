"""From a dossier's folder to one file to print or edit; it is verified first, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.files import write_bytes
from huizhen.core.words import Language
from huizhen.dossier.artefacts import artefacts_of, read_artefact
from huizhen.dossier.build import FILES, LEDGER
from huizhen.dossier.content import content_of
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DossierError, InvalidInputError
from huizhen.ledger.reading import read_log

SUFFIXES = (".pdf", ".docx")


def export_dossier(
    dossier: Path, out: Path, *, language: Language, key_id: str | None = None, fonts: Path | None = None
) -> int:
    """Verify `dossier` and write it as `out` (.pdf: PDF/A-2a; .docx: Word) in `language`; return its bytes.

    `fonts`: a folder with more fonts, such as one with Chinese letters. Raises `VerificationError` when the
    dossier doesn't hold or isn't signed by `key_id`, `InvalidInputError` on another suffix or when `out`
    exists, `DossierError` when it can't be set.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(
            "is neither a .pdf nor a .docx", remedy="name the file report.pdf or report.docx", file=str(out)
        )
    if out.exists() or out.is_symlink():
        raise InvalidInputError("exists already", remedy="name a new file", file=str(out))
    verified = verify_dossier(dossier, expected_key_id=key_id)
    content = content_of(read_log(dossier / LEDGER, expected_key_id=verified.key_id))
    named = artefacts_of(content.record)

    def read(path: str) -> bytes:
        if path not in named:
            raise DossierError(
                "is shown by an entry, but no entry holds its digest", remedy="run again", file=path
            )
        return read_artefact(dossier / FILES, named[path])

    if out.suffix.lower() == ".pdf":
        from huizhen.dossier.printing.pdf import render_pdf

        data = render_pdf(content, language, read, fonts=fonts)
    else:
        from huizhen.dossier.printing.word import render_word

        data = render_word(content, language, read, fonts=fonts)
    write_bytes(out, data)
    return len(data)
