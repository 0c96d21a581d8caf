"""The ledger itself: how to verify, the signed head, every number by entry, every entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.dossier.blocks import (
    Block,
    Command,
    Facts,
    Heading,
    Listing,
    Listings,
    Paragraph,
    Section,
)
from huizhen.dossier.citations import plainly, when
from huizhen.dossier.estimates import estimate_of
from huizhen.dossier.labels import label_of
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, say, say_or
from huizhen.ledger.records import Entry, SignedHead

LONGEST_LIST = 12
LONGEST_TEXT = 400
SHOWN_BODY = 4000
"""Characters of a body that stand on the page; the whole of it is in ledger/entries.jsonl."""


def appendix(record: Record, head: SignedHead) -> Section:
    """Return the appendix; `head` is the signed head over all entries."""
    blocks: tuple[Block, ...] = (
        Heading(id="verify", text=say("heading.verify")),
        Paragraph(content=(say("verify.how"),)),
        Command(line="huizhen verify dossier --key KEY_ID"),
        Paragraph(content=(say("verify.key"),)),
        _head(head),
        Heading(id="entries", text=say("heading.entries")),
        Paragraph(content=(say("entries.what"),)),
        Listings(entries=_listings(record)),
    )
    return Section(id="ledger", title=say("section.ledger"), blocks=blocks, phantom=record.phantom)


def _head(head: SignedHead) -> Facts:
    """Return the head's fields; they are signed themselves, so they are no citations of an entry."""
    fields = {
        "size": plainly(head.size),
        "root": Text.both(head.root),
        "time": when(head.time),
        "key_id": Text.both(head.key_id),
        "public_key": Text.both(head.public_key),
        "signature": Text.both(head.signature),
    }
    return Facts(
        rows=tuple((say(f"head_of_log.{name}"), (text,)) for name, text in fields.items()), code=True
    )


def _listings(record: Record) -> tuple[Listing, ...]:
    places = places_of(record.entries)
    return tuple(
        _listing(entry, leaf, places) for entry, leaf in zip(record.entries, record.leaves, strict=True)
    )


def places_of(entries: Sequence[Entry]) -> Mapping[str, int]:
    """Return where each digest that a stage can be made from was first entered: a stage's, or a file's."""
    places: dict[str, int] = {}
    for entry in entries:
        held = {"stage": "digest", "artefact": "sha256"}.get(entry.kind)
        if held is not None:
            places.setdefault(str(entry.body.get(held)), entry.index)
    return places


def _listing(entry: Entry, leaf: str, places: Mapping[str, int]) -> Listing:
    body, shortened = body_text(entry.body)
    summary = summary_of(entry)
    if entry.kind == "stage" and (sources := sources_of(entry.body, places)):
        summary = say("entries.made_from", stage=summary, entries=sources)
    return Listing(
        index=entry.index,
        entry_kind=entry.kind,
        time=when(entry.time),
        version=entry.version,
        leaf=leaf,
        summary=summary,
        body=body,
        shortened=shortened,
    )


def sources_of(body: Mapping[str, Any], places: Mapping[str, int]) -> str:
    """Return the entries that the stage of `body` was made from, as far as the ledger holds them: "#1, #4".

    >>> body = {"inputs": [{"what": "cohort", "digest": "c0"}, {"what": "study: seed", "digest": "5e"}]}
    >>> sources_of(body, {"c0": 4})
    '#4'
    """
    inputs = body.get("inputs")
    rows = inputs if isinstance(inputs, list) else []
    digests = [str(one.get("digest")) for one in rows if isinstance(one, Mapping)]
    found = sorted({places[digest] for digest in digests if digest in places})
    shown = [f"#{index}" for index in found[:LONGEST_LIST]]
    return ", ".join([*shown, "…"] if len(found) > LONGEST_LIST else shown)


def body_text(body: Mapping[str, Any]) -> tuple[str, bool]:
    """Return a body as indented JSON with long lists and texts cut, and whether anything was cut.

    >>> body_text({"x": list(range(100))})
    ('{"x": "[100 values]"}', True)
    """
    cut = _cut(body)
    text = json.dumps(cut, indent=1, sort_keys=True, ensure_ascii=False)
    text = text if len(text) > 60 else json.dumps(cut, sort_keys=True, ensure_ascii=False)
    if len(text) > SHOWN_BODY:
        return text[:SHOWN_BODY] + "\n…", True
    return text, cut != body


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _cut(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return f"[{len(value)} values]" if len(value) > LONGEST_LIST else [_cut(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "…"
    return value


def summary_of(entry: Entry) -> Text:
    """Return what an entry says in one line."""
    return _SUMMARIES.get(entry.kind, _plain_summary)(entry)


def _evidence(entry: Entry) -> Text:
    measured = Measured(entry=entry, evidence=Evidence.from_json(entry.body))
    number = estimate_of(measured, with_size=False)
    label = label_of(measured)
    return join(label, number.text, by=Text(" = ", " = ")) if number else label


def _study(entry: Entry) -> Text:
    return Text.both(str(entry.body["study"].get("name", "")))


def _stage(entry: Entry) -> Text:
    return say_or(f"stage.{entry.body.get('stage')}", str(entry.body.get("stage", "")))


def _artefact(entry: Entry) -> Text:
    return Text.both(str(entry.body.get("path", "")))


def _digest(entry: Entry) -> Text:
    digest = entry.body.get("model_digest") or entry.body.get("digest") or ""
    return Text.both(f"{str(digest)[:16]}…" if digest else "")


def _checklist(entry: Entry) -> Text:
    table = entry.body.get("checklist")
    return Text.both(str(table.get("title", "")) if isinstance(table, Mapping) else "")


def _unseal(entry: Entry) -> Text:
    return say("timeline.unseal_what", lock=f"#{entry.body.get('lock_entry', '?')}")


def _plain_summary(entry: Entry) -> Text:
    return Text.both(", ".join(sorted(entry.body))[:120])


_SUMMARIES: Mapping[str, Callable[[Entry], Text]] = {
    "evidence": _evidence,
    "study": _study,
    "stage": _stage,
    "artefact": _artefact,
    "model": _digest,
    "lock": _digest,
    "unseal": _unseal,
    "form": _digest,
    "checklist": _checklist,
}
