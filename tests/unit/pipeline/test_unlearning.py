"""Approximate unlearning: a certificate where the ledger of spends carries it, elsewhere a stated reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from test_patient_spend import MODEL, SPEND, study

from huizhen.core.cohort import Case
from huizhen.core.digests import Digest
from huizhen.core.evidence import Verdict
from huizhen.core.study import Study
from huizhen.data.consent.barred import bar, person_key
from huizhen.data.consent.record import Withdrawal
from huizhen.errors import StudyError, VerificationError
from huizhen.federate.site.folder import SiteFolder, policy_toml
from huizhen.federate.site.private_rounds import GROUP
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.consent_cascade import Affected, Withdrawn, affected_by
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.given_evidence import check_signers, given_evidence
from huizhen.pipeline.learned_from import FOLDER, How, Learned
from huizhen.pipeline.site_privacy import LEDGER
from huizhen.pipeline.unlearning import Against, Unlearning, certificate, unlearnings
from huizhen.pipeline.unlearning_check import check_certificate
from huizhen.privacy.groups import GroupSpend, group_account
from huizhen.privacy.spend_ledger import Cap, SpendLedger

DAY = date(2026, 11, 23)
DELTA = 1e-4
EVERY = (0, 1, 2)


class Hospital:
    """A site that trained three rounds with [privacy], the patients of each as told."""

    def __init__(self, root: Path, *, bound: float | None, private: bool = True) -> None:
        privacy = {"epsilon": 8, "delta": DELTA, "sampling": 8, "unlearning_epsilon": bound}
        self.study: Study = study(**({"privacy": privacy} if private else {}))
        self.site = SiteFolder.create(root / "north", name="north", data=root)
        self.folder = self.site.study(self.study.digest)
        self.folder.mkdir(parents=True)
        invitation = {"definition": self.study.model_dump_json()}
        (self.folder / "invitation.json").write_text(json.dumps(invitation))
        self.learned = Learned(
            file=self.site.path / FOLDER / "x.jsonl",
            study=self.study.name,
            digest=self.study.digest,
            version=1,
            study_file="",
            folder=str(self.folder),
            secret=people_secret(self.site.key),
        )

    def train(self, number: int, *patients: str, attempts: int = 1) -> None:
        self.learned.note(How.TRAINED, MODEL, cases(patients), number=number)
        caps = {GROUP: Cap(epsilon=1e6, delta=DELTA)}
        with SpendLedger.open(self.site.path / LEDGER, caps) as ledger:
            for attempt in range(attempts):
                ledger.reserve(
                    study=Digest(self.study.digest),
                    round_number=number,
                    attempt=attempt,
                    group=GROUP,
                    spends=[SPEND],
                )

    def withdrawn(self, **choices: str) -> list[Affected]:
        secret = people_secret(self.site.key)
        who = [
            Withdrawn(
                patient=name,
                site="north",
                key=person_key(secret, "north", name),
                day=DAY,
                choice=Withdrawal(choice),
            )
            for name, choice in choices.items()
        ]
        return affected_by(who, self.site.path)

    def answer(self, **choices: str) -> Unlearning:
        (found,) = unlearnings(self.withdrawn(**choices), self.site)
        return found


def cases(patients: Sequence[str]) -> list[Case]:
    return [
        Case(pseudonym=f"P-{n}", patient_id=n, site="north", outcome=1, images={}, covariates={})
        for n in patients
    ]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Hospital]:
    def made(**how: Any) -> Hospital:
        hospital = Hospital(tmp_path, **{"bound": 60.0, **how})
        if how.get("private", True):
            hospital.train(0, "anna", "ben", "cem")
            hospital.train(1, "anna", "cem")
            hospital.train(2, "anna", "cem", attempts=2)
        return hospital

    return made


def cost(*members: int) -> float:
    return group_account([GroupSpend(members=k, spend=SPEND) for k in members], delta=DELTA).epsilon


def test_the_certificate_counts_the_rounds_that_each_was_in_and_every_attempt(make: Any) -> None:
    hospital = make()
    ben = hospital.answer(ben="approximate")
    assert (ben.holds, ben.people, ben.epsilon) == (True, 1, pytest.approx(cost(1)))
    both = hospital.answer(ben="approximate", anna="approximate")
    assert (both.people, both.epsilon) == (2, pytest.approx(cost(2, 1, 1, 1)))


def test_all_who_withdrew_so_far_count_whatever_they_chose_and_whoever_forgot_them(make: Any) -> None:
    hospital = make()
    found = hospital.answer(ben="approximate", anna="no_new_use")
    assert (found.people, found.asked, found.epsilon) == (2, 1, pytest.approx(cost(2, 1, 1, 1)))
    bar(hospital.site.path, people_secret(hospital.site.key), [("north", "cem", DAY)])
    later = hospital.answer(ben="approximate")  # the register of today forgot both
    assert (later.people, later.epsilon) == (2, pytest.approx(cost(2, 1, 1, 1)))


def test_nobody_who_asked_is_no_question(make: Any) -> None:
    hospital = make()
    assert unlearnings(hospital.withdrawn(ben="retrain", anna="no_new_use"), hospital.site) == []
    hospital.learned.note(How.TESTED, MODEL, cases(["tess"]))
    assert unlearnings(hospital.withdrawn(tess="approximate"), hospital.site) == [], "nothing was learned"


def test_the_bound_is_the_studys_and_the_site_may_only_narrow_it(make: Any) -> None:
    hospital = make(bound=cost(1) + 0.1)
    assert hospital.answer(ben="approximate").holds
    passed = hospital.answer(anna="approximate")
    assert (passed.against, passed.epsilon) == (Against.PASSED, pytest.approx(cost(1, 1, 1, 1)))
    narrower = hospital.site.policy().model_copy(update={"unlearning_epsilon": cost(1) - 0.1})
    (hospital.site.path / "policy.toml").write_text(policy_toml(narrower))
    assert hospital.answer(ben="approximate").against is Against.PASSED
    wider = hospital.site.policy().model_copy(update={"unlearning_epsilon": 99.0})
    (hospital.site.path / "policy.toml").write_text(policy_toml(wider))
    assert not hospital.answer(anna="approximate").holds


def test_a_round_that_the_ledger_lacks_is_not_free(make: Any) -> None:
    hospital = make()
    hospital.train(4, "ben", attempts=0)  # noted as trained, and a ledger was put back that lacks it
    assert hospital.answer(ben="approximate").epsilon == pytest.approx(cost(1, 1))
    assert hospital.answer(anna="approximate").epsilon == pytest.approx(cost(1, 1, 1, 1))


def test_without_any_known_round_nothing_is_certified(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, bound=60.0)
    hospital.train(0, "ben", attempts=0)
    found = hospital.answer(ben="approximate")
    assert (found.against, found.epsilon) == (Against.UNKNOWN, None)


def test_more_patients_than_can_be_reckoned_are_no_error(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, bound=60.0)
    everybody = [f"p{n}" for n in range(501)]
    hospital.train(0, *everybody)
    assert hospital.answer(**dict.fromkeys(everybody, "approximate")).against is Against.UNKNOWN
    assert hospital.answer(**dict.fromkeys(everybody[:400], "approximate")).against is not None


def test_a_certificate_by_another_key_than_the_sites_is_refused(make: Any) -> None:
    hospital = make()
    answer, peers = hospital.answer(ben="approximate"), {"north": hospital.site.key.public}
    check_signers([("evidence", certificate(answer, hospital.site.key, day=DAY).to_json())], peers)
    forged = certificate(answer, SigningKey.generate(), day=DAY).to_json()
    check_certificate(forged, hospital.study)  # it holds by the key that it carries itself
    for known in (peers, {}):
        with pytest.raises(VerificationError, match="isn't signed by the site"):
            check_signers([("evidence", forged)], known)


def test_without_a_bound_set_beforehand_there_is_none(make: Any) -> None:
    assert make(bound=None).answer(ben="approximate").against is Against.NO_BOUND


def test_without_privacy_of_patients_there_is_none(make: Any) -> None:
    hospital = make(private=False)
    hospital.learned.note(How.TRAINED, MODEL, cases(["ben"]), number=0)
    assert hospital.answer(ben="approximate").against is Against.NO_PRIVACY
    (alone,) = unlearnings(hospital.withdrawn(ben="approximate"), None)
    assert alone.against is Against.NO_PRIVACY, "a run over all sites"


@pytest.mark.parametrize("how", [How.TUNED, How.ASKED, How.TRAINED])
def test_who_was_used_without_noise_is_not_covered(make: Any, how: How) -> None:
    hospital = make()
    hospital.learned.note(how, MODEL, cases(["ben"]))  # in no round
    assert hospital.answer(ben="approximate").against is Against.OTHER_USE
    assert hospital.answer(anna="approximate", ben="no_new_use").holds, "who lets the model stay asks nothing"


def test_a_certificate_is_signed_and_reckoned_again(make: Any, tmp_path: Path) -> None:
    hospital = make()
    found = certificate(hospital.answer(ben="approximate"), hospital.site.key, day=DAY)
    assert (found.key, found.verdict, found.n) == ("consent_unlearned/north", Verdict.PASS, 1)
    plain = json.loads(json.dumps(found.to_json()))
    check_certificate(plain, hospital.study)
    file = tmp_path / "certificate.json"
    file.write_text(json.dumps([plain]))
    assert given_evidence(file) == [plain]
    altered = [
        {**plain, "estimate": 0.1},
        {**plain, "n": 3},
        {**plain, "key": "consent_unlearned/south"},
        {**plain, "detail": {**plain["detail"], "bound": 999.0}},
        {**plain, "detail": {**plain["detail"], "spends": []}},
        {**plain, "detail": {k: v for k, v in plain["detail"].items() if k != "signature"}},
        {**plain, "verdict": "fail"},
    ]
    for other in altered:
        with pytest.raises(VerificationError, match=r"certificate|signature"):
            check_certificate(other)
    file.write_text(json.dumps([altered[0]]))
    with pytest.raises(VerificationError):
        given_evidence(file)
    with pytest.raises(VerificationError, match="another study"):
        check_certificate(plain, study())
    file.write_text(json.dumps([plain]))
    assert given_evidence(file, hospital.study) == [plain]
    with pytest.raises(VerificationError, match="another study"):
        given_evidence(file, study())


def test_a_site_that_signs_a_wrong_epsilon_is_found(make: Any) -> None:
    hospital = make()
    honest = hospital.answer(ben="approximate", anna="approximate")
    about = {name: getattr(honest, name) for name in Unlearning.__slots__}
    low = certificate(Unlearning(**{**about, "epsilon": 1.0}), hospital.site.key, day=DAY)
    with pytest.raises(VerificationError, match="its steps cost"):
        check_certificate(low.to_json())
    nothing = certificate(Unlearning(**{**about, "epsilon": 0.0, "spends": ()}), hospital.site.key, day=DAY)
    with pytest.raises(VerificationError, match="no round"):
        check_certificate(nothing.to_json())
    endless = GroupSpend(members=1, spend=replace(SPEND, steps=10**12))
    long = certificate(Unlearning(**{**about, "spends": (endless,)}), hospital.site.key, day=DAY)
    with pytest.raises(VerificationError, match="more steps"):
        check_certificate(long.to_json())
    fewer = certificate(Unlearning(**{**about, "people": 1}), hospital.site.key, day=DAY)
    with pytest.raises(VerificationError, match="fewer patients"):
        check_certificate(fewer.to_json())


def test_why_there_is_none_is_evidence_too(make: Any, tmp_path: Path) -> None:
    hospital = make(bound=None)
    found = certificate(hospital.answer(ben="approximate"), hospital.site.key, day=DAY)
    assert (found.verdict, found.detail["why"]) == (Verdict.NOT_ASSESSED, "no_bound")
    check_certificate(found.to_json())
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{**found.to_json(), "key": "auc/x"}]))
    with pytest.raises(StudyError, match="only a run may measure"):
        given_evidence(file)
