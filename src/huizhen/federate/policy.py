"""A site's policy: what may be asked of the site, enforced there before any data is read.

The file `policy.toml` is the site's own. What it doesn't allow is refused with a reason that the study lead
may see; the site goes on serving other studies.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from huizhen.core.toml_file import read_toml
from huizhen.core.toml_problem import problem_in
from huizhen.errors import PolicyError, StorageError

POLICY = "policy.toml"
_ANY = "*"


class Hours(BaseModel):
    """When the site works: days from 0 (Monday) to 6, and local times; `until` is not included."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    days: Annotated[tuple[Annotated[int, Field(ge=0, le=6)], ...], Field(min_length=1)] = tuple(range(7))
    """0 is Monday."""
    start: time = time(0)
    """From when on, in the site's local time."""
    until: time = time(23, 59, 59)
    """Until when; not included. Before `start`: of the next day."""

    def hold(self, moment: datetime) -> bool:
        """Tell whether `moment` (the site's local time) lies within the hours; they may pass midnight."""
        clock = moment.time()
        if self.start <= self.until:
            return moment.weekday() in self.days and self.start <= clock < self.until
        if clock >= self.start:
            return moment.weekday() in self.days
        return (moment.weekday() - 1) % 7 in self.days and clock < self.until


class SitePolicy(BaseModel):
    """What a site allows. By default updates leave under secure aggregation only, and of the site alone no
    count below five, but for the distribution of the locked model's scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    signers: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    """Public keys of study leads that are accepted; nobody's when empty."""
    studies: tuple[str, ...] = (_ANY,)
    """Study names that are accepted, as shell patterns."""
    purposes: tuple[str, ...] = ("research",)
    """What a study may be for."""
    minimum_cohort: Annotated[int, Field(ge=1)] = 10
    """Fewer training patients than this, and the site doesn't train: an update would say much of each."""
    smallest_count: Annotated[int, Field(ge=1)] = 5
    """An answer with a count from one to below this doesn't leave in the clear: it is refused."""
    maximum_epsilon: Annotated[float, Field(gt=0)] | None = None
    """Privacy loss per patient over all studies; None sets no bound and demands no differential privacy."""
    maximum_delta: Annotated[float, Field(gt=0, le=1e-3)] = 1e-5
    """The probability with which `maximum_epsilon` may fail; a study may ask for no more."""
    unlearning_epsilon: Annotated[float, Field(gt=0)] | None = None
    """How far a model may be from one that this site's withdrawn patients didn't train, for that to count as
    approximate unlearning; the smaller of this and the study's bound holds. None: the study's alone."""
    plain_updates: bool = False
    """Whether an update may leave without secure aggregation."""
    plain_aggregates: bool = True
    """Whether an answer of this site alone may leave, if no count in it is below `smallest_count`."""
    heatmap_sums: bool = True
    """Whether sums over patients of how well heatmaps point at lesions may leave; the maps never do."""
    category_names: bool = True
    """Whether the names of a table's categories may leave, in sums and only of those that at least
    `smallest_count` patients of all sites together have."""
    minimum_sites: Annotated[int, Field(ge=2)] | None = None
    """A secure sum over fewer sites, or with fewer left at its end, is refused: of two, each can tell the
    other's numbers. None: three, or two in a study with two sites of this one's role."""
    partners: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    """Public keys of sites that sums may be shared with. Empty: any that the lead names at first;
    one that lies could name sites that it invented."""
    score_histograms: bool = True
    """Whether the distribution of the models' scores here, by outcome, may leave for validation: of all
    tested patients, and of each group that the study names with `smallest_count` of them or more."""
    maximum_labels: Annotated[int, Field(ge=0)] | None = None
    """Cases that a study may ask this site's readers about, over all its query rounds; None sets no bound."""
    messages: tuple[str, ...] = (_ANY,)
    """Kinds of message that may leave, as shell patterns."""
    layers: tuple[str, ...] = (_ANY,)
    """Weights that may leave, by name, as shell patterns."""
    hours: Hours = Hours()
    """When the site answers; outside it refuses."""
    approval: bool = False
    """Whether a person at the site must approve each study first (`huizhen site approve`)."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        for name in ("studies", "purposes", "messages", "layers"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty: nothing would be allowed")
        return self

    def admit(self, *, study: str, signer: str, purpose: str, approved: bool) -> None:
        """Check that a study may come in: its name, its lead's public key, its purpose, a person's approval.

        Raises `PolicyError`.
        """
        if signer not in self.signers:
            raise refusal("signers", "this site doesn't know the lead who signed the study")
        if not _matches(study, self.studies):
            raise refusal("studies", f"the study {study} isn't accepted here")
        if purpose not in self.purposes:
            raise refusal("purposes", f"the purpose {purpose} isn't accepted here")
        if self.approval and not approved:
            raise refusal("approval", "a person at the site must approve this study first")

    def at_work(self, moment: datetime) -> None:
        """Check the working hours. Raises `PolicyError`."""
        if not self.hours.hold(moment):
            raise refusal("hours", "the site doesn't work at this hour")

    def train(self, *, patients: int, secure: bool) -> None:
        """Check that an update over `patients` may be made. Raises `PolicyError`."""
        if patients < self.minimum_cohort:
            raise refusal("minimum_cohort", "the site has too few training patients")
        if not secure and not self.plain_updates:
            raise refusal("plain_updates", "updates leave this site under secure aggregation only")

    def least_sites(self, of: int) -> int:
        """Return how many sites a secure sum must have, where the study has `of` sites of this one's role."""
        return self.minimum_sites or min(3, max(2, of))

    def join(self, sites: Collection[str], *, own: str, of: int) -> None:
        """Check the public keys of the sites that a secure sum is over. Raises `PolicyError`."""
        if len(sites) < self.least_sites(of):
            raise refusal("minimum_sites", f"a secure sum over {len(sites)} sites protects too little")
        if self.partners and not set(sites) <= {own, *self.partners}:
            raise refusal("partners", "a secure sum with a site that isn't accepted here")

    def survive(self, sites: int, *, of: int) -> None:
        """Check how many sites are left at the end of a secure sum. Raises `PolicyError`."""
        if sites < self.least_sites(of):
            raise refusal("minimum_sites", f"a secure sum with {sites} sites left protects too little")

    def spend(self, epsilon: float | None, delta: float = 0.0) -> None:
        """Check the privacy loss that a study asks for; an epsilon of None is no differential privacy.

        Raises `PolicyError`.
        """
        if self.maximum_epsilon is None:
            return
        if epsilon is None:
            raise refusal("maximum_epsilon", "this site demands differential privacy")
        if epsilon > self.maximum_epsilon:
            raise refusal("maximum_epsilon", f"epsilon {epsilon:g} is over {self.maximum_epsilon:g}")
        if delta > self.maximum_delta:
            raise refusal("maximum_delta", f"delta {delta:g} is over {self.maximum_delta:g}")

    def tell_heat(self) -> None:
        """Check that sums about heatmaps may leave. Raises `PolicyError`."""
        if not self.heatmap_sums:
            raise refusal("heatmap_sums", "sums about heatmaps don't leave this site")

    def name_levels(self, *, smallest: int) -> None:
        """Check that a study may find the levels of columns which `smallest` patients have at least.

        Raises `PolicyError`.
        """
        if not self.category_names:
            raise refusal("category_names", "names of categories don't leave this site")
        if smallest < self.smallest_count:
            raise refusal("smallest_count", f"levels of {smallest} patients are too few to be named here")

    def release(self, kind: str, layers: tuple[str, ...] = ()) -> None:
        """Check that a message of `kind` with the weights `layers` may leave. Raises `PolicyError`."""
        if not _matches(kind, self.messages):
            raise refusal("messages", f"messages of kind {kind} don't leave this site")
        for name in layers:
            if not _matches(name, self.layers):
                raise refusal("layers", f"the weights {name} don't leave this site")


def load_policy(folder: Path) -> SitePolicy:
    """Return the policy in a site's folder. Raises `PolicyError` that names file and field."""
    path = folder / POLICY

    def wrong(error: ValidationError) -> PolicyError:
        told = problem_in(error, SitePolicy, remedy="see docs/reference/site-policy.md for every field")
        return PolicyError(
            f"{told.reason} ({error.error_count()} problems in all)",
            remedy=told.remedy,
            field=told.field or None,
            file=str(path),
        )

    try:
        return read_toml(path, SitePolicy, wrong=wrong, unreadable=StorageError)
    except StorageError as error:  # the lead is told the message alone, so that it says of what it is
        raise PolicyError(
            f"the site's policy {error.message}", remedy="restore it or write a new one", file=str(path)
        ) from error


def refusal(field: str, reason: str) -> PolicyError:
    """Return the error of a policy's `field`."""
    return PolicyError(
        reason,
        remedy=f"the site's officer may change {field} in {POLICY}, or the study asks for less",
        field=field,
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
