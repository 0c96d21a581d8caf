"""The ledger as the sections read it: the study, the evidence by key, and what was signed when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence
from huizhen.dossier.citations import Cited, cite, shown_under
from huizhen.dossier.wording import Text
from huizhen.errors import DossierError, InvalidInputError
from huizhen.ledger.records import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An evidence with the entry it stands in. `parts` are the pieces of its key after the metric's name."""

    entry: Entry
    evidence: Evidence
    own: frozenset[str] = frozenset()
    """Names that the study's people gave: of sites, modalities and columns. They are shown as they are."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The pieces of the key after the first, e.g. ("cman", "internal", "all")."""
        return tuple(self.evidence.key.split("/")[1:])

    @property
    def family(self) -> str:
        """The first piece of the key, e.g. "auc"."""
        return self.evidence.key.split("/", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All entries of a ledger, sorted by what they are; `leaves` are their leaf hashes in hexadecimal.

    `measured` holds the newest entry of each evidence key, in ledger order; `superseded` the older ones that
    said something else: they are listed, never dropped.
    """

    entries: tuple[Entry, ...]
    leaves: tuple[str, ...]
    study_entry: Entry
    measured: tuple[Measured, ...]
    superseded: tuple[Measured, ...]
    phantom: bool

    @classmethod
    def of(cls, entries: Sequence[Entry], leaves: Sequence[str]) -> Record:
        """Return the record of `entries`. Raises `DossierError` without a study, or if one is broken."""
        studies = [entry for entry in entries if entry.kind == "study"]
        if not studies:
            raise DossierError("the ledger holds no study", remedy="sign the study before anything else")
        study = _checked_study(studies[-1])
        own = own_names(study)
        newest, older = _newest([_measured(entry, own) for entry in entries if entry.kind == "evidence"])
        phantom = bool(study.get("phantom")) or any(m.evidence.phantom for m in newest)
        return cls(
            entries=tuple(entries),
            leaves=tuple(leaves),
            study_entry=studies[-1],
            measured=newest,
            superseded=older,
            phantom=phantom,
        )

    @property
    def study(self) -> Mapping[str, Any]:
        """The study file as it was signed."""
        return _mapping(self.study_entry.body["study"])

    @property
    def site_titles(self) -> Mapping[str, Text]:
        """What the study calls its sites, by code; sites without a title are left out."""
        found = {}
        for site in self.study.get("site", []):
            english, chinese = str(site.get("title") or ""), str(site.get("title_zh") or "")
            if english or chinese:
                found[str(site["name"])] = Text(english or chinese, chinese or english)
        return found

    @property
    def given(self) -> Mapping[str, Any]:
        """What the study says of a table that was made elsewhere; empty where it makes its own model."""
        return _mapping(self.study.get("predictions") or self.study.get("reads"))

    @property
    def main(self) -> str:
        """The name in keys of the model that all others are compared with."""
        return str(self.given.get("model") or "model") if self.given else "cman"

    def kind(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries of a kind, in order."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    def family(self, *families: str) -> tuple[Measured, ...]:
        """Return the evidence whose key begins with one of `families`, in order."""
        return tuple(m for m in self.measured if m.family in families)

    def about(self, *metrics: str) -> tuple[Measured, ...]:
        """Return the evidence whose metric is one of `metrics`, whatever its key begins with, in order."""
        return tuple(m for m in self.measured if m.evidence.metric in metrics)

    def one(self, key: str) -> Measured | None:
        """Return the evidence of exactly this key."""
        return next((m for m in self.measured if m.evidence.key == key), None)

    def quote(self, *steps: str) -> Cited | None:
        """Return a citation of a field of the study, or None where it is absent or empty."""
        node: Any = self.study
        for step in steps:
            node = node.get(step) if isinstance(node, Mapping) else None
        if node in (None, "") or isinstance(node, Mapping | list):
            return None
        path = "/study/" + "/".join(steps)
        return cite(self.study_entry, Text.both(" ".join(steps)), path, show=shown_under(*steps))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _broken(entry: Entry, why: str) -> DossierError:
    return DossierError(
        f"ledger entry {entry.index} ({entry.kind}) {why}",
        remedy="run again with this version; a signed ledger is never repaired by hand",
        field=str(entry.index),
    )


def _checked_study(entry: Entry) -> Mapping[str, Any]:
    """Return the study of `entry`. Raises `DossierError` if it isn't the one whose digest was signed."""
    study = entry.body.get("study")
    if not isinstance(study, Mapping):
        raise _broken(entry, "holds no study")
    if digest_value(study) != entry.body.get("digest"):
        raise _broken(entry, "holds another study than the one whose digest was signed")
    return study


def own_names(study: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that a study's people gave to sites, modalities and columns.

    >>> sorted(own_names({"site": [{"name": "test"}], "modality": [{"name": "CT", "numeric": ["age"]}]}))
    ['CT', 'age', 'test']
    """
    found: set[str] = set()
    for part in ("site", "modality"):
        for one in study.get(part) or []:
            if isinstance(one, Mapping):
                columns = [*(one.get("numeric") or []), *(one.get("categorical") or [])]
                found |= {str(one.get("name", "")), *map(str, columns)}
    return frozenset(found - {""})


def _measured(entry: Entry, own: frozenset[str]) -> Measured:
    try:
        return Measured(entry=entry, evidence=Evidence.from_json(entry.body), own=own)
    except InvalidInputError as error:
        raise _broken(entry, f"holds no evidence: {error.message}") from error


def _newest(found: Sequence[Measured]) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    """Return the newest of each key and the older ones that differ from it."""
    last = {m.evidence.key: m for m in found}
    newest = tuple(m for m in found if last[m.evidence.key] is m)
    older = tuple(
        m for m in found if last[m.evidence.key] is not m and last[m.evidence.key].evidence != m.evidence
    )
    return newest, older
