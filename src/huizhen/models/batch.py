"""What a network is given: cases as bags of images and rows of covariates, any of them absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesions:
    """Where the lesion lies in each image of a bag, for training alone; never an input.

    `mask` (n, 1, S, S) in [0, 1]; `outlined` (n,) bool: which images have a mask at all.
    """

    mask: Tensor
    outlined: Tensor

    def thinned(self, keep: Tensor) -> Lesions:
        """Return only those of the images that `keep` (n,) bool says."""
        return Lesions(mask=self.mask[keep], outlined=self.outlined[keep])


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What an image's encoder tokens become before the network sees them: times `factor`, plus `offset`.

    Both (k, D); `row` (n,) says which of the k each of the n images has: of its site, or of its patient.
    `reduced`: then they become components, where the study asks for these.
    """

    factor: Tensor
    offset: Tensor
    row: Tensor
    reduced: Reduced | None = None

    def of(self, tokens: Tensor) -> Tensor:
        """Return tokens (n, T, D) moved, or (n, T, K) reduced to components."""
        found = tokens * self.factor[self.row][:, None] + self.offset[self.row][:, None]
        return found if self.reduced is None else self.reduced.of(found)

    def thinned(self, keep: Tensor) -> Moved:
        """Return it for only those of the images that `keep` (n,) bool says."""
        return replace(self, row=self.row[keep], reduced=self.reduced and self.reduced.thinned(keep))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Components of tokens: times `axes` (D, K), plus `constant` (K,), and then `moved` once more."""

    axes: Tensor
    constant: Tensor
    moved: Moved

    def of(self, tokens: Tensor) -> Tensor:
        """Return the components (n, T, K) of tokens (n, T, D)."""
        return self.moved.of(tokens @ self.axes + self.constant)

    def thinned(self, keep: Tensor) -> Reduced:
        """Return it for only those of the images that `keep` (n,) bool says."""
        return replace(self, moved=self.moved.thinned(keep))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """The images of one modality in a batch of B cases, without padding.

    `payload` (n, C, S, S) uint8 pixels or (n, T, D) encoder tokens; `case` (n,) rows 0..B-1, ascending;
    `slot` (n,) place within the case's bag; `width` the largest bag. `lesions` where training draws them.
    """

    payload: Tensor
    case: Tensor
    slot: Tensor
    width: int
    lesions: Lesions | None = None
    moved: Moved | None = None
    """Where features are harmonised between sites."""

    def harmonised(self, tokens: Tensor) -> Tensor:
        """Return encoder tokens (n, T, D) as they are between sites; unchanged without harmonisation.

        Components (n, 1, K) are each image's patient's mean: that is what was aligned. How the places of an
        image or the images of a patient scatter about it tells the site, as its number of images does.
        """
        if self.moved is None:
            return tokens
        found = self.moved.of(tokens)
        return found if self.moved.reduced is None else self._patient_means(found)

    def _patient_means(self, tokens: Tensor) -> Tensor:
        """Return tokens (n, T, K) as the mean over all of the case's images (n, 1, K)."""
        each = tokens.mean(1)  # (n, K)
        cases = int(self.case.max()) + 1 if len(self.case) else 0
        sums = each.new_zeros(cases, each.shape[1]).index_add(0, self.case, each)
        counts = torch.bincount(self.case, minlength=cases).to(each.dtype)
        return (sums / counts.clamp(min=1)[:, None])[self.case][:, None]

    def thinned(self, keep: Tensor) -> Bag:
        """Return the bag with only the images that `keep` (n,) bool says."""
        case = self.case[keep]
        first = torch.searchsorted(case, case)  # cases ascend: where each image's case begins
        slot = torch.arange(len(case)) - first
        return Bag(
            payload=self.payload[keep],
            case=case,
            slot=slot,
            width=int(slot.max()) + 1 if len(slot) else 1,
            lesions=None if self.lesions is None else self.lesions.thinned(keep),
            moved=None if self.moved is None else self.moved.thinned(keep),
        )

    def spread(self, tokens: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return `tokens` (n, T, D) as (B, width * T, D) and the mask (B, width * T) of what is there.

        Of components, which all images of a patient share, the first image's: how many there are isn't told.
        """
        _, length, depth = tokens.shape
        padded = tokens.new_zeros(batch, self.width, length, depth)
        padded[self.case, self.slot] = tokens
        there = torch.zeros(batch, self.width, dtype=torch.bool, device=tokens.device)
        there[self.case, self.slot] = (self.slot == 0) | (self.moved is None or self.moved.reduced is None)
        return padded.flatten(1, 2), there.repeat_interleave(length, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The covariates of one table modality: `values` (B, features), `there` (B, columns) bool."""

    values: Tensor
    there: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseBatch:
    """B cases. `present` (B, M) says which of the network's M modalities each case has."""

    bags: Mapping[str, Bag]
    rows: Mapping[str, Row]
    present: Tensor
    outcome: Tensor
    """(B,) float, 1 positive, 0 negative."""

    def __len__(self) -> int:
        """Return B."""
        return self.present.shape[0]

    def restricted(self, keep: Tensor) -> CaseBatch:
        """Return the batch with only the modalities that `keep` (M,) or (B, M) bool leaves present."""
        return replace(self, present=self.present & keep)
