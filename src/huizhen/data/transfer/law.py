"""A law as a file: gates that must all be passed, and dated rules that pass, exempt or forbid.

A gate is a question such as "by which route may it leave?". Its rules are alternatives: in a gate of mode
`any` one that holds is enough, in one of mode `all` each that holds must be met. A rule that forbids closes
its gate; one that exempts opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from huizhen.core.digests import Digest, digest_value
from huizhen.core.jurisdictions import CODES
from huizhen.core.toml_file import read_toml, refused
from huizhen.data.transfer.conditions import Condition, parse_condition
from huizhen.data.transfer.documents import document_titles
from huizhen.errors import HuizhenError, PolicyError

__all__ = ["Gate", "Law", "Rule", "Texts", "laws_of"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Texts(BaseModel):
    """A text in both languages."""

    model_config = _STRICT
    en: Annotated[str, Field(min_length=1)]
    zh: Annotated[str, Field(min_length=1)]


class Gate(BaseModel):
    """A question of a law; `mode` says whether one rule that holds is enough, or each must be met."""

    model_config = _STRICT
    id: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    title: Texts
    mode: Literal["any", "all"] = "any"


class Rule(BaseModel):
    """One rule: in force from `since` until `until` (both included), where all of `when` hold."""

    model_config = _STRICT
    id: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Za-z0-9()._-]*$")]
    gate: str
    source: Texts
    """The law and its article; a file of one's own may give one text for both languages."""
    since: date
    until: date | None = None
    when: tuple[str, ...]
    decision: Literal["permit", "exempt", "forbid"]
    basis: Texts
    documents: tuple[str, ...] = ()
    ask: Texts | None = None
    """What a person must look at beyond the facts."""
    verified: Literal["source", "memory", "choice"]
    """source: checked in a published source; memory: not checked; choice: of whoever wrote the file."""
    _conditions: tuple[Condition, ...] = PrivateAttr(default=())

    @field_validator("source", mode="before")
    @classmethod
    def _in_both(cls, given: Any) -> Any:
        return {"en": given, "zh": given} if isinstance(given, str) else given

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions, parsed."""
        return self._conditions

    def in_force(self, day: date) -> bool:
        """Tell whether the rule is in force on a day; the first and the last day count."""
        return self.since <= day and (self.until is None or day <= self.until)


class Law(BaseModel):
    """The content of a rule file. It applies to flows for which all of `scope` hold."""

    model_config = _STRICT
    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]*$")]
    title: Texts
    places: Annotated[tuple[str, ...], Field(min_length=1)]
    """The jurisdictions of senders that the law speaks for."""
    scope: tuple[str, ...] = ()
    note: Texts | None = None
    checked: date
    """The day on which somebody last held the file against its sources."""
    lists: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    documents: dict[str, Texts] = Field(default_factory=dict)
    """Kinds of documents beyond those that huizhen knows."""
    gate: Annotated[tuple[Gate, ...], Field(min_length=1)]
    rule: Annotated[tuple[Rule, ...], Field(min_length=1)]
    _scope: tuple[Condition, ...] = PrivateAttr(default=())
    _replaces: bool = PrivateAttr(default=False)

    @model_validator(mode="before")
    @classmethod
    def _at_the_top(cls, given: Any) -> Any:
        """Put the keys of the file's [law] beside its other tables."""
        if not isinstance(given, Mapping) or not isinstance(given.get("law"), Mapping):
            return given
        return {**given["law"], **{name: found for name, found in given.items() if name != "law"}}

    @model_validator(mode="after")
    def _is_understood(self) -> Self:
        if unknown := sorted(set(self.places) - CODES):
            raise ValueError(f"{unknown[0]} is no ISO 3166 code of two capital letters")
        gates = [one.id for one in self.gate]
        ids = [one.id for one in self.rule]
        if twice := sorted({name for name in (*gates, *ids) if (*gates, *ids).count(name) > 1}):
            raise ValueError(f"named twice: {', '.join(twice)}")
        lists = {**self.lists, "places": self.places}
        self._scope = tuple(parse_condition(text, lists) for text in self.scope)
        for rule in self.rule:
            if rule.gate not in gates:
                raise ValueError(f"rule {rule.id} belongs to no gate of the file")
            if rule.until is not None and rule.until < rule.since:
                raise ValueError(f"rule {rule.id} ends before it begins")
            if unknown := sorted(set(rule.documents) - set(document_titles()) - set(self.documents)):
                raise ValueError(f"rule {rule.id} asks for an unknown document {unknown[0]}")
            if rule.documents and rule.decision != "permit":
                raise ValueError(f"rule {rule.id} asks for documents and permits nothing")
            rule._conditions = tuple(parse_condition(text, lists) for text in rule.when)
        return self

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of the scope, parsed."""
        return self._scope

    @property
    def replaces(self) -> bool:
        """Whether a file of one's own stands here in the place of a carried one."""
        return self._replaces

    @property
    def digest(self) -> Digest:
        """The digest of what the file says."""
        return digest_value(self.model_dump(mode="json"))


def laws_of(folder: Path | None = None) -> tuple[Law, ...]:
    """Return the laws that huizhen carries, and those of a hospital's own `folder`.

    One of the folder with the id of a carried one takes its place, and says so. Rules of the folder count as
    choices of its author, whatever they say of their source: nobody else checked them. Raises `PolicyError`
    for a file that can't be read or isn't understood: a rule that nobody reads forbids nothing.
    """
    carried = files("huizhen.data.transfer") / "rules"
    found: dict[str, Law] = {}
    for entry in sorted(carried.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".toml"):
            law = _law(entry)
            found[law.id] = law
    for path in _own_files(folder):
        law = _own(_law(path))
        law._replaces = law.id in found
        found[law.id] = law
    _refuse_twice(list(found.values()))
    return tuple(found.values())


def _own(law: Law) -> Law:
    """Return a law of one's own with no rule that counts as checked in a source."""
    rules = [
        rule.model_copy(update={"verified": "choice"}) if rule.verified == "source" else rule
        for rule in law.rule
    ]
    return law.model_copy(update={"rule": tuple(rules)})


def _own_files(folder: Path | None) -> Sequence[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise PolicyError(
            "there is no folder of rules", remedy="correct transfer.rules, or leave it out", file=str(folder)
        )
    found = sorted(folder.iterdir())
    for path in found:
        if path.suffix != ".toml" or not path.is_file():
            raise PolicyError(
                "is no file of rules by its name, and nobody would read it",
                remedy="name each file of the folder with .toml in small letters, and keep others elsewhere",
                file=path.name,
            )
    return found


def _law(path: Path | Traversable) -> Law:
    def wrong(error: ValidationError) -> HuizhenError:
        return refused(
            error,
            Law,
            PolicyError,
            remedy="correct it; docs/how-to/check-a-transfer.md shows the form",
            file=path.name,
        )

    return read_toml(path, Law, wrong=wrong)


def _refuse_twice(laws: Sequence[Law]) -> None:
    ids = [rule.id for law in laws for rule in law.rule]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise PolicyError(
            f"two files have a rule {twice[0]}",
            remedy="give your own rules ids of their own",
            field="rule.id",
        )
