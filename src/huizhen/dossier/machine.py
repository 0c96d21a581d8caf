"""dossier.json: the same content for machines, every number with its entry, leaf hash and place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from huizhen.core.words import Language
from huizhen.dossier.blocks import Listings, Phrase, Picture, Plot
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import Content
from huizhen.dossier.wording import Text

SCHEMA = 1


def render_json(content: Content, language: Language) -> bytes:
    """Return the bytes of dossier.json: a line a number and a section, keys sorted, always the same."""
    record = content.record
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "language": language.value,
        "title": content.title.to_json(),
        "phantom": record.phantom,
        "study_digest": record.study_entry.body["digest"],
        "head": content.head.to_json(),
        "numbers": [
            {
                "section": p.section,
                "block": p.block,
                **_cited(p.cited, record.leaves),
                **({"phantom": True} if record.phantom else {}),
            }
            for p in content.places
            if p.cited.is_number
        ],
        "sections": [_plain(section, record.leaves) for section in content.sections],
    }
    return ("{\n" + ",\n".join(_line(key, value[key]) for key in sorted(value)) + "\n}\n").encode()


def _line(key: str, value: Any) -> str:
    """Return a field of the top level, a list with an item a line."""
    if isinstance(value, list):
        return f"{json.dumps(key)}: [\n" + ",\n".join(map(_compact, value)) + "\n]"
    return f"{json.dumps(key)}: {_compact(value)}"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _cited(cited: Cited, leaves: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "entry": cited.entry,
        "leaf": leaves[cited.entry],
        "label": cited.label.to_json(),
        "text": cited.text.to_json(),
        "values": dict(cited.values),
    }
    made |= {"size": cited.size.to_json()} if cited.size else {}
    made |= {"method": cited.method} if cited.method else {}
    return made | ({"phantom": True} if cited.phantom else {})


def _plain(node: Any, leaves: tuple[str, ...]) -> Any:
    """Return a block as plain JSON; drawings are left out, their numbers stand beside them."""
    match node:
        case Cited():
            return _cited(node, leaves)
        case Text():
            return node.to_json()
        case Phrase():
            return {"en": _plain(node.en, leaves), "zh": _plain(node.zh, leaves)}
        case Listings():
            return {"kind": node.kind, "entries": [{"index": e.index, "leaf": e.leaf} for e in node.entries]}
        case tuple():
            return [_plain(inner, leaves) for inner in node if not isinstance(inner, Plot)]
        case _ if is_dataclass(node):
            return _fields(node, leaves)
        case _:
            return node


def _fields(node: Any, leaves: tuple[str, ...]) -> Mapping[str, Any]:
    values = {f.name: _plain(getattr(node, f.name), leaves) for f in fields(node) if f.name != "svg"}
    if isinstance(node, Picture):
        values["path"] = f"files/{node.path}"
    kind = getattr(node, "kind", None)
    return {"kind": kind, **values} if kind else values
