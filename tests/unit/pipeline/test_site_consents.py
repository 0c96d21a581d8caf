"""Consents held again at a site: before every round, before every answer, and after every crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from consent_hospitals import COUNT, SITES, before_round, register, withdraw, write_hospitals
from hospitals import Federation, Killed

from huizhen.core.cohort import Part
from huizhen.data.consent.barred import bar, person_key
from huizhen.data.consent.screening import today
from huizhen.errors import FederationError
from huizhen.federate.site.learner import Asked
from huizhen.federate.site.questions import question_of
from huizhen.federate.statistics.interface import Query
from huizhen.ledger.reading import read_log
from huizhen.pipeline import site_learner
from huizhen.pipeline.consent_journal import ConsentJournal, Used
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, read_learned
from huizhen.pipeline.site_learner import SiteLearner
from huizhen.train.local import LocalFit

MODEL = "cman/member0"


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """A federation of three hospitals that keep consents."""
    return Federation(root=tmp_path, file=write_hospitals(tmp_path), names=SITES)


@pytest.fixture
def east(federation: Federation) -> Iterator[SiteLearner]:
    """The study opened at one of them, its table's plan fixed."""
    with federation.learner("east") as opened:
        planned(opened)
        yield opened


def planned(learner: SiteLearner) -> None:
    """Fix a plan of the one table."""
    from huizhen.data.tables import TableEncoding
    from huizhen.pipeline.federated_tables import TablePlan

    rows = [case.covariates["clinic"] for case in learner.cohort.cases]
    (modality,) = learner._study.table_modalities
    plan = TablePlan(encodings=({"clinic": TableEncoding.fit(rows, modality)},))
    learner.plan(plan.to_text())


def weights(learner: SiteLearner, shift: float = 0.0) -> dict[str, Any]:
    """Return weights of the network that the study trains."""
    from huizhen.train.local import shared_weights

    network = learner._network(learner._models[MODEL])
    return {name: w.numpy() + np.float32(shift) for name, w in shared_weights(network).items()}


def of_part(learner: SiteLearner, part: Part, count: int) -> list[int]:
    """Return the numbers of some patients who stand in a part."""
    parts = learner.cohort.folds[0].parts
    found = [int(c.patient_id.split("-")[1]) for c in learner.cohort.cases if parts[c.pseudonym] is part]
    return found[:count]


def consents(federation: Federation, site: str) -> list[dict[str, Any]]:
    """Return what a site's ledger says of consents."""
    (folder,) = federation.folders[site].path.glob("studies/*")
    return [dict(e.body) for e in read_log(folder / "ledger").entries if e.kind == "consents"]


def test_who_withdraws_between_rounds_is_in_no_later_one(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole federation, with the patients of every local training written down."""
    seen: list[tuple[int, frozenset[int]]] = []
    real = LocalFit.round

    def noted(self: LocalFit, network: Any, number: int, sent: Any) -> Any:
        seen.append((number, frozenset(self.fit.train.tolist())))
        return real(self, network, number, sent)

    monkeypatch.setattr(site_learner.LocalFit, "round", noted)
    with federation.learner("north") as opened:
        (who,) = of_part(opened, Part.TRAIN, 1)
    data = federation.root / "data"
    result = federation.run(
        answers=before_round(federation, "north", 1, lambda: withdraw(data, "north", who))
    )
    assert result.dossier.exists()
    detail = federation.evidence()[f"federation/{MODEL}"].detail
    first, second, third = detail["patients_per_round"]
    assert (first - second, second - third) == (1, 0)
    begun, since = (federation.evidence()[f"{name}/all"] for name in ("consent", "consent_rounds"))
    assert (begun.n, begun.detail["permitted"], since.n) == (120, 120, 120)
    assert (since.detail["left_out"], since.detail["withdrawn"]) == (1, 1)
    rounds = {e["round"]: e["left_out"] for e in consents(federation, "north") if "round" in e}
    assert rounds == {0: 0, 1: 1, 2: 1}
    assert [e["newly"] for e in consents(federation, "north") if "newly" in e] == [1]
    assert all(e["left_out"] == 0 for e in consents(federation, "east") if "round" in e)
    sizes = [sorted(len(rows) for n, rows in seen if n == number) for number in range(3)]
    assert sum(sizes[0]) - sum(sizes[1]) == 1
    assert sizes[1] == sizes[2]
    north = federation.folders["north"]
    key = person_key(people_secret(north.key), "north", f"north-{who}")
    trained = [one for one in read_learned(north.path) if one.how is How.TRAINED and one.model == MODEL]
    assert {one.round for one in trained if one.round is not None} == {0, 1, 2}
    assert {one.round for one in trained if key in one.people and one.round is not None} == {0}


def test_a_round_asked_again_is_over_the_same_patients(east: SiteLearner, federation: Federation) -> None:
    begin = weights(east)
    before = east.patients(MODEL, 0, begin)
    first = east.train(MODEL, 0, begin)
    (who,) = of_part(east, Part.TRAIN, 1)
    withdraw(federation.root / "data", "east", who)
    assert east.patients(MODEL, 0, begin) == before
    again = east.train(MODEL, 0, begin)
    assert all(np.array_equal(again.change[name], first.change[name]) for name in first.change)
    assert east.patients(MODEL, 1, weights(east, 0.01)) == before - 1
    assert east.patients(MODEL, 0, weights(east, 0.02)) == before - 1, "a lead that was set back asks anew"
    east._run.log.close()
    with federation.learner("east") as later:  # as after SIGKILL
        assert later.patients(MODEL, 0, begin) == before
        assert later.patients(MODEL, 1, weights(later, 0.01)) == before - 1
        assert later.cohort.stage.digest == east.cohort.stage.digest, "the cohort is the one committed to"
        again = later.train(MODEL, 0, begin)
    assert all(np.array_equal(again.change[name], first.change[name]) for name in first.change)


def test_the_same_weights_in_another_round_tell_nobody_by_subtraction(
    east: SiteLearner, federation: Federation
) -> None:
    begin = weights(east)
    east.patients(MODEL, 0, begin)
    withdraw(federation.root / "data", "east", *of_part(east, Part.TRAIN, 1))
    with pytest.raises(FederationError, match="trained from here before"):
        east.patients(MODEL, 1, begin)


def asked(subject: str, name: str, step: int = 0, **values: Any) -> Asked:
    return Asked(
        subject=subject, query=Query(name=name, step=step, values=values), sites=3, smallest=1, hidden=True
    )


def test_sums_after_a_withdrawal_differ_by_enough_patients(east: SiteLearner, federation: Federation) -> None:
    """The lead's moments of a table, before and after: the difference is never one patient's values."""
    first = asked("moments/0/clinic", "moments")
    nobody = east._consents.at_question(first)
    assert nobody == frozenset()
    withdraw(federation.root / "data", "east", *of_part(east, Part.TRAIN, 1))
    other = asked("moments/0/clinic", "moments", centre=np.ones(1))
    gone = east._consents.at_question(other)
    parts = east.cohort.folds[0].parts
    assert len(gone) == 5, "the policy's smallest_count"
    assert {parts[who] for who in gone} == {Part.TRAIN}
    assert east._consents.at_question(first) == nobody, "what was asked before is answered as before"
    assert east._consents.at_question(asked("moments/0/clinic", "moments", step=1)) == gone, "one statistic"
    withdraw(federation.root / "data", "east", *of_part(east, Part.TRAIN, 2))
    more = east._consents.at_question(asked("moments/0/clinic", "moments", centre=np.zeros(1)))
    assert gone <= more
    assert len(more - gone) in (0, 5), "0 when the second to withdraw was beside the first already"


def test_the_cohort_that_was_counted_stays_counted(east: SiteLearner, federation: Federation) -> None:
    question = asked(f"cohort/{MODEL}", "categories")
    before = east.answer(question)
    withdraw(federation.root / "data", "east", *range(COUNT // 2))
    assert np.array_equal(east.answer(question), before)


def test_nothing_is_answered_once_the_register_is_gone(east: SiteLearner, federation: Federation) -> None:
    begin = weights(east)
    east.patients(MODEL, 0, begin)
    path = register(federation.root / "data", "east")
    text = path.read_text(encoding="utf-8")
    for spoil in (path.unlink, lambda: path.write_text(text + "x,1,2025-01-01,HMX,,,\n", encoding="utf-8")):
        spoil()
        with pytest.raises(FederationError, match="consents can't be read") as caught:
            east.patients(MODEL, 1, weights(east, 0.01))
        assert caught.value.code == "HZ90", "not for good: the register may come back"
        assert str(federation.root) not in str(caught.value)
        with pytest.raises(FederationError, match="consents can't be read"):
            east.train(MODEL, 0, begin)
        with pytest.raises(FederationError, match="consents can't be read"):
            east.answer(asked(f"cohort/{MODEL}", "categories"))
    path.write_text(text, encoding="utf-8")
    assert east.patients(MODEL, 0, begin) > 0


def test_a_clock_that_was_set_back_brings_no_consent_back(east: SiteLearner, federation: Federation) -> None:
    begin = weights(east)
    east.patients(MODEL, 0, begin)
    east._consents.clock = lambda: today() - timedelta(days=1)
    with pytest.raises(FederationError, match="clock stands before"):
        east.patients(MODEL, 1, weights(east, 0.01))


def test_a_consent_that_runs_out_on_the_way_is_left_out(east: SiteLearner, federation: Federation) -> None:
    (who,) = of_part(east, Part.TRAIN, 1)
    register(federation.root / "data", "east", {who: {"until": today().isoformat()}})
    before = east.patients(MODEL, 0, weights(east))
    east._consents.clock = lambda: today() + timedelta(days=1)
    assert east.patients(MODEL, 1, weights(east, 0.01)) == before - 1
    assert east._consents.journal.reasons == {"expired": 1}


def test_a_new_consent_counts_for_the_next_version_only(east: SiteLearner, federation: Federation) -> None:
    (who,) = of_part(east, Part.TRAIN, 1)
    before = east.patients(MODEL, 0, weights(east))
    withdraw(federation.root / "data", "east", who)
    assert east.patients(MODEL, 1, weights(east, 0.01)) == before - 1
    register(federation.root / "data", "east")
    assert east.patients(MODEL, 2, weights(east, 0.02)) == before - 1


def test_a_journal_that_was_damaged_stops_the_site(tmp_path: Path) -> None:
    file = tmp_path / "consents.jsonl"
    journal, day = ConsentJournal(file), date(2026, 11, 23)
    reading = journal.leave_out(frozenset({"P-1"}), day=day, register="r", reasons={"withdrawn": 1})
    journal.use("train/a", ("weights/q",), Used(reading=reading), day=day)
    with file.open("ab") as stream:
        stream.write(b'{"day": "2026')  # cut short by a crash
    again = ConsentJournal(file)
    assert again.gone(again.used("train/a") or Used(reading=0)) == {"P-1"}
    assert (again.reading, again.day, again.reasons) == (1, day, {"withdrawn": 1})
    lines = file.read_bytes().splitlines()
    file.write_bytes(lines[0] + b"\n" + json.dumps({"day": "2026-11-23", "use": "x"}).encode() + b"\n")
    with pytest.raises(FederationError, match="line 2"):
        ConsentJournal(file)


def test_a_consent_for_named_partners_is_held_against_all_other_sites(federation: Federation) -> None:
    rows = {1: {"partners": "north"}, 2: {"partners": "north; west"}, 3: {"partners": "elsewhere"}}
    register(federation.root / "data", "east", rows)
    with federation.learner("east") as opened:
        names = {case.patient_id for case in opened.cohort.cases}
    assert names == {f"east-{i}" for i in range(COUNT) if i not in (1, 3)}


def test_who_is_put_on_the_list_is_left_out_with_no_word_in_the_register(
    east: SiteLearner, federation: Federation
) -> None:
    (who,) = of_part(east, Part.TRAIN, 1)
    before = east.patients(MODEL, 0, weights(east))
    site = federation.folders["east"]
    bar(site.path, people_secret(site.key), [("east", f"east-{who}", today())])
    assert east.patients(MODEL, 1, weights(east, 0.01)) == before - 1
    assert east._consents.journal.reasons == {"withdrawn": 1}


def test_a_site_with_too_few_patients_left_refuses_and_the_others_go_on(tmp_path: Path) -> None:
    file = write_hospitals(tmp_path, rounds=2)
    policies = {name: {"minimum_sites": 2} for name in SITES}
    federation = Federation(root=tmp_path, file=file, names=SITES, policies=policies)
    few = before_round(
        federation, "north", 1, lambda: withdraw(tmp_path / "data", "north", *range(COUNT - 12))
    )
    federation.run(answers=few)
    detail = federation.evidence()[f"federation/{MODEL}"].detail
    assert detail["sites_per_round"] == [3, 2]
    journal = (tmp_path / "out" / "federation" / "journal.jsonl").read_text(encoding="utf-8")
    assert "minimum_cohort: the site has too few training patients" in journal
    assert "withdr" not in journal


def test_a_killed_federation_goes_on_over_the_same_patients(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL between a withdrawal and the end of the round; then the same command again."""
    data = federation.root / "data"
    with federation.learner("north") as opened:
        first, second = of_part(opened, Part.TRAIN, 2)

    def both() -> None:
        withdraw(data, "north", first)
        raise Killed("between")

    with pytest.raises(Killed):
        federation.run(answers=before_round(federation, "north", 1, both))
    withdraw(data, "north", first, second)
    federation.run()
    patients = federation.evidence()[f"federation/{MODEL}"].detail["patients_per_round"]
    assert (patients[0] - patients[1], patients[1] - patients[2]) == (2, 0)
    assert question_of(MODEL, {}) != question_of("other", {})
