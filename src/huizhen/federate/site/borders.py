"""A site decides for itself what may leave it over a border, when it is invited and at each round."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from huizhen.core.study import Study
from huizhen.data.transfer.law import laws_of
from huizhen.data.transfer.own_facts import check_said, own_facts
from huizhen.data.transfer.study_decisions import decisions_of, require_permitted, today
from huizhen.errors import PolicyError
from huizhen.federate.site.folder import SiteFolder

__all__ = ["RULES", "check_borders"]

RULES = "rules"
"""Folder within the site's for rule files of its own."""


def check_borders(study: Study, site: SiteFolder, *, day: date | None = None) -> None:
    """Refuse a study by which something would leave this site that the rules don't permit; see [transfer].

    The rules are those that huizhen carries and the site's own. Raises `PolicyError`, also where the study
    says that the site stands in another jurisdiction than its own file does, or tells another fact than the
    site's facts.toml, and where it says nothing of transfers although the site has a jurisdiction or rules of
    its own: a lead can't leave them out.
    """
    own = _own_rules(site)
    if study.transfer is None and own is None and not site.jurisdiction and not own_facts(site.path):
        return
    said = next((one.jurisdiction for one in study.site if one.name == site.name), "")
    if site.jurisdiction and said.upper() != site.jurisdiction.upper():
        raise PolicyError(
            "the study says that this site stands in another jurisdiction",
            remedy="correct [[site]] jurisdiction in the study, or the site's own site.toml",
            field="site.jurisdiction",
        )
    if study.transfer is None:
        raise PolicyError(
            "the study says nothing of transfers, and this site has rules for what leaves it",
            remedy="add [transfer] to the study, which names who leads",
            field="transfer",
        )
    check_said(study, site.name, own_facts(site.path))
    flows = decisions_of(study, laws_of(own), day or today())
    require_permitted([one for one in flows if one.flow.sender == site.name])


def _own_rules(site: SiteFolder) -> Path | None:
    """Return the site's folder of rules, if there is one. Raises `PolicyError` for one by another name."""
    found = [one for one in site.path.iterdir() if one.name.casefold() == RULES]
    if any(one.name != RULES or not one.is_dir() for one in found):
        raise PolicyError(
            "the site's own rules aren't in a folder named rules",
            remedy="name the folder rules, in small letters, or take it away",
            file=str(found[0]),
        )
    return found[0] if found else None
