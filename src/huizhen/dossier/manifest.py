"""manifest.json: the digest of every file of the dossier under one signature, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from huizhen import __version__
from huizhen.core.digests import Digest, canonical_json, digest_bytes, digest_value
from huizhen.core.words import Language
from huizhen.errors import VerificationError
from huizhen.ledger.records import SignedHead
from huizhen.ledger.signing import PublicKey, SigningKey

MANIFEST = "manifest.json"
DOMAIN = "dossier"
"""What the signature is for; a signature made for anything else does not hold."""


class FileRecord(BaseModel):
    """One file of the dossier."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    sha256: str
    size: int


class Renderer(BaseModel):
    """What wrote the pages: only the same renderer gives the same bytes again."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    version: str
    digest: str


class Statement(BaseModel):
    """What is signed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    schema_version: int
    language: str
    renderer: Renderer
    files: dict[str, FileRecord]
    head: dict[str, Any]
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest whose signature held."""

    statement: Statement
    key: PublicKey
    head: SignedHead

    @property
    def language(self) -> Language:
        """The language that the page opens in."""
        return Language(self.statement.language)


def write_manifest(
    contents: Mapping[str, bytes | FileRecord], head: SignedHead, language: Language, key: SigningKey
) -> bytes:
    """Return the bytes of manifest.json over `contents` (path -> bytes, or what is known of a file)."""
    statement = Statement(
        schema_version=1,
        language=language.value,
        renderer=renderer(),
        files={
            path: c if isinstance(c, FileRecord) else record_of(c) for path, c in sorted(contents.items())
        },
        head=head.to_json(),
        public_key=key.public.hex,
    ).model_dump(mode="json")
    signed = {"signature": key.sign(DOMAIN, canonical_json(statement)), "statement": statement}
    return _layout(signed)


def _layout(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def record_of(data: bytes) -> FileRecord:
    """Return digest and size of a file's bytes."""
    return FileRecord(sha256=digest_bytes(data), size=len(data))


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at `path` once its form and its signature hold. Raises `VerificationError`."""
    try:
        data = path.read_bytes()
        value = json.loads(data)
        statement = Statement.model_validate(value["statement"])
        key = PublicKey(hex=statement.public_key)
        Language(statement.language)
        if (
            set(value) != {"signature", "statement"}
            or _layout(value) != data
            or statement.schema_version != 1
        ):
            raise ValueError("not in the form that huizhen writes")
        key.verify(DOMAIN, canonical_json(value["statement"]), value["signature"])
        head = SignedHead.from_json(statement.head, file=MANIFEST, field="head")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VerificationError(
            "is not there: this is no dossier's folder, or one that was taken apart",
            remedy="name the folder dossier-... that huizhen run printed; if this is it, don't rely on it",
            file=MANIFEST,
        ) from error
    except OSError as error:
        raise broken(f"can't be read ({error.strerror})", MANIFEST) from error
    except VerificationError as error:
        raise broken(error.message, MANIFEST) from error
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise broken("is not the manifest that huizhen wrote", MANIFEST) from error
    return Manifest(statement=statement, key=key, head=head)


def broken(what: str, file: str) -> VerificationError:
    """Return the error for a file of the dossier that isn't as it was signed."""
    return VerificationError(
        what, remedy="don't rely on this copy: ask whoever signed the dossier for the original", file=file
    )


@cache
def renderer() -> Renderer:
    """Return the renderer: huizhen's version, and a digest over this room's files and jinja2's version."""
    sources = dict(_sources(files("huizhen.dossier"), ""))
    return Renderer(version=__version__, digest=digest_value({"jinja2": version("jinja2"), **sources}))


def _sources(folder: Traversable, prefix: str) -> list[tuple[str, Digest]]:
    found: list[tuple[str, Digest]] = []
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name != "__pycache__":
            found += _sources(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".py", ".toml", ".html", ".css", ".js")):
            found.append((prefix + item.name, digest_bytes(item.read_bytes())))
    return found
