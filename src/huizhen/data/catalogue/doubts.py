"""Values of a question that nobody is likely to have: a slip of the pen, said with what may be meant.

Told from public lists alone (DICOM's, and the catalogue's codes), never from an index: what is said of a
value must not depend on who has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from huizhen.data.catalogue.codes import values_of
from huizhen.data.catalogue.criteria import Query

__all__ = ["MODALITIES", "Doubt", "doubts_of"]

_TERMS = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC
HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA
PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT
RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
"""
MODALITIES = frozenset(_TERMS.split())
"""DICOM's defined terms of Modality (0008,0060): PS3.3, C.7.3.1.1.1."""
SLIPS = {"MRI": "MR", "PET": "PT", "MAMMO": "MG", "XR": "DX", "XRAY": "DX", "X-RAY": "DX", "SONO": "US"}
SLIPS |= {"SPECT": "NM", "ULTRASOUND": "US", "MRT": "MR", "FEMALE": "F", "MALE": "M", "W": "F"}
CLOSED = ("sex", "modality")
"""Keys of which a public list has all values; of others one that is like a listed one is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A `value` of `key` that no list has; `meant` is the nearest that one has, or ""."""

    key: str
    value: str
    meant: str


def doubts_of(query: Query) -> list[Doubt]:
    """Return the doubtful values of a question, each once.

    >>> from huizhen.data.catalogue.criteria import parse_query
    >>> doubts_of(parse_query({"operand": "AND", "children": [
    ...     {"key": "modality", "type": "IN", "value": ["MR", "MRI", "XX", "RTSTRUCT"]},
    ...     {"key": "manufacturer", "type": "IN", "value": ["SIEMNS", "A MAKER"]}]}))
    ... # doctest: +NORMALIZE_WHITESPACE
    [Doubt(key='manufacturer', value='SIEMNS', meant='SIEMENS'),
     Doubt(key='modality', value='MRI', meant='MR'),
     Doubt(key='modality', value='XX', meant='')]
    """
    return sorted(set(_doubts(query)), key=lambda one: (one.key, one.value))


def _doubts(query: Query) -> Iterator[Doubt]:
    for leaf in query.criteria():
        known = {*values_of(leaf.key), *(MODALITIES if leaf.key == "modality" else ())}
        for value in leaf.values:
            if value not in known:
                near = get_close_matches(value, sorted(known), 1, 0.75)
                meant = SLIPS.get(value, "") if leaf.key in CLOSED else ""
                meant = meant if meant in known else ""
                if leaf.key in CLOSED or near:
                    yield Doubt(key=leaf.key, value=value, meant=meant or (near[0] if near else ""))
