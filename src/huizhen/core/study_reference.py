"""The reference page of the study file, made from the models themselves so that it can't fall behind."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from enum import Enum
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from huizhen.core import study
from huizhen.core.digests import canonical_json
from huizhen.core.study_active import Active
from huizhen.core.study_dossier import DossierPlan
from huizhen.core.study_evaluation import ErrorCosts, EvaluationPlan, PartialArea, Subgroup
from huizhen.core.study_federation import Federation
from huizhen.core.study_harmonisation import Harmonisation
from huizhen.core.study_predictions import PredictionTable, ReadTable
from huizhen.core.study_privacy import Privacy
from huizhen.core.study_protocol import ProtocolPlan
from huizhen.core.study_robustness import Conformal, Robustness
from huizhen.core.study_transfer import HeldDocument, TransferPlan
from huizhen.core.study_triage import (
    ReadColumns,
    ReaderAccuracy,
    ReadingMinutes,
    ReadingPolicy,
    TriagePlan,
    TriageReaders,
)
from huizhen.core.study_use import DataUse

__all__ = ["section", "study_reference"]

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Top of the file", study.Study),
    ("[task]", study.Task),
    ("[[modality]] with kind = \"image\"", study.ImageModality),
    ("[[modality]] with kind = \"table\"", study.TableModality),
    ("[[site]]", study.Site),
    ("[[site.source]]", study.Source),
    ("columns of [[site.source]]", study.Columns),
    ("[predictions]", PredictionTable),
    ("[reads]", ReadTable),
    ("[protocol]", ProtocolPlan),
    ("[use]", DataUse),
    ("[transfer]", TransferPlan),
    ("[[transfer.document]]", HeldDocument),
    ("[threshold]", study.ThresholdRule),
    ("[[endpoint]]", study.Endpoint),
    ("[evaluation]", EvaluationPlan),
    ("partial_auc of [evaluation]", PartialArea),
    ("costs of [evaluation]", ErrorCosts),
    ("[[subgroup]]", Subgroup),
    ("[robustness]", Robustness),
    ("[conformal]", Conformal),
    ("[triage]", TriagePlan),
    ("[[triage.policy]]", ReadingPolicy),
    ("[triage.readers]", TriageReaders),
    ("accuracy of [triage.readers]", ReaderAccuracy),
    ("columns of [triage.readers]", ReadColumns),
    ("minutes of [triage]", ReadingMinutes),
    ("[split]", study.Split),
    ("[network]", study.Network),
    ("[training]", study.Training),
    ("[harmonisation]", Harmonisation),
    ("[federation]", Federation),
    ("[privacy]", Privacy),
    ("[active]", Active),
    ("[dossier]", DossierPlan),
)  # fmt: skip

HEAD = """\
# The study file

One `study.toml` holds everything scientific. It is signed before data is read. Unknown keys are errors;
`huizhen study check FILE` names every problem at once, with the nearest known key. `huizhen study new`
writes a commented file to start from. This page is made from the program's own models
(`python -m huizhen.core.study_reference > docs/reference/study.md`).
"""


def study_reference() -> str:
    """Return the Markdown page that explains every key of the study file."""
    return HEAD + "".join(section(title, model) for title, model in SECTIONS)


def section(title: str, model: type[BaseModel]) -> str:
    """Return the part of the page for one model: its docstring and a table of keys."""
    rows = [_row(model, name, field) for name, field in model.model_fields.items()]
    text = " ".join((model.__doc__ or "").split())
    table = "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])
    heading = f"`{title}`" if title.startswith("[") else title
    return f"\n## {heading}\n\n{text}\n\n{table}\n"


def _row(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """Return the row of one key."""
    value = f"{_type(field.annotation)}{_limits(field)}"
    return f"| `{name}` | {value} | {_default(field)} | {_meaning(model, name)} |"


# --- what a key may hold -------------------------------------------------------------------------------

PLAIN: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    time: "time of day",
    date: "day",
}


def _type(annotation: Any) -> str:
    """Return an annotation in plain words."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choices(item.value for item in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _choices(inner)
    if origin in (list, tuple):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"table of {_type(inner[1])}"
    if origin is Union or type(annotation).__name__ == "UnionType":
        words = dict.fromkeys(_type(item) for item in inner if item is not type(None))
        return " or ".join(words)
    return _type(inner[0]) if inner else str(annotation)


def _choices(values: Any) -> str:
    """Return a closed list of values as code."""
    return ", ".join(f"`{value}`" for value in values)


def _limits(field: FieldInfo) -> str:
    """Return the limits of a value, e.g. " (at least 1, at most 20)"."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "multiple of"}
    found = [
        f"{text} {getattr(item, key)}"
        for item in field.metadata
        for key, text in words.items()
        if getattr(item, key, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _default(field: FieldInfo) -> str:
    """Return a field's default as it would be written, or "required"."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ("", {}, [], ()):
        return "none" if not isinstance(value, BaseModel) else "as below"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, time):
        return f"`{value}`"
    plain = [getattr(item, "value", item) for item in value] if isinstance(value, tuple | list) else value
    return f"`{canonical_json(getattr(plain, 'value', plain)).decode()}`"


# --- what a key means ----------------------------------------------------------------------------------


@cache
def _notes(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the note under each field of a model's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    return dict(_documented(body.body)) if isinstance(body, ast.ClassDef) else {}


def _documented(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield (field, note) for each annotated field that a string follows."""
    for field, note in pairwise(statements):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ast.get_docstring(ast.Module([note], [])) if isinstance(note, ast.Expr) else None
            if text:
                yield field.target.id, re.sub(r"\s+", " ", text).replace("|", "\\|")


def _meaning(model: type[BaseModel], name: str) -> str:
    """Return what a key means: the note in the model, or the one kept in study_meanings.toml."""
    kept = _meanings().get(model.__name__, {}).get(name, "")
    return _notes(model).get(name) or kept


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    """Return the notes that stand beside the models, by model and field."""
    text = (files("huizhen.core") / "study_meanings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


if __name__ == "__main__":
    print(study_reference(), end="")
