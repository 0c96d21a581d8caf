"""The study file's [use]: what the study does with the data, which patients' consents are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["DataUse", "use_problems"]


class DataUse(Frozen):
    """What is done with the data. What is left out is taken in the way that permits least."""

    purpose: Literal["research", "care"] = "research"
    """research: a question is studied. care: patients are treated by it."""
    diseases: tuple[str, ...] = ()
    """Ontology ids of what the study is about, as "MONDO:0007254" for breast cancer."""
    ethics_approval: str = ""
    """The reference of the ethics committee's approval."""
    methods: bool = True
    """Whether methods in general are developed, as training a model is where nothing else is said."""
    commercial: bool = True
    """Whether the use is commercial."""
    non_profit: bool = False
    """Whether only not-for-profit organisations use the data."""
    publication: bool = False
    """Whether results are published."""
    collaboration: bool = False
    """Whether those who gathered the data take part."""
    return_of_results: bool = False
    """Whether derived data go back to those who gathered them."""
    genetic: bool = False
    """Whether it is a genetic study."""
    ancestry: bool = False
    """Whether origins and ancestry are studied."""
    users: tuple[str, ...] = ()
    """Who uses the data, where a consent names users."""
    institutions: tuple[str, ...] = ()
    """The same for institutions."""
    countries: tuple[str, ...] = ()
    """Where the data are used; the sites' jurisdictions where it is left out."""
    kinds: tuple[str, ...] = ()
    """Kinds of research, where a consent names them."""


def use_problems(study: Study) -> list[str]:
    """Return what is wrong between [use] and the sites' consent registers."""
    held = any(site.consent for site in study.site)
    if held and study.use is None:
        return ["use | is missing, and a site keeps consents | say what is done with the data in [use]"]
    if study.use is not None and not held and study.transfer is None:
        return ["use | is held against no consent | name a site's register in consent, or take [use] out"]
    return []
