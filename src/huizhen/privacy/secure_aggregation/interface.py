"""A round's terms and the messages of its phases: frozen, and of plain fields only.

Every message carries the digest of the terms (study, round, attempt, sites and their keys, threshold,
coding), so that one made for another round, study or set of sites is refused. Phases, after Bonawitz et al.,
Practical secure aggregation for privacy-preserving machine learning, CCS 2017, figure 4:

    site                                      lead
    Advert           two public keys    ->    Roster           everybody's, signed by each
    SealedShares     of two secrets     ->    Delivery         what others sealed for this site
    MaskedInput      the update, masked ->    Survivors        whose masked input arrived
    Endorsement      signs that list    ->    Endorsements     of at least the threshold
    Unmasking        one share a site   ->    (the sum)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest, canonical_json, digest_value
from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.ledger.signing import PublicKey
from huizhen.privacy.secure_aggregation.coding import Coding

__all__ = [
    "Advert",
    "Delivery",
    "Endorsement",
    "Endorsements",
    "MaskedInput",
    "Roster",
    "SealedShares",
    "Survivors",
    "Terms",
    "Total",
    "Unmasking",
]

PROTOCOL: Final = "huizhen-secure-aggregation/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all sites and the lead agree on before a round.

    `study`: the signed study's digest. `round_number` from 0; `attempt` counts repetitions of a round that
    failed, so that nothing of one is taken for another. `sites`: each one's name and signing key, by name.
    `threshold`: how many must stay to the end. `length`: elements of the masked vector.
    Raises `InvalidInputError` on terms that don't fit together, `PrivacyError` on a threshold of which two
    disjoint groups of sites could be shown different lists of survivors (2 threshold <= sites).
    """

    study: Digest
    round_number: int
    attempt: int = 0
    sites: tuple[tuple[str, PublicKey], ...]
    threshold: int
    length: int
    coding: Coding
    digest: bytes = field(init=False)
    """32 bytes over everything above."""
    names: tuple[str, ...] = field(init=False)
    """The sites' names, sorted."""

    def __post_init__(self) -> None:
        names = tuple(name for name, _ in self.sites)
        if list(names) != sorted(set(names)) or len({key.hex for _, key in self.sites}) != len(names):
            raise InvalidInputError(
                "sites are not sorted, or two have one name or one key", remedy="give each site its own key"
            )
        if self.round_number < 0 or self.attempt < 0 or self.length < 1:
            raise InvalidInputError("a round, attempt or length is below its least", remedy="count from zero")
        if not self.coding.fits(len(names)):
            raise InvalidInputError(
                f"the sum over {len(names)} sites could pass 32 bits", remedy="use FixedPoint.finest"
            )
        if not len(names) < 2 * self.threshold <= 2 * len(names) or self.threshold < 2:
            raise PrivacyError(
                f"a threshold of {self.threshold} of {len(names)} sites protects nobody",
                remedy="take at least two sites, and a threshold above half of them",
                field="threshold",
            )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "digest", bytes.fromhex(digest_value(self._to_json())))

    def _to_json(self) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "study": self.study,
            "round": self.round_number,
            "attempt": self.attempt,
            "sites": [[name, key.hex] for name, key in self.sites],
            "threshold": self.threshold,
            "length": self.length,
            "coding": self.coding.to_json(),
        }

    @staticmethod
    def usual_threshold(sites: int) -> int:
        """Return the threshold that lets a third of the sites drop out.

        >>> [Terms.usual_threshold(n) for n in (2, 3, 6, 10)]
        [2, 2, 4, 7]
        """
        return sites - sites // 3

    def place(self, name: str) -> int:
        """Return where a site's shares stand on the polynomial: 1 for the first name."""
        return self.names.index(name) + 1

    def key_of(self, name: str) -> PublicKey:
        """Return a site's signing key."""
        return dict(self.sites)[name]

    def signed_keys(self, name: str, channel_key: bytes, mask_key: bytes) -> bytes:
        """Return what a site signs to advertise its keys."""
        return canonical_json(
            {
                "terms": self.digest.hex(),
                "study": self.study,
                "round": self.round_number,
                "attempt": self.attempt,
                "site": name,
                "channel_key": channel_key.hex(),
                "mask_key": mask_key.hex(),
            }
        )

    def signed_survivors(self, survivors: tuple[str, ...]) -> bytes:
        """Return what a site signs to endorse a list of survivors."""
        return canonical_json({"terms": self.digest.hex(), "survivors": list(survivors)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """A site's two X25519 public keys (32 bytes each) for one round, under its Ed25519 `signature` (64)."""

    terms: bytes
    site: str
    channel_key: bytes
    mask_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The adverts of all sites that take part."""

    terms: bytes
    adverts: tuple[Advert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedShares:
    """A site's shares, a sealed box for each other site by name; `commitment` is to its self-mask's seed."""

    terms: bytes
    site: str
    commitment: bytes
    boxes: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The boxes that others sealed for `site`, by sender."""

    terms: bytes
    site: str
    boxes: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskedInput:
    """A site's masked `vector` (terms.length,) uint32."""

    terms: bytes
    site: str
    vector: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivors:
    """The sites whose masked input is in the sum, sorted."""

    terms: bytes
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """A site's signature (64 bytes) on the survivors that it was shown."""

    terms: bytes
    site: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsements:
    """The signatures of at least the threshold of survivors on one list, by site."""

    terms: bytes
    signatures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasking:
    """A site's shares (33 bytes): of the self-mask seed of each survivor, of the mask key of each dropped."""

    terms: bytes
    site: str
    seed_shares: tuple[tuple[str, bytes], ...]
    key_shares: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Total:
    """What a round gives: the `vector` (terms.length,) summed over the sites `survivors`."""

    vector: NDArray[np.uint32]
    survivors: tuple[str, ...]
