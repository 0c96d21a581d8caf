"""What people say of a site's data: `catalogue.toml`, and the whole record that is made of it and the index.

The fields are those of EUCAIM DCAT-AP 2.0 (on DCAT-AP 3 and HealthDCAT-AP release 7): what is mandatory
there is mandatory here, but the health data access body, which may wait while none is designated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from huizhen.core.toml_file import read_toml
from huizhen.core.toml_problem import Form, listed, problems_in
from huizhen.data.catalogue.disclosure import Disclosure
from huizhen.data.consent.record import said_of
from huizhen.errors import DataError, HuizhenError

__all__ = [
    "CATALOGUE",
    "Catalogue",
    "Contact",
    "Description",
    "Facts",
    "IndexPaths",
    "Party",
    "described",
    "load_catalogue",
]

CATALOGUE = "catalogue.toml"
"""The file in a site's folder."""

_STRICT = ConfigDict(extra="forbid", frozen=True)


_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\x{61c}\x{200b}\x{200e}\x{200f}"
    r"\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}"
)
"""What a terminal or a page obeys or hides; Prose may hold tabs and ends of lines, a Line may not."""

_LINE, _PROSE = rf"^[^\x09\x0a{_HIDDEN}]*$", rf"^[^{_HIDDEN}]*$"
_WEB = r"^https?://[^\s\"'<>\\]{1,400}$"
_MAIL = r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"
_TERM, _LOCAL = r"^[A-Z]{2,6}[0-9]{4,10}$", r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_VERSION = r"^\d{1,4}(\.\d{1,4}){0,3}([-+][A-Za-z0-9.-]{1,32})?$"
FORMS: Mapping[str, Form] = {
    _LINE: Form(reason="holds ends of lines, or signs that nobody sees", remedy="write it anew, on one line"),
    _PROSE: Form(reason="holds signs that nobody sees", remedy="write it anew, without them"),
    _WEB: Form(reason="is no address of a page", remedy="write it whole, as https://example.org/data"),
    _MAIL: Form(reason="is no e-mail address", remedy="write it as data@example.org"),
    _TERM: Form(reason="is no term of EUCAIM's ontology", remedy="write its code, as CLIN1000060"),
    _LOCAL: Form(
        reason="is no name of a term",
        remedy="write the last part of the term's address: letters, digits, - and _",
    ),
    _VERSION: Form(reason="is no version", remedy="write numbers with points between, as 1.0.0"),
}
"""What a text should have been that doesn't fit a pattern."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=_LINE)]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=_PROSE)]
Web = Annotated[str, StringConstraints(pattern=_WEB)]
Mail = Annotated[str, StringConstraints(pattern=_MAIL)]
Term = Annotated[str, StringConstraints(pattern=_TERM)]
"""A term of EUCAIM's hyper-ontology, as CLIN1000060."""
Local = Annotated[str, StringConstraints(pattern=_LOCAL)]
"""The last part of a controlled term's address."""
Many = Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]


class Contact(BaseModel):
    """Where to write to; a page or an e-mail address has to be there."""

    model_config = _STRICT
    email: Mail | None = None
    page: Web | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.email is None and self.page is None:
            raise ValueError("has neither email nor page")
        return self


class Party(BaseModel):
    """An organisation, by name and contact."""

    model_config = _STRICT
    name: Line
    contact: Contact


class Description(BaseModel):
    """[record]: what only people can say."""

    model_config = _STRICT
    identifier: Web
    """The record's address in the catalogue; never fetched."""
    title: Line
    title_zh: Line | None = None
    description: Prose
    description_zh: Prose | None = None
    version: Annotated[str, StringConstraints(pattern=_VERSION)]
    interoperability_level: Term
    """EUCAIM's tier, a term below SPEC1000008."""
    contact: Contact
    publisher: Party
    custodian: Party | None = None
    access_body: Party | None = None
    """The health data access body; left out while none is designated."""
    health_category: Annotated[tuple[Local, ...], Field(min_length=1, max_length=20)]
    """Terms of EHDS Article 51, as EHRS or MEDICAL_IMAGING."""
    dataset_type: Annotated[
        tuple[Term | Literal["PseudonymisedData", "AnonymisedData"], ...], Field(min_length=1)
    ]
    access_rights: Literal["PUBLIC", "RESTRICTED", "NON_PUBLIC"]
    legislation: Annotated[tuple[Web, ...], Field(min_length=1, max_length=20)]
    condition: Term
    """The primary condition, a term below CLIN1007977."""
    collection_method: Annotated[tuple[Term, ...], Field(min_length=1, max_length=10)]
    keywords: Many
    provenance: Annotated[tuple[Prose, ...], Field(min_length=1, max_length=20)]
    access_page: Web
    """Where access is asked for: the address of the distribution; never fetched."""
    use_conditions: Annotated[tuple[Line, ...], Field(min_length=1, max_length=20)]
    """Terms of the Data Use Ontology, as HMB or DS=MONDO:0007254."""
    variables: tuple[Line, ...] = ()
    """Names of the structured data's variables; none where there are no structured data."""
    legal_basis: Local | None = None
    """The last part of a term of DPV, as Consent or PublicInterest."""
    purpose: Prose | None = None
    personal_data: tuple[Local, ...] = ()
    health_theme: tuple[Local, ...] = ()
    population: Prose | None = None
    retained_from: date | None = None
    retained_until: date | None = None
    coding_systems: tuple[Local, ...] = ()
    code_values: tuple[Line, ...] = ()

    @field_validator("use_conditions")
    @classmethod
    def _terms(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            said_of(given)
        except HuizhenError as error:
            raise ValueError(f"{error.message}: {error.remedy}") from error
        return given


class Facts(BaseModel):
    """What the index says, as far as it may be told: counts are rounded, rare values are not named."""

    model_config = _STRICT
    subjects: Annotated[int, Field(ge=0)]
    studies: Annotated[int, Field(ge=0)] | None = None
    """None where it isn't told, as with noise."""
    sexes: Annotated[tuple[Line, ...], Field(min_length=1)]
    modalities: Annotated[tuple[Line, ...], Field(min_length=1)]
    manufacturers: Annotated[tuple[Line, ...], Field(min_length=1)]
    body_parts: Annotated[tuple[Line, ...], Field(min_length=1)]
    least_age: Annotated[int, Field(ge=0, le=150)] | None = None
    most_age: Annotated[int, Field(ge=0, le=150)] | None = None
    first_year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    last_year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    smallest: Annotated[int, Field(ge=2)]
    rounding: Annotated[int, Field(ge=1)]


class IndexPaths(BaseModel):
    """[index]: what is indexed, by paths relative to the site's folder."""

    model_config = _STRICT
    images: str | None = None
    """A prepared folder of DICOM files."""
    series: str | None = None
    """A table of series."""
    diagnoses: str | None = None
    """A table of diagnoses."""


class Catalogue(BaseModel):
    """The content of `catalogue.toml`."""

    model_config = _STRICT
    index: IndexPaths
    record: Description
    disclosure: Disclosure = Disclosure()


def load_catalogue(path: Path) -> Catalogue:
    """Return a site's `catalogue.toml`. Raises `DataError` that names every wrong field."""
    return read_toml(
        path, Catalogue, wrong=lambda error: described(error, Catalogue, path.name), unreadable=DataError
    )


def described(error: ValidationError, model: type[BaseModel], file: str | None) -> DataError:
    """Return the error of a record or file by all its problems."""
    remedy = "correct it: docs/explanation/catalogue.md says what stands there"
    problems = problems_in(error, model, remedy=remedy, forms=FORMS)
    if len(problems) > 1:
        return DataError(
            listed(problems),
            remedy="correct them: docs/explanation/catalogue.md says what stands in each field",
            file=file,
        )
    (one,) = problems
    return DataError(one.reason, remedy=one.remedy, field=one.field or None, file=file)
