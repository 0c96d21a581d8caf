"""A site decides for itself what may leave it over a border, when it is invited and at each round."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.study import Role, Study
from huizhen.errors import PolicyError
from huizhen.federate import messages as wire
from huizhen.federate.site.borders import RULES, check_borders
from huizhen.federate.site.checks import check_round, check_sites
from huizhen.federate.site.folder import SiteFolder

DAY = date(2026, 11, 23)
PAPER = {"kind": "impact_assessment", "id": "I-1", "issued": "2026-01-01", "expires": "2026-11-23"}


def study(origin: str = "DE", **transfer: Any) -> Study:
    source = {"reader": "npz", "modality": "US", "path": "a.npz", "labels": "a.csv"}
    columns = {"patient": "who", "outcome": "what"}
    said = {"lead": "FR", "facts": {"consent_explicit": True}, **transfer}
    return Study.model_validate(
        {
            "name": "abroad",
            "title": "Abroad",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
            "modality": [{"name": "US", "size": 32}],
            "site": [{"name": "east", "jurisdiction": origin, "source": [{**source, "columns": columns}]}],
            "federation": {},
            **({"transfer": said} if transfer else {}),
        }
    )


@pytest.fixture
def east(tmp_path: Path) -> SiteFolder:
    SiteFolder.create(tmp_path / "east", name="east", data=tmp_path, jurisdiction="DE")
    return SiteFolder.open(tmp_path / "east")


def test_what_the_rules_permit_may_leave_until_a_document_runs_out(east: SiteFolder) -> None:
    asked = study(document=[PAPER])
    check_borders(asked, east, day=DAY)
    with pytest.raises(PolicyError, match=r"east>lead/updates \(impact_assessment\)"):
        check_borders(asked, east, day=date(2026, 11, 24))


def test_what_the_lead_sends_is_the_leads_to_decide(east: SiteFolder) -> None:
    check_borders(study(document=[PAPER]), east, day=DAY)  # the model that comes down is undecided


def test_a_study_cannot_place_a_site_elsewhere(east: SiteFolder) -> None:
    with pytest.raises(PolicyError, match="another jurisdiction"):
        check_borders(study("US", document=[PAPER]), east, day=DAY)


def test_a_site_that_has_no_rules_of_its_own_takes_a_study_that_says_nothing_of_transfers(
    tmp_path: Path,
) -> None:
    SiteFolder.create(tmp_path / "east", name="east", data=tmp_path)
    check_borders(study("US"), SiteFolder.open(tmp_path / "east"), day=DAY)


def test_a_lead_cannot_leave_the_sites_rules_out(east: SiteFolder, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="another jurisdiction"):
        check_borders(study("US"), east, day=DAY)
    with pytest.raises(PolicyError, match="says nothing of transfers"):
        check_borders(study("DE"), east, day=DAY)
    SiteFolder.create(tmp_path / "west", name="east", data=tmp_path)
    west = SiteFolder.open(tmp_path / "west")
    (west.path / RULES).mkdir()
    with pytest.raises(PolicyError, match="says nothing of transfers"):
        check_borders(study("DE"), west, day=DAY)


@pytest.mark.parametrize("name", ["Rules", "RULES"])
def test_rules_by_another_name_are_not_passed_over(east: SiteFolder, name: str) -> None:
    (east.path / name).mkdir()
    with pytest.raises(PolicyError, match="named rules"):
        check_borders(study(document=[PAPER]), east, day=DAY)


def test_a_file_in_the_place_of_the_rules_is_not_passed_over(east: SiteFolder) -> None:
    (east.path / RULES).write_text("")
    with pytest.raises(PolicyError, match="named rules"):
        check_borders(study(document=[PAPER]), east, day=DAY)


def test_rules_of_the_sites_own_count(east: SiteFolder) -> None:
    (east.path / RULES).mkdir()
    (east.path / RULES / "own.toml").write_text(
        """
[law]
id = "DE-OWN"
title = { en = "Our own", zh = "自有规则" }
places = ["DE"]
checked = 2026-11-01
[[gate]]
id = "own"
title = { en = "Our own", zh = "自有规则" }
[[rule]]
id = "OWN-1"
gate = "own"
source = "the board"
since = 2026-01-01
when = ["kind in [updates]"]
decision = "forbid"
basis = { en = "No updates leave.", zh = "更新不得离开。" }
verified = "source"
""",
        encoding="utf-8",
    )
    with pytest.raises(PolicyError, match=r"east>lead/updates \(OWN-1\)"):
        check_borders(study(document=[PAPER]), east, day=DAY)


def test_invitations_and_rounds_ask_for_it(east: SiteFolder) -> None:
    barred = study(document=[{**PAPER, "expires": "2026-02-01"}])
    key = east.key
    invitation = wire.Invitation(
        study=barred.digest,
        sender=wire.LEAD,
        definition=barred.model_dump_json(),
        signature=key.sign(wire.STUDY_DOMAIN, bytes.fromhex(barred.digest)),
        sites={"east": key.public.hex},
        purpose="research",
    )
    with pytest.raises(PolicyError, match="not permitted by the rules"):
        check_sites(invitation, barred, east)
    ask = wire.Train(study=barred.digest, sender=wire.LEAD, model="m", round=0, secure=True)
    with pytest.raises(PolicyError, match="not permitted by the rules"):
        check_round(ask, barred, Role.DEVELOPMENT, east)
