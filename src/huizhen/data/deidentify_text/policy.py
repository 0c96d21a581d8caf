"""A site's policy for texts: what is replaced by a surrogate, what by a tag, and how dates are read.

>>> TextPolicy(tags=(Kind.PHONE,)).as_tag(Kind.PHONE), TextPolicy().as_tag(Kind.NAME)
(True, False)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from huizhen.core.toml_file import read_toml, refused
from huizhen.data.deidentify_text.kinds import Kind
from huizhen.errors import PolicyError

__all__ = ["TextPolicy", "load_text_policy"]


class TextPolicy(BaseModel):
    """The content of `deid-text.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tags: tuple[Kind, ...] = ()
    """Kinds that become a tag such as [PHONE]; all others become surrogates."""
    all_tags: bool = False
    """Whether every kind becomes a tag."""
    keep: tuple[Kind, ...] = ()
    """Kinds that stay as they are: the site answers for it. Names and ids can't stay."""
    date_order: Literal["dmy", "mdy"] = "dmy"
    """How dates in figures are read where the text itself doesn't tell."""
    most_shift_days: Annotated[int, Field(ge=30, le=36500)] = 3650
    """As in deid.toml: with the same number, texts and DICOM files of a patient move by the same days."""
    unknown_words: bool = True
    """Whether words with a capital that no list knows are taken for names."""
    allow: tuple[Annotated[str, Field(min_length=1, max_length=80)], ...] = ()
    """Words of the site that are never names: its devices, drugs and wards."""
    encoding: Literal[
        "auto", "utf-8", "utf-16", "gb18030", "big5", "cp1252", "latin-1", "shift-jis", "euc-kr"
    ] = "auto"
    """How texts are encoded; auto takes UTF-8, UTF-16 by its mark, and GB 18030 of common Chinese."""
    sample: Annotated[int, Field(ge=0, le=1000)] = 30
    """How many documents go into the sample for review, which stays at the site."""
    largest_mib: Annotated[int, Field(ge=1, le=1024)] = 2
    """Larger documents are refused, and those whose text is longer than so many million characters."""
    seconds_per_document: Annotated[float, Field(gt=0, le=3600)] = 120
    """A document that takes longer is refused; the process that reads and cleans it is ended."""

    def as_tag(self, kind: Kind) -> bool:
        """Tell whether a kind becomes a tag."""
        return self.all_tags or kind in self.tags


def load_text_policy(path: Path) -> TextPolicy:
    """Return the policy in a TOML file. Raises `PolicyError` when it is none, or keeps names or ids."""
    policy = read_toml(
        path,
        TextPolicy,
        wrong=lambda error: refused(
            error,
            TextPolicy,
            PolicyError,
            remedy="correct it; docs/explanation/text-de-identification.md names every key",
            file=path.name,
        ),
    )
    if {Kind.NAME, Kind.ID} & set(policy.keep):
        raise PolicyError(
            "keeps names or ids", remedy="take name and id out of keep", field="keep", file=path.name
        )
    return policy
