"""What the cleaning of one file carries along: the policy, who the patient is, and what was done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from huizhen.data.deidentify.identifiers import Identifiers
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.profile import Action
from huizhen.data.deidentify.regions import Inspection

__all__ = ["Context", "Done", "Rule"]


class Rule(StrEnum):
    """Why something was done to an element."""

    TABLE = "table"
    """Table E.1-1 says so."""
    PRIVATE = "private"
    UNKNOWN = "unknown"
    """The standard's dictionary hasn't the tag."""
    MISPLACED = "misplaced"
    """Command, directory and file meta elements, and group lengths, within a dataset."""
    OVERLAY = "overlay"
    """A plane of an overlay goes with its data."""
    UNLISTED = "unlisted"
    """Not in the table, but of a kind that names people, moments, instances or places: PN, DA, UI, UR."""
    TEXT = "text"
    """Free text outside the table, cleaned as the table's descriptors are (PS3.15 E.3.5, note 3)."""
    CODE = "code"
    """The meaning of a code, put back to what the code means."""
    IDENTIFIER = "identifier"
    """It held a name or number of a person of this file."""
    ILLEGAL = "illegal"
    """Not a value that its VR allows."""
    EMBEDDED = "embedded"
    """Text within compressed pixel data, or bytes after its end."""
    PIXELS = "pixels"
    """Regions of the image were blackened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One action: on the element at `path` ("0040A730.0040A160"), by which rule. No value is in it.

    Of a private element `creator` says whose it was, if that is one that many devices write.
    """

    path: str
    action: Action
    rule: Rule
    creator: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Path, action, rule and creator, by which it is counted."""
        return self.path, self.action.value, self.rule.value, self.creator

    def to_json(self) -> list[str]:
        """Return path, action and rule, and the creator where there is one."""
        return [self.path, self.action.value, self.rule.value, *([self.creator] if self.creator else [])]

    @classmethod
    def from_json(cls, record: Sequence[object]) -> Done:
        """Return what `to_json` wrote. Raises `ValueError` on another form."""
        path, action, rule, *creator = (str(one) for one in record)
        return cls(path=path, action=Action(action), rule=Rule(rule), creator="".join(creator))


@dataclass(slots=True, kw_only=True)
class Context:
    """The state of one file's cleaning. `patient` is the patient's own id; `iod` the kind of object."""

    policy: DeidPolicy
    who: Pseudonymiser
    patient: str
    identifiers: Identifiers
    iod: str
    done: list[Done] = field(default_factory=list)
    kept: int = 0
    seen: Inspection | None = None
    """What an inspector or a person saw in the pixels; None where nobody looked."""

    @property
    def days(self) -> int:
        """By how many days this patient's dates go back."""
        return self.who.shift_days(self.patient, most=self.policy.most_shift_days)

    def note(self, path: str, action: Action, rule: Rule, creator: str = "") -> None:
        """Note an action."""
        if action is Action.KEEP:
            self.kept += 1
        else:
            self.done.append(Done(path=path, action=action, rule=rule, creator=creator))
