"""A round of secure aggregation: its sum, what it refuses, and that keys are used once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from huizhen.errors import FederationError, InvalidInputError, MessageError, PrivacyError
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.client import Client
from huizhen.privacy.secure_aggregation.coding import Counts, FixedPoint
from huizhen.privacy.secure_aggregation.interface import Endorsements, Survivors, Terms
from huizhen.privacy.secure_aggregation.server import Server

COUNTS = Counts(largest=2**28)


def ones(length: int = 6) -> Any:
    return COUNTS.encoded(np.arange(length))


class Stage:
    """A round of three sites as far as a phase, for what may go wrong in the next."""

    def __init__(self, terms: Terms, clients: dict[str, Client], phase: int) -> None:
        self.terms, self.clients, self.server = terms, clients, Server(terms=terms)
        self.adverts = {name: client.advertise() for name, client in clients.items()}
        if phase > 0:
            [self.server.take_advert(advert) for advert in self.adverts.values()]
            self.roster = self.server.close_adverts()
        if phase > 1:
            self.shares = {name: client.share(self.roster) for name, client in clients.items()}
        if phase > 2:
            [self.server.take_shares(shares) for shares in self.shares.values()]
            self.deliveries = self.server.close_shares()
        if phase > 3:
            self.masked = {n: c.mask(self.deliveries[n], ones()) for n, c in clients.items()}
        if phase > 4:
            [self.server.take_masked(self.masked[name]) for name in "ab"]
            self.survivors = self.server.close_masked()
        if phase > 5:
            for name in "ab":
                self.server.take_endorsement(clients[name].endorse(self.survivors))
            self.endorsements = self.server.close_endorsements()


@pytest.fixture
def stage(terms_of: Any, clients_of: Any) -> Callable[[int], Stage]:
    """A function that runs a round as far as a phase."""
    terms = terms_of(3, 6, COUNTS)
    return lambda phase: Stage(terms, clients_of(terms), phase)


def test_a_weighted_mean_over_three_sites(secure_round: Any, terms_of: Any) -> None:
    coding = FixedPoint.finest(sites=3, clip=1.0, max_weight=50)
    updates = {
        n: coding.encoded([np.full(4, v, np.float32)], weight=w)
        for n, v, w in (("a", 0.5, 50), ("b", -0.25, 10), ("c", 0.125, 40))
    }
    total = secure_round(terms=terms_of(3, 5, coding)).run(updates)
    mean, weight = coding.decode(total.vector)
    assert weight == 100
    np.testing.assert_allclose(mean, (0.5 * 50 - 0.25 * 10 + 0.125 * 40) / 100, atol=1e-7)


@pytest.mark.parametrize("phase", range(5))
def test_a_third_may_drop_out_before_any_phase(phase: int, secure_round: Any, terms_of: Any) -> None:
    total = secure_round(terms=terms_of(6, 6, COUNTS), drops={"b": phase, "e": phase}).run(
        dict.fromkeys("abcdef", ones())
    )
    survivors = 6 if phase > 2 else 4
    assert len(total.survivors) == survivors
    assert total.vector.tolist() == [survivors * n for n in range(6)]


@pytest.mark.parametrize("phase", range(5))
def test_below_the_threshold_there_is_no_sum(phase: int, secure_round: Any, terms_of: Any) -> None:
    with pytest.raises(FederationError, match=r"2 of 4 sites are left in phase .* below the threshold of 3"):
        secure_round(terms=terms_of(4, 6, COUNTS), drops={"b": phase, "d": phase}).run(
            dict.fromkeys("abcd", ones())
        )


def test_thresholds_that_protect_nobody_are_refused(terms_of: Any) -> None:
    for sites, threshold in ((4, 2), (3, 1), (3, 4), (2, 1)):
        with pytest.raises(PrivacyError, match="protects nobody"):
            terms_of(sites, 6, COUNTS, threshold=threshold)
    with pytest.raises(PrivacyError):
        terms_of(1, 6, COUNTS)


def test_terms_that_do_not_fit_together_are_refused(terms_of: Any) -> None:
    terms = terms_of(3, 6, COUNTS)
    a, b, c = terms.sites
    for sites in ((b, a, c), (a, a, b), (a, ("b", a[1]), c)):
        with pytest.raises(InvalidInputError, match="one name or one key"):
            terms_of(3, 6, COUNTS, sites=sites)
    with pytest.raises(InvalidInputError, match="32 bits"):
        terms_of(3, 6, Counts(largest=2**31))
    with pytest.raises(InvalidInputError, match="below its least"):
        terms_of(3, 0, COUNTS)
    other = [
        terms_of(3, 6, COUNTS, **{k: v}).digest
        for k, v in (("round_number", 5), ("attempt", 1), ("study", "0" * 64), ("threshold", 3))
    ]
    assert len({terms.digest, *other}) == 5


def test_a_client_needs_the_key_that_the_terms_name(terms_of: Any) -> None:
    for name in ("a", "z"):
        with pytest.raises(InvalidInputError, match="don't name"):
            Client(terms=terms_of(3, 6, COUNTS), name=name, key=SigningKey.generate())


def test_every_step_is_taken_once_and_in_order(stage: Callable[[int], Stage]) -> None:
    s = stage(6)
    a, c = s.clients["a"], s.clients["c"]
    a.unmask(s.endorsements)
    for act in (
        a.advertise,
        lambda: a.share(s.roster),
        lambda: a.mask(s.deliveries["a"], ones()),
        lambda: a.endorse(s.survivors),
        lambda: a.unmask(s.endorsements),
        lambda: c.mask(s.deliveries["c"], ones()),
        lambda: c.unmask(s.endorsements),
    ):
        with pytest.raises(PrivacyError, match="used once"):
            act()


def test_an_update_that_fails_while_it_is_masked_spends_the_keys(terms_of: Any, clients_of: Any) -> None:
    coding = FixedPoint.finest(sites=3, clip=1.0)
    terms = terms_of(3, 6, coding)
    s = Stage(terms, clients_of(terms), 3)
    bad = coding.encoded([np.array([0, 0, 0, 0, np.nan], np.float32)])
    with pytest.raises(InvalidInputError, match="NaN"):
        s.clients["a"].mask(s.deliveries["a"], bad)
    with pytest.raises(PrivacyError, match="used once"):
        s.clients["a"].mask(s.deliveries["a"], coding.encoded([np.zeros(5, np.float32)]))


def test_an_update_of_another_length_or_coding_leaves_the_keys_unused(stage: Callable[[int], Stage]) -> None:
    s = stage(3)
    for bad in (ones(5), Counts(largest=7).encoded(np.arange(6))):
        with pytest.raises(InvalidInputError, match="or of another coding"):
            s.clients["a"].mask(s.deliveries["a"], bad)
    space = np.zeros(6, np.uint32)
    assert s.clients["a"].mask(s.deliveries["a"], ones(), out=space).vector is space


def test_adverts_that_are_refused(stage: Callable[[int], Stage], terms_of: Any, clients_of: Any) -> None:
    s = stage(0)
    a, b, _ = s.adverts.values()
    other = clients_of(terms_of(3, 6, COUNTS, round_number=5))["b"].advertise()
    s.server.take_advert(a)
    for bad, why in (
        (a, "sent this before"),
        (other, "is not of round 4"),
        (replace(b, terms=other.terms), "is not of round 4"),
        (replace(other, terms=b.terms), "does not hold"),
        (replace(b, site="c"), "does not hold"),
        (replace(b, site="z"), "no place here"),
        (replace(b, mask_key=a.mask_key), "does not hold"),
        (replace(b, mask_key=b"short"), "is not 32 bytes"),
        (replace(b, signature=bytes(64)), "does not hold"),
        (replace(b, signature=b""), "is not 64 bytes"),
    ):
        with pytest.raises(MessageError, match=why):
            s.server.take_advert(bad)
    s.server.take_advert(b)
    s.server.close_adverts()
    with pytest.raises(MessageError, match="came in phase shares"):
        s.server.take_advert(s.adverts["c"])


def test_rosters_that_are_refused(stage: Callable[[int], Stage]) -> None:
    s = stage(1)
    client, (a, b, c) = s.clients["a"], s.roster.adverts
    forged = replace(b, mask_key=bytes([1]) * 32)
    for adverts, why in (
        ((a,), "fewer than 2"),
        ((b, c), "own keys"),
        ((a, b, b), "twice"),
        ((a, forged, c), "does not hold"),
        ((a, replace(b, mask_key=a.mask_key), c), "one key twice"),
        ((replace(a, mask_key=bytes(32)), b, c), "own keys"),
    ):
        with pytest.raises(MessageError, match=why):
            client.share(replace(s.roster, adverts=adverts))
    with pytest.raises(MessageError, match="not of round"):
        client.share(replace(s.roster, terms=bytes(32)))
    client.share(s.roster)


def test_a_key_that_fixes_the_secret_is_refused(terms_of: Any, clients_of: Any) -> None:
    """RFC 7748, section 6.1: a point of small order agrees on zero with everybody."""
    from huizhen.privacy.secure_aggregation.keys import agree, new_key

    with pytest.raises(MessageError, match="nothing secret"):
        agree(new_key(), bytes(32))


def test_shares_and_deliveries_that_are_refused(stage: Callable[[int], Stage]) -> None:
    s = stage(2)
    good = s.shares["a"]
    for bad, why in (
        (replace(good, boxes=good.boxes[:1]), "lacks a box"),
        (replace(good, boxes=(good.boxes[0], good.boxes[0])), "twice"),
        (replace(good, boxes=(("a", good.boxes[0][1]), good.boxes[1])), "no place"),
        (replace(good, boxes=(("b", b"x"), good.boxes[1])), "is not 82 bytes"),
        (replace(good, boxes=None), "tuple of pairs"),
        (replace(good, commitment=b""), "is not 32 bytes"),
        (replace(good, terms=bytes(32)), "not of round"),
    ):
        with pytest.raises(MessageError, match=why):
            s.server.take_shares(bad)
    [s.server.take_shares(shares) for shares in s.shares.values()]
    delivery = s.server.close_shares()["a"]
    (b, box_b), (c, box_c) = delivery.boxes
    for boxes, why in (
        (((b, box_c), (c, box_b)), "doesn't open"),
        (((b, box_b[:-1] + bytes([box_b[-1] ^ 1])), (c, box_c)), "doesn't open"),
        ((), "fewer than 2"),
        (((b, box_b), (b, box_b)), "twice"),
        ((("a", box_b),), "no place"),
    ):
        with pytest.raises(MessageError, match=why):
            s.clients["a"].mask(replace(delivery, boxes=boxes), ones())
    with pytest.raises(MessageError, match="no place"):
        s.clients["a"].mask(replace(delivery, site="b"), ones())
    s.clients["a"].mask(delivery, ones())


def test_masked_inputs_that_are_refused(stage: Callable[[int], Stage]) -> None:
    s = stage(4)
    good = s.masked["a"]
    for bad, why in (
        (replace(good, vector=good.vector[:-1]), "has not the 6 elements"),
        (replace(good, vector=good.vector.reshape(2, 3)), "has not the 6 elements"),
        (replace(good, vector=good.vector.astype(np.float32)), "uint32"),
        (replace(good, vector=good.vector.tolist()), "uint32"),
        (replace(good, site="z"), "no place"),
        (replace(good, terms=bytes(32)), "not of round"),
    ):
        with pytest.raises(MessageError, match=why):
            s.server.take_masked(bad)
    s.server.take_masked(good)
    with pytest.raises(MessageError, match="sent this before"):
        s.server.take_masked(good)


def test_survivors_that_are_refused(stage: Callable[[int], Stage]) -> None:
    s = stage(5)
    client = s.clients["a"]
    for sites, why in (
        (("a",), "fewer than 2"),
        (("b", "c"), "lacks this site"),
        (("a", "a", "b"), "twice"),
        (("a", "z"), "no place"),
    ):
        with pytest.raises(MessageError, match=why):
            client.endorse(Survivors(terms=s.terms.digest, sites=sites))
    client.endorse(s.survivors)


def test_a_lead_that_shows_two_lists_unmasks_nobody(stage: Callable[[int], Stage]) -> None:
    """The check that keeps an active lead from getting both secrets of one site."""
    s = stage(5)
    shown = {"a": ("a", "b"), "b": ("a", "b"), "c": ("a", "c")}
    signed = {
        name: s.clients[name].endorse(Survivors(terms=s.terms.digest, sites=sites))
        for name, sites in shown.items()
    }
    fine = tuple((name, signed[name].signature) for name in "ab")
    mixed = (("a", signed["a"].signature), ("c", signed["c"].signature))
    with pytest.raises(MessageError, match="does not hold"):
        s.clients["c"].unmask(Endorsements(terms=s.terms.digest, signatures=mixed))
    for signatures in (fine[:1], (fine[0], fine[0]), mixed):
        with pytest.raises(MessageError):
            s.clients["a"].unmask(Endorsements(terms=s.terms.digest, signatures=signatures))
    answer = s.clients["a"].unmask(Endorsements(terms=s.terms.digest, signatures=fine))
    assert [name for name, _ in answer.seed_shares] == ["a", "b"]
    assert [name for name, _ in answer.key_shares] == ["c"]


def test_unmaskings_that_are_refused_and_wrong_shares(stage: Callable[[int], Stage]) -> None:
    s = stage(6)
    good = {name: s.clients[name].unmask(s.endorsements) for name in "ab"}
    a = good["a"]
    for bad, why in (
        (replace(a, seed_shares=a.seed_shares[:1]), "lacks a share"),
        (replace(a, key_shares=()), "lacks a share"),
        (replace(a, key_shares=a.seed_shares), "no place"),
        (replace(a, seed_shares=(("a", b""), a.seed_shares[1])), "is not 33 bytes"),
        (replace(a, site="c"), "no place"),
    ):
        with pytest.raises(MessageError, match=why):
            s.server.take_unmasking(bad)
    s.server.take_unmasking(replace(a, seed_shares=(("a", bytes(33)), a.seed_shares[1])))
    s.server.take_unmasking(good["b"])
    with pytest.raises(FederationError, match="shares of a's secret don't give back"):
        s.server.total()


def test_wrong_shares_of_a_dropped_sites_key_are_found(stage: Callable[[int], Stage]) -> None:
    s = stage(6)
    good = {name: s.clients[name].unmask(s.endorsements) for name in "ab"}
    s.server.take_unmasking(replace(good["a"], key_shares=(("c", bytes(33)),)))
    s.server.take_unmasking(good["b"])
    with pytest.raises(FederationError, match="shares of c's secret don't give back"):
        s.server.total()


def test_phases_close_in_order_and_the_sum_is_given_once(stage: Callable[[int], Stage]) -> None:
    s = stage(6)
    for close in (s.server.close_adverts, s.server.close_masked):
        with pytest.raises(FederationError, match="is not open"):
            close()
    with pytest.raises(FederationError, match="below the threshold"):
        s.server.total()
    for name in "ab":
        s.server.take_unmasking(s.clients[name].unmask(s.endorsements))
    assert s.server.total().vector.tolist() == [2 * n for n in range(6)]
    with pytest.raises(FederationError, match="is not open"):
        s.server.total()
