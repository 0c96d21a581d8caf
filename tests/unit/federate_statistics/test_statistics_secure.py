"""Statistics under the masks of the secure sum are, bit for bit, those in the clear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from huizhen.core.digests import digest_value
from huizhen.errors import PolicyError
from huizhen.federate.statistics.counts import Histogram
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.data import design, scored, survival, table_of
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.event_times import EventTimes
from huizhen.federate.statistics.fixed_point import MOST_SITES, Words
from huizhen.federate.statistics.logistic import Logistic
from huizhen.federate.statistics.runner import answer_words, plain_sum, run
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.client import Client
from huizhen.privacy.secure_aggregation.coding import Residues
from huizhen.privacy.secure_aggregation.interface import Terms
from huizhen.privacy.secure_aggregation.server import Server

SIZES = (30, 1, 25)


class Masked:
    """A secure sum over sites in this process, one round after the other; `seen` are the masked words."""

    def __init__(self) -> None:
        self.rounds, self.seen, self.open = 0, [], []

    def __call__(self, words: Sequence[Words]) -> Words:
        names = [f"site{place}" for place in range(len(words))]
        keys = {name: SigningKey.generate() for name in names}
        coding = Residues(sites=MOST_SITES)
        terms = Terms(
            study=digest_value("statistics"),
            round_number=self.rounds,
            sites=tuple((name, keys[name].public) for name in names),
            threshold=len(names),
            length=words[0].size,
            coding=coding,
        )
        self.rounds += 1
        clients, server = [Client(terms=terms, name=n, key=keys[n]) for n in names], Server(terms=terms)
        for client in clients:
            server.take_advert(client.advertise())
        roster = server.close_adverts()
        for client in clients:
            server.take_shares(client.share(roster))
        for (_, delivery), client, own in zip(
            sorted(server.close_shares().items()), clients, words, strict=True
        ):
            masked = client.mask(delivery, coding.encoded(own))
            self.seen.append(np.asarray(masked.vector).copy())
            server.take_masked(masked)
        survivors = server.close_masked()
        for client in clients:
            server.take_endorsement(client.endorse(survivors))
        signatures = server.close_endorsements()
        for client in clients:
            server.take_unmasking(client.unmask(signatures))
        self.open += list(words)
        return np.asarray(server.total().vector)


def parts() -> list[tuple[np.ndarray, ...]]:
    random, found = np.random.default_rng(3), []
    for n in SIZES:
        x = random.normal(size=(n, 2))
        event = random.random(n) < 0.5
        found.append((x, event, np.ceil(random.exponential(20, n)), random.random((2, n))))
    return found


def test_regressions_under_masks_are_those_in_the_clear() -> None:
    designs = [design(("a", "b"), x, event.astype(float)) for x, event, _, _ in parts()]
    followed = [survival(("a", "b"), x, time, event) for x, event, time, _ in parts()]
    masked = Masked()
    for sum_ in (masked, plain_sum):
        fit = run(Logistic(columns=("a", "b")), designs, secure_sum=sum_).result
        grid = run(EventTimes(horizon=500), followed, secure_sum=sum_).result
        cox = run(Cox(columns=("a", "b"), grid=grid), followed, secure_sum=sum_).result
        if sum_ is masked:
            first = (fit, cox)
    np.testing.assert_array_equal(first[0].coefficients, fit.coefficients)
    np.testing.assert_array_equal(first[1].coefficients, cox.coefficients)
    np.testing.assert_array_equal(first[1].hazard, cox.hazard)


def test_histograms_under_masks_look_like_noise() -> None:
    sites, masked = [scored(event, scores) for _, event, _, scores in parts()], Masked()
    found = run(DeLong(models=2), sites, secure_sum=masked).result
    np.testing.assert_array_equal(found.covariance, run(DeLong(models=2), sites).result.covariance)
    words, own = masked.seen[1], masked.open[1]
    assert np.count_nonzero(own) < 10
    assert np.count_nonzero(words) > 0.999 * words.size
    assert abs(np.unpackbits(words.view(np.uint8)).mean() - 0.5) < 0.005


def test_what_a_site_sends_in_the_clear_is_held_to_its_smallest_count() -> None:
    histogram = Histogram(column="x", edges=(0.0, 1.0))
    site = table_of(("x",), [[0.5], [0.6], [0.7]])
    query = histogram.start().query
    assert answer_words(histogram, query, site, sites=3, smallest=5, masked=True).dtype == np.uint32
    with pytest.raises(PolicyError, match="fewer than 5"):
        answer_words(histogram, query, site, sites=3, smallest=5, masked=False)
