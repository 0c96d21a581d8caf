"""What a study's [transfer] names is known: kinds of documents, and facts with values that they may have."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.core.study import Study
from huizhen.core.study_wording import nearest
from huizhen.data.transfer.documents import document_titles
from huizhen.data.transfer.facts import checked_value
from huizhen.data.transfer.law import Law
from huizhen.errors import InvalidInputError, PolicyError

__all__ = ["check_plan"]


def check_plan(study: Study, laws: Sequence[Law], *, file: str | None = None) -> None:
    """Check the names in [transfer] against the `laws` that are asked. Raises `PolicyError` for the first.

    A misspelt kind of document would never be found by the rule that asks for it; `file` is the study's.
    """
    if study.transfer is None:
        return
    known = sorted({*document_titles(), *(kind for law in laws for kind in law.documents)})
    for place, one in enumerate(study.transfer.document):
        if one.kind not in known:
            close = nearest(one.kind, known)
            raise PolicyError(
                f"no rule knows a document of kind {one.kind}",
                remedy=f"did you mean {close}?" if close else f"choose one of: {', '.join(known)}",
                field=f"transfer.document[{place}].kind",
                file=file,
            )
    told = [("transfer.facts", study.transfer.facts)]
    told += [(f"transfer.site.{name}", facts) for name, facts in study.transfer.site.items()]
    for section, facts in told:
        for name, value in facts.items():
            _check_fact(section, name, value, file)


def _check_fact(section: str, name: str, value: object, file: str | None) -> None:
    try:
        checked_value(name, value)
    except InvalidInputError as error:
        raise PolicyError(
            error.message, remedy=error.remedy, field=f"{section}.{name[:60]}", file=file
        ) from error
