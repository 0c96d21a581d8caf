"""A site's folder: who it is, where its data lies, its key, its policy, and what it keeps of each study.

site.toml      name, jurisdiction, and the folder of its data; read at the site alone
key.pem        the site's Ed25519 key, made once
policy.toml    what may be asked of it
outbox.jsonl   what left it
studies/       a folder a study: the cohort, its cache, and what a restart needs
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from huizhen.core.files import private_folder, write_json, write_text
from huizhen.core.jurisdictions import CODES, meant_by
from huizhen.core.study_base import Name
from huizhen.core.toml_file import read_toml
from huizhen.core.toml_problem import problem_in
from huizhen.errors import InvalidInputError, PolicyError, StorageError
from huizhen.federate.policy import POLICY, SitePolicy, load_policy
from huizhen.ledger.signing import PublicKey, SigningKey

SITE = "site.toml"
KEY = "key.pem"


class SiteFile(BaseModel):
    """The content of `site.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name
    jurisdiction: str = ""
    data: Annotated[str, Field(min_length=1)]
    """The folder that a study's paths are relative to; relative to this folder unless absolute."""

    @field_validator("jurisdiction")
    @classmethod
    def _is_a_place(cls, given: str) -> str:
        code = given.strip().upper()
        if code and code not in CODES:
            meant = meant_by(code)
            raise InvalidInputError(
                f"{given[:40]!r} is no ISO 3166 code of two letters",
                remedy=f"did you mean {meant}?" if meant else "write it as CN, DE or US",
                field="jurisdiction",
            )
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFolder:
    """An open site folder."""

    path: Path
    name: str
    jurisdiction: str
    data: Path
    key: SigningKey

    @classmethod
    def create(
        cls, path: Path, *, name: str, data: Path, jurisdiction: str = "", policy: SitePolicy | None = None
    ) -> SiteFolder:
        """Make a site's folder, with a new key and a policy that accepts no lead until one is entered.

        Raises `StorageError` when there is a site already.
        """
        if (path / SITE).exists():
            raise StorageError(
                "there is a site in this folder already", remedy="choose another folder", file=str(path)
            )
        try:
            made = SiteFile(name=name, jurisdiction=jurisdiction, data=str(data))
        except ValidationError as error:
            told = problem_in(error, SiteFile, remedy="correct it")
            raise InvalidInputError(told.reason, remedy=told.remedy, field=told.field) from error
        private_folder(path)
        SigningKey.create_or_load(path / KEY)
        write_text(path / POLICY, policy_toml(policy or SitePolicy()))
        write_text(path / SITE, _toml(made.model_dump()))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> SiteFolder:
        """Return the site in `path`. Raises `PolicyError` on a wrong file, and what the key raises."""
        file = path / SITE

        def wrong(error: ValidationError) -> PolicyError:
            told = problem_in(error, SiteFile, remedy="make a site with: huizhen site init FOLDER")
            return PolicyError(
                f"is no site's file ({told.reason})",
                remedy=told.remedy,
                field=told.field or None,
                file=str(file),
            )

        if not file.is_file():
            raise PolicyError(
                "is no site's file (there is none)",
                remedy="make a site with: huizhen site init FOLDER",
                file=str(file),
            )
        found = read_toml(file, SiteFile, wrong=wrong)
        return cls(
            path=path,
            name=found.name,
            jurisdiction=found.jurisdiction,
            data=(path / found.data).resolve(),
            key=SigningKey.load(path / KEY),
        )

    def policy(self) -> SitePolicy:
        """Return the policy as it stands now: the officer may change it at any time."""
        return load_policy(self.path)

    def study(self, digest: str) -> Path:
        """Return the folder of one study."""
        return self.path / "studies" / digest

    def approved(self, digest: str) -> bool:
        """Tell whether a person here approved the study."""
        return (self.path / "approvals" / digest).exists()

    def approve(self, digest: str, *, by: str) -> None:
        """Note that the person `by` approves the study with this digest."""
        write_text(self.path / "approvals" / digest, f"{by}\n")


def policy_toml(policy: SitePolicy) -> str:
    """Return a policy as the TOML file that `load_policy` reads, every key with its meaning."""
    lines = ["# What this site allows. Enforced here, before any data is read."]
    values = policy.model_dump(mode="json")
    hours = values.pop("hours")
    for name, value in values.items():
        if value is None:
            lines.append(f"# {name} =")
        else:
            lines.append(_toml({name: value}).rstrip())
    lines += ["", "[hours]", _toml(hours).rstrip().replace('"', "")]
    return "\n".join(lines) + "\n"


def _toml(values: dict[str, object]) -> str:
    """Return plain values as TOML."""
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def accept_lead(site: SiteFolder, lead: PublicKey) -> None:
    """Enter a study lead's public key in the site's policy. Raises `PolicyError` on a wrong policy."""
    policy = site.policy()
    if lead.hex not in policy.signers:
        renewed = policy.model_copy(update={"signers": (*policy.signers, lead.hex)})
        write_text(site.path / POLICY, policy_toml(renewed))


def enter_peer(path: Path, name: str, key: PublicKey) -> None:
    """Enter a site's public key in the lead's JSON file of peers, made if it isn't there.

    Raises `PolicyError` when the file is of another form, or holds another key under this name.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(known, dict) or known.get(name, key.hex) != key.hex:
            raise ValueError("another key stands under this name")
    except ValueError as error:
        raise PolicyError(
            f"can't take the site in ({error})",
            remedy="compare the keys with the site's officer, then correct the file",
            field=name,
            file=str(path),
        ) from error
    write_json(path, {**known, name: key.hex})
