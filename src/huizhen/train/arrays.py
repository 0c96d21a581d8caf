"""Case data in arrays: what the training loop draws batches from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.models.batch import Bag, CaseBatch, Lesions, Moved, Reduced, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmonised:
    """What features of n cases become: case i's times `factor[row[i]]` (k, D), plus `offset[row[i]]`.

    `reduced`: then they become components, where the study asks for these.
    """

    factor: NDArray[np.float32]
    offset: NDArray[np.float32]
    row: NDArray[np.int64]
    reduced: HarmonisedComponents | None = None

    def of(self, case: NDArray[np.int64]) -> Moved:
        """Return what each image's features are moved by, from the case (n,) that it is of."""
        kept, row = np.unique(self.row[case], return_inverse=True)
        return Moved(
            factor=torch.from_numpy(self.factor[kept]),
            offset=torch.from_numpy(self.offset[kept]),
            row=torch.from_numpy(row.astype(np.int64)),
            reduced=None if self.reduced is None else self.reduced.of(case),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonisedComponents:
    """Components of moved features: times `axes` (D, K), plus `constant` (K,), and then `moved` once more."""

    axes: NDArray[np.float32]
    constant: NDArray[np.float32]
    moved: Harmonised

    def of(self, case: NDArray[np.int64]) -> Reduced:
        """Return what makes components of each image's features, from the case (n,) that it is of."""
        return Reduced(
            axes=torch.from_numpy(self.axes),
            constant=torch.from_numpy(self.constant),
            moved=self.moved.of(case),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageColumn:
    """One image modality of n cases: case i's images are `where[offsets[i]:offsets[i + 1]]`.

    `where` holds rows of `payload`, which is (N, C, S, S) uint8 pixels, or (N, K, T, D) float16 features of
    K copies (the first is the plain image, the others augmented); it may be a memory map. `masks` (N, S, S)
    bool are lesion masks, of the images that `has_mask` (N,) says: drawn for training alone, and with pixels.
    """

    payload: NDArray[Any]
    where: NDArray[np.int64]
    offsets: NDArray[np.int64]
    features: bool
    masks: NDArray[np.bool_] | None = None
    has_mask: NDArray[np.bool_] | None = None
    harmonised: Harmonised | None = None

    def rows(
        self, cases: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (rows of payload, batch position of each, slot of each) for `cases`, in order."""
        counts = self.offsets[cases + 1] - self.offsets[cases]
        position = np.repeat(np.arange(len(cases)), counts)
        slot = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.where[self.offsets[cases][position] + slot], position, slot

    def bag(self, cases: NDArray[np.int64], rng: np.random.Generator | None) -> Bag:
        """Return the bag of `cases`; with `rng`, for training: with lesion masks where there are any, and
        features from a random augmented copy per image."""
        rows, position, slot = self.rows(cases)
        if self.features:
            copies = self.payload.shape[1]
            copy = np.zeros(len(rows), int) if rng is None else rng.integers(copies, size=len(rows))
            found = self.payload[rows, copy]
        else:
            found = self.payload[rows]
        return Bag(
            payload=torch.from_numpy(np.ascontiguousarray(found)),
            case=torch.from_numpy(position),
            slot=torch.from_numpy(slot),
            width=int(slot.max(initial=0)) + 1,
            lesions=None if rng is None or self.features else self._lesions(rows),
            moved=None if self.harmonised is None else self.harmonised.of(cases[position]),
        )

    def _lesions(self, rows: NDArray[np.int64]) -> Lesions | None:
        """Return the lesion masks of `rows` of the payload; None when no image of the column has one."""
        if self.masks is None or self.has_mask is None:
            return None
        return Lesions(
            mask=torch.from_numpy(self.masks[rows][:, None].astype(np.float32)),
            outlined=torch.from_numpy(self.has_mask[rows]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One table modality of n cases: encoded `values` (n, features) and `there` (n, columns)."""

    values: NDArray[np.float32]
    there: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseData:
    """n cases: their payloads, presence (n, M) in the order of `names`, and outcome (n,)."""

    names: tuple[str, ...]
    images: Mapping[str, ImageColumn]
    tables: Mapping[str, TableColumn]
    present: NDArray[np.bool_]
    outcome: NDArray[np.float32]

    def __len__(self) -> int:
        """Return n."""
        return len(self.outcome)

    def batch(
        self, cases: NDArray[np.int64], names: Sequence[str], rng: np.random.Generator | None = None
    ) -> CaseBatch:
        """Return `cases` with the modalities `names`; `rng` draws augmented copies of features."""
        return CaseBatch(
            bags={name: self.images[name].bag(cases, rng) for name in names if name in self.images},
            rows={
                name: Row(
                    values=torch.from_numpy(self.tables[name].values[cases]),
                    there=torch.from_numpy(self.tables[name].there[cases]),
                )
                for name in names
                if name in self.tables
            },
            present=torch.from_numpy(self.present[cases][:, self.places(names)]),
            outcome=torch.from_numpy(self.outcome[cases]),
        )

    def answerable(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,): which cases have at least one of the modalities `names`."""
        return np.asarray(self.present[:, self.places(names)].any(1))

    def complete(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,): which cases have all of the modalities `names`."""
        return np.asarray(self.present[:, self.places(names)].all(1))

    def places(self, names: Sequence[str]) -> list[int]:
        """Return where the modalities `names` stand in `present`."""
        return [self.names.index(name) for name in names]
