"""The study lead in one round: takes in each phase's messages, and closes the phase.

    server = Server(terms=terms)
    server.take_advert(...)       then  server.close_adverts() -> Roster
    server.take_shares(...)       then  server.close_shares() -> {site: Delivery}
    server.take_masked(...)       then  server.close_masked() -> Survivors
    server.take_endorsement(...)  then  server.close_endorsements() -> Endorsements
    server.take_unmasking(...)    then  server.total() -> Total

`take_*` raises `MessageError` on anything that is not due, and is then as before. Closing raises
`FederationError` with fewer sites than the threshold. Who sent a masked input or an unmasking is for the
transport to prove (mutual TLS); adverts and endorsements are signed, boxes sealed between sites.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from itertools import combinations, islice
from typing import final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import FederationError
from huizhen.privacy.secure_aggregation.checks import (
    SURVIVORS_DOMAIN,
    check_advert,
    check_bytes,
    check_names,
    check_pairs,
    check_signature,
    check_terms,
    refuse,
)
from huizhen.privacy.secure_aggregation.client import BOX_BYTES
from huizhen.privacy.secure_aggregation.field import SHARE_BYTES, combine
from huizhen.privacy.secure_aggregation.interface import (
    Advert,
    Delivery,
    Endorsement,
    Endorsements,
    MaskedInput,
    Roster,
    SealedShares,
    Survivors,
    Terms,
    Total,
    Unmasking,
)
from huizhen.privacy.secure_aggregation.keys import (
    agree,
    commitment,
    own_mask,
    pair_mask,
    private_from,
    public_of,
)
from huizhen.privacy.secure_aggregation.masks import Mask, apply_masks

__all__ = ["Server"]

MOST_GROUPS = 10_000
"""How many groups of helpers are tried when some of their shares are wrong."""


class _Phase(IntEnum):
    ADVERTS, SHARES, MASKED, ENDORSEMENTS, UNMASKINGS, DONE = range(6)


@final
class Server:
    """The lead of one round under `terms`. It keeps one vector, whatever the number of sites."""

    def __init__(self, *, terms: Terms) -> None:
        self._terms = terms
        self._phase = _Phase.ADVERTS
        self._adverts: dict[str, Advert] = {}
        self._shares: dict[str, SealedShares] = {}
        self._masked: set[str] = set()
        self._sum: NDArray[np.uint32] | None = None
        self._survivors: tuple[str, ...] = ()
        self._signatures: dict[str, bytes] = {}
        self._unmaskings: dict[str, Unmasking] = {}
        self.odd: set[str] = set()
        """The sites whose shares for the unmasking were wrong: the sum was found without them."""

    def take_advert(self, advert: Advert) -> None:
        """Take a site's keys in."""
        self._due(_Phase.ADVERTS, advert.terms, advert.site, self._terms.names, self._adverts)
        check_advert(self._terms, advert)
        keys = {key for a in self._adverts.values() for key in (a.channel_key, a.mask_key)}
        if advert.channel_key == advert.mask_key or keys & {advert.channel_key, advert.mask_key}:
            refuse("was advertised before", "mask_key")
        self._adverts[advert.site] = advert

    def close_adverts(self) -> Roster:
        """Return everybody's keys."""
        self._close(_Phase.ADVERTS, len(self._adverts))
        adverts = tuple(self._adverts[name] for name in sorted(self._adverts))
        return Roster(terms=self._terms.digest, adverts=adverts)

    def take_shares(self, shares: SealedShares) -> None:
        """Take a site's sealed shares in: one box for each other site on the roster."""
        self._due(_Phase.SHARES, shares.terms, shares.site, self._adverts, self._shares)
        others = set(self._adverts) - {shares.site}
        check_bytes(shares.commitment, 32, "commitment")
        check_pairs(shares.boxes, others, BOX_BYTES, "boxes")
        if len(shares.boxes) != len(others):
            refuse("lacks a box for some site", "boxes")
        self._shares[shares.site] = shares

    def close_shares(self) -> dict[str, Delivery]:
        """Return, for each site that shared, what the others sealed for it."""
        self._close(_Phase.SHARES, len(self._shares))
        boxes = {sender: dict(shares.boxes) for sender, shares in self._shares.items()}
        return {
            name: Delivery(
                terms=self._terms.digest,
                site=name,
                boxes=tuple((sender, boxes[sender][name]) for sender in sorted(boxes) if sender != name),
            )
            for name in sorted(self._shares)
        }

    def take_masked(self, masked: MaskedInput) -> None:
        """Add a site's masked update to the sum."""
        self._due(_Phase.MASKED, masked.terms, masked.site, self._shares, self._masked)
        vector = masked.vector
        if not isinstance(vector, np.ndarray) or vector.dtype != np.uint32:
            refuse("is not a vector of uint32", "vector")
        if vector.shape != (self._terms.length,):
            refuse(f"has not the {self._terms.length} elements that were agreed", "vector")
        if self._sum is None:
            self._sum = vector.copy()
        else:
            np.add(self._sum, vector, out=self._sum)
        self._masked.add(masked.site)

    def close_masked(self) -> Survivors:
        """Return the sites that the sum is over."""
        self._close(_Phase.MASKED, len(self._masked))
        self._survivors = tuple(sorted(self._masked))
        return Survivors(terms=self._terms.digest, sites=self._survivors)

    def take_endorsement(self, endorsement: Endorsement) -> None:
        """Take in a survivor's signature on the list of survivors."""
        self._due(_Phase.ENDORSEMENTS, endorsement.terms, endorsement.site, self._survivors, self._signatures)
        payload = self._terms.signed_survivors(self._survivors)
        check_signature(self._terms, endorsement.site, SURVIVORS_DOMAIN, payload, endorsement.signature)
        self._signatures[endorsement.site] = endorsement.signature

    def close_endorsements(self) -> Endorsements:
        """Return the signatures that let sites unmask."""
        self._close(_Phase.ENDORSEMENTS, len(self._signatures))
        return Endorsements(terms=self._terms.digest, signatures=tuple(sorted(self._signatures.items())))

    def take_unmasking(self, unmasking: Unmasking) -> None:
        """Take in a survivor's shares: of each survivor's seed, of each dropped site's mask key."""
        self._due(_Phase.UNMASKINGS, unmasking.terms, unmasking.site, self._signatures, self._unmaskings)
        for shares, of, field in (
            (unmasking.seed_shares, self._survivors, "seed_shares"),
            (unmasking.key_shares, self._dropped(), "key_shares"),
        ):
            check_pairs(shares, of, SHARE_BYTES, field)
            if len(shares) != len(of):
                refuse("lacks a share of some site", field)
        self._unmaskings[unmasking.site] = unmasking

    def _dropped(self) -> tuple[str, ...]:
        """Return the sites whose masks are in the sum and whose update is not."""
        return tuple(sorted(set(self._shares) - self._masked))

    def total(self) -> Total:
        """Return the sum over the survivors.

        Raises `FederationError` when shares give back a secret that its owner didn't commit to.
        """
        masks = self._own_masks() + self._orphaned_masks()
        self._close(_Phase.UNMASKINGS, len(self._unmaskings))
        assert self._sum is not None
        vector, self._sum = self._sum, None
        apply_masks(vector, masks)
        return Total(vector=vector, survivors=self._survivors)

    def _own_masks(self) -> list[Mask]:
        """Return the survivors' self-masks, to be taken away."""
        shares = {helper: dict(own.seed_shares) for helper, own in self._helpers()}
        masks = []
        for name in self._survivors:
            stated = self._shares[name].commitment

            def fits(seed: bytes, name: str = name, stated: bytes = stated) -> bool:
                return commitment(seed, self._terms, name) == stated

            masks.append(own_mask(self._secret(name, shares, fits), self._terms, name, minus=True))
        return masks

    def _orphaned_masks(self) -> list[Mask]:
        """Return the masks between survivors and the dropped, to be taken away.

        What the survivor put on towards the dropped is what the dropped would put on, with the other sign.
        """
        shares = {helper: dict(own.key_shares) for helper, own in self._helpers()}
        masks = []
        for name in self._dropped():
            public = self._adverts[name].mask_key

            def fits(raw: bytes, public: bytes = public) -> bool:
                return public_of(private_from(raw)) == public

            key = private_from(self._secret(name, shares, fits))
            for other in self._survivors:
                masks.append(pair_mask(agree(key, self._adverts[other].mask_key), self._terms, name, other))
        return masks

    def _helpers(self) -> list[tuple[str, Unmasking]]:
        """Return the unmaskings, at least as many as the threshold, or raise `FederationError`."""
        self._enough(len(self._unmaskings))
        return sorted(self._unmaskings.items())

    def _secret(
        self, name: str, shares: Mapping[str, Mapping[str, bytes]], fits: Callable[[bytes], bool]
    ) -> bytes:
        """Return the secret of `name` that some helpers' shares hold, and note whose shares are odd.

        Helpers found odd before are tried last. Raises `FederationError` when no helpers give it back.
        """
        helpers = sorted(shares, key=lambda helper: (helper in self.odd, helper))
        for group in islice(combinations(helpers, self._terms.threshold), MOST_GROUPS):
            secret = self._combined(name, shares, group)
            if secret is None or not fits(secret):
                continue
            for helper in set(helpers) - set(group):
                if self._combined(name, shares, (*group[1:], helper)) != secret:
                    self.odd.add(helper)
            return secret
        raise self._wrong_shares(name)

    def _combined(
        self, name: str, shares: Mapping[str, Mapping[str, bytes]], group: Collection[str]
    ) -> bytes | None:
        """Return the secret of `name` that the shares of a group of helpers hold."""
        return combine({self._terms.place(helper): shares[helper][name] for helper in group})

    def _wrong_shares(self, name: str) -> FederationError:
        return FederationError(
            f"the shares of {name}'s secret don't give back what it committed to",
            remedy="repeat the round; if it happens again, leave out one helper after the other",
            field="shares",
        )

    def _due(
        self,
        phase: _Phase,
        digest: bytes,
        site: str,
        allowed: Collection[str],
        there: Collection[str],
    ) -> None:
        """Refuse a message of another round or phase, of an unknown site, or a second one."""
        check_terms(self._terms, digest)
        if self._phase is not phase:
            refuse(f"came in phase {self._phase.name.lower()}", phase.name.lower(), "ignore it")
        check_names([site], allowed, "site")
        if site in there:
            refuse(f"{site} sent this before", phase.name.lower(), "ignore it: the first one counts")

    def _enough(self, count: int) -> None:
        """Raise `FederationError` unless as many sites as the threshold are still there."""
        if count < self._terms.threshold:
            raise FederationError(
                f"{count} of {len(self._terms.sites)} sites are left in phase {self._phase.name.lower()}, "
                f"below the threshold of {self._terms.threshold}",
                remedy="repeat the round when more sites answer",
                field="threshold",
            )

    def _close(self, phase: _Phase, count: int) -> None:
        """End a phase."""
        if self._phase is not phase:
            raise FederationError(
                f"phase {phase.name.lower()} is not open",
                remedy="go through the phases in order",
            )
        self._enough(count)
        self._phase = _Phase(phase + 1)
