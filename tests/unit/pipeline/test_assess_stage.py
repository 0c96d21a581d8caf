"""What is not assessed: only what is true of the study, and nothing that was measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.study import Study
from huizhen.core.words import Language, load_words
from huizhen.pipeline.assess_stage import not_assessed

MakeStudy = Callable[..., Study]
CLINIC = {"name": "clinic", "kind": "table", "numeric": ["age"]}
US = {"name": "US", "kind": "image"}
TRIAGE = {
    "policy": [{"kind": "double"}],
    "readers": {"first": {"sensitivity": 0.8, "specificity": 0.9}},
}
LAST = {"keep": "last", "average_weights": 0}


def topics(study: Study, *evidence: Evidence) -> dict[str, str]:
    found = not_assessed(study, evidence)
    assert {item.verdict for item in found} == {Verdict.NOT_ASSESSED}
    return {item.key.removeprefix("not_assessed/"): item.reason for item in found}


def test_a_table_study_has_no_images_to_disturb_but_none_to_explain_either(make_study: MakeStudy) -> None:
    found = topics(make_study(CLINIC))
    assert "robustness" not in found
    assert "deidentification" not in found
    assert "no images" in found["explanation"]


def test_an_image_study_is_explained_but_not_disturbed_nor_cleaned(make_study: MakeStudy) -> None:
    found = topics(make_study(US, CLINIC))
    assert "explanation" not in found
    assert {"robustness", "deidentification"} <= set(found)
    assert "deidentification" not in topics(make_study(US, phantom=True))


def test_one_hospital_has_nothing_to_exchange(make_study: MakeStudy) -> None:
    one = make_study(CLINIC)
    site = one.model_dump(mode="json")["site"][0]
    assert topics(one)["federation"] == "the study has one development site"
    outside = make_study(CLINIC, site=[site, {**site, "name": "b", "role": "external"}])
    assert topics(outside)["federation"] == "the study has one development site"
    two = make_study(CLINIC, site=[site, {**site, "name": "b"}])
    assert "nothing was exchanged" in topics(two)["federation"]


def test_what_was_measured_is_not_called_unmeasured(make_study: MakeStudy) -> None:
    curve = Evidence(key="decision_curve/cman/internal", metric="net_benefit", stage="validate")
    assert "decision_curve" in topics(make_study(CLINIC))
    assert "decision_curve" not in topics(make_study(CLINIC), curve)


def test_what_a_study_asks_to_be_tried_is_left_to_its_stages(make_study: MakeStudy) -> None:
    asked = topics(make_study(US, CLINIC, robustness={}, conformal={}))
    assert not {"robustness", "conformal"} & set(asked)
    assert "trained again" in asked["label_noise_training"]
    assert "label_noise_training" not in topics(make_study(US, robustness={"label_flips": []}))


def test_a_federation_says_what_is_not_tried(make_study: MakeStudy) -> None:
    site = make_study(US).model_dump(mode="json")["site"][0]
    more = {"site": [site, {**site, "name": "b"}], "federation": {"rounds": 2}}
    asked = {"robustness": {}, "conformal": {}, "triage": TRIAGE}
    apart = make_study({**US, "norm": "group"}, training=LAST, **asked, **more)
    found = topics(apart)
    assert "lie at the sites" in found["robustness"]
    assert not {"triage", "conformal"} & set(found), "they are had from sums"


@pytest.mark.parametrize("language", list(Language))
def test_topics_and_reasons_have_words(make_study: MakeStudy, language: Language) -> None:
    words = load_words("huizhen.dossier", language)
    site = make_study(CLINIC).model_dump(mode="json")["site"][0]
    many = make_study(US, CLINIC, site=[site, {**site, "name": "b"}])
    tried = make_study(US, robustness={}, conformal={})
    more = {"site": [site, {**site, "name": "b"}], "federation": {"rounds": 2}, "training": LAST}
    apart = make_study(CLINIC, robustness={}, conformal={}, triage=TRIAGE, **more)
    for study in (make_study(CLINIC), make_study(US, phantom=True), many, tried, apart):
        for topic, reason in topics(study).items():
            assert words[f"topic.{topic}"]
            assert words[f"reason.{reason}"]
