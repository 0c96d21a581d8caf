"""A site decides for itself what may leave it over a border, when it is invited and at each round."""

from __future__ import annotations

from datetime import date

from huizhen.core.study import Study
from huizhen.data.transfer.law import laws_of
from huizhen.data.transfer.study_decisions import decisions_of, require_permitted, today
from huizhen.errors import PolicyError
from huizhen.federate.site.folder import SiteFolder

__all__ = ["RULES", "check_borders"]

RULES = "rules"
"""Folder within the site's for rule files of its own."""


def check_borders(study: Study, site: SiteFolder, *, day: date | None = None) -> None:
    """Refuse a study by which something would leave this site that the rules don't permit; see [transfer].

    The rules are those that huizhen carries and the site's own. Raises `PolicyError`, also where the study
    says that the site stands in another jurisdiction than its own file does.
    """
    if study.transfer is None:
        return
    said = next((one.jurisdiction for one in study.site if one.name == site.name), "")
    if site.jurisdiction and said.upper() != site.jurisdiction.upper():
        raise PolicyError(
            "the study says that this site stands in another jurisdiction",
            remedy="correct [[site]] jurisdiction in the study, or the site's own site.toml",
            field="site.jurisdiction",
        )
    own = site.path / RULES
    laws = laws_of(own if own.is_dir() else None)
    flows = decisions_of(study, laws, day or today())
    require_permitted([one for one in flows if one.flow.sender == site.name])
