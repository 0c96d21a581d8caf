"""Power, simulated readers, crossover designs; type-I error and coverage in small (studies/ in full)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.readers.crossover import crossover
from huizhen.validate.readers.figures import figures
from huizhen.validate.readers.merit import AUC
from huizhen.validate.readers.obuchowski_rockette import compare
from huizhen.validate.readers.power import ErrorModel, cases_needed, error_model, reader_power
from huizhen.validate.readers.roe_metz import RoeMetz, simulate_readers
from huizhen.validate.readers.study import ReaderStudy, from_reads
from huizhen.validate.readers.u_statistics import u_statistic_difference


def pilot(folder: Path) -> ErrorModel:
    with (folder / "VanDyke.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    study = from_reads(
        reader=[row["reader"] for row in rows],
        modality=[row["treatment"] for row in rows],
        case=[row["case"] for row in rows],
        truth=np.array([row["truth"] == "1" for row in rows]),
        rating=[float(row["rating"]) for row in rows],
    )
    return error_model(compare(study, AUC).components, cases=114)


def test_cases_needed_as_in_rjafroc(vectors_folder: Path) -> None:
    """RJafroc's vignette on this data and its observed effect: 6 readers, 251 cases reach a power of 0.8."""
    model = pilot(vectors_folder)
    effect = 0.04380032206
    assert cases_needed(model, effect=effect, readers=6) == 251
    assert reader_power(model, effect=effect, readers=6, cases=251) == pytest.approx(0.8005, abs=5e-5)
    assert reader_power(model, effect=effect, readers=6, cases=250) < 0.8
    fewer = [cases_needed(model, effect=effect, readers=readers) for readers in (6, 7, 8, 9, 10)]
    assert fewer == sorted(fewer, reverse=True)


def test_power_without_an_effect_is_alpha(vectors_folder: Path) -> None:
    model = pilot(vectors_folder)
    for generalise in ("readers and cases", "cases", "readers"):
        found = reader_power(model, effect=0, readers=5, cases=114, generalise=generalise, alpha=0.1)
        assert found == pytest.approx(0.1, abs=1e-9)
    assert reader_power(model, effect=0.5, readers=20, cases=5000) == pytest.approx(1)


def test_power_refusals(vectors_folder: Path) -> None:
    model = pilot(vectors_folder)
    with pytest.raises(NotEstimableError, match="don't reach"):
        cases_needed(model, effect=0.01, readers=3)
    with pytest.raises(NotEstimableError, match="readers"):
        reader_power(model, effect=0.05, readers=2, cases=100)
    with pytest.raises(InvalidInputError, match="few cases"):
        reader_power(model, effect=0.05, readers=5, cases=3)


def test_simulated_readers_have_the_auc_and_the_variances_asked_for() -> None:
    model = RoeMetz(reader=0.05, modality_reader=0.02)
    draw = stream(1, "roe-metz")
    values = np.array(
        [
            figures(
                simulate_readers(draw, model, aucs=[0.75, 0.9], readers=4, diseased=15, others=15), AUC
            ).values
            for _ in range(400)
        ]
    )
    assert values.mean(axis=(0, 2)) == pytest.approx([0.75, 0.9], abs=0.012)
    assert model.auc(model.mean(0.83)) == pytest.approx(0.83)


def test_roe_metz_refusals() -> None:
    with pytest.raises(InvalidInputError, match="variance"):
        RoeMetz(case=0.7, modality_case=0.4)
    with pytest.raises(InvalidInputError, match="variance"):
        RoeMetz(reader=-0.1)
    for wrong in ({"aucs": [1.0, 0.5]}, {"levels": 1}):
        with pytest.raises(InvalidInputError):
            simulate_readers(
                stream(1, "x"),
                RoeMetz(),
                **({"aucs": [0.8], "readers": 3, "diseased": 4, "others": 4} | wrong),
            )


def test_type_one_error_and_coverage_are_nominal() -> None:
    """120 studies of 5 readers and 80 cases: within 3 standard errors of 5 %, and never far above."""
    draw, trials = stream(2, "type one"), 120
    rejected = np.zeros(3)
    for _ in range(trials):
        study = simulate_readers(draw, RoeMetz(), aucs=[0.8, 0.8], readers=5, diseased=40, others=40)
        effects = [
            *(
                next(iter(compare(study, AUC, covariance=m).differences.values()))
                for m in ("jackknife", "unbiased")
            ),
            u_statistic_difference(study, AUC, *study.modalities).effect,
        ]
        rejected += [each.p < 0.05 for each in effects]
        for each in effects:
            assert (each.p < 0.05) == (not each.interval.low <= 0 <= each.interval.high)
    print("type-I error of jackknife, unbiased, U-statistics:", rejected / trials)
    assert (rejected / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)).all()
    assert (rejected > 0).all()


def ordered(seed: int, *, by_reader: bool, later: float) -> tuple[ReaderStudy, NDArray[np.float64]]:
    """A study without an effect of the modality whose second readings are better by `later`."""
    draw = np.random.default_rng(seed)
    study = simulate_readers(draw, RoeMetz(), aucs=[0.75, 0.75], readers=6, diseased=60, others=60)
    if by_reader:
        first = np.broadcast_to((np.arange(6) < 3)[:, np.newaxis], (6, 120))
    else:
        first = np.broadcast_to(draw.random(120) < 0.5, (6, 120)).copy()
        first[::2] = ~first[::2]
    period = np.stack([np.where(first, 1, 2), np.where(first, 2, 1)]).astype(float)
    ratings = study.ratings + later * (period == 2) * study.truth + 3.0 * (period == 2)
    made = ReaderStudy(truth=study.truth, ratings=ratings, modalities=study.modalities, readers=study.readers)
    return made, period


@pytest.mark.parametrize("by_reader", [False, True])
def test_a_period_effect_is_told_from_the_modality(by_reader: bool) -> None:
    found = [
        crossover(*(pair := ordered(seed, by_reader=by_reader, later=1.0))[:1], AUC, pair[1])
        for seed in range(12)
    ]
    assert all(each.by_reader is by_reader for each in found)
    assert np.mean([each.modality.estimate for each in found]) == pytest.approx(0, abs=0.03)
    assert np.mean([each.period.estimate for each in found]) > 0.1
    assert np.mean([each.period.p < 0.05 for each in found]) > 0.9
    assert np.mean([each.modality.p < 0.05 for each in found]) < 0.4


def test_crossover_within_readers_by_hand() -> None:
    study, period = ordered(1, by_reader=False, later=0.5)
    found = crossover(study, AUC, period)
    cells = {}
    for place, name in enumerate("AB"):
        for when in (1, 2):
            values = []
            for reader in range(6):
                there = period[place, reader] == when
                one = ReaderStudy(
                    truth=study.truth[there],
                    ratings=study.ratings[place, reader, there][np.newaxis, np.newaxis],
                    modalities=("m",),
                    readers=("r",),
                )
                values.append(figures(one, AUC).values[0, 0])
            cells[name, when] = np.mean(values)
    modality = (cells["A", 1] - cells["B", 1] + cells["A", 2] - cells["B", 2]) / 2
    later = (cells["A", 2] - cells["A", 1] + cells["B", 2] - cells["B", 1]) / 2
    carried = (cells["A", 1] + cells["B", 2] - cells["A", 2] - cells["B", 1]) / 2
    assert found.modality.estimate == pytest.approx(modality, abs=1e-12)
    assert found.period.estimate == pytest.approx(later, abs=1e-12)
    assert found.carry_over.estimate == pytest.approx(carried, abs=1e-12)


def test_crossover_between_readers_by_hand() -> None:
    study, period = ordered(2, by_reader=True, later=0.5)
    found = crossover(study, AUC, period)
    gaps = np.diff(figures(study, AUC).values[::-1], axis=0)[0]  # first modality less the second
    first, second = gaps[:3].mean(), gaps[3:].mean()
    assert found.modality.estimate == pytest.approx((first + second) / 2, abs=1e-12)
    assert found.period.estimate == pytest.approx((second - first) / 2, abs=1e-12)


def test_crossover_refusals() -> None:
    study, period = ordered(3, by_reader=False, later=0)
    with pytest.raises(InvalidInputError, match="twice in a period"):
        crossover(study, AUC, np.ones_like(period))
    with pytest.raises(InvalidInputError, match="1 or 2"):
        crossover(study, AUC, period + 1)
    with pytest.raises(InvalidInputError, match="two modalities"):
        crossover(study, AUC, period[0])
    same = np.stack([np.ones_like(period[0]), np.full_like(period[1], 2)])
    with pytest.raises(NotEstimableError, match="order"):
        crossover(study, AUC, same)
