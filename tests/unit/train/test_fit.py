"""Fitting: same seed, same weights, also after a stop; averaged weights; rates; dropout; learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from huizhen.core.progress import Advance
from huizhen.core.streams import stream
from huizhen.core.study import Study, Variant
from huizhen.errors import DataError, ModelError
from huizhen.models.network import Network
from huizhen.train import fit as fitting
from huizhen.train.arrays import CaseData
from huizhen.train.fit import (
    Fit,
    kept_modalities,
    make_optimiser,
    predict_logits,
    rank_auc,
    set_rate,
    update_average,
)

StudyMaker = Callable[..., Study]
DataMaker = Callable[..., CaseData]
FitMaker = Callable[..., Fit]
NetworkMaker = Callable[..., Network]
NAMES = ("US", "clinic")


class StoppedError(Exception):
    """Raised in the middle of a fit."""


class StopAfter:
    """Progress that ends a fit once `epochs` are done."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.seen: list[int] = []

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Advance]:
        def advance(steps: int) -> None:
            self.seen.append(steps)
            if sum(self.seen) >= self.epochs:
                raise StoppedError

        yield advance

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a checkpoint after every epoch."""
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", -1.0)


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert set(one) == set(other)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.fixture(params=["frozen", "frozen, averaged", "finetune, averaged"])
def setting(
    request: pytest.FixtureRequest, make_study: StudyMaker, make_data: DataMaker
) -> tuple[Study, CaseData]:
    """A study and data: features or pixels, with and without averaged weights."""
    tuned = "finetune" in request.param
    study = make_study(
        mode="finetune" if tuned else "frozen",
        average_weights=0.9 if "averaged" in request.param else 0.0,
        epochs=2 if tuned else 4,
    )
    return study, make_data(12 if tuned else 60, pixels=tuned)


class TestReproducibility:
    """The same seed gives the same weights, bit for bit."""

    def test_twice(
        self,
        setting: tuple[Study, CaseData],
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study, data = setting
        torch.manual_seed(1)
        first = make_fit(study, data).run(make_network(study), tmp_path / "a")
        torch.manual_seed(2)
        again = make_fit(study, data).run(make_network(study), tmp_path / "b")
        assert_same(first.weights, again.weights)
        assert first.history == again.history

    def test_torchs_own_generator_is_left_alone(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study = make_study(epochs=1)
        network = make_network(study)
        before = torch.random.get_rng_state()
        make_fit(study, make_data(40)).run(network, tmp_path / "a")
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_another_seed_draws_other_batches(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study, data = make_study(epochs=1), make_data(40)
        losses = {
            make_fit(study, data, seed=seed).run(make_network(study), tmp_path / "a").history.loss[0]
            for seed in (1, 2, 3)
        }
        assert len(losses) == 3

    @pytest.mark.usefixtures("every_epoch")
    def test_stopped_after_any_epoch_it_goes_on_to_the_same_weights(
        self,
        setting: tuple[Study, CaseData],
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study, data = setting
        undisturbed = make_fit(study, data).run(make_network(study), tmp_path / "whole")
        stops = range(1, study.training.epochs + 1) if study.training.mode == "frozen" else [1]
        for stop in stops:
            path = tmp_path / f"stopped-{stop}"
            with pytest.raises(StoppedError):
                make_fit(study, data).run(make_network(study), path, progress=StopAfter(stop))
            assert path.exists()
            resumed = make_fit(study, data).run(make_network(study), path)
            assert_same(resumed.weights, undisturbed.weights)
            assert resumed.history == undisturbed.history

    @pytest.mark.usefixtures("every_epoch")
    def test_what_was_done_is_not_done_again(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study, data = make_study(epochs=4), make_data(40)
        with pytest.raises(StoppedError):
            make_fit(study, data).run(make_network(study), tmp_path / "a", progress=StopAfter(3))
        rest = StopAfter(99)
        make_fit(study, data).run(make_network(study), tmp_path / "a", progress=rest)
        assert rest.seen == [3, 1]  # three from the checkpoint at once, then the last


class TestRefusals:
    """What can't be learned from."""

    @pytest.mark.parametrize("kept", [[], [0], [1]])
    def test_one_class_or_nobody(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
        kept: list[int],
    ) -> None:
        study, data = make_study(), make_data(40)
        rows = np.flatnonzero(np.isin(data.outcome, kept))
        fit = Fit(study=study, data=data, names=NAMES, train=rows, tune=np.arange(4), seed=1)
        with pytest.raises(DataError, match="it needs both") as caught:
            fit.run(make_network(study), tmp_path / "a", about="single:US 1/1")
        assert "single:US 1/1" in caught.value.message
        assert "US, clinic" in caught.value.message
        assert caught.value.field == "network.variants"
        assert not (tmp_path / "a").exists()

    @pytest.mark.usefixtures("every_epoch")
    def test_a_diverging_fit_says_so_and_keeps_nothing(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study = make_study(learning_rate=1e30, epochs=6)
        with pytest.raises(ModelError, match="not finite") as caught:
            make_fit(study, make_data(40)).run(make_network(study), tmp_path / "a")
        assert caught.value.field == "training.learning_rate"


class TestLearning:
    """That it learns at all."""

    @pytest.mark.parametrize("variant", [Variant.CMAN, Variant.CONCATENATION, Variant.LATE_AVERAGE])
    def test_a_separable_problem_is_learned(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
        variant: Variant,
    ) -> None:
        study, data, unseen = make_study(epochs=12), make_data(120), make_data(120, seed=9)
        network = make_network(study, variant)
        fitted = make_fit(study, data).run(network, tmp_path / "a")
        network.load_state_dict(dict(fitted.weights))
        rows = np.arange(120)
        for keep in (None, ("US",), ("clinic",)):
            logits = predict_logits(network, unseen, rows, NAMES, keep=keep)
            there = np.isfinite(logits)
            assert roc_auc_score(unseen.outcome[there], logits[there]) > 0.95
        assert fitted.history.loss[-1] < 0.9 * fitted.history.loss[0]
        assert fitted.history.tune_auc[-1] is not None
        assert fitted.history.tune_auc[-1] > 0.95

    def test_noise_is_not_learned(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        """No outcome leaks into what networks see."""
        study, unseen = make_study(epochs=6), make_data(400, signal=0, seed=9)
        network = make_network(study)
        make_fit(study, make_data(120, signal=0)).run(network, tmp_path / "a")
        auc = roc_auc_score(unseen.outcome, predict_logits(network, unseen, np.arange(400), NAMES))
        assert abs(auc - 0.5) < 0.12  # four standard errors

    def test_the_tuning_auc_is_of_the_weights_that_are_kept(
        self,
        make_study: StudyMaker,
        make_data: DataMaker,
        make_fit: FitMaker,
        make_network: NetworkMaker,
        tmp_path: Path,
    ) -> None:
        study, data = make_study(average_weights=0.99, epochs=3), make_data(60, signal=1)
        fit, network = make_fit(study, data), make_network(study)
        fitted = fit.run(network, tmp_path / "a")
        network.load_state_dict(dict(fitted.weights))
        logits = predict_logits(network, data, fit.tune, NAMES)
        wanted = roc_auc_score(data.outcome[fit.tune], logits)
        assert fitted.history.tune_auc[-1] == pytest.approx(wanted, abs=1e-12)

    def test_without_both_classes_there_is_no_tuning_auc(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker, tmp_path: Path
    ) -> None:
        study, data = make_study(epochs=1), make_data(40)
        for tune in (np.array([], np.int64), np.array([0, 2, 4])):
            fit = Fit(study=study, data=data, names=NAMES, train=np.arange(20), tune=tune, seed=1)
            assert fit.run(make_network(study), tmp_path / "a").history.tune_auc == [None]


class TestBatches:
    """What a step sees."""

    @pytest.mark.parametrize(
        ("n", "sizes"), [(48, [16, 16, 16]), (33, [16, 17]), (34, [16, 16, 2]), (1, [1])]
    )
    def test_every_row_once_and_none_alone(
        self, make_study: StudyMaker, make_data: DataMaker, n: int, sizes: list[int]
    ) -> None:
        rows = np.arange(100, 100 + n)
        fit = Fit(study=make_study(), data=make_data(4), names=NAMES, train=rows, tune=rows[:0], seed=1)
        batches = fit._batches(np.random.default_rng(0))
        assert [len(batch) for batch in batches] == sizes
        assert sorted(np.concatenate(batches)) == rows.tolist()

    def test_a_batch_in_which_nobody_has_an_image_is_trained_on(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker, tmp_path: Path
    ) -> None:
        """Fine-tuning at 32 pixels, batches of two: some hold no image, some a single one."""
        study = make_study(mode="finetune", epochs=1, batch_size=2)
        data = make_data(24, pixels=True)
        counts = np.diff(data.images["US"].offsets)
        without, single = np.flatnonzero(counts == 0), np.flatnonzero(counts == 1)
        train = np.concatenate([without[:5], single[:3]])
        fit = Fit(study=study, data=data, names=NAMES, train=train, tune=np.arange(4), seed=1)
        seen = {int(counts[batch].sum()) for batch in fit._batches(stream(1, "epoch", 0))}
        assert {0, 1} <= seen
        fitted = fit.run(make_network(study), tmp_path / "a")
        assert all(torch.isfinite(value).all() for value in fitted.weights.values())

    @pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 0.999])
    def test_modality_dropout_keeps_at_least_one_and_adds_none(self, rate: float) -> None:
        rng = np.random.default_rng(0)
        present = rng.random((2000, 3)) < 0.6
        kept = kept_modalities(present, rate, rng).numpy()
        there = present.any(1)
        assert kept[there].any(1).all()
        assert not (kept & ~present)[there].any()
        if rate == 0:
            assert np.array_equal(kept[there], present[there])

    def test_modality_dropout_drops_at_its_rate(self) -> None:
        rng = np.random.default_rng(0)
        kept = kept_modalities(np.ones((20000, 5), bool), 0.3, rng).numpy()
        assert kept.mean() == pytest.approx(0.7, abs=0.01)  # the rescue of all five dropped adds 0.0005

    def test_the_spared_modality_is_any_of_those_present(self) -> None:
        kept = kept_modalities(
            np.tile([True, False, True], (4000, 1)), 0.9999, np.random.default_rng(0)
        ).numpy()
        assert kept.mean(0) == pytest.approx([0.5, 0.0, 0.5], abs=0.03)

    def test_a_case_without_anything_stays_without(self, make_data: DataMaker) -> None:
        batch = make_data(4).batch(np.arange(4), NAMES)
        nothing = batch.restricted(torch.zeros(2, dtype=torch.bool))
        kept = kept_modalities(nothing.present.numpy(), 0.3, np.random.default_rng(0))
        assert not nothing.restricted(kept).present.any()


class TestRates:
    """The learning-rate schedule."""

    @pytest.fixture
    def optimiser(self, make_study: StudyMaker, make_network: NetworkMaker) -> torch.optim.Optimizer:
        study = make_study(mode="finetune", learning_rate=1e-2, encoder_learning_rate=1e-3)
        return make_optimiser(make_network(study), study)

    def rates(self, optimiser: torch.optim.Optimizer, steps: int = 1000) -> np.ndarray:
        found = []
        for step in range(steps):
            set_rate(optimiser, step / steps)
            found.append([group["lr"] for group in optimiser.param_groups])
        return np.array(found)

    def test_it_warms_up_peaks_and_ends_at_a_hundredth(self, optimiser: torch.optim.Optimizer) -> None:
        rate = self.rates(optimiser)[:, 0]
        top = int(rate.argmax())
        assert 0 < rate[0] <= 2e-4
        assert 80 <= top <= 110
        assert np.all(np.diff(rate[:top]) > 0)
        assert np.all(np.diff(rate[top:]) < 0)
        assert 0.95e-2 < rate.max() <= 1e-2
        assert rate[-1] == pytest.approx(1e-4, rel=0.01)

    def test_encoders_follow_at_their_own_rate(self, optimiser: torch.optim.Optimizer) -> None:
        rate = self.rates(optimiser, 50)
        assert rate[:, 1] == pytest.approx(rate[:, 0] / 10)

    def test_every_parameter_is_in_one_group(
        self, make_study: StudyMaker, make_network: NetworkMaker
    ) -> None:
        study = make_study(mode="finetune")
        network = make_network(study)
        groups = make_optimiser(network, study).param_groups
        ids = [id(p) for group in groups for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in network.parameters())
        encoder = {id(p) for n, p in network.named_parameters() if ".encoder." in n}
        assert {id(p) for p in groups[1]["params"]} == encoder

    def test_a_frozen_network_has_one_group(self, make_study: StudyMaker, make_network: NetworkMaker) -> None:
        study = make_study()
        assert len(make_optimiser(make_network(study), study).param_groups) == 1


class TestAverage:
    """The moving average of the weights."""

    def test_a_step_by_hand(self) -> None:
        network = torch.nn.Linear(1, 1)
        average = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
        torch.nn.init.constant_(network.weight, 2.0)
        update_average(average, network, 0.9, 1000)  # type: ignore[arg-type]  # any module has a state
        assert average["weight"].item() == pytest.approx(0.2)

    def test_the_start_is_forgotten(self) -> None:
        """After few steps the average is far nearer to the weights than 0.999 to the step would leave it."""
        network = torch.nn.Linear(1, 1)
        average = {name: torch.full_like(value, 100.0) for name, value in network.state_dict().items()}
        torch.nn.init.constant_(network.weight, 1.0)
        for step in range(10):
            update_average(average, network, 0.999, step)  # type: ignore[arg-type]  # any module has a state
        assert average["weight"].item() == pytest.approx(1, abs=0.01)

    def test_counters_are_copied(self) -> None:
        network = torch.nn.BatchNorm1d(1)
        average = {name: value.clone() for name, value in network.state_dict().items()}
        network(torch.randn(4, 1))
        update_average(average, network, 0.9, 1000)  # type: ignore[arg-type]  # any module has a state
        assert average["num_batches_tracked"].item() == 1

    def test_none_is_kept_when_none_is_wanted(self) -> None:
        update_average(None, torch.nn.Linear(1, 1), 0.9, 0)  # type: ignore[arg-type]  # any module has a state


class TestPrediction:
    """Log-odds of locked networks."""

    def test_a_case_without_anything_shown_has_no_answer(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker
    ) -> None:
        study, data = make_study(), make_data(30)
        logits = predict_logits(make_network(study), data, np.arange(30), NAMES, keep=("US",))
        assert np.array_equal(np.isnan(logits), ~data.present[:, 0])

    def test_the_batch_size_changes_nothing_that_counts(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker
    ) -> None:
        study, data = make_study(), make_data(30)
        network = make_network(study)
        one, other = (predict_logits(network, data, np.arange(30), NAMES, batch_size=b) for b in (7, 64))
        assert one == pytest.approx(other, abs=1e-5)

    def test_no_rows_no_answers(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker
    ) -> None:
        assert (
            len(predict_logits(make_network(make_study()), make_data(4), np.array([], np.int64), NAMES)) == 0
        )

    def test_pixels_are_judged_with_their_mirror_image(
        self, make_study: StudyMaker, make_data: DataMaker, make_network: NetworkMaker
    ) -> None:
        study, data = make_study(mode="finetune"), make_data(12, pixels=True)
        network, column = make_network(study), data.images["US"]
        straight = predict_logits(network, data, np.arange(12), NAMES)
        payload = np.ascontiguousarray(column.payload[..., ::-1])
        turned = type(data)(
            names=data.names,
            images={
                "US": type(column)(
                    payload=payload, where=column.where, offsets=column.offsets, features=False
                )
            },
            tables=data.tables,
            present=data.present,
            outcome=data.outcome,
        )
        assert predict_logits(network, turned, np.arange(12), NAMES) == pytest.approx(straight, abs=1e-5)


class TestRankAuc:
    """The AUC of a fit's history."""

    def test_it_agrees_with_scikit_learn_ties_included(self) -> None:
        draw = np.random.default_rng(3)
        for _ in range(50):
            outcome = draw.random(40) < 0.3
            outcome[:2] = True, False
            score = np.round(draw.normal(size=40) + outcome, 1)
            assert rank_auc(outcome, score) == pytest.approx(roc_auc_score(outcome, score), abs=1e-12)
