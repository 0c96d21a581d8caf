"""What a person is to look at: files that wait for it, heads by series, or a sample of what was released.

    review = waiting_review(state)                       # or audit_review(state, who=who, images=60)
    write_pages(review, state / PAGES, Language.EN)      # review_page
    enter(state, [saved], reader="A. Reader")            # review_entry

Everything stays in the site's folder: the pages show patients' images and paths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.digests import Digest, digest_file, digest_value
from huizhen.core.streams import stream
from huizhen.data.deidentify.audits import AUDITS, audits_of
from huizhen.data.deidentify.decisions import About
from huizhen.data.deidentify.journal import Entry, Journal
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.opening import opened
from huizhen.data.deidentify.outcome import Fate, Reason, Refused
from huizhen.data.deidentify.prepare import IMAGES, LAST, WAITING, journal_path
from huizhen.data.deidentify.regions import Region, region_of
from huizhen.data.readers.paths import list_files
from huizhen.errors import DataError, HuizhenError, StorageError

__all__ = ["MOST_ITEMS", "Item", "Review", "audit_review", "waiting_review"]

MOST_ITEMS = 200
"""Items of one review; the others come with the next."""

_MOST_BYTES = 1 << 40
_SERIES = 0x0020000E
_ABOUT = {
    Reason.BURNED_IN: About.PIXELS,
    Reason.RISKY_PIXELS: About.PIXELS,
    Reason.DOUBTFUL_PIXELS: About.PIXELS,
    Reason.HEAD: About.HEAD,
}
"""What somebody can decide by looking; all else is to be put right in the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to decide: a file, or all waiting files of a head's series.

    `files` has keyed names and digests of their content. `shown` are up to three paths to look at, `label` is
    what the person at the site knows it by, and `regions` what is proposed, or was blackened.
    """

    number: int
    about: About
    reason: str
    label: str
    files: tuple[tuple[str, Digest], ...]
    shown: tuple[Path, ...]
    regions: tuple[Region, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what is needed to enter a decision of it; no path is in it."""
        return {
            "number": self.number,
            "about": self.about.value,
            "files": [list(one) for one in self.files],
            "regions": [one.to_json() for one in self.regions],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What one person is asked at once. `left` counts items that come with the next review."""

    audit: bool
    journal: str
    population: int
    items: tuple[Item, ...]
    left: int = 0

    @property
    def name(self) -> str:
        """The review's own name, of what it asks."""
        return digest_value([self.audit, self.journal, [one.to_json() for one in self.items]])[:16]

    def to_json(self) -> dict[str, Any]:
        """Return what is needed to enter the decisions."""
        return {
            "review": self.name,
            "audit": self.audit,
            "journal": self.journal,
            "population": self.population,
            "items": [one.to_json() for one in self.items],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Last:
    """The preparation that is reviewed."""

    folder: Path
    out: Path
    journal: Path


def _last(state: Path) -> _Last:
    """Return the last preparation. Raises `DataError` where there was none."""
    try:
        found = json.loads((state / LAST).read_text(encoding="utf-8"))
        folder, out = (Path(os.fsdecode(bytes.fromhex(found[name]))) for name in ("folder", "out"))
        return _Last(folder=folder, out=out, journal=journal_path(state, Digest(found["run"]), out))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "nothing was prepared at this site", remedy="run huizhen site prepare first", file=LAST
        ) from error


def waiting_review(state: Path) -> Review:
    """Return what waits for somebody to look, of the last preparation.

    Files that are gone, or were changed since, are left out: the next preparation looks at them anew. Raises
    `DataError` where nothing was prepared, and `StorageError` where the list is damaged.
    """
    last = _last(state)
    found: list[Item] = []
    for about, label, reason, lines in _grouped(last.folder, _waiting(state)):
        files = [(line, digest) for line in lines if (digest := _digest(last.folder / line["file"]))]
        if files:
            paths = [last.folder / line["file"] for line, _ in files]
            found.append(
                Item(
                    number=len(found) + 1,
                    about=about,
                    reason=reason,
                    label=label,
                    files=tuple((str(line["name"]), digest) for line, digest in files),
                    shown=tuple(paths[i] for i in sorted({0, len(paths) // 2, len(paths) - 1})),
                    regions=tuple(region_of(box) for box in lines[0].get("boxes", ())),
                )
            )
    return Review(
        audit=False,
        journal=last.journal.name,
        population=len(found),
        items=tuple(found[:MOST_ITEMS]),
        left=max(0, len(found) - MOST_ITEMS),
    )


def _waiting(state: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of files that wait for their pixels. Raises `StorageError` where one is damaged."""
    try:
        for text in (state / WAITING).read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line["fate"] == Fate.QUEUED.value and Reason(line["reason"]) in _ABOUT:
                yield line
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "the list of waiting files can't be read", remedy="run huizhen site prepare again", file=WAITING
        ) from error


def _grouped(
    folder: Path, lines: Iterator[dict[str, Any]]
) -> list[tuple[About, str, str, list[dict[str, Any]]]]:
    """Return waiting files as what is decided at once: one by one, but a head's series together."""
    groups: dict[tuple[About, str], list[dict[str, Any]]] = {}
    for line in lines:
        about = _ABOUT[Reason(line["reason"])]
        key = _series(folder / line["file"]) if about is About.HEAD else line["file"]
        groups.setdefault((about, key), []).append(line)
    return [
        (about, str(some[0]["file"]), str(some[0]["reason"]), some) for (about, _), some in groups.items()
    ]


def _series(path: Path) -> str:
    """Return a file's Series Instance UID; its path where it can't be read."""
    try:
        with opened(path, most_bytes=_MOST_BYTES, wanted=(_SERIES,)) as found:
            return str(found.dataset.get("SeriesInstanceUID", "") or path)
    except Refused:
        return str(path)


def _digest(path: Path) -> Digest | None:
    """Return the digest of an ordinary file's content; None where it is gone."""
    try:
        return None if path.is_symlink() else digest_file(path)
    except HuizhenError:
        return None


def audit_review(state: Path, *, who: Pseudonymiser, images: int) -> Review:
    """Return a random sample of `images` released files with an image, as they were released.

    The draw is by the site's key, the number of files and the audits before, so that nobody chooses, and none
    looks again at what the last one had put right. Raises `DataError` where nothing was prepared, or nothing
    with an image was released.
    """
    last = _last(state)
    released = [one for one in _released(last.journal) if (last.out / IMAGES / one.outcome.place).is_file()]
    paths = {who.file(file): file for file in list_files(last.folder, field=None)[0]}
    known = [one for one in released if one.file in paths]
    if not known:
        raise DataError(
            "no image of the export was released", remedy="run huizhen site prepare first", file=LAST
        )
    drawn_of = f"{last.journal.name} {len(known)} {audits_of(state / AUDITS, last.journal.name)}"
    seed = int.from_bytes(who.digest("audit", drawn_of)[:6], "big")
    drawn = stream(seed, "audit").permutation(len(known))[:images]
    return Review(
        audit=True,
        journal=last.journal.name,
        population=len(known),
        items=tuple(_sampled(last, paths, [known[int(i)] for i in drawn])),
    )


def _released(journal: Path) -> list[Entry]:
    """Return the last entries of released files with an image."""
    last: Mapping[str, Entry] = {one.file: one for one in Journal(path=journal).entries()}
    return [one for one in last.values() if one.outcome.fate is Fate.RELEASED and one.outcome.how]


def _sampled(last: _Last, paths: Mapping[str, str], entries: Sequence[Entry]) -> Iterator[Item]:
    """Yield an item for each drawn file: its released copy is shown, its original is what is decided of."""
    for number, entry in enumerate(entries, start=1):
        digest = _digest(last.folder / paths[entry.file])
        if digest is not None:
            yield Item(
                number=number,
                about=About.PIXELS,
                reason="audit",
                label=paths[entry.file],
                files=((entry.file, digest),),
                shown=(last.out / IMAGES / entry.outcome.place,),
                regions=entry.outcome.regions,
            )
