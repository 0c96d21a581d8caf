"""New study files: whatever the answers, the text is a study that loads with those answers."""

from __future__ import annotations

import string
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.study import ReaderKind, Role, Study
from huizhen.core.study_file import check_study_text
from huizhen.core.study_template import (
    ModalityAnswer,
    SiteAnswer,
    SourceAnswer,
    StudyAnswers,
    commented_study,
    site_toml,
    toml_value,
)
from huizhen.errors import InvalidInputError, hidden_in

SOURCE = SourceAnswer(
    reader=ReaderKind.IMAGES,
    modality="US",
    path="north/US",
    labels="north/labels.csv",
    columns={"patient": "patient", "outcome": "outcome"},
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)
NAME = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)


def is_plain(text: str) -> bool:
    """Tell whether a study may hold the text: nothing in it hides or turns what is shown."""
    return not hidden_in(text)


def answers(**changed: object) -> StudyAnswers:
    given_answers: dict[str, object] = {
        "name": "us",
        "title": "Ultrasound",
        "question": "Malignant?",
        "positive": ("malignant",),
        "negative": ("benign",),
        "modalities": (ModalityAnswer(name="US"),),
        "sites": (SiteAnswer(name="north", sources=(SOURCE,)),),
    }
    return StudyAnswers(**{**given_answers, **changed})  # type: ignore[arg-type]  # the test chooses the fields


@given(TEXT.filter(is_plain), TEXT.filter(is_plain), NAME)
def test_any_text_comes_back_as_it_was_given(title: str, question: str, name: str) -> None:
    text = commented_study(answers(title=title, question=question, name=name))
    study = Study.model_validate(tomllib.loads(text))
    assert (study.title, study.question, study.name) == (title, question, name)
    assert check_study_text(text) == []


@given(st.recursive(TEXT | st.booleans() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_toml_values_come_back(value: object) -> None:
    assert tomllib.loads(f"key = {toml_value(value)}")["key"] == value


def test_an_external_site_brings_an_external_endpoint() -> None:
    external = SiteAnswer(
        name="south", role=Role.EXTERNAL, sources=(SOURCE,), jurisdiction="DE", patient_ids="own"
    )
    text = commented_study(answers(sites=(*answers().sites, external)))
    study = Study.model_validate(tomllib.loads(text))
    assert [endpoint.cohort for endpoint in study.endpoint] == ["internal", "external"]
    assert (study.site[1].jurisdiction, study.site[1].patient_ids) == ("DE", "own")


def test_baselines_fit_the_modalities() -> None:
    table = ModalityAnswer(name="clinical", numeric=("age",), categorical=("her2",))
    source = SourceAnswer(
        reader=ReaderKind.TABLE, modality="clinical", path="c.csv", columns={"patient": "p"}
    )
    site = SiteAnswer(name="north", sources=(SOURCE, source))
    text = commented_study(answers(modalities=(ModalityAnswer(name="US"), table), sites=(site,)))
    variants = Study.model_validate(tomllib.loads(text)).network.variants
    assert [variant.value for variant in variants] == [
        "cman",
        "concatenation",
        "late_average",
        "single",
        "table_lr",
    ]
    alone = Study.model_validate(tomllib.loads(commented_study(answers())))
    assert [variant.value for variant in alone.network.variants] == ["cman"]


@pytest.mark.parametrize("changed", [{"name": "a b"}, {"modalities": (ModalityAnswer(name=""),)}])
def test_names_that_are_none_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="plain name"):
        answers(**changed)


def test_a_site_can_be_pasted_below_any_study() -> None:
    site = SiteAnswer(name="new", role=Role.EXTERNAL, sources=(SOURCE,))
    text = commented_study(answers()) + "\n" + site_toml(site)
    assert [site.name for site in Study.model_validate(tomllib.loads(text)).site] == ["north", "new"]
