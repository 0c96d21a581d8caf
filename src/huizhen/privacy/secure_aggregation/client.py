"""A site in one round: five steps in order, each taken once.

A `Client` makes its keys, keeps them in memory only, and refuses to use them a second time. Methods check
all that arrives before anything changes; a message that is refused may be followed by a good one, except
after masking has begun.

    client = Client(terms=terms, name="north", key=signing_key)
    client.advertise() -> Advert
    client.share(roster) -> SealedShares
    client.mask(delivery, encoded) -> MaskedInput
    client.endorse(survivors) -> Endorsement
    client.unmask(endorsements) -> Unmasking
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.checks import (
    KEYS_DOMAIN,
    SURVIVORS_DOMAIN,
    check_advert,
    check_bytes,
    check_names,
    check_pairs,
    check_signature,
    check_terms,
    refuse,
)
from huizhen.privacy.secure_aggregation.coding import Encoded
from huizhen.privacy.secure_aggregation.field import SECRET_BYTES, SHARE_BYTES, split
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
    Unmasking,
)
from huizhen.privacy.secure_aggregation.keys import (
    TAG_BYTES,
    agree,
    commitment,
    new_key,
    open_box,
    own_mask,
    pair_mask,
    public_of,
    raw_of,
    seal,
)
from huizhen.privacy.secure_aggregation.masks import Mask, apply_masks

__all__ = ["Client"]

BOX_BYTES = 2 * SHARE_BYTES + TAG_BYTES


class _Step(IntEnum):
    ADVERTISE, SHARE, MASK, ENDORSE, UNMASK, DONE = range(6)


@final
class Client:
    """The site `name` under `terms`; `key` signs, and its public half is the one that the terms name.

    Raises `InvalidInputError` when the terms don't know the site or name another key.
    """

    def __init__(self, *, terms: Terms, name: str, key: SigningKey) -> None:
        if name not in terms.names or terms.key_of(name) != key.public:
            raise InvalidInputError(
                f"the terms don't name {name} with this key", remedy="join the study with the site's own key"
            )
        self._terms, self._name, self._key = terms, name, key
        self._channel, self._mask_key = new_key(), new_key()
        self._seed = secrets.token_bytes(SECRET_BYTES)
        self._step = _Step.ADVERTISE
        self._peers: dict[str, Advert] = {}
        self._secrets: dict[str, bytes] = {}
        self._shares: dict[str, tuple[bytes, bytes]] = {}
        self._survivors: tuple[str, ...] = ()
        self.accused = ""
        """The site whose box didn't open; empty when all did."""

    def _expect(self, step: _Step) -> None:
        """Refuse a step that was taken already or is not yet due. Raises `PrivacyError`."""
        if self._step is not step:
            raise PrivacyError(
                f"{self._name} was asked to {step.name.lower()} when it should {self._step.name.lower()}",
                remedy="start a new attempt of the round: keys of a round are used once, in order",
                field="round",
            )

    def advertise(self) -> Advert:
        """Return this round's public keys, signed."""
        self._expect(_Step.ADVERTISE)
        channel, mask = public_of(self._channel), public_of(self._mask_key)
        payload = self._terms.signed_keys(self._name, channel, mask)
        signature = bytes.fromhex(self._key.sign(KEYS_DOMAIN, payload))
        self._step = _Step.SHARE
        return Advert(
            terms=self._terms.digest,
            site=self._name,
            channel_key=channel,
            mask_key=mask,
            signature=signature,
        )

    def share(self, roster: Roster) -> SealedShares:
        """Return shares of the mask key and of the self-mask's seed, sealed for each other site."""
        self._expect(_Step.SHARE)
        peers = self._checked_roster(roster)
        terms, places = self._terms, {name: self._terms.place(name) for name in (*peers, self._name)}
        pair_secrets = {name: agree(self._channel, advert.channel_key) for name, advert in peers.items()}
        keys = split(raw_of(self._mask_key), list(places.values()), terms.threshold)
        seeds = split(self._seed, list(places.values()), terms.threshold)
        content = {name: keys[place] + seeds[place] for name, place in places.items()}
        boxes = tuple(
            (name, seal(pair_secrets[name], terms, self._name, name, content[name])) for name in sorted(peers)
        )
        self._peers, self._secrets = peers, pair_secrets
        self._shares[self._name] = _halves(content[self._name])
        self._step = _Step.MASK
        return SealedShares(
            terms=terms.digest,
            site=self._name,
            commitment=commitment(self._seed, terms, self._name),
            boxes=boxes,
        )

    def _checked_roster(self, roster: Roster) -> dict[str, Advert]:
        """Return the others' adverts by name, or raise `MessageError`."""
        check_terms(self._terms, roster.terms)
        check_names((advert.site for advert in roster.adverts), self._terms.names, "roster")
        if len(roster.adverts) < self._terms.threshold:
            refuse(f"names fewer than {self._terms.threshold} sites", "roster")
        keys = [key for advert in roster.adverts for key in (advert.channel_key, advert.mask_key)]
        if len(set(keys)) != len(keys):
            refuse("holds one key twice", "roster")
        own = (public_of(self._channel), public_of(self._mask_key))
        peers = {advert.site: advert for advert in roster.adverts}
        mine = peers.pop(self._name, None)
        if mine is None or (mine.channel_key, mine.mask_key) != own:
            refuse("lacks this site's own keys", "roster")
        for advert in peers.values():
            check_advert(self._terms, advert)
        return peers

    def mask(
        self, delivery: Delivery, update: Encoded, *, out: NDArray[np.uint32] | None = None
    ) -> MaskedInput:
        """Return the update under the masks shared with every site that delivered shares, and its own.

        `out` (terms.length,) uint32 is written into when given. Raises `InvalidInputError` on an update of
        another length or coding, or with NaN or infinity: this round's keys are spent then.
        """
        self._expect(_Step.MASK)
        terms = self._terms
        vector = np.empty(terms.length, np.uint32) if out is None else out
        if update.length != terms.length or update.coding != terms.coding or vector.shape != (terms.length,):
            raise InvalidInputError(
                f"an update of {update.length} elements for a round of {terms.length}, or of another coding",
                remedy="train the study's network, and encode with the terms' coding",
            )
        shares = self._opened(delivery)
        masks = [self._mask_towards(name) for name in shares]
        self._shares |= shares
        self._step = _Step.ENDORSE
        apply_masks(vector, [*masks, own_mask(self._seed, terms, self._name)], first=update)
        return MaskedInput(terms=terms.digest, site=self._name, vector=vector)

    def _mask_towards(self, name: str) -> Mask:
        """Return the mask shared with one other site."""
        secret = agree(self._mask_key, self._peers[name].mask_key)
        return pair_mask(secret, self._terms, self._name, name)

    def _opened(self, delivery: Delivery) -> dict[str, tuple[bytes, bytes]]:
        """Return the shares (mask key, seed) that each other site sent, or raise `MessageError`."""
        check_terms(self._terms, delivery.terms)
        check_names([delivery.site], [self._name], "site")
        check_pairs(delivery.boxes, self._peers, BOX_BYTES, "boxes")
        if len(delivery.boxes) + 1 < self._terms.threshold:
            refuse(f"comes from fewer than {self._terms.threshold} sites", "boxes")
        shares = {}
        for name, box in delivery.boxes:
            self.accused = name
            content = open_box(self._secrets[name], self._terms, name, self._name, box)
            check_bytes(content, 2 * SHARE_BYTES, "boxes")
            shares[name] = _halves(content)
        self.accused = ""
        return shares

    def endorse(self, survivors: Survivors) -> Endorsement:
        """Return a signature on the one list of survivors that this site will help to unmask."""
        self._expect(_Step.ENDORSE)
        check_terms(self._terms, survivors.terms)
        check_names(survivors.sites, self._shares, "survivors")
        names = tuple(sorted(survivors.sites))
        if len(names) < self._terms.threshold or self._name not in names:
            refuse(f"lacks this site, or names fewer than {self._terms.threshold}", "survivors")
        signature = self._key.sign(SURVIVORS_DOMAIN, self._terms.signed_survivors(names))
        self._survivors = names
        self._step = _Step.UNMASK
        return Endorsement(terms=self._terms.digest, site=self._name, signature=bytes.fromhex(signature))

    def unmask(self, endorsements: Endorsements) -> Unmasking:
        """Return, of each site, a share of its seed (survivors) or of its mask key (dropped), never both.

        Raises `MessageError` unless at least the threshold of survivors signed the same list.
        """
        self._expect(_Step.UNMASK)
        check_terms(self._terms, endorsements.terms)
        check_pairs(endorsements.signatures, self._survivors, 64, "signatures")
        if len(endorsements.signatures) < self._terms.threshold:
            refuse(f"come from fewer than {self._terms.threshold} survivors", "signatures")
        payload = self._terms.signed_survivors(self._survivors)
        for name, signature in endorsements.signatures:
            check_signature(self._terms, name, SURVIVORS_DOMAIN, payload, signature)
        dropped = sorted(set(self._shares) - set(self._survivors))
        shares, self._shares, self._secrets, self._seed = self._shares, {}, {}, b""
        self._step = _Step.DONE
        return Unmasking(
            terms=self._terms.digest,
            site=self._name,
            seed_shares=tuple((name, shares[name][1]) for name in self._survivors),
            key_shares=tuple((name, shares[name][0]) for name in dropped),
        )


def _halves(content: bytes) -> tuple[bytes, bytes]:
    """Return the shares of mask key and seed that a box holds."""
    return content[:SHARE_BYTES], content[SHARE_BYTES:]
