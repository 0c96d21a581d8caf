"""The locked networks, to be asked again after the test was opened: for heatmaps and for robustness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from huizhen.data.tables import TableEncoding
from huizhen.models.encoders.interface import Encoder
from huizhen.models.network import Network
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.fit_stage import FittedModel, load_network
from huizhen.pipeline.harmonise_stage import harmonised_tests, read_harmonies
from huizhen.pipeline.material import encodings_of
from huizhen.pipeline.stage import Run
from huizhen.train.features import frozen_encoder
from huizhen.train.harmony import Harmony

__all__ = ["Asked", "asked_networks", "encoders_below"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One network that is asked: its modalities, its fold and the fold's table encodings."""

    network: Network
    modalities: tuple[str, ...]
    fold: int
    encodings: Mapping[str, TableEncoding]
    harmonies: Mapping[str, Harmony] = field(default_factory=dict)
    """Image modality -> what its features are harmonised by; none without harmonisation."""


def asked_networks(run: Run, cohort: OpenCohort, fits: Sequence[FittedModel]) -> Iterator[Asked]:
    """Yield the fitted networks, one after the other."""
    for fitted in fits:
        encodings = encodings_of(run, cohort.cases, cohort.folds[fitted.fold])
        yield Asked(
            network=load_network(run, fitted, encodings),
            modalities=fitted.model.modalities,
            fold=fitted.fold,
            encodings=encodings,
            harmonies=read_harmonies(harmonised_tests(run, cohort, fitted.harmony), fitted.fold),
        )


def encoders_below(run: Run) -> dict[str, Encoder]:
    """Return the encoders that networks over cached features don't hold; none for fine-tuned networks."""
    if run.study.training.mode != "frozen":
        return {}
    return {m.name: frozen_encoder(m, run.study.seed) for m in run.study.image_modalities}
