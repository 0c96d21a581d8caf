"""A form to fill in: every item that a person must answer, with prompts in both languages."""

from __future__ import annotations

import textwrap

from huizhen.core.study_template import toml_value
from huizhen.dossier.evidence_items import EvidenceItem, evidence_items
from huizhen.dossier.form import Answer, Form
from huizhen.dossier.form_sheet import SheetAnswers, SheetTexts
from huizhen.dossier.wording import Text, say

__all__ = ["form_text"]

WIDTH = 100
KEYS = ("answer", "owner", "due", "reason")
OPTIONAL = ("answer_zh", "reason_zh")
SHEET = ("purpose", "population", "users", "do_not_use", "failures", "stop", "call", "data", "ethics")
SHEET_KEYS = (*SHEET, "funding", "contact")


def form_text(study: str, earlier: Form | None = None) -> str:
    """Return the TOML of a form for the study named `study`; what an `earlier` form says is kept.

    Items that the ledger fills by itself stand at the end behind "#", since a person may add to them.
    """
    items = evidence_items().values()
    answers = earlier.answers if earlier else {}
    asked = [item for item in items if item.expects_person or item.id in answers]
    others = [item for item in items if item not in asked]
    parts = [
        _comment(say("form.head")),
        f"schema_version = 1\nstudy = {toml_value(study)}",
        _default(earlier.default if earlier else Answer()),
        *(_item(item, answers.get(item.id, Answer())) for item in asked),
        _sheet(earlier.sheet if earlier else SheetAnswers()),
        _comment(say("form.others")),
        *(_commented(item) for item in others),
    ]
    return "\n\n".join(parts) + "\n"


def _comment(text: Text) -> str:
    # Chinese has no spaces to wrap at: it keeps its own lines
    english = [line for part in text.en.splitlines() for line in textwrap.wrap(part, WIDTH)]
    return "\n".join(f"# {line}" for line in (*english, *text.zh.splitlines()))


def _default(answer: Answer) -> str:
    lines = [f"owner = {toml_value(answer.owner)}", f"due = {toml_value(answer.due)}"]
    return "\n".join([_comment(say("form.default")), "[default]", *lines])


def _head(item: EvidenceItem) -> str:
    name = Text(f"{item.id.value} {item.title.en}. ", f"{item.title.zh}：")
    lines = [_comment(Text(name.en + item.prompt.en, name.zh + item.prompt.zh))]
    if item.lacks is not None:
        lines.append(_comment(say("form.lacks", what=item.lacks)))
    return "\n".join(lines)


def _item(item: EvidenceItem, answer: Answer) -> str:
    given = [key for key in OPTIONAL if getattr(answer, key)]
    lines = [f"{key} = {toml_value(getattr(answer, key))}" for key in (*KEYS, *given)]
    return "\n".join([_head(item), f"[{item.id.value}]", *lines])


def _commented(item: EvidenceItem) -> str:
    lines = [f"#[{item.id.value}]", *(f'#{key} = ""' for key in KEYS[:2])]
    return "\n".join([_head(item), *lines])


def _sheet(sheet: SheetAnswers) -> str:
    head = [_comment(say("form.sheet")), "[sheet]"]
    head += [f"role = {toml_value(sheet.role)}", f"status = {toml_value(sheet.status)}"]
    return "\n\n".join(["\n".join(head), _texts("en", sheet.en), _texts("zh", sheet.zh)])


def _texts(language: str, texts: SheetTexts) -> str:
    lines = [f"{key} = {toml_value(getattr(texts, key))}" for key in SHEET_KEYS]
    lines = [f"{line}  # {_hint(key, language)}" for key, line in zip(SHEET_KEYS, lines, strict=True)]
    return "\n".join([f"[sheet.{language}]", *lines])


def _hint(key: str, language: str) -> str:
    hint = say(f"sheet_hint.{key}")
    return hint.en if language == "en" else hint.zh
