"""A small federated study with what a case says of it."""

from __future__ import annotations

from typing import Any

from huizhen.core.study import Study

SOURCE = {"reader": "npz", "modality": "US", "path": "a.npz", "labels": "a.csv"}


def study(
    origin: str = "CN", lead: str = "DE", *, federated: bool = True, use: bool = True, **transfer: Any
) -> Study:
    """Return a study of one hospital, led from `lead`; `transfer` are keys of [transfer]."""
    source = {**SOURCE, "columns": {"patient": "who", "outcome": "what"}}
    site: dict[str, Any] = {"name": "north", "jurisdiction": origin, "source": [source]}
    said: dict[str, Any] = {
        "name": "abroad",
        "title": "Abroad",
        "question": "?",
        "seed": 1,
        "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
        "modality": [{"name": "US", "size": 32}],
        "site": [site],
        "transfer": {"lead": lead, **transfer},
    }
    if federated:
        said["federation"] = {}
    if use:
        site["consent"] = "consents.csv"
        said["use"] = {"ethics_approval": "2026-7"}
    return Study.model_validate(said)
