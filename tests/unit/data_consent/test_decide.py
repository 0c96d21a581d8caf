"""Whether what patients said permits a use: a denial overrides, unknown is no."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.data.consent.decide import Reason, Use, decide, names_unknown, withdrawal_of
from huizhen.data.consent.record import Consent, Withdrawal, said_of
from huizhen.data.consent.terms import terms
from huizhen.errors import InvalidInputError

DAY = date(2026, 11, 23)
USE = Use(day=DAY, purpose="research", modalities=frozenset({"MG", "MRI"}), is_=frozenset({"methods"}))


def said(*texts: str, **more: Any) -> Consent:
    """Return a consent of patient a."""
    first: dict[str, Any] = {"patient": "a", "version": 1, "given": date(2025, 1, 1)}
    return Consent(**{**first, "said": said_of(texts), **more})


def test_nobody_has_consented_by_saying_nothing() -> None:
    assert decide([], USE).reason is Reason.NONE
    assert decide([said()], USE).reason is Reason.PURPOSE
    assert decide([said("NCU")], USE).reason is Reason.PURPOSE, "a modifier permits nothing"


@pytest.mark.parametrize(
    ("consent", "use", "reason"),
    [
        (said("GRU"), USE, Reason.PERMITTED),
        (said("CC"), USE, Reason.PURPOSE),
        (said("CC"), replace(USE, purpose="care"), Reason.PERMITTED),
        (said("GRU"), replace(USE, purpose="care"), Reason.PURPOSE),
        (said("POA"), USE, Reason.PURPOSE),
        (said("DS=MONDO:0007254"), USE, Reason.PURPOSE),
        (said("DS=MONDO:0007254"), replace(USE, diseases=frozenset({"MONDO:0007254"})), Reason.PERMITTED),
        (said("HMB", "NMDS"), USE, Reason.CONDITION),
        (said("HMB", "NMDS"), replace(USE, is_=frozenset()), Reason.PERMITTED),
        (said("HMB", "IRB"), USE, Reason.CONDITION),
        (said("HMB", "IRB"), replace(USE, has=frozenset({"ethics_approval"})), Reason.PERMITTED),
        (said("HMB", "NPUNCU"), replace(USE, has=frozenset({"non_profit"})), Reason.PERMITTED),
        (
            said("HMB", "NPUNCU"),
            replace(USE, has=frozenset({"non_profit"}), is_=frozenset({"commercial"})),
            Reason.CONDITION,
        ),
        (said("HMB", "TS=2026-11-22"), USE, Reason.CONDITION),
        (said("HMB", "TS=2026-11-23"), USE, Reason.PERMITTED),
        (said("HMB", "MOR=2027-01-01"), replace(USE, has=frozenset({"publication"})), Reason.CONDITION),
        (said("HMB", "GS=CN, DE"), USE, Reason.CONDITION),
        (said("HMB", "GS=CN, DE"), replace(USE, names={"GS": frozenset({"CN"})}), Reason.PERMITTED),
        (said("HMB", "GS=CN, DE"), replace(USE, names={"GS": frozenset({"CN", "US"})}), Reason.CONDITION),
        (said("HMB", given=date(2027, 1, 1)), USE, Reason.NOT_YET),
        (said("HMB", until=date(2026, 11, 22)), USE, Reason.EXPIRED),
        (said("HMB", until=date(2026, 11, 23)), USE, Reason.PERMITTED),
        (said("HMB", withdrawn=date(2026, 11, 23)), USE, Reason.WITHDRAWN),
        (said("HMB", withdrawn=date(2026, 11, 24)), USE, Reason.WITHDRAWN),
        (said("HMB", withdrawn=date(2026, 11, 25)), USE, Reason.PERMITTED),
        (said("HMB", given=date(2026, 11, 24)), USE, Reason.NOT_YET),
        (said("HMB", modalities=frozenset({"CT"})), USE, Reason.MODALITY),
        (
            said("HMB", partners=frozenset({"b"})),
            replace(USE, partners=frozenset({"b", "c"})),
            Reason.PARTNER,
        ),
        (said("HMB", partners=frozenset({"b"})), replace(USE, partners=frozenset({"b"})), Reason.PERMITTED),
    ],
)
def test_one_consent(consent: Consent, use: Use, reason: Reason) -> None:
    assert decide([consent], use).reason is reason


def test_some_modalities_may_be_permitted() -> None:
    assert decide([said("HMB", modalities=frozenset({"MG", "CT"}))], USE).modalities == {"MG"}
    denied = said("HMB", deny=True, modalities=frozenset({"MRI"}))
    assert decide([said("HMB"), denied], USE).modalities == {"MG"}
    both = said("HMB", deny=True, modalities=frozenset({"MRI", "MG"}))
    assert decide([said("HMB"), both], USE).reason is Reason.DENIED


def test_a_denial_of_another_purpose_or_partner_bars_nothing() -> None:
    assert decide([said("HMB"), said("CC", deny=True)], USE).permitted
    elsewhere = said(deny=True, partners=frozenset({"b"}))
    assert decide([said("HMB"), elsewhere], USE).permitted
    assert not decide([said("HMB"), elsewhere], replace(USE, partners=frozenset({"b", "c"}))).permitted


def test_a_denial_or_a_withdrawal_of_tomorrow_counts_where_it_is_tomorrow_already() -> None:
    beijing = datetime(2026, 11, 24, 7, 30, tzinfo=timezone(timedelta(hours=8)))
    use = replace(USE, day=beijing.astimezone(UTC).date())
    gone = said("HMB", withdrawn=beijing.date())
    assert decide([gone], use).reason is Reason.WITHDRAWN
    assert withdrawal_of([gone], use.day) == (beijing.date(), Withdrawal.NO_NEW_USE)
    for version in (1, 2):
        denied = said(deny=True, given=beijing.date(), version=version)
        assert decide([said("HMB"), denied], use).reason is Reason.DENIED
        assert decide([said("HMB"), denied], replace(use, day=date(2026, 11, 22))).permitted
    older = said(deny=True, given=beijing.date(), version=1)
    assert decide([said("HMB", version=2), older], use).permitted
    late = said("HMB", version=2, given=beijing.date(), withdrawn=beijing.date())
    assert decide([said("HMB"), late], use).reason is Reason.WITHDRAWN


@pytest.mark.parametrize(
    ("denial", "allowed", "unknown"),
    [
        (said(deny=True, modalities=frozenset({"mg"})), {"MRI"}, False),
        (said(deny=True, modalities=frozenset({"\uff2d\uff27"})), {"MRI"}, False),
        (said(deny=True, modalities=frozenset({"mammography"})), set(), True),
        (said(deny=True, modalities=frozenset({"MG", "mammography"})), set(), True),
        (said(deny=True, modalities=frozenset({"CT"})), set(), True),
        (said(deny=True, partners=frozenset({"South"})), set(), False),
        (said(deny=True, partners=frozenset({"north\uff1bsouth"})), set(), True),
        (said("DS=mondo:0007254", deny=True), set(), False),
        (said("DS=MONDO:0004992", deny=True), set(), True),
    ],
)
def test_a_denial_by_another_name_denies(denial: Consent, allowed: set[str], unknown: bool) -> None:
    use = replace(USE, partners=frozenset({"south"}), diseases=frozenset({"MONDO:0007254"}))
    assert decide([said("HMB"), denial], use).modalities == allowed
    assert names_unknown(denial, use) is unknown


def test_codes_of_dicom_are_told_apart() -> None:
    use, denial = (
        replace(USE, modalities=frozenset({"MG", "US"})),
        said(deny=True, modalities=frozenset({"ct"})),
    )
    assert decide([said("HMB"), denial], use).modalities == {"MG", "US"}
    assert not names_unknown(denial, use)


def test_the_newest_version_counts() -> None:
    newer = said("CC", version=2, given=date(2026, 1, 1))
    assert decide([said("HMB"), newer], USE).reason is Reason.PURPOSE
    later = said("HMB", version=2, given=date(2027, 1, 1))
    assert decide([said("HMB"), later], USE).version == 1, "not in force yet"
    gone = said("HMB", withdrawn=date(2025, 6, 1))
    assert decide([gone, said("HMB", version=2, given=date(2026, 1, 1))], USE).permitted, "given anew"
    assert decide([gone, said("HMB", version=2, given=date(2025, 2, 1))], USE).reason is Reason.WITHDRAWN


@given(
    st.lists(
        st.builds(
            lambda codes, deny, version, until: said(*codes, deny=deny, version=version, until=until),
            st.lists(st.sampled_from([code for code, term in terms().items() if not term.value]), max_size=3),
            st.booleans(),
            st.integers(1, 3),
            st.none() | st.dates(date(2025, 1, 1), date(2028, 1, 1)),
        ),
        max_size=5,
    )
)
def test_denying_everything_is_never_permitted(consents: list[Consent]) -> None:
    newest = max((one.version for one in consents), default=1)
    assert not decide([*consents, said(deny=True, version=newest)], USE).permitted
    if decide(consents, USE).permitted:
        force = [one for one in consents if one.version == newest]
        assert any(not one.deny for one in force)


@pytest.mark.parametrize("text", ["XYZ", "DS", "HMB=x", "TS=tomorrow", "GRU="])
def test_terms_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        said_of([text])


@pytest.mark.parametrize("key", ["until", "withdrawn"])
def test_a_consent_doesn_t_end_before_it_was_given(key: str) -> None:
    with pytest.raises(InvalidInputError):
        said("HMB", **{key: date(2024, 1, 1)})


def test_a_denial_of_everything_after_a_permit_is_a_withdrawal_in_other_words() -> None:
    first = Consent(patient="p", version=1, given=date(2026, 1, 1), said=said_of(["GRU"]))
    no = Consent(patient="p", version=2, given=date(2026, 3, 1), said=(), deny=True)
    day = date(2026, 5, 1)
    assert withdrawal_of([first, no], day) == (date(2026, 3, 1), Withdrawal.NO_NEW_USE)
    asked = replace(no, withdrawal=Withdrawal.RETRAIN)
    assert withdrawal_of([first, asked], day) == (date(2026, 3, 1), Withdrawal.RETRAIN)
    assert withdrawal_of([no], day) is None, "nothing was permitted before"
    assert withdrawal_of([first, replace(no, partners=frozenset({"x"}))], day) is None, "one receiver alone"
    again = replace(first, version=3, given=date(2026, 4, 1))
    assert withdrawal_of([first, no, again], day) is None
