"""FHIR Consent resources in files: JSON, Bundles and NDJSON, within limits, each with where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from huizhen.errors import DataError, UnreadableFileError

__all__ = ["Found", "consents_in"]

MOST_BYTES: Final = 256 * 2**20
"""The largest file of JSON; of NDJSON a line has at most `MOST_LINE`."""
MOST_LINE: Final = 4 * 2**20
MOST_DEPTH: Final = 64
MOST_RESOURCES: Final = 2_000_000
SUFFIXES: Final = (".json", ".ndjson", ".jsonl")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A Consent resource, and where it stands: a file's name and the path of the element in it."""

    file: str
    where: str
    resource: Json


def consents_in(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the Consent resources of files and of all JSON and NDJSON files below folders, in order.

    Resources of other kinds in a Bundle are passed over. Raises `UnreadableFileError` for what is no JSON, is
    cut short or beyond the limits; `DataError` for what isn't FHIR, and for a Bundle that deletes resources.
    """
    count = 0
    for path in paths:
        for file in _files(path):
            for found in _in_file(file):
                count += 1
                if count > MOST_RESOURCES:
                    raise _unread(file, "", f"more than {MOST_RESOURCES} consents", "split the export")
                yield found


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise DataError(
                "holds no JSON and no NDJSON file", remedy="name the folder of the export", file=str(path)
            )
        return found
    return [path]


def _in_file(file: Path) -> Iterator[Found]:
    """Yield the consents of one file."""
    try:
        if file.suffix.lower() in (".ndjson", ".jsonl"):
            yield from _in_lines(file)
            return
        if file.stat().st_size > MOST_BYTES:
            raise _unread(file, "", f"is larger than {MOST_BYTES} bytes", "export it as NDJSON")
        content = file.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            "can't be read", remedy="check that it exists and may be read", file=str(file)
        ) from error
    yield from _resources(_parsed(content, file, ""), file, "")


def _in_lines(file: Path) -> Iterator[Found]:
    with file.open("rb") as stream:
        for number in range(1, MOST_RESOURCES + 2):
            line = stream.readline(MOST_LINE + 1)
            if not line:
                return
            if len(line) > MOST_LINE:
                raise _unread(
                    file, f"line {number}", "is too long", f"write at most {MOST_LINE} bytes a line"
                )
            if line.strip():
                place = f"line {number}"
                yield from _resources(_parsed(line, file, place), file, place)


def _parsed(content: bytes, file: Path, place: str) -> Any:
    """Return JSON, refusing what two readers could read differently."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError
        return dict(pairs)

    def no_number(_: str) -> NoReturn:
        raise ValueError

    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise _unread(
            file, place, "is no JSON, names a key twice, or is nested too deeply", "export it again"
        ) from error
    if _depth(value) > MOST_DEPTH:
        raise _unread(file, place, f"is nested deeper than {MOST_DEPTH}", "export it again")
    return value


def _depth(value: Any) -> int:
    """Return how deeply lists and objects are nested, without recursion."""
    depth, level = 0, [value]
    while level:
        inner = [v for one in level if isinstance(one, dict) for v in one.values()]
        inner += [v for one in level if isinstance(one, list) for v in one]
        level = [one for one in inner if isinstance(one, dict | list)]
        depth += 1
        if depth > MOST_DEPTH:
            break
    return depth


def _resources(value: Any, file: Path, place: str) -> Iterator[Found]:
    """Yield the consents of a resource: itself, or those of a Bundle's entries."""
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if kind == "Consent":
        yield Found(file=file.name, where=place or "Consent", resource=value)
    elif kind == "Bundle":
        entries = value.get("entry", [])
        if not isinstance(entries, list):
            raise _unread(file, f"{place} Bundle.entry".strip(), "is no list", "export it again")
        for number, entry in enumerate(entries):
            yield from _entry(entry, file, f"{place} Bundle.entry[{number}]".strip())
    elif not isinstance(kind, str):
        raise _unread(file, place, "is no FHIR resource", "name FHIR Consent resources, as JSON or NDJSON")


def _entry(entry: Any, file: Path, place: str) -> Iterator[Found]:
    """Yield the consent of a Bundle's entry."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if isinstance(request, dict) and request.get("method") == "DELETE":
        raise _unread(
            file, f"{place}.request", "deletes a resource", "export what holds now, without deletions"
        )
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise _unread(file, place, "has no resource", "export it again, with resources")
    if resource["resourceType"] == "Bundle":
        raise _unread(file, f"{place}.resource", "is a Bundle in a Bundle", "give each in a file of its own")
    if resource["resourceType"] == "Consent":
        yield Found(file=file.name, where=f"{place}.resource", resource=resource)


def _unread(file: Path, place: str, why: str, remedy: str) -> UnreadableFileError:
    return UnreadableFileError(why, remedy=remedy, file=file.name, field=place or None)
