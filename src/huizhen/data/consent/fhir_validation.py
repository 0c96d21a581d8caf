"""Whether a resource has the form of a FHIR Consent, by the models of `fhir.resources`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from huizhen.errors import DataError

__all__ = ["check_form"]


def check_form(resource: Mapping[str, Any], *, r5: bool, file: str, where: str) -> None:
    """Refuse what isn't a Consent of R5, or else of R4B.

    Raises `DataError` with the element's path and the kind of fault, without what stands there; and where
    fhir.resources isn't installed.
    """
    from pydantic import ValidationError

    try:
        model: Any = import_module(f"fhir.resources{'' if r5 else '.R4B'}.consent").Consent
    except ImportError as error:
        raise DataError(
            "FHIR needs a package that isn't installed", remedy="pip install 'huizhen[fhir]'", file=file
        ) from error
    try:
        model.model_validate(dict(resource))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"is no FHIR Consent of {'R5' if r5 else 'R4B'}: an element "
            f"{'is missing' if first['type'] == 'missing' else 'may not stand there, or not so'}",
            remedy="correct the resource by HL7's definition",
            file=file,
            field=f"{where}: {path}",
        ) from error
