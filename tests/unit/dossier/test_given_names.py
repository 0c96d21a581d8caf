"""Names that people gave to sites, modalities and columns are shown as they are, whatever our words mean."""

from __future__ import annotations

from huizhen.core.evidence import Evidence
from huizhen.dossier.citations import shown_under
from huizhen.dossier.estimates import cite_all_sizes, detail_of, estimate_of
from huizhen.dossier.labels import label_of
from huizhen.dossier.record import Measured, own_names
from huizhen.ledger.records import Entry


def measured(own: frozenset[str] = frozenset(), **said: object) -> Measured:
    given = {"metric": "disclosure", "stage": "data", "descriptive": True, **said}
    evidence = Evidence.from_json(Evidence(**given).to_json())
    entry = Entry(version="0", index=3, kind="evidence", time="2026-11-23T10:00:00Z", body=evidence.to_json())
    return Measured(entry=entry, evidence=evidence, own=own)


def test_a_site_named_like_a_word_of_ours_keeps_its_name() -> None:
    study = {"site": [{"name": "test"}, {"name": "reference"}], "modality": [{"name": "image"}]}
    own = own_names(study)
    assert own == {"test", "reference", "image"}
    named = measured(own, key="disclosure/test/0", n=12)
    assert label_of(named).zh.endswith("，test，0")
    assert "内部测试" in label_of(measured(key="disclosure/test/0", n=12)).zh


def test_what_a_field_names_is_shown_as_it_is() -> None:
    found = measured(key="disclosure/x/0", n=12, detail={"sender": "weights", "kind": "weights"})
    sender, kind = detail_of(found, "sender"), detail_of(found, "kind")
    assert sender is not None
    assert kind is not None
    assert (sender.text.zh, kind.text.zh) == ("weights", "模型")
    assert shown_under("study", "site", 0, "name")("external").zh == "external"


def test_an_estimate_over_rows_says_of_how_many_patients() -> None:
    auc = {"key": "auc/model/external/all", "metric": "auc", "estimate": 0.86, "n": 299, "n_events": 107}
    found = measured(**auc, unit="row", detail={"patients": 150})
    number = estimate_of(found)
    assert number is not None
    assert number.size is not None
    assert number.size.en == "n=299 rows (107 events) of 150 patients"
    assert number.size.zh == "n=299 行（107 例阳性），来自 150 名患者"
    assert "/detail/patients" in number.values
    assert cite_all_sizes(found).text.en == "n=299 rows (107 events) of 150 patients"
    alone = estimate_of(measured(**auc, unit="patient", detail={"patients": 150}))
    assert alone is not None
    assert alone.size is not None
    assert alone.size.en == "n=299 patients (107 events)"
