"""A site's policy: every field refuses what it should, its file is told where it is wrong."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path

import pytest

from huizhen.errors import PolicyError
from huizhen.federate.policy import POLICY, Hours, SitePolicy, load_policy
from huizhen.federate.site.folder import policy_toml

LEAD, OWN, OTHER = "a" * 64, "b" * 64, "c" * 64
MONDAY = datetime(2024, 1, 1, 12)


def admit(policy: SitePolicy, **more: object) -> None:
    policy.admit(**{"study": "toy", "signer": LEAD, "purpose": "research", "approved": False, **more})


def test_a_new_policy_accepts_nobody_and_keeps_updates():
    with pytest.raises(PolicyError, match="doesn't know the lead"):
        admit(SitePolicy())
    with pytest.raises(PolicyError, match="secure aggregation only"):
        SitePolicy().train(patients=100, secure=False)


@pytest.mark.parametrize(
    ("field", "policy", "asked"),
    [
        ("signers", {"signers": (OTHER,)}, {}),
        ("studies", {"studies": ("breast-*",)}, {}),
        ("purposes", {"purposes": ("audit",)}, {}),
        ("approval", {"approval": True}, {}),
    ],
)
def test_a_study_that_is_not_accepted_is_refused_by_field(field, policy, asked):
    with pytest.raises(PolicyError) as caught:
        admit(SitePolicy(**{"signers": (LEAD,), **policy}), **asked)
    assert caught.value.field == field
    assert caught.value.exit_code == 92


def test_what_is_accepted_comes_in():
    admit(SitePolicy(signers=(LEAD,), studies=("t*",), approval=True), approved=True)


@pytest.mark.parametrize(
    ("field", "policy", "patients", "secure"),
    [("minimum_cohort", {"minimum_cohort": 20}, 19, True), ("plain_updates", {}, 20, False)],
)
def test_an_update_is_refused_by_field(field, policy, patients, secure):
    with pytest.raises(PolicyError) as caught:
        SitePolicy(**policy).train(patients=patients, secure=secure)
    assert caught.value.field == field
    SitePolicy(**{**policy, "plain_updates": True}).train(patients=20, secure=secure)


@pytest.mark.parametrize(
    ("field", "policy", "sites"),
    [
        ("minimum_sites", {"minimum_sites": 3}, {OWN, OTHER}),
        ("partners", {"partners": (LEAD,)}, {OWN, OTHER}),
    ],
)
def test_a_sum_over_other_sites_is_refused_by_field(field, policy, sites):
    with pytest.raises(PolicyError) as caught:
        SitePolicy(**policy).join(sites, own=OWN, of=2)
    assert caught.value.field == field


@pytest.mark.parametrize(("of", "least"), [(1, 2), (2, 2), (3, 3), (9, 3)])
def test_where_there_are_three_sites_a_sum_of_two_is_refused_by_default(of, least):
    """Of two, each subtracts its own numbers."""
    policy = SitePolicy()
    assert policy.least_sites(of) == least
    assert SitePolicy(minimum_sites=2).least_sites(of) == 2
    if least == 3:
        with pytest.raises(PolicyError, match="with 2 sites left"):
            policy.survive(2, of=of)


def test_a_sum_over_accepted_sites_is_joined():
    SitePolicy(partners=(OTHER,), minimum_sites=2).join({OWN, OTHER}, own=OWN, of=3)


@pytest.mark.parametrize(("epsilon", "fits"), [(2.0, True), (2.1, False), (None, False)])
def test_the_privacy_loss_is_bounded(epsilon, fits):
    policy = SitePolicy(maximum_epsilon=2.0)
    SitePolicy().spend(epsilon)
    if fits:
        policy.spend(epsilon)
    else:
        with pytest.raises(PolicyError) as caught:
            policy.spend(epsilon)
        assert caught.value.field == "maximum_epsilon"


@pytest.mark.parametrize(
    ("field", "policy"), [("messages", {"messages": ("re*",)}), ("layers", {"layers": ("head.*",)})]
)
def test_what_may_not_leave_is_refused_by_field(field, policy):
    with pytest.raises(PolicyError) as caught:
        SitePolicy(**policy).release("update", ("encoder.weight",))
    assert caught.value.field == field
    SitePolicy(**policy).release("refusal", ("head.bias",))


@pytest.mark.parametrize(
    ("hours", "moment", "works"),
    [
        (Hours(), MONDAY, True),
        (Hours(days=(1, 2)), MONDAY, False),
        (Hours(start=time(8), until=time(12)), MONDAY, False),
        (Hours(start=time(8), until=time(12)), MONDAY.replace(hour=8), True),
        (Hours(days=(0,), start=time(22), until=time(6)), MONDAY.replace(hour=23), True),
        (Hours(days=(0,), start=time(22), until=time(6)), MONDAY.replace(day=2, hour=5), True),
        (Hours(days=(0,), start=time(22), until=time(6)), MONDAY.replace(hour=5), False),
        (Hours(days=(6,), start=time(22), until=time(6)), MONDAY.replace(hour=5), True),
    ],
)
def test_hours_may_pass_midnight(hours, moment, works):
    assert hours.hold(moment) is works
    policy = SitePolicy(hours=hours)
    if works:
        policy.at_work(moment)
    else:
        with pytest.raises(PolicyError, match="hours: the site doesn't work"):
            policy.at_work(moment)


@pytest.mark.parametrize("name", ["studies", "purposes", "messages", "layers"])
def test_a_list_that_would_allow_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is empty"):
        SitePolicy(**{name: ()})


def test_a_policy_is_written_and_read_again(tmp_path: Path):
    policy = SitePolicy(signers=(LEAD,), maximum_epsilon=8.0, hours=Hours(days=(0, 4), start=time(7, 30)))
    (tmp_path / POLICY).write_text(policy_toml(policy), encoding="utf-8")
    assert load_policy(tmp_path) == policy
    (tmp_path / POLICY).write_text(policy_toml(SitePolicy()), encoding="utf-8")
    assert load_policy(tmp_path) == SitePolicy()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("signer = []", "signer"),
        ("minimum_cohort = 0", "minimum_cohort"),
        ('signers = ["xyz"]', "signers.0"),
        ("[hours]\ndays = [7]", "hours.days.0"),
        ("minimum_sites = 1", "minimum_sites"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, text, field):
    (tmp_path / POLICY).write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path)
    assert caught.value.field == field
    assert caught.value.file == str(tmp_path / POLICY)


@pytest.mark.parametrize("content", [None, b"signers = [", b"\xff\xfe"])
def test_a_policy_that_cannot_be_read_says_so_without_a_path(tmp_path: Path, content):
    if content is not None:
        (tmp_path / POLICY).write_bytes(content)
    with pytest.raises(PolicyError, match="policy can't be read") as caught:
        load_policy(tmp_path)
    assert str(tmp_path) not in caught.value.message
