"""The codes that catalogues are asked in: SNOMED CT and RadLex keys and values, DICOM's, and EUCAIM's terms.

Source: EUCAIM's Lens catalogue (keys and values); the EUCAIM hyper-ontology (`iri`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from huizhen.core.words import Language
from huizhen.errors import InvalidInputError

__all__ = [
    "EUCAIM",
    "Key",
    "canonical_value",
    "iri_of",
    "key_of",
    "keys",
    "label_of",
    "maker_of",
    "values_of",
]

EUCAIM = "https://cancerimage.eu/ontology/EUCAIM#"
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/&,()+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One thing that may be asked: its `name`, its `code` where EUCAIM has one, bounds of a number."""

    name: str
    code: str
    is_number: bool
    least: int
    most: int
    label: Mapping[str, str]


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads((files("huizhen.data.catalogue") / "codes.toml").read_text(encoding="utf-8"))


@cache
def keys() -> Mapping[str, Key]:
    """Return all keys by name.

    >>> sorted(name for name, key in keys().items() if key.is_number)
    ['age', 'diagnosis_age', 'diagnosis_year', 'year']
    """
    return {
        name: Key(
            name=name,
            code=row.get("code", ""),
            is_number=row["kind"] == "number",
            least=row.get("least", 0),
            most=row.get("most", 0),
            label={"en": row["en"], "zh": row["zh"]},
        )
        for name, row in _tables()["key"].items()
    }


def key_of(text: str) -> Key:
    """Return the key of a name or code. Raises `InvalidInputError` on any other.

    >>> key_of("RID10311").name
    'modality'
    """
    for key in keys().values():
        if text and text in (key.name, key.code):
            return key
    raise InvalidInputError(
        "a criterion asks for what the catalogue doesn't hold",
        remedy=f"ask by {', '.join(keys())}",
        field="key",
    )


def values_of(key: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the values of a key that have a code, by the code they are stored under."""
    return _tables()["value"].get(key, {})  # type: ignore[no-any-return]  # a table of tables


@cache
def _names(key: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for value, row in values_of(key).items():
        for name in (value, *row["also"], row.get("iri", value)):
            found[name.casefold()] = value
    return found


def canonical_value(key: str, text: str) -> str:
    """Return the value that `text` names: a code, a DICOM value, or a term of EUCAIM.

    Values that have no code stand for themselves, in upper case. Raises `InvalidInputError` on what is no
    code at all.

    >>> canonical_value("modality", "RID10312"), canonical_value("sex", "EUCAIM:COM1001370")
    ('MR', 'F')
    >>> canonical_value("body_part", "skull")
    'SKULL'
    """
    plain = text.removeprefix(EUCAIM).removeprefix("EUCAIM:").strip()
    if known := _names(key).get(plain.casefold()):
        return known
    if not _VALUE.fullmatch(plain):
        raise InvalidInputError(
            f"a value of {key} is no code", remedy="use letters, digits and . _ : / -", field="value"
        )
    return plain.upper()


def maker_of(text: str) -> str:
    """Return the manufacturer of DICOM's Manufacturer (0008,0070), "" for none and for what is no name.

    >>> maker_of("SIEMENS Healthineers"), maker_of("GE MEDICAL SYSTEMS"), maker_of("Hologic, Inc.")
    ('SIEMENS', 'GE', 'HOLOGIC, INC.')
    """
    words = re.split(r"[^A-Z]+", text.upper())
    for maker in values_of("manufacturer"):
        if maker in words:
            return maker
    plain = text.strip()
    return plain.upper() if _VALUE.fullmatch(plain) else ""


def label_of(key: str, value: str, language: Language) -> str:
    """Return what a value is called.

    >>> label_of("modality", "MR", Language.EN), label_of("modality", "ZZ", Language.EN)
    ('magnetic resonance', 'ZZ')
    """
    row = values_of(key).get(value)
    return str(row[language.value]) if row else value


def iri_of(key: str, value: str) -> str:
    """Return EUCAIM's term of a value, else DICOM's for a modality, else "".

    >>> iri_of("modality", "MR").rpartition("#")[2], iri_of("body_part", "SKULL")
    ('IMG1000038', '')
    """
    row = values_of(key).get(value, {})
    if "iri" in row:
        return EUCAIM + str(row["iri"])
    dicom = key == "modality" and re.fullmatch(r"[A-Z]{2,16}", value)
    return f"http://dicom.nema.org/resources/ontology/DCM/{value}" if dicom else ""
