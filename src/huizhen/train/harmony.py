"""Harmonised features: a patient's image features, their ComBat in one fold, and its columns for networks.

ComBat is fitted on the mean of a patient's tokens over all images. What it does is a line for each feature,
so that moving every token by it moves the patient's mean by the same: attention stays over tokens. Where the
study asks for components, a token's few components are lines of it too, aligned between sites once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.combat import Prior, SiteShift, apply_shift, site_shift
from huizhen.data.harmonise.components import Reduction
from huizhen.data.harmonise.pooled import Pooled
from huizhen.errors import DataError, InvalidInputError, ModelError
from huizhen.train.arrays import CaseData, Harmonised, HarmonisedComponents, ImageColumn

__all__ = ["Components", "Harmony", "harmonised", "harmony_from", "patient_means", "with_found_site"]

Floats = NDArray[np.float64]
CHUNK = 256
REDUCED, ALIGNED = "components/", "components/aligned/"
"""Where arrays of components lie, and those of their alignment."""


def patient_means(column: ImageColumn, cases: NDArray[np.int64]) -> Floats:
    """Return the mean feature (n, D) of each of `cases`, over the tokens of its plain images.

    `column` holds features; every case must have an image. What harmonisation moves isn't moved here.
    """
    found = np.zeros((len(cases), column.payload.shape[-1]))
    for start in range(0, len(cases), CHUNK):
        part = cases[start : start + CHUNK]
        rows, position, _ = column.rows(part)
        each = column.payload[rows, 0].astype(np.float64).mean(1)  # (images, D)
        np.add.at(found, start + position, each)
        found[start : start + len(part)] /= (column.offsets[part + 1] - column.offsets[part])[:, None]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """What harmonised features are reduced to: their `reduction`, and how its components are `aligned`."""

    reduction: Reduction
    aligned: Harmony


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmony:
    """ComBat of one modality in one fold: the pooled part, and the shift of each site that is known.

    `unknown` (q,): which of the pooled part's covariates aren't known at use, and count as their mean.
    `components`: what the moved features become, where the study asks for components.
    """

    pooled: Pooled
    shifts: Mapping[str, SiteShift]
    unknown: NDArray[np.bool_]
    components: Components | None = None

    def with_site(self, site: str, shift: SiteShift) -> Harmony:
        """Return it with the shift of one more site, of the features before they become components."""
        return replace(self, shifts={**self.shifts, site: shift})

    def resting(self, site: str) -> Harmony:
        """Return it with a shift of `site`, the reference, that moves nothing; the same for components."""
        few = self.components and replace(self.components, aligned=self.components.aligned.resting(site))
        return replace(self, shifts={**self.shifts, site: self.shifts[site].resting()}, components=few)

    def shared(self) -> Harmony:
        """Return it without any site's own shifts."""
        few = self.components and replace(self.components, aligned=self.components.aligned.shared())
        return replace(self, shifts={}, components=few)

    def known(self, covariates: Floats) -> Floats:
        """Return covariates (n, q) as they may be used: means in the place of what isn't known."""
        return np.where(self.unknown, self.pooled.covariates, covariates)

    def column(self, column: ImageColumn, sites: Sequence[str], covariates: Floats) -> ImageColumn:
        """Return a column of n cases at `sites` that moves their features; `covariates` (n, q).

        Raises `DataError` for a site whose shift isn't known.
        """
        shown = np.diff(column.offsets) > 0
        needed = {site for site, there in zip(sites, shown, strict=True) if there}
        return replace(column, harmonised=self._line(needed, sites, covariates))

    def _line(self, needed: set[str], sites: Sequence[str], covariates: Floats) -> Harmonised:
        """Return the line of each case at `sites`, of whom those at the sites `needed` have images."""
        if missing := sorted(needed - set(self.shifts)):
            raise DataError(
                f"nothing is known of how features differ at {', '.join(missing)}",
                remedy="give the site's own images, so that its shift can be found",
                field="harmonisation",
            )
        names = sorted(needed) or sorted(self.shifts)[:1]
        place = {name: k for k, name in enumerate(names)}
        site = np.array([place.get(name, 0) for name in sites], np.int64)  # without an image: not used
        factor, offset = self._lines(names, site, self.known(covariates))
        row = np.arange(len(site)) if self.pooled.slopes.size else site
        spread = factor[site] if self.pooled.slopes.size else factor
        return Harmonised(
            factor=spread.astype(np.float32),
            offset=offset.astype(np.float32),
            row=row,
            reduced=self._reduced(needed, sites, covariates),
        )

    def _reduced(
        self, needed: set[str], sites: Sequence[str], covariates: Floats
    ) -> HarmonisedComponents | None:
        """Return what makes components of moved features; None where the study asks for none."""
        few = self.components
        if few is None:
            return None
        return HarmonisedComponents(
            axes=few.reduction.axes.astype(np.float32),
            constant=few.reduction.constant.astype(np.float32),
            moved=few.aligned._line(needed, sites, covariates),
        )

    def _lines(self, names: Sequence[str], site: NDArray[np.int64], known: Floats) -> tuple[Floats, Floats]:
        """Return the factor of each site (k, D), and offsets by site, or by patient with covariates.

        (y - e - scale gamma) / sqrt(delta) + e, with e what is expected.
        """
        p = self.pooled
        shifts = [self.shifts[name] for name in names]
        factor = np.stack([np.where(p.flat, 1.0, 1 / np.sqrt(s.delta)) for s in shifts])
        moved = np.stack([np.where(p.flat, 0.0, p.scale * s.gamma) for s in shifts])
        if not p.slopes.size:
            return factor, p.centre * (1 - factor) - moved * factor
        expected = p.expected(known, len(known))
        return factor, expected * (1 - factor[site]) - (moved * factor)[site]

    def shifted(self, features: Floats, site: str, covariates: Floats) -> Floats:
        """Return features (n, D) of one site's patients, moved and not reduced; `covariates` (n, q)."""
        given = self.known(covariates) if self.pooled.slopes.size else None
        return apply_shift(features, self.pooled, self.shifts[site], covariates=given)

    def moved(self, features: Floats, site: str, covariates: Floats) -> Floats:
        """Return features (n, D) of one site's patients, moved; their components (n, K) where asked for."""
        found = self.shifted(features, site, covariates)
        if self.components is None:
            return found
        return self.components.aligned.moved(self.components.reduction.of(found), site, covariates)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the pooled part and the shifts as arrays by name."""
        p = self.pooled
        arrays: dict[str, NDArray[Any]] = {
            "centre": p.centre,
            "slopes": p.slopes,
            "scale": p.scale,
            "covariates": p.covariates,
            "flat": p.flat.astype(np.int64),
            "n": np.array([p.n], np.int64),
            "unknown": self.unknown.astype(np.int64),
        }
        for name, shift in self.shifts.items():
            arrays |= {f"site/{name}/gamma": shift.gamma, f"site/{name}/delta": shift.delta}
            arrays |= {f"site/{name}/n": np.array([shift.n, int(shift.mean_only)], np.int64)}
        if few := self.components:
            arrays |= {f"{REDUCED}axes": few.reduction.axes, f"{REDUCED}constant": few.reduction.constant}
            arrays |= {f"{ALIGNED}{name}": value for name, value in few.aligned.to_arrays().items()}
        return arrays


def harmony_from(arrays: Mapping[str, NDArray[Any]]) -> Harmony:
    """Return what `to_arrays` gave. Raises `ModelError` where something is missing or doesn't fit."""
    try:
        return _harmony_from(arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:  # InvalidInputError is a ValueError
        raise ModelError(
            "what features are harmonised by is missing or doesn't fit together",
            remedy="fetch the model again, or run the stage again",
            field="harmonisation",
        ) from error


def _harmony_from(arrays: Mapping[str, NDArray[Any]]) -> Harmony:
    pooled = Pooled(
        centre=arrays["centre"].astype(np.float64),
        slopes=arrays["slopes"].astype(np.float64),
        scale=arrays["scale"].astype(np.float64),
        covariates=arrays["covariates"].astype(np.float64),
        flat=arrays["flat"].astype(bool),
        n=int(arrays["n"][0]),
    )
    names = sorted({key.split("/")[1] for key in arrays if key.startswith("site/")})
    shifts = {
        name: SiteShift(
            gamma=arrays[f"site/{name}/gamma"],
            delta=arrays[f"site/{name}/delta"],
            n=int(arrays[f"site/{name}/n"][0]),
            mean_only=bool(arrays[f"site/{name}/n"][1]),
        )
        for name in names
    }
    few = _components_from(arrays, pooled) if any(key.startswith(REDUCED) for key in arrays) else None
    return Harmony(pooled=pooled, shifts=shifts, unknown=arrays["unknown"].astype(bool), components=few)


def _components_from(arrays: Mapping[str, NDArray[Any]], pooled: Pooled) -> Components:
    """Return the components of arrays. Raises `ValueError` where they are of other features."""
    inner = {k.removeprefix(ALIGNED): v for k, v in arrays.items() if k.startswith(ALIGNED)}
    aligned = _harmony_from(inner)
    reduction = Reduction(
        axes=arrays[f"{REDUCED}axes"].astype(np.float64),
        constant=arrays[f"{REDUCED}constant"].astype(np.float64),
    )
    if aligned.components or reduction.axes.shape != (pooled.centre.size, aligned.pooled.centre.size):
        raise InvalidInputError(
            "components are of other features", remedy="fetch the model again", field="components"
        )
    return Components(reduction=reduction, aligned=aligned)


def with_found_site(
    features: Floats,
    harmony: Harmony,
    covariates: Floats,
    *,
    prior: Prior,
    mean_only: bool,
    site: str,
    training: bool,
) -> Harmony:
    """Return a harmony with a site's shift from its patients' features (n, D) and covariates (n, q).

    `training`: the covariate that isn't known at use, the outcome, is known then. Components are aligned by
    the site's own means and variances as they are: there are too few to learn a prior from. Raises as
    `site_shift`.
    """
    kept = covariates if training else harmony.known(covariates)
    shift = site_shift(features, harmony.pooled, covariates=kept, prior=prior, mean_only=mean_only, site=site)
    found = harmony.with_site(site, shift)
    if (few := found.components) is None:
        return found
    scores = few.reduction.of(found.shifted(features, site, covariates))
    own = site_shift(
        scores, few.aligned.pooled, covariates=kept, prior=Prior.NONE, mean_only=mean_only, site=site
    )
    return replace(found, components=replace(few, aligned=few.aligned.with_site(site, own)))


def harmonised(
    data: CaseData, harmonies: Mapping[str, Harmony], sites: Sequence[str], covariates: Floats
) -> CaseData:
    """Return cases at `sites` (n) whose image features are moved by each modality's harmony."""
    moved = {
        name: harmonies[name].column(column, sites, covariates) if name in harmonies else column
        for name, column in data.images.items()
    }
    return replace(data, images=moved)
