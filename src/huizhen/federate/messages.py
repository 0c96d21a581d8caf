"""What may cross a site's boundary: a closed union of typed messages.

A `Case` can't be expressed here: no message has a field for a patient, an image, a covariate or a path, and
arrays come out of a site with three kinds only: an update of weights, masked integers, and aggregates (sums,
counts, histograms). How a message travels is said in `huizhen.federate.frames`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_HEADER = 4 * 2**20
"""Bytes of a message without its arrays."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Blob = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){0,4096}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]
Step = Annotated[int, Field(ge=0, le=10**6)]
Text = Annotated[str, StringConstraints(max_length=500)]
LEAD = "lead"
"""The study lead's name as a sender."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    study: Hex32
    sender: Name


# From the lead to a site.


class Invitation(_Message):
    """Ask a site to take part: the study as signed, without any path, and what will be asked of it."""

    kind: Literal["invitation"] = "invitation"
    definition: Annotated[str, StringConstraints(max_length=MAX_HEADER // 2)]
    """The study as canonical JSON; its digest is `study`."""
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
    purpose: Name


class Ask(_Message):
    """Ask for an aggregate: `query` names the statistic, the arrays are its parameters."""

    kind: Literal["ask"] = "ask"
    query: Name
    step: Step
    secure: bool
    attempt: Step = 0


class Train(_Message):
    """Train for one round from the weights in the arrays."""

    kind: Literal["train"] = "train"
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:|+-]{1,200}$")]
    round: Step
    attempt: Step
    secure: bool


class Advertise(_Message):
    """Secure aggregation, phase 1: ask for fresh public keys for one sum."""

    kind: Literal["advertise"] = "advertise"
    sum: Name
    attempt: Step


class Share(_Message):
    """Secure aggregation, phase 2: everybody's keys; ask for encrypted shares."""

    kind: Literal["share"] = "share"
    sum: Name
    attempt: Step
    threshold: Annotated[int, Field(ge=1, le=10_000)]
    keys: dict[Name, Advert]


class Deliver(_Message):
    """Secure aggregation, phase 3: the shares sent to this site; ask for its masked input."""

    kind: Literal["deliver"] = "deliver"
    sum: Name
    attempt: Step
    shares: dict[Name, Blob]


class Reveal(_Message):
    """Secure aggregation, phase 4: who answered, and who signed that; ask for shares of the masks."""

    kind: Literal["reveal"] = "reveal"
    sum: Name
    attempt: Step
    survivors: list[Name]
    signatures: dict[Name, Blob]


class Confirm(_Message):
    """Secure aggregation, between 3 and 4: who answered; ask for a signature over that."""

    kind: Literal["confirm"] = "confirm"
    sum: Name
    attempt: Step
    survivors: list[Name]


class Finish(_Message):
    """Tell a site that the study's rounds are over, and the digest of the locked model."""

    kind: Literal["finish"] = "finish"
    model: Hex32


# From a site to the lead.


class Advert(BaseModel):
    """One site's two public keys for one sum, signed by the site's own key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    cipher: Hex32
    mask: Hex32
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Accepted(_Message):
    """A site takes part. `patients` is rounded down to the policy's smallest count."""

    kind: Literal["accepted"] = "accepted"
    role: Literal["development", "external"]
    version: Name


class Refusal(_Message):
    """A site doesn't do what was asked, with the error's code and a reason that holds no patient's value."""

    kind: Literal["refusal"] = "refusal"
    code: Annotated[str, StringConstraints(pattern=r"^HZ[0-9]{2}$")]
    reason: Text


class Update(_Message):
    """One round's change of the weights (in the arrays), over `patients` training patients."""

    kind: Literal["update"] = "update"
    round: Step
    patients: Count
    loss: Annotated[float, Field(allow_inf_nan=False)]


class Aggregate(_Message):
    """Sums, counts or histograms (in the arrays) that answer an `Ask`."""

    kind: Literal["aggregate"] = "aggregate"
    query: Name
    step: Step


class Advertised(_Message):
    """Fresh public keys for one sum."""

    kind: Literal["advertised"] = "advertised"
    sum: Name
    attempt: Step
    keys: Advert


class Shared(_Message):
    """Encrypted shares, one for every other site."""

    kind: Literal["shared"] = "shared"
    sum: Name
    attempt: Step
    shares: dict[Name, Blob]


class Masked(_Message):
    """A masked input: one array of integers modulo 2^32 that says nothing without the masks."""

    kind: Literal["masked"] = "masked"
    sum: Name
    attempt: Step


class Confirmed(_Message):
    """A signature over who answered."""

    kind: Literal["confirmed"] = "confirmed"
    sum: Name
    attempt: Step
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Revealed(_Message):
    """Shares of survivors' own masks and of dropped sites' keys; never both of one site."""

    kind: Literal["revealed"] = "revealed"
    sum: Name
    attempt: Step
    own: dict[Name, Blob]
    dropped: dict[Name, Blob]


class Done(_Message):
    """A site has heard that the rounds are over."""

    kind: Literal["done"] = "done"


Inbound = Invitation | Ask | Train | Advertise | Share | Deliver | Confirm | Reveal | Finish
Outbound = (
    Accepted | Refusal | Update | Aggregate | Advertised | Shared | Masked | Confirmed | Revealed | Done
)
Message = Annotated[Inbound | Outbound, Field(discriminator="kind")]

for _model in (Share, Advertised):
    _model.model_rebuild()
