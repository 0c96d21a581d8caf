"""What may cross a site's boundary: a closed union of typed messages.

A `Case` can't be expressed here: no message has a field for a patient, an image, a covariate or a path, and
arrays come out of a site with three kinds only: an update of weights, masked integers, and aggregates (sums,
counts, histograms). How a message travels is said in `huizhen.federate.frames`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from huizhen.errors import visible

MAX_HEADER = 4 * 2**20
"""Bytes of a message without its arrays."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Blob = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){0,4096}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]
Step = Annotated[int, Field(ge=0, le=10**6)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
Model = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:|+/-]{1,500}$")]


def printable(text: str) -> str:
    """Return up to 500 characters of `text` with nothing that a terminal obeys, or that turns directions.

    >>> print(printable("no\\n\\x1b[2J"))
    no \\u001b[2J
    """
    return visible(text.replace("\n", " ").replace("\t", " "))[:500]


def _is_printable(text: str) -> str:
    if text != printable(text):
        raise ValueError("characters that don't print")
    return text


Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_is_printable)]
STUDY_DOMAIN = "study"
"""The domain of the lead's signature on a study's digest."""
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
    signature: Signature
    purpose: Name
    sites: dict[Name, Hex32]
    """The public key of every site of the study; a secure sum is over these sites alone."""


class Plan(_Message):
    """What lead and sites must know alike before the first round, fixed from then on."""

    kind: Literal["plan"] = "plan"
    definition: Annotated[str, StringConstraints(max_length=MAX_HEADER // 2)]
    """How the columns of tables become numbers, from sums over sites, as canonical JSON."""


class Ask(_Message):
    """Ask for an aggregate: the statistic `query` of `subject`; the arrays are its parameters."""

    kind: Literal["ask"] = "ask"
    subject: Model
    query: Name
    step: Step
    secure: bool


class Train(_Message):
    """Train for one round from the weights in the arrays."""

    kind: Literal["train"] = "train"
    model: Model
    round: Step
    secure: bool


class Hold(_Message):
    """Give a site the finished weights of a model (in the arrays), to be asked about its own patients."""

    kind: Literal["hold"] = "hold"
    model: Model


class Label(_Message):
    """Have the annotators asked, for the query round `query`, about own cases that score at least `at`.

    Which cases, and how many, the site decides and keeps to itself.
    """

    kind: Literal["label"] = "label"
    model: Model
    query: Step
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    labelled: Number
    """The labels of all sites so far, which a site's floor is reckoned from."""


class Lock(_Message):
    """The models and thresholds are fixed: test patients may be scored, and nothing is trained again."""

    kind: Literal["lock"] = "lock"
    digest: Hex32
    """Of what was locked, as the lead's ledger has it."""


class Attest(_Message):
    """Ask for the head of the ledger that a site keeps of the study, its cohort committed to in it."""

    kind: Literal["attest"] = "attest"


class Summarise(_Message):
    """Tell how the site's tables stand against its policy, and which facts of [transfer] it checked."""

    kind: Literal["summarise"] = "summarise"


class Task(BaseModel):
    """What a secure sum is of: a round's changes of the model `name`, or the answers to a query."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    kind: Literal["train", "ask"]
    name: Model
    step: Step


class Coding(BaseModel):
    """How values become integers, as `huizhen.privacy.secure_aggregation.coding` says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    kind: Literal["fixed", "residues"]
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    scale: Annotated[int, Field(ge=1, le=2**31)] = 1
    max_weight: Annotated[int, Field(ge=1, le=2**31)] = 1
    sites: Annotated[int, Field(ge=1, le=2**16)] = 1


class Advertise(_Message):
    """Secure sum, phase 1: its terms; ask for fresh public keys. `number` grows from sum to sum."""

    kind: Literal["advertise"] = "advertise"
    task: Task
    number: Number
    attempt: Step
    sites: dict[Name, Hex32]
    threshold: Annotated[int, Field(ge=2, le=10_000)]
    length: Annotated[int, Field(ge=1, le=2**28)]
    coding: Coding


class Share(_Message):
    """Secure sum, phase 2: everybody's keys; ask for encrypted shares."""

    kind: Literal["share"] = "share"
    terms: Hex32
    roster: dict[Name, Keys]


class Deliver(_Message):
    """Secure sum, phase 3: the shares sealed for this site; ask for its masked input."""

    kind: Literal["deliver"] = "deliver"
    terms: Hex32
    boxes: dict[Name, Blob]


class Endorse(_Message):
    """Secure sum, phase 4: whose masked input arrived; ask for a signature on that."""

    kind: Literal["endorse"] = "endorse"
    terms: Hex32
    survivors: list[Name]


class Unmask(_Message):
    """Secure sum, phase 5: who signed; ask for the shares that take the masks off the sum."""

    kind: Literal["unmask"] = "unmask"
    terms: Hex32
    signatures: dict[Name, Signature]


class Finish(_Message):
    """Tell a site that the study's rounds are over, and the digest of the locked model."""

    kind: Literal["finish"] = "finish"
    model: Hex32


# From a site to the lead.


class Keys(BaseModel):
    """One site's two public keys for one secure sum, signed by the site's own key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    channel: Hex32
    mask: Hex32
    signature: Signature


class _Answer(_Message):
    answers: Hex32 = "0" * 64
    """The digest of the question's frame: an answer to another question is not accepted."""


class Accepted(_Answer):
    """A site takes part, with this version of huizhen."""

    kind: Literal["accepted"] = "accepted"
    role: Literal["development", "external"]
    version: Name
    alone: bool = False
    """Whether the policy lets the distribution of scores here leave by itself, in the clear."""


class Refusal(_Answer):
    """A site doesn't do what was asked, with the error's code and a reason that holds no patient's value."""

    kind: Literal["refusal"] = "refusal"
    code: Annotated[str, StringConstraints(pattern=r"^HZ[0-9]{2}$")]
    reason: Text
    accused: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")] = ""
    """Another site that is at fault by what this one got: whose sealed shares didn't open. Mostly empty."""


class Update(_Answer):
    """One round's change of the weights (in the arrays), over `patients` training patients."""

    kind: Literal["update"] = "update"
    model: Model
    round: Step
    patients: Count
    loss: Annotated[float, Field(allow_inf_nan=False)]


class Aggregate(_Answer):
    """Sums, counts or histograms, as words of 32 bits (in the arrays), that answer an `Ask`."""

    kind: Literal["aggregate"] = "aggregate"
    subject: Model
    query: Name
    step: Step


class Ready(_Answer):
    """What was asked for is done and waits for its secure sum: `length` numbers. Nothing of it left."""

    kind: Literal["ready"] = "ready"
    task: Task
    length: Annotated[int, Field(ge=1, le=2**28)]


class Advertised(_Answer):
    """Fresh public keys for one secure sum."""

    kind: Literal["advertised"] = "advertised"
    terms: Hex32
    keys: Keys


class Shared(_Answer):
    """Encrypted shares, one box for every other site, and a commitment to this site's own mask."""

    kind: Literal["shared"] = "shared"
    terms: Hex32
    commitment: Hex32
    boxes: dict[Name, Blob]


class Masked(_Answer):
    """A masked input: an array of integers modulo 2^32 that says nothing without the masks."""

    kind: Literal["masked"] = "masked"
    terms: Hex32


class Endorsed(_Answer):
    """A signature on whose masked input arrived."""

    kind: Literal["endorsed"] = "endorsed"
    terms: Hex32
    signature: Signature


class Unmasked(_Answer):
    """Shares of survivors' own masks and of dropped sites' keys; never both of one site."""

    kind: Literal["unmasked"] = "unmasked"
    terms: Hex32
    seeds: dict[Name, Blob]
    keys: dict[Name, Blob]


class Attested(_Answer):
    """The Merkle root over the first `size` entries of the ledger that the site keeps of the study."""

    kind: Literal["attested"] = "attested"
    root: Hex32
    size: Annotated[int, Field(ge=1, le=2**31)]


Chance = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class TableRisk(BaseModel):
    """How one table of a site stands against the site's own policy of disclosure: sizes and shares alone.

    `unique` and `share_above` are None where they would tell of fewer patients than may be shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    table: Annotated[int, Field(ge=0, le=999)]
    patients: Annotated[int, Field(ge=1, le=2**31)]
    smallest_class: Annotated[int, Field(ge=0, le=2**31)]
    average_risk: Chance
    share_above: Chance | None = None
    unique: Annotated[int, Field(ge=0, le=2**31)] | None = None
    quasi_identifiers: Annotated[int, Field(ge=1, le=999)]
    bounds_failed: Annotated[int, Field(ge=0, le=999)]
    recoded_class: Annotated[int, Field(ge=0, le=2**31)] | None = None


class Summary(_Answer):
    """A site's summary: its tables, or why there are none, and the facts of [transfer] that it checked.

    `signature` is by the site's own key over the rest (`huizhen.federate.summaries`).
    """

    kind: Literal["summary"] = "summary"
    standing: Literal["assessed", "no_policy", "no_table", "too_few"]
    tables: Annotated[tuple[TableRisk, ...], Field(max_length=100)] = ()
    checked: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    signature: Signature


class Done(_Answer):
    """A site holds the plan or the weights, has locked them, or has heard that the rounds are over."""

    kind: Literal["done"] = "done"


Inbound = (
    Invitation
    | Plan
    | Ask
    | Train
    | Hold
    | Label
    | Lock
    | Attest
    | Summarise
    | Advertise
    | Share
    | Deliver
    | Endorse
    | Unmask
    | Finish
)
Outbound = (
    Accepted
    | Refusal
    | Update
    | Aggregate
    | Ready
    | Advertised
    | Shared
    | Masked
    | Endorsed
    | Unmasked
    | Attested
    | Summary
    | Done
)
Message = Annotated[Inbound | Outbound, Field(discriminator="kind")]

Share.model_rebuild()
