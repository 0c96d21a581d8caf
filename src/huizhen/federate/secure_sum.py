"""The lead's side of a secure sum: five asks, after which it knows the sum over the sites and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import FederationError, HuizhenError
from huizhen.federate import messages as wire
from huizhen.federate.frames import Arrays, Sealed
from huizhen.federate.secure_wire import advert_of, blobs, pairs, terms_of, wire_keys
from huizhen.privacy.secure_aggregation.interface import (
    Endorsement,
    MaskedInput,
    SealedShares,
    Total,
    Unmasking,
)
from huizhen.privacy.secure_aggregation.server import Server

AskSites = Callable[[Mapping[str, wire.Inbound], float], dict[str, Sealed]]
"""Asks each site its message, for so many seconds, and returns the checked answers; a refusal is one."""
M = TypeVar("M", wire.Advertised, wire.Shared, wire.Masked, wire.Endorsed, wire.Unmasked)


@final
class SecureSum:
    """One attempt at one sum with the terms of `opening`; each phase waits up to `patience_s`.

    `whole`: give up, before anything is unmasked, when a site of the terms falls out. `unmasking` is told
    the sites of the sum before the masks come off it. With fewer than `least` sites left it is given up too.
    """

    def __init__(
        self,
        opening: wire.Advertise,
        *,
        ask: AskSites,
        patience_s: float,
        whole: bool,
        least: int = 2,
        unmasking: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._opening, self._ask, self._patience_s = opening, ask, patience_s
        self._whole, self._least, self._unmasking = whole, least, unmasking
        self._terms = terms_of(opening)
        self._stated = self._terms.digest.hex()
        self._server = Server(terms=self._terms)
        self.wrong: dict[str, str] = {}
        """The sites whose answers were refused here, and why."""
        self.refused: dict[str, str] = {}
        """The sites that refused, and the error's code."""
        self.accused: dict[str, str] = {}
        """The sites that say of another that its sealed shares don't open, and of which."""

    def total(self) -> Total:
        """Run the five phases. Raises `FederationError` when too few sites stay to the end."""
        roster = self._advertise()
        self._all(roster)
        self._share(roster)
        survivors = self._mask()
        signatures = self._endorse(survivors)
        self._unmasking(survivors)
        return self._unmask(signatures)

    def _all(self, sites: Iterable[str]) -> None:
        """Give up when a site fell out of what is to be whole, too few are left, or one accuses another.

        Raises `FederationError`.
        """
        if self.accused:
            told = "; ".join(f"{a} says that of {b}" for a, b in sorted(self.accused.items()))
            raise FederationError(
                f"sealed shares don't open ({told})",
                remedy="find out which of the two sites is at fault",
                field="site",
            )
        if self._whole and (missing := sorted(set(self._terms.names) - set(sites))):
            raise FederationError(
                f"{', '.join(missing)} fell out of a secure sum",
                remedy="begin the sum anew",
                field="site",
            )
        if len(set(sites)) < self._least:
            raise FederationError(
                f"fewer than {self._least} sites are left in a secure sum",
                remedy="begin the sum anew",
                field="site",
            )

    def _advertise(self) -> dict[str, wire.Keys]:
        """Return everybody's fresh keys."""

        def take(site: str, answer: wire.Advertised, _: Arrays) -> None:
            self._server.take_advert(advert_of(self._terms, site, answer.keys))

        self._phase(dict.fromkeys(self._terms.names, self._opening), wire.Advertised, take)
        return {advert.site: wire_keys(advert) for advert in self._server.close_adverts().adverts}

    def _share(self, roster: dict[str, wire.Keys]) -> None:
        """Have every site seal its shares for the others."""

        def take(site: str, answer: wire.Shared, _: Arrays) -> None:
            shares = SealedShares(
                terms=self._terms.digest,
                site=site,
                commitment=bytes.fromhex(answer.commitment),
                boxes=pairs(answer.boxes),
            )
            self._server.take_shares(shares)

        ask = wire.Share(study=self._opening.study, sender=wire.LEAD, terms=self._stated, roster=roster)
        self._phase(dict.fromkeys(roster, ask), wire.Shared, take)

    def _mask(self) -> tuple[str, ...]:
        """Deliver the shares, add up the masked inputs, and return whose they are."""

        def take(site: str, answer: wire.Masked, arrays: Arrays) -> None:
            masked = MaskedInput(terms=self._terms.digest, site=site, vector=_only(arrays, site))
            self._server.take_masked(masked)

        deliveries = self._server.close_shares()
        self._all(deliveries)
        asked: dict[str, wire.Inbound] = {
            site: wire.Deliver(
                study=self._opening.study,
                sender=wire.LEAD,
                terms=self._stated,
                boxes=blobs(delivery.boxes),
            )
            for site, delivery in deliveries.items()
        }
        self._phase(asked, wire.Masked, take)
        survivors = self._server.close_masked().sites
        self._all(survivors)
        return survivors

    def _endorse(self, survivors: tuple[str, ...]) -> dict[str, str]:
        """Return the survivors' signatures on the list of survivors."""

        def take(site: str, answer: wire.Endorsed, _: Arrays) -> None:
            signature = bytes.fromhex(answer.signature)
            self._server.take_endorsement(
                Endorsement(terms=self._terms.digest, site=site, signature=signature)
            )

        ask = wire.Endorse(
            study=self._opening.study, sender=wire.LEAD, terms=self._stated, survivors=list(survivors)
        )
        self._phase(dict.fromkeys(survivors, ask), wire.Endorsed, take)
        return blobs(self._server.close_endorsements().signatures)

    def _unmask(self, signatures: dict[str, str]) -> Total:
        """Take the masks off the sum."""

        def take(site: str, answer: wire.Unmasked, _: Arrays) -> None:
            shares = Unmasking(
                terms=self._terms.digest,
                site=site,
                seed_shares=pairs(answer.seeds),
                key_shares=pairs(answer.keys),
            )
            self._server.take_unmasking(shares)

        ask = wire.Unmask(
            study=self._opening.study, sender=wire.LEAD, terms=self._stated, signatures=signatures
        )
        self._phase(dict.fromkeys(signatures, ask), wire.Unmasked, take)
        total = self._server.total()
        self.wrong |= dict.fromkeys(self._server.odd, "wrong shares for the unmasking")
        return total

    def _phase(
        self, asked: Mapping[str, wire.Inbound], kind: type[M], take: Callable[[str, M, Arrays], None]
    ) -> None:
        """Ask and take the answers in; one of another kind, or that is refused, counts as not given."""
        for site, answer in sorted(self._ask(asked, self._patience_s).items()):
            message = answer.message
            if isinstance(message, wire.Refusal):
                self.refused[site] = message.code
                if message.accused in asked and message.accused != site:
                    self.accused[site] = message.accused
                continue
            if not isinstance(message, kind) or message.terms != self._stated:
                self.wrong[site] = "an answer to another question"
                continue
            try:
                take(site, message, answer.arrays)
            except HuizhenError as error:
                self.wrong[site] = error.message


def _only(arrays: Arrays, site: str) -> NDArray[np.uint32]:
    """Return the one array of a masked input. Raises `FederationError` on anything else."""
    if set(arrays) != {"vector"}:
        raise FederationError(
            "a masked input of another form", remedy="update huizhen at the site", field=site
        )
    return np.asarray(arrays["vector"])


def divided(vector: NDArray[Any], shapes: Sequence[tuple[str, tuple[int, ...]]]) -> dict[str, NDArray[Any]]:
    """Return a flat sum (n,) as named arrays of `shapes`, which were laid end to end by name.

    >>> {k: v.tolist() for k, v in divided(np.arange(5), [("b", (1,)), ("a", (2, 2))]).items()}
    {'a': [[0, 1], [2, 3]], 'b': [4]}
    """
    found: dict[str, NDArray[Any]] = {}
    start = 0
    for name, shape in sorted(shapes):
        size = int(np.prod(shape))
        found[name] = vector[start : start + size].reshape(shape)
        start += size
    return found
