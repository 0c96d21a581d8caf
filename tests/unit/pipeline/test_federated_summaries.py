"""Each site's summary of its own tables, and of the facts that it checked, stands in the lead's dossier."""

from __future__ import annotations

import pytest
from hospitals import Federation, draws, table, table_source, write_rows, write_study

from huizhen.core.evidence import Verdict
from huizhen.errors import PolicyError
from huizhen.federate.messages import TableRisk
from huizhen.federate.site.folder import SITE, SiteFolder
from huizhen.pipeline.federated_summaries import SILENT, STANDING
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.site_summary import site_summary

SITES = ("east", "north", "south", "west", "far")
POLICY = "[quasi.age]\nbands = [10]\n[quasi.sex]\n[bounds]\nk = 2\n"
TRANSFER = """\
[federation]
rounds = 1
[use]
ethics_approval = "2026-7"
[transfer]
lead = "DE"
[transfer.facts]
consent_explicit = true
sensitive_persons = 40
[[transfer.document]]
kind = "impact_assessment"
id = "1"
issued = "2026-01-01"
"""


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """Four hospitals and an external one; east and north have a policy, south one of other columns."""
    root = tmp_path_factory.mktemp("summaries")
    data = root / "data"
    file = write_study(
        data,
        "summaries",
        modalities=table("clinic", ["age"], ["sex"]),
        sites=SITES,
        source=lambda name: table_source("clinic", f"{name}.csv", outcome="event"),
        variants=("cman",),
        more=TRANSFER,
    )
    text = file.read_text(encoding="utf-8")
    for name in SITES:
        kept = {"east": "policy.toml", "north": "policy.toml", "south": "other.toml"}.get(name)
        held = f'disclosure = "{kept}"\n' if kept else ""
        head = f'[[site]]\nname = "{name}"\n'
        text = text.replace(head, f'{head}jurisdiction = "DE"\n{held}consent = "consents.csv"\n')
        ages = draws(name).normal(50, 8, 40)
        rows = [
            {"patient": f"{name}-{i}", "event": i % 2, "age": f"{a:.1f}", "sex": "fm"[i % 3 // 2]}
            for i, a in enumerate(ages)
        ]
        write_rows(data / f"{name}.csv", rows)
    file.write_text(text.replace('consent = "consents.csv"\n', ""), encoding="utf-8")
    (data / "policy.toml").write_text(POLICY, encoding="utf-8")
    (data / "other.toml").write_text("[quasi.weight]\n", encoding="utf-8")
    policies = {"north": {"messages": ["[!s]*", "s[!u]*"]}}
    return Federation(root=root, file=file, names=SITES, policies=policies)


def test_a_site_says_nothing_of_few_patients(hospitals: Federation) -> None:
    with hospitals.learner("east") as opened:
        told = opened.summary()
        (table_risk,) = told.tables
        assert (told.standing, table_risk.patients, table_risk.quasi_identifiers) == ("assessed", 40, 2)
        assert table_risk.unique is None  # of 40 patients nearly all are alone: the rest are few
        assert set(table_risk.model_dump()) == set(TableRisk.model_fields)
        folder = hospitals.folders["east"]
        before = (folder.path / "policy.toml").read_text(encoding="utf-8")
        (folder.path / "policy.toml").write_text("smallest_count = 50\n", encoding="utf-8")
        few = site_summary(opened._run, opened._study, folder, opened.cohort.cases)
        assert (few.standing, few.tables) == ("too_few", ())
        (folder.path / "policy.toml").write_text(before, encoding="utf-8")


def test_what_a_sites_patients_contradict_stops_it(hospitals: Federation) -> None:
    text = hospitals.file.read_text(encoding="utf-8")
    hospitals.file.write_text(text.replace("sensitive_persons = 40", "sensitive_persons = 39"))
    try:
        with hospitals.learner("east") as opened, pytest.raises(PolicyError, match="fewer persons"):
            opened.cohort  # noqa: B018  # opening it checks
    finally:
        hospitals.file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def ran(hospitals: Federation) -> RunResult:
    folder = hospitals.folders["west"].path
    site = (folder / SITE).read_text(encoding="utf-8").replace('jurisdiction = ""', 'jurisdiction = "DE"')
    (folder / SITE).write_text(site, encoding="utf-8")
    (folder / "facts.toml").write_text("[facts]\nconsent_explicit = true\n", encoding="utf-8")
    hospitals.folders["west"] = SiteFolder.open(folder)
    return hospitals.run()


def test_the_lead_has_a_row_of_every_site(hospitals: Federation, ran: RunResult) -> None:
    found = hospitals.evidence()
    east = found["disclosure/east/0"]
    assert east.n == 40
    assert east.estimate == east.detail["smallest_class"] == 1 / east.detail["max_risk"]
    assert east.detail["signed_by"] == hospitals.folders["east"].key.public.key_id
    assert len(str(east.detail["signature"])) == 128
    reasons = {name: found[f"disclosure/{name}"].reason for name in SITES if name != "east"}
    assert reasons == {
        "north": SILENT,
        "south": STANDING["no_table"],
        "west": STANDING["no_policy"],
        "far": STANDING["no_policy"],
    }
    assert all(found[f"disclosure/{name}"].verdict is Verdict.NOT_ASSESSED for name in reasons)


def test_what_nobody_checked_is_said_by_the_lead(hospitals: Federation, ran: RunResult) -> None:
    found = hospitals.evidence()
    assert found["transfer_facts/west"].detail == {
        "checked": ["consent_explicit", "jurisdiction", "sensitive_persons"],
        "unchecked": ["genetic"],
    }
    assert found["transfer_facts/east"].detail["checked"] == ["sensitive_persons"]
    assert found["transfer_facts/north"].detail["checked"] == []
    assert found["transfer/east/lead/updates"].detail["told"] == ["consent_explicit"]


def test_the_dossier_tells_it_in_both_languages(hospitals: Federation, ran: RunResult) -> None:
    page = next((hospitals.root / "out").glob("dossier-*/index.html")).read_text(encoding="utf-8")
    assert "该站点没有送来表格摘要" in page
    assert SILENT in page
    assert "牵头方所说，未经核对" in page
    assert "said by the lead, not checked" in page
