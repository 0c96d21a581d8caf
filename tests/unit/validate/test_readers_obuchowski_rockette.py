"""Obuchowski-Rockette-Hillis and Gallas against published output, each other and the designs they allow."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc_interval, paired_difference
from huizhen.validate.readers.components import components
from huizhen.validate.readers.contrasts import contrast
from huizhen.validate.readers.effects import effect
from huizhen.validate.readers.figures import figures
from huizhen.validate.readers.merit import AUC, Merit, sensitivity_at, specificity_at
from huizhen.validate.readers.obuchowski_rockette import (
    Comparison,
    against,
    compare,
    compare_reader_groups,
)
from huizhen.validate.readers.roe_metz import RoeMetz, simulate_readers
from huizhen.validate.readers.study import ReaderStudy, from_reads
from huizhen.validate.readers.u_statistics import u_statistic_difference, u_statistic_mean


@pytest.fixture(scope="module")
def van_dyke(vectors_folder: Path) -> ReaderStudy:
    with (vectors_folder / "VanDyke.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return from_reads(
        reader=[row["reader"] for row in rows],
        modality=[row["treatment"] for row in rows],
        case=[row["case"] for row in rows],
        truth=np.array([row["truth"] == "1" for row in rows]),
        rating=[float(row["rating"]) for row in rows],
    )


def only_difference(found: Comparison) -> Any:
    (difference,) = found.differences.values()
    return difference


def test_van_dyke_figures(van_dyke: ReaderStudy, vectors: dict[str, Any]) -> None:
    published = vectors["VanDyke"]
    assert (van_dyke.truth.size, int(van_dyke.truth.sum())) == (published["cases"], published["positives"])
    np.testing.assert_allclose(
        figures(van_dyke, AUC).values, published["empirical_auc"], rtol=0, atol=0.51e-8
    )


def printed(value: float) -> dict[str, float]:
    """The tolerance of a number as it was printed: half of its last digit."""
    digits = len(f"{value:.12f}".rstrip("0").partition(".")[2])
    return {"rel": 0, "abs": 0.51 * 10**-digits}


@pytest.mark.parametrize("method", ["jackknife", "delong", "unbiased"])
def test_van_dyke_components_and_test(van_dyke: ReaderStudy, vectors: dict[str, Any], method: Any) -> None:
    published = vectors["VanDyke"][method]
    found = compare(van_dyke, AUC, covariance=method)
    parts, difference = found.components, only_difference(found)
    names = {"err": parts.variance, "cov1": parts.cov1, "cov2": parts.cov2, "cov3": parts.cov3}
    for name, value in names.items():
        assert value == pytest.approx(published[name], **printed(published[name]))
    assert found.omnibus.df == 1
    for name, value in (
        ("F", found.omnibus.statistic),
        ("ddf", found.omnibus.df_error),
        ("p", found.omnibus.p),
        ("se", difference.error),
    ):
        assert value == pytest.approx(published[name], **printed(published[name]))
    assert difference.p == pytest.approx(found.omnibus.p, abs=1e-12)
    if "ci" in published:
        for value, number in zip(
            (difference.interval.low, difference.interval.high), published["ci"], strict=True
        ):
            assert value == pytest.approx(number, **printed(number))


def test_van_dyke_mean_squares_and_difference(van_dyke: ReaderStudy, vectors: dict[str, Any]) -> None:
    published, found = vectors["VanDyke"]["jackknife"], compare(van_dyke, AUC)
    assert found.components.ms_modality == pytest.approx(published["MST"], **printed(published["MST"]))
    assert found.components.ms_interaction == pytest.approx(published["MSTR"], **printed(published["MSTR"]))
    assert only_difference(found).estimate == pytest.approx(published["diff"], **printed(published["diff"]))


def test_van_dyke_single_modalities(van_dyke: ReaderStudy) -> None:
    # OR-DBM MRMC 2.51, random readers and cases: 0.89703704, SE 0.03317, df 12.74, (0.82522, 0.96885)
    found = against(van_dyke, AUC, "1", value=0.5)
    assert found.estimate == pytest.approx(0.89703704, abs=1e-8)
    assert [found.interval.low, found.interval.high] == pytest.approx([0.82522, 0.96885], abs=0.6e-5)
    assert found.df == pytest.approx(12.74, abs=0.01)
    assert against(van_dyke, AUC, "1", value=found.interval.low).p == pytest.approx(0.05, abs=1e-10)
    joint = compare(van_dyke, AUC).single["1"]
    assert (joint.value, joint.interval) == (found.estimate, found.interval)


def test_van_dyke_fixed_readers(van_dyke: ReaderStudy, vectors: dict[str, Any]) -> None:
    published = vectors["VanDyke"]["jackknife"]["fixed_readers"]
    found = compare(van_dyke, AUC, generalise="cases")
    difference = only_difference(found)
    assert math.isinf(found.omnibus.df_error)
    for value, number in (
        (found.omnibus.statistic, published["X2"]),
        (found.omnibus.p, published["p"]),
        (difference.p, published["p"]),
        (difference.error, published["se"]),
        (difference.interval.low, published["ci"][0]),
        (difference.interval.high, published["ci"][1]),
    ):
        assert value == pytest.approx(number, **printed(number))


def test_van_dyke_fixed_cases(van_dyke: ReaderStudy, vectors: dict[str, Any]) -> None:
    published = vectors["VanDyke"]["jackknife"]["fixed_cases"]
    found = compare(van_dyke, AUC, generalise="readers")
    difference = only_difference(found)
    assert found.omnibus.df_error == 4
    for value, number in (
        (found.omnibus.statistic, published["F"]),
        (found.omnibus.p, published["p"]),
        (difference.interval.low, published["ci"][0]),
        (difference.interval.high, published["ci"][1]),
    ):
        assert value == pytest.approx(number, **printed(number))


@pytest.mark.parametrize("merit", [AUC, sensitivity_at(4), specificity_at(4), sensitivity_at(2)], ids=str)
def test_gallas_is_obuchowski_rockette_with_unbiased_covariance(van_dyke: ReaderStudy, merit: Merit) -> None:
    found = u_statistic_difference(van_dyke, merit, "1", "2")
    crossed = compare(van_dyke, merit, covariance="unbiased")
    parts = crossed.components
    untruncated = 2 / 5 * (parts.ms_interaction + 5 * (parts.cov2 - parts.cov3))
    assert found.variance == pytest.approx(untruncated, abs=1e-12)
    assert found.effect.estimate == pytest.approx(only_difference(crossed).estimate, abs=1e-12)
    if not found.truncated:
        assert found.effect.df == pytest.approx(only_difference(crossed).df, rel=1e-8)
        assert found.effect.p == pytest.approx(only_difference(crossed).p, abs=1e-10)
    mean = u_statistic_mean(van_dyke, merit, "1").effect
    assert mean.error == pytest.approx(
        against(van_dyke, merit, "1", value=0.5, covariance="unbiased").error, abs=1e-12
    )


def simulated(seed: int, *, modalities: int = 2, readers: int = 4, levels: int | None = 5) -> ReaderStudy:
    return simulate_readers(
        np.random.default_rng(seed),
        RoeMetz(),
        aucs=[0.8] * modalities,
        readers=readers,
        diseased=20,
        others=25,
        levels=levels,
    )


def test_one_reader_fixed_is_delongs_paired_test() -> None:
    study = simulated(1, readers=1)
    found = only_difference(compare(study, AUC, covariance="delong", generalise="cases"))
    expected = paired_difference(study.truth, study.ratings[0, 0], study.ratings[1, 0])
    assert found.p == pytest.approx(expected.p, abs=1e-12)
    alone = against(study, AUC, "modality 1", value=0.5, covariance="delong", generalise="cases")
    plain = auc_interval(study.truth, study.ratings[0, 0]).interval
    assert [alone.interval.low, alone.interval.high] == pytest.approx([plain.low, plain.high], abs=1e-12)


def test_three_modalities_share_one_error() -> None:
    found = compare(simulated(2, modalities=3), AUC)
    errors = {round(each.error, 14) for each in found.differences.values()}
    assert len(found.differences) == 3
    assert len(errors) == 1
    assert found.omnibus.df == 2
    assert sum(
        each.estimate * sign for each, sign in zip(found.differences.values(), (1, -1, 1), strict=True)
    ) == pytest.approx(0, abs=1e-14)


def test_ratings_only_rank() -> None:
    study = simulated(3)
    cubed = ReaderStudy(
        truth=study.truth, ratings=study.ratings**3, modalities=study.modalities, readers=study.readers
    )
    assert only_difference(compare(study, AUC)).p == only_difference(compare(cubed, AUC)).p


def test_binary_ratings_give_half_of_sensitivity_and_specificity() -> None:
    study = simulated(4, levels=2)
    parts = [figures(study, merit).values for merit in (AUC, sensitivity_at(2), specificity_at(2))]
    np.testing.assert_allclose(parts[0], (parts[1] + parts[2]) / 2, atol=1e-14)
    assert 0 < only_difference(compare(study, AUC)).p <= 1


def test_split_plot_blocks_add_up() -> None:
    """Two blocks of readers with cases of their own: variance by blocks as by the whole table of gaps."""
    first, second = simulated(5, readers=3), simulated(6, readers=3)
    ratings = np.full((2, 6, 90), np.nan)
    ratings[:, :3, :45], ratings[:, 3:, 45:] = first.ratings, second.ratings
    study = ReaderStudy(
        truth=np.concatenate([first.truth, second.truth]),
        ratings=ratings,
        modalities=first.modalities,
        readers=tuple("abcdef"),
    )
    found = compare(study, AUC, covariance="delong", generalise="cases")
    blocks = [
        only_difference(compare(block, AUC, covariance="delong", generalise="cases"))
        for block in (first, second)
    ]
    assert only_difference(found).estimate == pytest.approx(sum(b.estimate for b in blocks) / 2, abs=1e-14)
    assert only_difference(found).error ** 2 == pytest.approx(sum(b.error**2 for b in blocks) / 4, rel=1e-10)
    whole = components(figures(study, AUC, covariance="delong"))
    each = [components(figures(block, AUC, covariance="delong")) for block in (first, second)]
    assert whole.cov2 == pytest.approx(sum(part.cov2 for part in each) / 2 * (2 * 6) / 30, rel=1e-10)


def test_readers_of_one_modality_each() -> None:
    study = simulated(7, readers=8)
    ratings = study.ratings.copy()
    ratings[0, :3], ratings[1, 3:] = np.nan, np.nan
    nested = ReaderStudy(
        truth=study.truth, ratings=ratings, modalities=study.modalities, readers=study.readers
    )
    found = compare_reader_groups(nested, AUC, *study.modalities, covariance="unbiased")
    one = u_statistic_difference(nested, AUC, *study.modalities)
    assert found.estimate == pytest.approx(one.effect.estimate, abs=1e-12)
    assert found.error**2 == pytest.approx(one.variance, rel=1e-9)
    flipped = compare_reader_groups(nested, AUC, *study.modalities[::-1], covariance="unbiased")
    assert flipped.estimate == pytest.approx(-found.estimate)
    assert flipped.p == pytest.approx(found.p)
    with pytest.raises(NotEstimableError, match="didn't use every modality"):
        compare(nested, AUC)
    with pytest.raises(NotEstimableError, match="used both"):
        compare_reader_groups(study, AUC, *study.modalities)


def test_mixed_designs_are_left_to_u_statistics() -> None:
    study = simulated(8, readers=6)
    ratings = study.ratings.copy()
    ratings[0, 0], ratings[1, 5, :7] = np.nan, np.nan
    mixed = ReaderStudy(
        truth=study.truth, ratings=ratings, modalities=study.modalities, readers=study.readers
    )
    found = u_statistic_difference(mixed, AUC, *study.modalities)
    values = figures(mixed, AUC).values
    assert found.effect.estimate == pytest.approx(np.nanmean(values[0]) - np.nanmean(values[1]))
    assert found.effect.error > 0


def test_identical_modalities_differ_by_nothing() -> None:
    study = simulated(9)
    same = ReaderStudy(
        truth=study.truth,
        ratings=study.ratings[[0, 0]],
        modalities=study.modalities,
        readers=study.readers,
    )
    for found in (
        only_difference(compare(same, AUC)),
        u_statistic_difference(same, AUC, *same.modalities).effect,
    ):
        assert (found.estimate, found.p, found.interval.low, found.interval.high) == (0.0, 1.0, 0.0, 0.0)
    assert math.isnan(compare(same, AUC).omnibus.p)


def test_perfect_readers_have_no_test() -> None:
    truth = np.arange(20) < 8
    ratings = np.stack([np.tile(truth * 2.0, (3, 1)), np.tile(truth * 2.0 + np.arange(20) / 99, (3, 1))])
    study = ReaderStudy(truth=truth, ratings=ratings, modalities=("a", "b"), readers=("x", "y", "z"))
    with pytest.raises(NotEstimableError, match="variance"):
        compare(study, AUC)
    with pytest.raises(NotEstimableError, match="variance"):
        against(study, AUC, "a", value=0.8)


def test_refusals() -> None:
    two = simulated(10, readers=2)
    with pytest.raises(NotEstimableError, match="2 readers"):
        compare(two, AUC)
    with pytest.raises(NotEstimableError, match="2 readers"):
        u_statistic_difference(two, AUC, *two.modalities)
    assert only_difference(compare(two, AUC, generalise="cases")).error > 0
    with pytest.raises(InvalidInputError, match="generalise"):
        compare(two, AUC, generalise="patients")  # type: ignore[arg-type]  # the refusal is the point
    with pytest.raises(InvalidInputError, match="no comparison"):
        compare(simulated(11).only("modality 1"), AUC)
    with pytest.raises(NotEstimableError, match="above 0"):
        effect(0.1, 0.0, math.inf, method="z")


def test_weights_of_two_groups() -> None:
    theta, spread = np.array([1.0, 2, 3, 5, 6, 7]), np.full((6, 6), 0.5) + np.eye(6)
    groups = [np.arange(3), np.arange(3, 6)]
    estimate, variance, df = contrast(theta, spread, groups, [1.0, -1.0], "readers and cases")
    assert [estimate, variance, df] == pytest.approx([-4, 2 / 3, 4])
    assert contrast(theta, spread, groups, [1.0, -1.0], "cases")[1] == pytest.approx(6 / 9 * 1.5)
