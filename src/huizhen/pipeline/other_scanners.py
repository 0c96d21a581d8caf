"""The sites' grey values: what an image would look like from the scanner that differs most from its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case
from huizhen.core.dicom_modality import wanted_modality
from huizhen.core.study import ImageModality, Study
from huizhen.data.corruptions.interface import Setting
from huizhen.data.corruptions.scanner import LEVELS, distance, transfer
from huizhen.data.pack import Pack

__all__ = ["Scanners", "reference_cases"]

REFERENCES = 30
"""Tested patients of each site whose images show what its scanners' grey values are."""

Histograms = Mapping[str, NDArray[np.float64]]
"""Site -> how often each of 256 grey levels is shown (256,), every image counted alike."""


def reference_cases(tested: Sequence[Case], sampled: Sequence[Case]) -> list[Case]:
    """Return up to `REFERENCES` tested cases of each site that aren't sampled."""
    taken, counts = {case.pseudonym for case in sampled}, defaultdict[str, int](int)
    found: list[Case] = []
    for case in tested:
        if case.pseudonym not in taken and case.images and counts[case.site] < REFERENCES:
            counts[case.site] += 1
            found.append(case)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanners:
    """For each modality and site, the other site whose grey values lie furthest, and the map to it."""

    imaging: Mapping[str, str | None]
    toward: Mapping[tuple[str, str], str]
    transfers: Mapping[tuple[str, str], NDArray[np.float32]]

    @classmethod
    def of(cls, study: Study, packs: Mapping[str, Pack], cases: Sequence[Case]) -> Scanners:
        """Return what the images of `cases` in `packs` show; without a second site there is no map."""
        toward, transfers = dict[tuple[str, str], str](), dict[tuple[str, str], NDArray[np.float32]]()
        for name, pack in packs.items():
            shown = _histograms(name, pack, cases)
            for site, own in shown.items():
                others = {other: distance(own, found) for other, found in shown.items() if other != site}
                if others:
                    furthest = max(sorted(others), key=lambda other: others[other])
                    toward[name, site] = furthest
                    transfers[name, site] = transfer(own, shown[furthest])
        return cls(imaging=_imaging(study), toward=toward, transfers=transfers)

    def setting(self, modality: ImageModality, site: str) -> Setting:
        """Return how images of a modality at a site stand."""
        return Setting(
            side=modality.size,
            imaging=self.imaging.get(modality.name),
            transfer=self.transfers.get((modality.name, site)),
        )

    def told(self) -> dict[str, dict[str, str]]:
        """Return modality -> site -> the site whose grey values its images were given."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for (modality, site), other in sorted(self.toward.items()):
            found[modality][site] = other
        return dict(found)


def _imaging(study: Study) -> dict[str, str | None]:
    """Return each image modality's DICOM Modality, where a source or its name tells it."""
    sources = [source for site in study.site for source in site.source]
    told = {
        m.name: [wanted_modality(source) for source in sources if source.modality == m.name]
        for m in study.image_modalities
    }
    return {name: next((code for code in codes if code), None) for name, codes in told.items()}


def _histograms(modality: str, pack: Pack, cases: Sequence[Case]) -> Histograms:
    """Return each site's mean histogram."""
    sums: dict[str, NDArray[np.float64]] = {}
    for site, row in _rows(modality, pack, cases):
        down, across = pack.geometry(row).inner
        counts = np.bincount(pack.pixels[row][:, down, across].ravel(), minlength=LEVELS)
        sums[site] = sums.get(site, np.zeros(LEVELS)) + counts / counts.sum()
    return sums


def _rows(modality: str, pack: Pack, cases: Sequence[Case]) -> Iterator[tuple[str, int]]:
    for case in cases:
        for row in pack.rows(case.images.get(modality, ())).tolist():
            yield case.site, row
