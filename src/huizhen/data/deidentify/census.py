"""A first look at all headers: what one file can't tell, such as a study of two patients.

Memory holds some hundred bytes a file, of hashes, and each patient's id once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from huizhen.core.digests import digest_file
from huizhen.core.progress import Progress
from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.opening import opened
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason, Refused

__all__ = ["Census", "take_census"]

_PATIENT, _BIRTH, _SEX = 0x00100020, 0x00100030, 0x00100040
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
_WANTED = (_INSTANCE, _PATIENT, _BIRTH, _SEX, _STUDY, _SERIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """The files that must not be released whatever is in them, with their fate; and the patients' own ids."""

    held: Mapping[str, Outcome]
    patients: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """What a census keeps of a file: hashes of its patient, birth date, sex and UIDs; 0 for an absent one."""

    patient: int
    birth: int
    sex: int
    study: int
    series: int
    instance: int


def take_census(folder: Path, files: Sequence[str], *, most_bytes: int, progress: Progress) -> Census:
    """Return which files below `folder` must not be released whatever is in them.

    Refused: files that can't be opened, every file of a study or series that names two patients (nobody can
    tell whose it is), and second files of one SOP Instance. Queued: every file of a patient with two birth
    dates or two sexes.
    """
    held: dict[str, Outcome] = {}
    cards: dict[str, _Card] = {}
    patients: set[str] = set()
    with progress.track("census", len(files)) as advance:
        for file in files:
            try:
                with opened(folder / file, most_bytes=most_bytes, wanted=_WANTED) as found:
                    cards[file] = _card_of(found.dataset)
                    patients.add(_text(found.dataset, _PATIENT))
            except Refused as refused:
                held[file] = Outcome(fate=Fate.REFUSED, reason=refused.reason)
            advance(1)
    mixed = _mixed(cards)
    conflicting = _conflicting(cards)
    for file, card in cards.items():
        if card.study in mixed or card.series in mixed:
            held[file] = Outcome(fate=Fate.REFUSED, reason=Reason.MIXED_PATIENTS)
        elif card.patient in conflicting:
            held[file] = Outcome(fate=Fate.QUEUED, reason=Reason.CONFLICTING_DEMOGRAPHICS)
    held |= _copies(folder, {file: card for file, card in cards.items() if file not in held})
    return Census(held=held, patients=frozenset(patients - {""}))


def _card_of(dataset: Dataset) -> _Card:
    def of(tag: int) -> int:
        text = _text(dataset, tag)
        return hash((tag, text)) if text else 0

    return _Card(
        patient=of(_PATIENT),
        birth=of(_BIRTH),
        sex=of(_SEX),
        study=of(_STUDY),
        series=of(_SERIES),
        instance=of(_INSTANCE),
    )


def _text(dataset: Dataset, tag: int) -> str:
    return "".join(texts_of(dataset, tag)).strip("\0 ") if tag in dataset else ""


def _mixed(cards: Mapping[str, _Card]) -> set[int]:
    """Return the studies and series that name more than one patient; no patient counts as one."""
    patients: dict[int, set[int]] = {}
    for card in cards.values():
        for uid in filter(None, (card.study, card.series)):
            patients.setdefault(uid, set()).add(card.patient)
    return {uid for uid, names in patients.items() if len(names) > 1}


def _conflicting(cards: Mapping[str, _Card]) -> set[int]:
    """Return the patients of whom the files give more than one birth date or sex."""
    said: dict[tuple[int, str], set[int]] = {}
    for card in cards.values():
        if card.patient:
            said.setdefault((card.patient, "birth"), set()).add(card.birth)
            said.setdefault((card.patient, "sex"), set()).add(card.sex)
    return {patient for (patient, _), values in said.items() if len(values - {0}) > 1}


def _copies(folder: Path, cards: Mapping[str, _Card]) -> dict[str, Outcome]:
    """Return the second files of one SOP Instance: copies, or different ones of that name."""
    first: dict[int, str] = {}
    found: dict[str, Outcome] = {}
    for file, card in cards.items():
        known = first.setdefault(card.instance, file) if card.instance else file
        if known != file:
            same = digest_file(folder / known) == digest_file(folder / file)
            reason = Reason.EXACT_DUPLICATE if same else Reason.DUPLICATE_ID
            found[file] = Outcome(fate=Fate.REFUSED, reason=reason)
    return found
